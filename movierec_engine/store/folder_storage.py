"""Storage in a folder.

    <root>/<kind>/<data set>[/<model>/<device>]/<version>/manifest.json and the files it lists
    <root>/<kind>/<data set>[/<model>/<device>]/LATEST     the newest complete version's name
    <root>/pointers/<data set>/<name>.json                 promoted versions
    <root>/.incoming/<place>-<pid>-<random>/               versions that are being written, by process
    <root>/.order/lock and newest                          the lock under which versions are named, and the last stamp

A version is written under `.incoming`, fsynced and renamed into place; `LATEST` is replaced after that.
"""

import json
import shutil
from collections.abc import Hashable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from movierec_engine.errors import StoreError
from movierec_engine.store import kinds, scratch
from movierec_engine.store.files import fsync, replace_file
from movierec_engine.store.slot import LATEST, MANIFEST, Slot
from movierec_engine.store.storage import Files, LostRaceError, Manifest

_SWAP_SECONDS = 10
_DEPTHS = ("*", "*/*/*")
"""Glob patterns of the folders of LATEST below a kind's folder."""
_EARLIER_LAYOUT = (
    "pointers/*.json",
    "*/LATEST",
    *(
        f"{kind}/*/*/LATEST"
        for kind in (kinds.TRAINED_MODEL, kinds.EVALUATION_REPORT, kinds.FAISS_INDEX, kinds.BACKTEST)
    ),
    "fold_in_fidelity",
    "interview",
    "dial_prices",
    "new_movies",
)
"""Paths in stores whose models did not say their data set, as `trained_model/<model>/<device>/LATEST`, or whose kinds
had other names."""


