"""Folders of the artifact store, and a signature that changes when something new lands in it."""

import os
import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from dashboard.queries.mirrors import followed, problems
from movierec_engine.errors import StoreError
from movierec_engine.store import SERVING, Artifact, ArtifactStore, Slot, kinds
from movierec_engine.store.storage import is_url

Signature = tuple[tuple[str, int, int], ...]

_SLOT_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]*")
_SIGNING = ("manifest.json", "report.json")


def store_root() -> Path:
    """The store's folder: MOVIEREC_ARTIFACTS, else `artifacts` below the working folder; of an object store its mirror.

    Raises StoreError for an object store that does not answer and was never read from here.
    """
    place = os.environ.get("MOVIEREC_ARTIFACTS") or "artifacts"
    return followed(place).folder if is_url(place) else Path(place).expanduser().absolute()


def store_problems() -> list[str]:
    """Parts of an object store that cannot be shown, each with the reason."""
    return problems.get(os.environ.get("MOVIEREC_ARTIFACTS", ""), [])


def of_folder(root: Path) -> ArtifactStore:
    """The store that a folder is of, for what the dashboard itself writes and reads back."""
    place = os.environ.get("MOVIEREC_ARTIFACTS", "")
    return ArtifactStore(place if is_url(place) else root)


@lru_cache(maxsize=16)
def store_at(root: Path) -> ArtifactStore:
    """The store in a folder, looked at once: whether it is of an earlier layout takes a dozen listings to tell.

    Raises StoreError for one of an earlier layout.
    """
    return ArtifactStore(root)


def signature(root: Path, *of_kinds: str) -> Signature:
    """Changes whenever a newest version of these kinds is published, removed or repaired, or another index is promoted.

    Its cost grows with the number of slots, not of versions.
    """
    parts = [stamp(path / f"{SERVING}.json") for path in folders(root / "pointers")]
    for kind in of_kinds or (kinds.EVALUATION_REPORT,):
        for folder in slot_folders(root, kind):
            version = folder / latest_name(folder)
            parts += [stamp(path) for path in (folder, folder / "LATEST", *(version / name for name in _SIGNING))]
    return tuple(parts)


def stamp(path: Path) -> tuple[str, int, int]:
    try:
        status = path.stat()
    except OSError:
        return str(path), 0, 0
    return str(path), status.st_mtime_ns, status.st_size


def folders(path: Path) -> list[Path]:
    """Folders that can be part of a slot, sorted; none where the path cannot be listed."""
    try:
        with os.scandir(path) as entries:
            names = sorted(entry.name for entry in entries if _SLOT_NAME.fullmatch(entry.name) and entry.is_dir())
    except OSError:
        return []
    return [path / name for name in names]


def slot_folders(root: Path, kind: str, data: str = "") -> list[Path]:
    """The folders of a kind's slots, of one data set or of all."""
    sets = [folder for folder in folders(root / kind) if data in ("", folder.name)]
    if kind in kinds.OF_A_DATA_SET:
        return sets
    return [folder for each in sets for model in folders(each) for folder in folders(model)]


@lru_cache(maxsize=2_000)
def slot_of(root: Path, folder: Path) -> Slot:
    """The slot whose versions stand in a folder."""
    return Slot(*folder.relative_to(root).parts)


def latest_name(folder: Path) -> str:
    """The version that LATEST names, or "" when it names none."""
    try:
        name = (folder / "LATEST").read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        return ""
    return name if _SLOT_NAME.fullmatch(name) else ""


def wanted_first(folder: Path) -> Iterator[str]:
    """Names of versions, most wanted first; the folder is listed only if LATEST's version turns out unreadable."""
    latest = latest_name(folder)
    if latest:
        yield latest
    for path in reversed(folders(folder)):
        if path.name != latest:
            yield path.name


def newest(root: Path, kind: str, data: str = "") -> Iterator[Artifact]:
    """The newest version of each slot of a kind whose manifest can be read, of one data set or of all."""
    store = store_at(root)
    for folder in slot_folders(root, kind, data):
        for version in wanted_first(folder):
            try:
                yield store.get(slot_of(root, folder), version)
                break
            except (StoreError, OSError, ValueError):
                continue


def parent_folder(root: Path, reference: object) -> Path | None:
    """The folder of the artifact that a reference in a manifest names, if there is one."""
    try:
        return store_at(root).resolve(str(reference)).folder
    except (StoreError, OSError, ValueError):
        return None
