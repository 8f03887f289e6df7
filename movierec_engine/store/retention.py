"""Retention: the old versions that nothing depends on, and that may be deleted."""

import json
from collections.abc import Collection, Iterable

from movierec_engine.errors import StoreError
from movierec_engine.store.artifact_store import Artifact, ArtifactStore
from movierec_engine.store.slot import Slot


def every_version(store: ArtifactStore) -> dict[Slot, list[Artifact]]:
    """All readable versions of all kinds by slot, oldest first. What lies beside them, such as a tracker's files or
    another store, is none: a version's manifest names its slot."""
    found = {}
    for slot in store.storage.slots():
        versions = store.versions(slot)
        if versions and _named_slot(versions[0]) == str(slot):
            found[slot] = versions
    return found


def _named_slot(version: Artifact) -> str:
    return str(json.loads(version.storage.manifest(version.slot, version.version) or "{}").get("slot"))


def removable(
    store: ArtifactStore, data_set: str, keep: int, protected: Iterable[str] = (), records: Collection[str] = ()
) -> list[Artifact]:
    """Versions of a data set that may be deleted, newest first, so that none is left without what it was made from.

    They are all but those of `kept_versions`, which raises StoreError.
    """
    kept = {one.reference for one in kept_versions(store, keep, protected, records)}
    versions = (one for slot, found in every_version(store).items() if slot.data_set == data_set for one in found)
    return sorted((one for one in versions if one.reference not in kept), key=lambda one: one.version, reverse=True)


def kept_versions(
    store: ArtifactStore, keep: int, protected: Iterable[str] = (), records: Collection[str] = ()
) -> list[Artifact]:
    """Versions that have to stay, by slot and oldest first: the newest `keep` of each slot, what LATEST and pointers
    name, `protected` references, all versions of the kinds in `records`, and all that any of these was made from.

    Raises StoreError for a pointer that cannot be read, since what it protects cannot be told.
    """
    versions = every_version(store)
    by_reference = {one.reference: one for found in versions.values() for one in found}
    kept = set(protected)
    for slot, found in versions.items():
        kept |= {one.reference for one in (found if slot.kind in records else found[-keep:])}
        kept.add(f"{slot}/{store.storage.latest(slot)}")
    for of_data_set, name in store.storage.pointers():
        try:
            kept.add(str(json.loads(store.storage.pointer(of_data_set, name) or "")["reference"]))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise StoreError(
                f"{store.location}/pointers/{of_data_set}/{name}.json: not a readable pointer ({error}), so what it "
                "protects cannot be told; promote again"
            ) from error
    waiting = list(kept)
    while waiting:
        one = by_reference.get(waiting.pop())
        parents = set(one.parents.values()) - kept if one else set()
        kept |= parents
        waiting += parents
    return [one for reference, one in by_reference.items() if reference in kept]
