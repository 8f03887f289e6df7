"""The artifact store: immutable versions with manifests, published atomically, pointed at by small files.

    <root>/<kind>/<data set>[/<model>/<device>]/<version>/manifest.json and the files it lists
    <root>/<kind>/<data set>[/<model>/<device>]/LATEST     the newest complete version's name
    <root>/pointers/<data set>/<name>.json                 promoted versions
    <root>/.incoming/<place>-<pid>-<random>/               versions that are being written, by process
    <root>/.order/lock and newest                          the lock under which versions are named, and the last stamp

A version is written under `.incoming`, fsynced and renamed into place; `LATEST` is replaced after that. A reader sees
an old version or a new one, never half of one, whenever the writer is killed. Names are given under one lock and each
sorts after those before it, also where a clock goes back: the names' order is the order of publication.
"""

import hashlib
import json
import os
import re
import secrets
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from movierec_engine import __version__
from movierec_engine.errors import StoreError
from movierec_engine.store import kinds, process
from movierec_engine.store.files import fsync, replace_file, sha256_of
from movierec_engine.store.permission import ask_permission
from movierec_engine.store.slot import LATEST, MANIFEST, Slot, is_name, parse_reference

SERVING = "serving"
"""The pointer that names what the API answers from."""

FORMAT = 1
"""Of manifests; a release reads those up to its own, and of the first releases, which name none."""

_STAMP = re.compile(r"\d{8}T\d{9}Z")
_LOCK_SECONDS = 60
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


@dataclass(frozen=True)
class Artifact:
    """One published version: its folder, and its manifest's contents."""

    slot: Slot
    version: str
    folder: Path
    key: str
    """Short hash of everything that decided the content; a version with the same key need not be made again."""
    fingerprint: str
    """Numbers with different fingerprints are never compared."""
    created_at: str
    code_version: str
    config: dict[str, Any] = field(default_factory=dict)
    parents: dict[str, str] = field(default_factory=dict)
    """Kind of each parent -> its reference, `<slot>/<version>`."""
    origin: dict[str, str] = field(default_factory=dict)
    """Run ids of what made it: dagster_run_id, mlflow_run_id."""
    facts: dict[str, Any] = field(default_factory=dict)
    """Counts, seconds and metrics worth showing without opening the files."""
    files: dict[str, dict[str, Any]] = field(default_factory=dict)
    """File name -> its size in bytes and its SHA-256."""

    @property
    def reference(self) -> str:
        return f"{self.slot}/{self.version}"

    def verify(self, *names: str) -> "Artifact":
        """This artifact, once the size and checksum of the named files, or of all, are found to be as written.

        Raises StoreError naming the first file that is not.
        """
        for name in names or self.files:
            expected = self.files.get(name, {})
            path = self.folder / name
            if not expected or not path.is_file():
                raise StoreError(f"{path}: missing from a published version; materialize {self.slot} again")
            if path.stat().st_size != expected["size"] or sha256_of(path) != expected["sha256"]:
                raise StoreError(f"{path}: does not match its manifest's checksum; materialize {self.slot} again")
        return self