class FolderStorage:
    """Storage below one folder, which is made at the first publication.

    Raises StoreError for a folder of an earlier layout.
    """

    def __init__(self, root: Path) -> None:
        self.root = root.expanduser().absolute()
        if any(next(self.root.glob(pattern), None) for pattern in _EARLIER_LAYOUT):
            raise StoreError(
                f"{self.root} is a store of an earlier version, laid out in another way; move everything in it but "
                "feedback/ elsewhere, and materialize again"
            )

    @property
    def location(self) -> str:
        return str(self.root)

    def scratch(self) -> Path:
        scratch.sweep(self.root / ".incoming")
        return scratch.new_folder(self.root / ".incoming")

    def upload(self, folder: Path, manifest: Manifest) -> Manifest:
        (folder / MANIFEST).write_text(json.dumps(manifest, indent=1), encoding="utf-8")
        for path in [*folder.rglob("*"), folder]:
            fsync(path)
        return manifest

    def put(self, slot: Slot, version: str, folder: Path, manifest: Manifest, *, cached: bool = True) -> None:
        home = self.home(slot)
        home.mkdir(parents=True, exist_ok=True)
        if (home / version).is_dir() and not (home / version / MANIFEST).exists():  # what is left of a version
            self.remove(slot, version)
        folder.rename(home / version)
        fsync(home)

    def remove(self, slot: Slot, version: str) -> None:
        doomed = self.scratch()
        doomed.parent.mkdir(exist_ok=True)
        (self.home(slot) / version).rename(doomed)
        fsync(self.home(slot))
        shutil.rmtree(doomed, ignore_errors=True)

    def sweep(self) -> None:
        scratch.sweep(self.root / ".incoming")

    def manifest(self, slot: Slot, version: str) -> str | None:
        try:
            return (self.home(slot) / version / MANIFEST).read_text(encoding="utf-8", errors="replace")
        except (FileNotFoundError, NotADirectoryError):
            return None

    def manifests(self, slot: Slot) -> dict[str, str]:
        found = {}
        for version in self.versions(slot):
            with suppress(OSError):  # it was removed at this moment, or cannot be read
                found[version] = (self.home(slot) / version / MANIFEST).read_text(encoding="utf-8", errors="replace")
        return found

    def versions(self, slot: Slot) -> list[str]:
        home = self.home(slot)
        if not home.is_dir():
            return []
        return sorted(entry.name for entry in home.iterdir() if (entry / MANIFEST).is_file())

    def folder(self, slot: Slot, version: str, files: Files, content: str) -> Path:
        return self.home(slot) / version

    def copy_to(self, folder: Path, slot: Slot, version: str, files: Files, content: str) -> None:
        for name in files:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(self.home(slot) / version / name, folder / name)

    def repair(self, slot: Slot, version: str, files: Files, content: str, folder: Path) -> None:
        for name in files:
            path = self.home(slot) / version / name
            fsync(folder / name)
            (folder / name).replace(path)
            fsync(path.parent)

    def discard(self, slot: Slot, version: str) -> bool:
        return False

    def slots(self, kind: str = "") -> Iterator[Slot]:
        paths = (path for depth in _DEPTHS for path in self.root.glob(f"{kind or '*'}/{depth}/{LATEST}"))
        for path in sorted(paths):
            parts = path.parent.relative_to(self.root).parts
            if not parts[0].startswith("."):
                yield Slot(*parts)

    def latest(self, slot: Slot) -> str | None:
        try:
            return self.latest_file(slot).read_text(encoding="utf-8", errors="replace").strip()
        except FileNotFoundError:
            return None

    def set_latest(self, slot: Slot, version: str) -> None:
        replace_file(self.latest_file(slot), version)

    def pointers(self) -> list[tuple[str, str]]:
        return sorted((path.parent.name, path.stem) for path in (self.root / "pointers").glob("*/*.json"))

    def pointer(self, data_set: str, name: str) -> str | None:
        try:
            return self.pointer_file(name, data_set).read_text(encoding="utf-8")
        except FileNotFoundError:
            return None

    def set_pointer(self, data_set: str, name: str, text: str) -> None:
        replace_file(self.pointer_file(name, data_set), text)

    def swap_pointer(self, data_set: str, name: str, before: str | None, text: str) -> None:
        with self.hold(f"pointers/{data_set}/{name}.lock", _SWAP_SECONDS):
            if self.pointer(data_set, name) != before:
                raise LostRaceError(f"{self.pointer_file(name, data_set)}: another process has changed it; try again")
            self.set_pointer(data_set, name, text)

    def remove_pointer(self, data_set: str, name: str) -> None:
        path = self.pointer_file(name, data_set)
        if path.exists():
            path.unlink(missing_ok=True)
            fsync(path.parent)

    def last_stamp(self) -> str:
        with suppress(OSError, ValueError):
            return (self.root / ".order" / "newest").read_text(encoding="utf-8")
        return ""

    def set_last_stamp(self, stamp: str) -> None:
        replace_file(self.root / ".order" / "newest", stamp)

    @contextmanager
    def hold(self, name: str, timeout: float) -> Iterator[None]:
        lock = self.root / name
        lock.parent.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(lock, timeout=timeout):
                yield
        except Timeout as error:
            raise StoreError(f"{lock}: another process has held it for {timeout:g} s; wait, or end it") from error

    def changes(self, kind: str, data_set: str, pointer: str) -> Hashable:
        newest = (self.latest_file(slot) for slot in self.slots(kind) if slot.data_set == data_set)
        return tuple(_status(path) for path in (self.pointer_file(pointer, data_set), *newest))

    def slot_changes(self, slot: Slot) -> Hashable:
        try:
            return self.home(slot).stat().st_mtime_ns
        except OSError:
            return 0

    def home(self, slot: Slot) -> Path:
        return self.root.joinpath(*slot.parts)

    def latest_file(self, slot: Slot) -> Path:
        return self.home(slot) / LATEST

    def pointer_file(self, name: str, data_set: str) -> Path:
        return self.root / "pointers" / data_set / f"{name}.json"


def _status(path: Path) -> tuple[Hashable, ...]:
    try:
        status = path.stat()
    except OSError:
        return (str(path),)
    return str(path), status.st_mtime_ns, status.st_size, status.st_ino
