"""Folders in which processes write what is not finished, named `<place>-<pid>-<random>` by their process."""

import os
import secrets
import shutil
import time
from pathlib import Path

from movierec_engine.store.process import is_gone, place


def new_folder(parent: Path) -> Path:
    """The path of a folder of this process's own, still to be made."""
    return parent / f"{own_prefix()}{secrets.token_hex(4)}"


def own_prefix() -> str:
    """Prefix of the names of this process's own folders."""
    return f"{place()}-{os.getpid()}-"


def sweep(parent: Path, prefix: str = "") -> None:
    """Remove the folders whose process is gone. prefix: of their names, where others have folders beside them."""
    for folder in parent.glob(f"{prefix}*-*-*"):
        there, pid, _ = folder.name.removeprefix(prefix).rsplit("-", 2)
        if pid.isdigit() and is_gone(there, int(pid), _changed(folder)):
            shutil.rmtree(folder, ignore_errors=True)


def _changed(folder: Path) -> float:
    """When something in a folder last changed, in seconds since 1970; now where it is just going."""
    try:
        return max(path.stat().st_mtime for path in (folder, *folder.rglob("*")))
    except FileNotFoundError:
        return time.time()