class ArtifactStore:
    """Reads and publishes versions below one folder, which is made at the first publication.

    Raises StoreError for a folder of an earlier layout.
    """

    def __init__(self, root: Path | str) -> None:
        self.root = Path(root).expanduser().absolute()
        if any(next(self.root.glob(pattern), None) for pattern in _EARLIER_LAYOUT):
            raise StoreError(
                f"{self.root} is a store of an earlier version, laid out in another way; move everything in it but "
                "feedback/ elsewhere, and materialize again"
            )

    def publish(
        self,
        slot: Slot,
        write: Callable[[Path], None],
        *,
        key: str,
        fingerprint: str,
        config: Mapping[str, Any] | None = None,
        parents: Mapping[str, Artifact] | None = None,
        origin: Mapping[str, str] | None = None,
        facts: Mapping[str, Any] | None = None,
        newest: bool | Callable[[], bool] = True,
    ) -> Artifact:
        """Let `write` fill a folder, then make it a version of the slot in one step.

        newest: whether LATEST names it from now on; asked once the version is there, while no other is published.
        """
        self._sweep()
        incoming = self._incoming()
        incoming.mkdir(parents=True)
        try:
            write(incoming)
            files = {
                path.relative_to(incoming).as_posix(): {"size": path.stat().st_size, "sha256": sha256_of(path)}
                for path in sorted(incoming.rglob("*"))
                if path.is_file()
            }
            manifest = {
                "format": FORMAT,
                "kind": slot.kind,
                "slot": str(slot),
                "key": key,
                "fingerprint": fingerprint,
                "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
                "code_version": code_version(),
                "config": dict(config or {}),
                "parents": {kind: parent.reference for kind, parent in (parents or {}).items()},
                "origin": dict(origin or {}),
                "facts": dict(facts or {}),
                "files": files,
            }
            (incoming / MANIFEST).write_text(json.dumps(manifest, indent=1), encoding="utf-8")
            for path in [*incoming.rglob("*"), incoming]:
                fsync(path)
            with self._publishing():
                ask_permission()
                version = f"{self._next_stamp(slot)}-{key}-{secrets.token_hex(2)}"
                home = self._home(slot)
                home.mkdir(parents=True, exist_ok=True)
                incoming.rename(home / version)
                fsync(home)
                artifact = self.get(slot, version)
                if newest() if callable(newest) else newest:
                    self._name_latest(artifact)
        finally:
            shutil.rmtree(incoming, ignore_errors=True)
        return artifact

    def get(self, slot: Slot, version: str) -> Artifact:
        """One version by name. Raises StoreError when it is not there or its manifest cannot be read."""
        folder = self._home(slot) / version
        path = folder / MANIFEST
        if not is_name(version) or not path.is_file():
            raise StoreError(
                f"{slot}: no version {version!r} in {self.root}; `movierec models list` shows what is there"
            )
        try:
            manifest = json.loads(path.read_text(encoding="utf-8"))
            if (found := manifest.get("format", FORMAT)) > FORMAT:
                raise StoreError(
                    f"{path}: has format {found}, of movierec {manifest.get('code_version')}, and this release knows "
                    f"format {FORMAT}; use the release that wrote it"
                )
            texts = {name: str(manifest[name]) for name in ("key", "fingerprint", "created_at", "code_version")}
            groups = {name: dict(manifest[name]) for name in ("config", "parents", "origin", "facts", "files")}
            return Artifact(slot, version, folder, **texts, **groups)  # type: ignore[arg-type]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise StoreError(f"{path}: not a readable manifest ({error}); materialize {slot} again") from error

    def resolve(self, reference: str) -> Artifact:
        """The artifact that a reference `<slot>/<version>` names."""
        return self.get(*parse_reference(reference))

    def latest(self, slot: Slot) -> Artifact | None:
        """The version that LATEST names, or None while there is none."""
        try:
            version = self.latest_file(slot).read_text(encoding="utf-8", errors="replace").strip()
        except FileNotFoundError:
            return None
        return self.get(slot, version)

    def latest_file(self, slot: Slot) -> Path:
        return self._home(slot) / LATEST

    def set_latest(self, artifact: Artifact) -> Artifact:
        """Let an existing version be its slot's newest again; returns it."""
        with self._publishing():
            ask_permission()
            self._name_latest(artifact)
        return artifact

    def require(self, slot: Slot) -> Artifact:
        """The newest version, or a StoreError that says to materialize it."""
        artifact = self.latest(slot)
        if artifact is None:
            raise StoreError(f"{slot} is not in {self.root} yet; materialize it first")
        return artifact

    def find(self, slot: Slot, key: str) -> Artifact | None:
        """The newest version with this key, or None."""
        for version in reversed(self._version_names(slot)):
            if f"-{key}-" in version:
                return self.get(slot, version)
        return None

    def versions(self, slot: Slot) -> list[Artifact]:
        """All readable versions, oldest first; damaged manifests are left out."""
        found = []
        for version in self._version_names(slot):
            try:
                found.append(self.get(slot, version))
            except StoreError:
                continue
        return found

    def slots(self, kind: str, data_set: str = "", model: str = "", device: str = "") -> Iterator[Slot]:
        """Every slot of a kind that has a newest version, sorted; of one data set, model and device, or of any."""
        home = self.root / kind
        for pointer in sorted(path for depth in ("*", "*/*/*") for path in home.glob(f"{depth}/{LATEST}")):
            slot = Slot(kind, *pointer.parent.relative_to(home).parts)
            if data_set in ("", slot.data_set) and model in ("", slot.model) and device in ("", slot.device):
                yield slot

    def data_sets(self, kind: str) -> list[str]:
        """The data sets that have versions of a kind, sorted."""
        return sorted({slot.data_set for slot in self.slots(kind)})

    def point(self, name: str, artifact: Artifact, evidence: Mapping[str, Any]) -> None:
        """Let a pointer of the artifact's data set, such as `serving`, name it from now on."""
        ask_permission()
        pointer = {
            "reference": artifact.reference,
            "since": datetime.now(UTC).isoformat(timespec="seconds"),
            "evidence": dict(evidence),
        }
        replace_file(self.pointer_file(name, artifact.slot.data_set), json.dumps(pointer, indent=1))

    def pointed(self, name: str, data_set: str) -> Artifact | None:
        """The artifact that a data set's pointer names, or None while it names none."""
        content = self.pointer(name, data_set)
        if content is None:
            return None
        try:
            return self.resolve(content["reference"])
        except KeyError as error:
            path = self.pointer_file(name, data_set)
            raise StoreError(f"{path}: not a readable pointer ({error}); promote a version again") from error

    def pointer(self, name: str, data_set: str) -> dict[str, Any] | None:
        """A pointer's content: reference, since and evidence; None while there is none."""
        path = self.pointer_file(name, data_set)
        try:
            return dict(json.loads(path.read_text(encoding="utf-8")))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError) as error:
            raise StoreError(f"{path}: not a readable pointer ({error}); promote or pin a version again") from error

    def unpoint(self, name: str, data_set: str) -> None:
        """Let a pointer name nothing."""
        ask_permission()
        path = self.pointer_file(name, data_set)
        if path.exists():
            path.unlink(missing_ok=True)
            fsync(path.parent)

    def pointer_file(self, name: str, data_set: str) -> Path:
        return self.root / "pointers" / data_set / f"{name}.json"

    def remove(self, artifact: Artifact) -> None:
        """Delete a version in one step; `retention.py` says which may go."""
        ask_permission()
        doomed = self._incoming()
        doomed.parent.mkdir(exist_ok=True)
        artifact.folder.rename(doomed)
        fsync(artifact.folder.parent)
        shutil.rmtree(doomed, ignore_errors=True)

    def _home(self, slot: Slot) -> Path:
        return self.root.joinpath(*slot.parts)

    def _name_latest(self, artifact: Artifact) -> None:
        replace_file(self.latest_file(artifact.slot), artifact.version)

    @contextmanager
    def _publishing(self) -> Iterator[None]:
        """One process at a time gives a version its name and says which is the newest; a killed one lets go."""
        lock = self.root / ".order" / "lock"
        lock.parent.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(lock, timeout=_LOCK_SECONDS):
                yield
        except Timeout as error:
            raise StoreError(f"{lock}: another process has held it for {_LOCK_SECONDS} s; wait, or end it") from error

    def _next_stamp(self, slot: Slot) -> str:
        """The time in ms, or where that is not after the last version's, which a clock may be behind, the ms after it.

        The last one is the store's; should its note be lost, the slot's.
        """
        note = self.root / ".order" / "newest"
        stamps = [name[:19] for name in self._version_names(slot)[-1:]]
        with suppress(OSError, ValueError):
            stamps.append(note.read_text(encoding="utf-8"))
        last = max((stamp for stamp in stamps if _STAMP.fullmatch(stamp)), default="")
        moment = datetime.now(UTC)
        if _stamp(moment) <= last:
            moment = datetime.strptime(f"{last[:-1]}000", "%Y%m%dT%H%M%S%f") + timedelta(milliseconds=1)
        replace_file(note, _stamp(moment))
        return _stamp(moment)

    def _version_names(self, slot: Slot) -> list[str]:
        home = self._home(slot)
        if not home.is_dir():
            return []
        return sorted(entry.name for entry in home.iterdir() if (entry / MANIFEST).is_file())

    def _incoming(self) -> Path:
        return self.root / ".incoming" / f"{process.place()}-{os.getpid()}-{secrets.token_hex(4)}"

    def _sweep(self) -> None:
        """Remove what killed writers left: incoming folders whose process is gone."""
        for folder in (self.root / ".incoming").glob("*-*-*"):
            there, pid, _ = folder.name.rsplit("-", 2)
            if pid.isdigit() and process.is_gone(there, int(pid), _changed(folder)):
                shutil.rmtree(folder, ignore_errors=True)


def content_key(*parts: object) -> str:
    """Short hash of JSON-able values, the same in every process."""
    text = json.dumps(parts, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


@cache
def code_version() -> str:
    """The package's version, with the commit when it runs from a checkout."""
    checkout = Path(__file__).resolve().parents[2]
    if not (checkout / ".git").exists():
        return __version__
    command = ["git", "-C", str(checkout), "describe", "--always", "--dirty"]
    try:
        commit = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:  # there is no git on this machine
        return __version__
    return f"{__version__}+{commit.stdout.strip()}" if commit.returncode == 0 else __version__


def _stamp(moment: datetime) -> str:
    return f"{moment:%Y%m%dT%H%M%S}{moment.microsecond // 1000:03d}Z"


def _changed(folder: Path) -> float:
    """When something in a folder last changed, in seconds since 1970; now where it is just going."""
    try:
        return max(path.stat().st_mtime for path in (folder, *folder.rglob("*")))
    except FileNotFoundError:
        return time.time()
