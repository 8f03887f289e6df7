"""The artifact store: immutable versions with manifests, published atomically, pointed at by small texts.

Its versions lie in a folder (`folder_storage`) or in an object store (`object_storage`); all that is said here holds of
both. A reader sees an old version or a new one, never half of one, whenever the writer is killed. Names are given under
one lock and each sorts after those before it, also where a clock goes back: the names' order is the order of
publication.
"""

import hashlib
import json
import re
import secrets
import shutil
import subprocess
from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from movierec_engine import __version__
from movierec_engine.errors import StoreError
from movierec_engine.store import kinds
from movierec_engine.store.files import sha256_of
from movierec_engine.store.folder_storage import FolderStorage
from movierec_engine.store.permission import ask_permission
from movierec_engine.store.slot import Slot, is_name, parse_reference
from movierec_engine.store.storage import REPAIR_OR_REMOVE, Location, Storage, is_url

SERVING = "serving"
"""The pointer that names what the API answers from."""
PINNED = "pinned"
"""The pointer that names a pinned release. It holds while it names what is served."""

FORMAT = 1
"""Format of manifests; a release reads those up to its own, and those of the first releases, which name none."""

_STAMP = re.compile(r"\d{8}T\d{9}Z")
_LOCK_SECONDS, _DECISION_SECONDS = 60, 600


@dataclass(frozen=True)
class Artifact:
    """One published version: its manifest's contents, and its files."""

    slot: Slot
    version: str
    storage: Storage = field(repr=False, compare=False)
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
    content: str = ""
    """Where an object store has the files."""

    @property
    def folder(self) -> Path:
        """A folder on this host with the files, which are fetched from an object store where they are not here yet.

        Raises StoreError when they cannot be fetched.
        """
        return self.storage.folder(self.slot, self.version, self.files, self.content)

    @property
    def reference(self) -> str:
        return f"{self.slot}/{self.version}"

    def verify(self, *names: str) -> "Artifact":
        """This artifact, once the size and checksum of the named files, or of all, are found to be as written.

        Raises StoreError naming the first file that is not.
        """
        damage = self.damage_in(self.folder, *names)
        if damage and self.storage.discard(self.slot, self.version):  # a copy of what may be whole
            damage = self.damage_in(self.folder, *names)
        if damage:
            raise StoreError(f"{damage}; {_remedy(self.slot)}")
        return self

    def damage_in(self, folder: Path, *names: str) -> str:
        """The first of the named files, or of all, that is not in a folder as it was written, and how; or ""."""
        for name in names or self.files:
            expected = self.files.get(name, {})
            path = folder / name
            if not expected or not path.is_file():
                return f"{path}: missing from a published version"
            if path.stat().st_size != expected["size"] or sha256_of(path) != expected["sha256"]:
                return f"{path}: does not match its manifest's checksum"
        return ""


