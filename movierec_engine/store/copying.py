"""Copies of stores: every version of one store into another, of a folder or an object store either."""

import json
import shutil
from dataclasses import dataclass

from movierec_engine.errors import StoreError
from movierec_engine.reporting.progress import advance, step
from movierec_engine.store.artifact_store import Artifact, ArtifactStore
from movierec_engine.store.retention import every_version


@dataclass(frozen=True)
class Copied:
    """versions: those that were copied. megabytes: of their files, of 2^20 bytes. present: those that were there
    already. pointers: those that the target did not have as they are."""

    versions: int
    megabytes: float
    present: int
    pointers: int


@step("copying")
def copy_store(source: ArtifactStore, target: ArtifactStore, data_set: str = "") -> Copied:
    """Copy the versions, what is the newest of each slot, and the pointers, of one data set or of all.

    Versions that the target has stay as they are, so that a copy that was interrupted goes on where it was; within a
    version, an object store takes up what it was sent on the same day. Each file is found to be as its manifest says.
    The target's own newer versions stay the newest. Pointers go last, and only where the version is there.

    Raises StoreError for a damaged file of the source, and where the source has none of the data set.
    """
    found = [(slot, versions) for slot, versions in every_version(source).items() if data_set in ("", slot.data_set)]
    if not found:
        raise StoreError(f"{source.location} has no versions{f' of {data_set}' if data_set else ''} to copy")
    everything = sorted(
        (one for _, versions in found for one in versions), key=lambda one: one.version
    )  # parents first
    there = {(slot, name) for slot, _ in found for name in target.storage.versions(slot)}
    missing = [one for one in everything if (one.slot, one.version) not in there]
    size = sum(map(_size, missing))
    done = 0
    for one in missing:  # parents first
        advance(done >> 20, size >> 20, "MB")
        _copy(one, target)
        done += _size(one)
    for slot, _ in found:
        newest, own = source.storage.latest(slot), target.storage.latest(slot)
        if newest and (own is None or newest > own):
            target.storage.set_latest(slot, newest)
    pointers = 0
    for of_data_set, name in source.storage.pointers():
        text = source.storage.pointer(of_data_set, name)
        if data_set in ("", of_data_set) and text and text != target.storage.pointer(of_data_set, name):
            target.resolve(json.loads(text)["reference"])
            target.storage.set_pointer(of_data_set, name, text)
            pointers += 1
    return Copied(len(missing), size / 2**20, len(everything) - len(missing), pointers)


def _copy(version: Artifact, target: ArtifactStore) -> None:
    text = version.storage.manifest(version.slot, version.version)
    if text is None:
        raise StoreError(f"{version.reference} was removed from its store while it was copied; copy again")
    scratch = target.storage.scratch()
    scratch.mkdir(parents=True)
    try:
        version.storage.copy_to(scratch, version.slot, version.version, version.files, version.content)
        if damage := version.damage_in(scratch):
            raise StoreError(f"{version.reference}: {damage}; remove that version, or materialize it again")
        manifest = {name: value for name, value in json.loads(text).items() if name != "content"}
        target.storage.put(version.slot, version.version, scratch, target.storage.upload(scratch, manifest))
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _size(version: Artifact) -> int:
    return sum(int(file["size"]) for file in version.files.values())
