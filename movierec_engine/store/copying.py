"""Copies of stores: every version of one store into another, of a folder or an object store either."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from movierec_engine.errors import StoreError
from movierec_engine.reporting.progress import advance, step
from movierec_engine.store.artifact_store import PINNED, SERVING, Artifact, ArtifactStore
from movierec_engine.store.objects import AwayError
from movierec_engine.store.permission import ask_permission
from movierec_engine.store.retention import every_version, unreadable_versions
from movierec_engine.store.slot import parse_reference, slot_in
from movierec_engine.store.storage import Files, Manifest

_RELEASE = (SERVING, PINNED)
"""Pointers that decisions move together."""


@dataclass(frozen=True)
class Copied:
    """versions: those that were copied. megabytes: of their files, of 2^20 bytes. present: those that were there
    already. pointers: those that were moved. left: `<data set>/<pointer>` of those that the target moved itself.
    repaired: references of those that were there and were damaged, where they are verified."""

    versions: int
    megabytes: float
    present: int
    pointers: int
    left: tuple[str, ...]
    repaired: tuple[str, ...]


@step("copying")
def copy_store(
    source: ArtifactStore,
    target: ArtifactStore,
    data_set: str = "",
    *,
    verify: bool = False,
    overwrite_pointers: bool = False,
) -> Copied:
    """Copy the versions, what is the newest of each slot, and the pointers, of one data set or of all.

    Versions that the target has stay as they are, so that a copy that was interrupted goes on where it was; within a
    version, an object store takes up what it was sent on the same day. Each file is found to be as its manifest says.
    The target's own newer versions stay the newest. Pointers go last, and only where the version is there. What the
    target was told to serve by a decision that the source does not have is left, and rules are alike.

    verify: read the versions that the target has, too, and replace damaged files and manifests by the source's.
    overwrite_pointers: replace these pointers, too. Raises StoreError for a damaged file or manifest of the source, and
    where the source has none of the data set.
    """
    for error in unreadable_versions(source, data_set):
        raise error
    found = [(slot, versions) for slot, versions in every_version(source).items() if data_set in ("", slot.data_set)]
    if not found:
        raise StoreError(f"{source.location} has no versions{f' of {data_set}' if data_set else ''} to copy")
    everything = sorted((one for _, versions in found for one in versions), key=lambda one: one.version)
    there = {(slot, name) for slot, _ in found for name in target.storage.versions(slot)}
    missing = [one for one in everything if (one.slot, one.version) not in there]
    size = sum(map(_size, missing))
    done = 0
    for one in missing:  # parents first
        advance(done >> 20, size >> 20, "MB")
        _copy(one, target)
        done += _size(one)
    present = [one for one in everything if (one.slot, one.version) in there]
    repaired = tuple(one.reference for one in present if verify and _repair(one, target))
    for slot, _ in found:
        newest, own = source.storage.latest(slot), target.storage.latest(slot)
        if newest and (own is None or newest > own):
            target.storage.set_latest(slot, newest)
    moved, left = 0, []
    for of_data_set, names in _pointers(source):
        if data_set in ("", of_data_set):
            with target.deciding(of_data_set):
                differing = [one for one in names if _text(source, of_data_set, one) != _text(target, of_data_set, one)]
                if overwrite_pointers or all(_knows(source, target, of_data_set, one) for one in names):
                    moved += _move_all(source, target, of_data_set, differing)
                else:
                    left += [f"{of_data_set}/{one}" for one in differing]
    return Copied(len(missing), size / 2**20, len(present), moved, tuple(left), repaired)


def _pointers(store: ArtifactStore) -> list[tuple[str, tuple[str, ...]]]:
    """Each data set's pointers, by what is moved together."""
    names = ((data_set, name) for data_set, name in store.storage.pointers() if name != PINNED)
    return [(data_set, _RELEASE if name == SERVING else (name,)) for data_set, name in names]


def _text(store: ArtifactStore, data_set: str, name: str) -> str | None:
    return store.storage.pointer(data_set, name)


def _knows(source: ArtifactStore, target: ArtifactStore, data_set: str, name: str) -> bool:
    """True if the source has the decision, or the rules, by which the target's pointer stands as it does, so that the
    source's was moved after it."""
    try:
        pointer = target.pointer(name, data_set)
        if pointer is None:
            return True
        slot, version = parse_reference(pointer["evidence"].get("decision") or pointer["reference"])
    except (StoreError, KeyError, AttributeError):  # damaged: nobody can tell
        return False
    return version in source.storage.versions(slot)


def _move_all(source: ArtifactStore, target: ArtifactStore, data_set: str, names: list[str]) -> int:
    """Let pointers of the target be what the source's are; how many."""
    for name in names:
        before, text = _text(target, data_set, name), _text(source, data_set, name)
        if text is None:
            target.unpoint(name, data_set)
        else:
            target.resolve(json.loads(text)["reference"])
            ask_permission()
            target.storage.swap_pointer(data_set, name, before, text)
    return len(names)


def _copy(version: Artifact, target: ArtifactStore, *, anew: bool = False) -> None:
    """Copy a version. anew: in place of one whose manifest is damaged."""
    manifest = _manifest(version.storage.manifest(version.slot, version.version))
    if manifest is None:
        raise StoreError(f"{version.reference} was removed from its store, or damaged, while it was copied; copy again")
    with _scratch(target) as scratch:
        _fetch(version, version.files, scratch)
        manifest = target.storage.upload(scratch, manifest)
        if anew:
            target.storage.remove(version.slot, version.version)
        target.storage.put(version.slot, version.version, scratch, manifest, cached=False)


def _manifest(text: str | None) -> Manifest | None:
    """A manifest without where its store has the files; None where there is none, or a damaged one."""
    if text is None or not slot_in(text):
        return None
    return {name: value for name, value in json.loads(text).items() if name != "content"}


def _repair(version: Artifact, target: ArtifactStore) -> bool:
    """Replace what the target has damaged of a version, its manifest or files; whether it had."""
    manifests = [_manifest(one.storage.manifest(version.slot, version.version)) for one in (version, target)]
    if json.dumps(manifests[0]) != json.dumps(manifests[1]):
        _copy(version, target, anew=True)
        return True
    own = target.get(version.slot, version.version)
    with _scratch(target) as scratch:
        damaged = {name: file for name, file in version.files.items() if _is_damaged(own, name, scratch)}
        if damaged:
            _fetch(version, damaged, scratch)
            target.storage.repair(own.slot, own.version, damaged, own.content, scratch)
    return bool(damaged)


def _is_damaged(version: Artifact, name: str, scratch: Path) -> bool:
    """Whether a version's file, which is read through a scratch folder, is not as it was written."""
    try:
        version.storage.copy_to(scratch, version.slot, version.version, {name: version.files[name]}, version.content)
        return bool(version.damage_in(scratch, name))
    except AwayError:
        raise
    except (StoreError, OSError):
        return True
    finally:
        (scratch / name).unlink(missing_ok=True)


def _fetch(version: Artifact, files: Files, scratch: Path) -> None:
    version.storage.copy_to(scratch, version.slot, version.version, files, version.content)
    if damage := version.damage_in(scratch, *files):
        raise StoreError(f"{version.reference}: {damage}; remove that version, or materialize it again")


@contextmanager
def _scratch(store: ArtifactStore) -> Iterator[Path]:
    """A folder for the body alone, beside the store's."""
    folder = store.storage.scratch()
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _size(version: Artifact) -> int:
    return sum(int(file["size"]) for file in version.files.values())