class ArtifactStore:
    """Reads and publishes versions in a folder, which is made at the first publication, or in an object store.

    location: the folder, or a URL such as s3://bucket/prefix. offline: whether what this host has read before stands in
    while an object store is away; for readers alone.

    Raises StoreError for a URL of another kind and for a folder of an earlier layout.
    """

    def __init__(self, location: Location, *, offline: bool = False) -> None:
        self.storage = _storage_at(location, offline=offline)

    @property
    def location(self) -> str:
        """The folder or the URL, for people."""
        return self.storage.location

    @property
    def root(self) -> Path:
        """This host's folder for data that is no artifact, such as the feedback log; a folder store's own folder."""
        return self.storage.root

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
        scratch = self.storage.scratch()
        scratch.mkdir(parents=True)
        try:
            write(scratch)
            files = {
                path.relative_to(scratch).as_posix(): {"size": path.stat().st_size, "sha256": sha256_of(path)}
                for path in sorted(scratch.rglob("*"))
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
            manifest = self.storage.upload(scratch, manifest)
            with self._publishing():
                ask_permission()
                version = f"{self._next_stamp(slot)}-{key}-{secrets.token_hex(2)}"
                self.storage.put(slot, version, scratch, manifest)
                artifact = self.get(slot, version)
                if newest() if callable(newest) else newest:
                    self.storage.set_latest(slot, version)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
        return artifact

    def get(self, slot: Slot, version: str) -> Artifact:
        """One version by name. Raises StoreError when it is not there or its manifest cannot be read."""
        try:
            text = self.storage.manifest(slot, version) if is_name(version) else None
        except OSError as error:
            raise StoreError(f"{self.location}/{slot}/{version}: its manifest cannot be read ({error})") from error
        if text is None:
            raise StoreError(
                f"{slot}: no version {version!r} in {self.location}; `movierec models list` shows what is there"
            )
        return self._artifact(slot, version, text)

    def resolve(self, reference: str) -> Artifact:
        """The artifact that a reference `<slot>/<version>` names."""
        return self.get(*parse_reference(reference))

    def latest(self, slot: Slot) -> Artifact | None:
        """The version that LATEST names, or None while there is none."""
        version = self.latest_name(slot)
        return None if version is None else self.get(slot, version)

    def latest_name(self, slot: Slot) -> str | None:
        """The version that LATEST names, existing or not; None without LATEST. Raises StoreError if it is damaged."""
        version = self.storage.latest(slot)
        if version is not None and not is_name(version):
            raise StoreError(f"LATEST of {slot} in {self.location} is damaged; remove it and materialize {slot} again")
        return version

    def set_latest(self, artifact: Artifact) -> Artifact:
        """Let an existing version be its slot's newest again; returns it."""
        with self._publishing():
            ask_permission()
            self.storage.set_latest(artifact.slot, artifact.version)
        return artifact

    def require(self, slot: Slot) -> Artifact:
        """The newest version, or a StoreError that says to materialize it."""
        artifact = self.latest(slot)
        if artifact is None:
            raise StoreError(f"{slot} is not in {self.location} yet; materialize it first")
        return artifact

    def find(self, slot: Slot, key: str) -> Artifact | None:
        """The newest version with this key, or None."""
        for version in reversed(self.storage.versions(slot)):
            if f"-{key}-" in version:
                return self.get(slot, version)
        return None

    def versions(self, slot: Slot) -> list[Artifact]:
        """All readable versions, oldest first; damaged manifests are left out."""
        found = []
        for version, text in self.storage.manifests(slot).items():
            try:
                found.append(self._artifact(slot, version, text))
            except StoreError:
                continue
        return found

    def slots(self, kind: str, data_set: str = "", model: str = "", device: str = "") -> Iterator[Slot]:
        """Every slot of a kind that has a newest version, sorted; of one data set, model and device, or of any."""
        for slot in self.storage.slots(kind):
            if data_set in ("", slot.data_set) and model in ("", slot.model) and device in ("", slot.device):
                yield slot

    def data_sets(self, kind: str) -> list[str]:
        """The data sets that have versions of a kind, sorted."""
        return sorted({slot.data_set for slot in self.slots(kind)})

    def point(self, name: str, artifact: Artifact, evidence: Mapping[str, Any]) -> None:
        """Let a pointer of the artifact's data set, such as `serving`, name it from now on."""
        ask_permission()
        self.storage.set_pointer(artifact.slot.data_set, name, _pointer(artifact, evidence))

    def swap(self, name: str, artifact: Artifact, evidence: Mapping[str, Any], before: str | None) -> None:
        """`point` by compare-and-swap. before: the pointer's text as `storage.pointer` gave it, None for none.

        Raises LostRaceError, and moves nothing, where somebody else has moved it since.
        """
        ask_permission()
        self.storage.swap_pointer(artifact.slot.data_set, name, before, _pointer(artifact, evidence))

    def pointed(self, name: str, data_set: str) -> Artifact | None:
        """The artifact that a data set's pointer names, or None while it names none."""
        content = self.pointer(name, data_set)
        if content is None:
            return None
        try:
            return self.resolve(content["reference"])
        except KeyError as error:
            place = self._pointer_place(name, data_set)
            raise StoreError(f"{place}: not a readable pointer ({error}); promote a version again") from error

    def pointer(self, name: str, data_set: str) -> dict[str, Any] | None:
        """A pointer's content: reference, since and evidence; None while there is none."""
        try:
            text = self.storage.pointer(data_set, name)
            return None if text is None else dict(json.loads(text))
        except (OSError, ValueError, TypeError) as error:
            place = self._pointer_place(name, data_set)
            raise StoreError(f"{place}: not a readable pointer ({error}); promote or pin a version again") from error

    def unpoint(self, name: str, data_set: str) -> None:
        """Let a pointer name nothing."""
        ask_permission()
        self.storage.remove_pointer(data_set, name)

    def deciding(self, data_set: str) -> AbstractContextManager[None]:
        """One decision about a data set at a time: what it looks at stays until it is carried out. A killed one lets
        go."""
        return self.storage.hold(f"pointers/{data_set}/decisions.lock", _DECISION_SECONDS)

    def changes(self, kind: str, data_set: str, pointer: str = SERVING) -> Hashable:
        """A value that differs once a pointer of a data set, or the newest version of one of its slots, has changed."""
        return self.storage.changes(kind, data_set, pointer)

    def remove(self, artifact: Artifact) -> None:
        """Delete a version in one step; `retention.py` says which may go."""
        ask_permission()
        self.storage.remove(artifact.slot, artifact.version)

    def _artifact(self, slot: Slot, version: str, text: str) -> Artifact:
        try:
            manifest = json.loads(text)
            if (found := manifest.get("format", FORMAT)) > FORMAT:
                place, by = f"{self.location}/{slot}/{version}", manifest.get("code_version")
                raise StoreError(
                    f"{place}: has format {found}, of movierec {by}, and this release knows format {FORMAT}; use the "
                    "release that wrote it"
                )
            texts = {name: str(manifest[name]) for name in ("key", "fingerprint", "created_at", "code_version")}
            groups = {name: dict(manifest[name]) for name in ("config", "parents", "origin", "facts", "files")}
            content = str(manifest.get("content", ""))
            return Artifact(slot, version, self.storage, **texts, **groups, content=content)  # type: ignore[arg-type]
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise StoreError(
                f"{self.location}/{slot}/{version}: not a readable manifest ({error}); {REPAIR_OR_REMOVE}"
            ) from error

    def _pointer_place(self, name: str, data_set: str) -> str:
        return f"{self.location}/pointers/{data_set}/{name}.json"

    def _publishing(self) -> AbstractContextManager[None]:
        """One process at a time gives a version its name and says which is the newest; a killed one lets go."""
        return self.storage.hold(".order/lock", _LOCK_SECONDS)

    def _next_stamp(self, slot: Slot) -> str:
        """The time in ms, or where that is not after the last version's, which a clock may be behind, the ms after it.

        The last one is the store's; should its note be lost, the slot's.
        """
        stamps = [self.storage.last_stamp(), *(name[:19] for name in self.storage.versions(slot)[-1:])]
        last = max((stamp for stamp in stamps if _STAMP.fullmatch(stamp)), default="")
        moment = datetime.now(UTC)
        if _stamp(moment) <= last:
            moment = datetime.strptime(f"{last[:-1]}000", "%Y%m%dT%H%M%S%f") + timedelta(milliseconds=1)
        self.storage.set_last_stamp(_stamp(moment))
        return _stamp(moment)


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


def _remedy(slot: Slot) -> str:
    """Remedy for a damaged version."""
    if slot.kind in kinds.OF_PEOPLE:
        return "take it from a backup, or repair it from another store by `movierec store copy FROM TO --verify`"
    return f"materialize {slot} again"


def _pointer(artifact: Artifact, evidence: Mapping[str, Any]) -> str:
    since = datetime.now(UTC).isoformat(timespec="seconds")
    return json.dumps({"reference": artifact.reference, "since": since, "evidence": dict(evidence)}, indent=1)


def _stamp(moment: datetime) -> str:
    return f"{moment:%Y%m%dT%H%M%S}{moment.microsecond // 1000:03d}Z"


def _storage_at(location: Location, *, offline: bool = False) -> Storage:
    """The storage at a location. offline: whether what was read before stands in while an object store is away.

    Raises StoreError for a URL of another kind and for a folder of an earlier layout.
    """
    if is_url(location):
        from movierec_engine.store.object_storage import ObjectStorage  # brings the object store's library

        return ObjectStorage(str(location), offline=offline)
    return FolderStorage(Path(location))
