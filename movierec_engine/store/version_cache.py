"""Cache of versions on this host, shared by its processes, with a limit on its size.

    <folder>/versions/<slot>/<version>/    whole versions, each file found to be as its manifest says and fsynced
    <folder>/partial/<name>/               versions that are being fetched; what a killed process had is gone on with
    <folder>/locks/<name>                  one process at a time fetches a version or drops it

A version's folder carries the time of its last use. Where the limit is passed, those used longest ago are dropped, but
none that was used within the last hour.
"""

import hashlib
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock

from movierec_engine.errors import StoreError
from movierec_engine.store.files import fsync, sha256_of
from movierec_engine.store.objects import REMEDY
from movierec_engine.store.storage import Files

IN_USE_SECONDS = 3600.0
"""A version that was used so lately stays: a process may read its files at any time."""


class VersionCache:
    """limit: of all files together, in bytes; versions in use may pass it."""

    def __init__(self, folder: Path, limit: int) -> None:
        self._folder, self._limit = folder, limit

    def folder(self, name: str, files: Files, fetch: Callable[[list[tuple[str, Path]]], None]) -> Path:
        """The folder of a version, which is fetched if it is not here. name: slot and version.

        fetch: writes files, given by their name in the version and their path.

        Raises StoreError for a file that is not as it was written.
        """
        home = self._home(name)
        try:
            with self._locked(name):
                if not home.is_dir():
                    self._fetch(name, files, fetch)
                os.utime(home)
        except OSError:  # a disk that takes no writing, where nothing is dropped either
            if not home.is_dir():
                raise
        return home

    def _fetch(self, name: str, files: Files, fetch: Callable[[list[tuple[str, Path]]], None]) -> None:
        home = self._home(name)
        partial = self._folder / "partial" / home.name
        missing = [(one, partial / one) for one in files if _damage(partial / one, files[one])]
        partial.mkdir(parents=True, exist_ok=True)
        fetch(missing)
        for one, path in missing:
            if damage := _damage(path, files[one]):
                path.unlink()
                raise StoreError(f"{name}/{one} {damage}; {REMEDY}")
        self._take(partial, home)

    def adopt(self, name: str, folder: Path) -> None:
        """Take a folder with all files of a version, and no others, as that version; the folder is moved."""
        with self._locked(name):
            if not self._home(name).is_dir():
                self._take(folder, self._home(name))

    def has(self, name: str) -> bool:
        """True if a version is here."""
        return self._home(name).is_dir()

    def drop(self, name: str) -> bool:
        """Drop a version; False where it is not here."""
        with self._locked(name):
            return self._drop(self._home(name))

    def _take(self, folder: Path, home: Path) -> None:
        for path in [*folder.rglob("*"), folder]:  # nobody compares the files again once the folder has its name
            fsync(path)
        home.parent.mkdir(parents=True, exist_ok=True)
        folder.rename(home)
        fsync(home.parent)
        os.utime(home)
        self._make_room(home)

    def _make_room(self, new: Path) -> None:
        """Drop what was used longest ago until the limit is kept; another process's fetch of one may wait for that."""
        found = [(home.stat().st_mtime, home) for home in self._homes() if home != new]
        sizes = {home: _size(home) for _, home in found}
        total = sum(sizes.values()) + _size(new)
        for used, home in sorted(found):
            if total <= self._limit or time.time() - used < IN_USE_SECONDS:
                return
            with self._locked(home.relative_to(self._folder / "versions").as_posix(), wait=False) as free:
                if free and time.time() - home.stat().st_mtime >= IN_USE_SECONDS and self._drop(home):
                    total -= sizes[home]

    def _homes(self) -> Iterator[Path]:
        """The folders of versions: of a slot of data, of a model's."""
        for depth in ("*/*/*", "*/*/*/*/*"):
            for home in (self._folder / "versions").glob(depth):
                if "-" in home.name and home.name[:8].isdigit() and home.is_dir():
                    yield home

    def _drop(self, home: Path) -> bool:
        doomed = self._folder / "partial" / f"dropped-{home.name}"
        doomed.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(doomed, ignore_errors=True)  # of a process that was killed here
        try:
            home.rename(doomed)
        except FileNotFoundError:
            return False
        shutil.rmtree(doomed, ignore_errors=True)
        return True

    @contextmanager
    def _locked(self, name: str, wait: bool = True) -> Iterator[bool]:
        """Whether the lock of a version was got, for the body."""
        lock = self._folder / "locks" / hashlib.sha256(name.encode()).hexdigest()[:16]
        lock.parent.mkdir(parents=True, exist_ok=True)
        held = FileLock(lock)
        if not wait:
            try:
                held.acquire(timeout=0)
            except TimeoutError:
                yield False
                return
        else:
            held.acquire()
        try:
            yield True
        finally:
            held.release()

    def _home(self, name: str) -> Path:
        return self._folder / "versions" / name


def _damage(path: Path, expected: Mapping[str, Any]) -> str:
    """How a file is not as it was written, or ""."""
    if not path.is_file() or path.stat().st_size != expected["size"]:
        return "is not as long as it was written"
    return "" if sha256_of(path) == expected["sha256"] else "does not match its manifest's checksum"


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
