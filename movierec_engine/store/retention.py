"""Retention: the old versions that nothing depends on, and that may be deleted."""

import json
from collections.abc import Collection, Iterable, Iterator

from movierec_engine.errors import StoreError
from movierec_engine.store.artifact_store import Artifact, ArtifactStore
from movierec_engine.store.objects import AwayError
from movierec_engine.store.slot import Slot, slot_in


def slots_of_versions(store: ArtifactStore) -> Iterator[Slot]:
    """The slots that have versions, readable or not. What lies beside them, such as a tracker's files or another store,
    is none: a version's manifest names its slot."""
    for slot in store.storage.slots():
        named = {slot_in(text) for text in store.storage.manifests(slot).values()} - {None}
        if str(slot) in named or (not named and store.storage.versions(slot)):
            yield slot


def every_version(store: ArtifactStore) -> dict[Slot, list[Artifact]]:
    """All readable versions of all kinds by slot, oldest first."""
    return {slot: versions for slot in slots_of_versions(store) if (versions := store.versions(slot))}


def unreadable_versions(store: ArtifactStore, data_set: str = "") -> Iterator[StoreError]:
    """An error for each version, of a data set or of all, whose manifest is damaged, or of a newer release."""
    for slot in slots_of_versions(store):
        if data_set not in ("", slot.data_set):
            continue
        there = set(store.storage.versions(slot))
        for version in sorted(there - {one.version for one in store.versions(slot)}):
            try:
                store.get(slot, version)
            except AwayError:
                raise
            except StoreError as error:
                if version in store.storage.versions(slot):  # nobody has removed it meanwhile
                    yield error


def removable(
    store: ArtifactStore, data_set: str, keep: int, protected: Iterable[str] = (), records: Collection[str] = ()
) -> list[Artifact]:
    """Versions of a data set that may be deleted, newest first, so that none is left without what it was made from.

    They are all but those of `kept_versions`, which raises StoreError; so does this for a manifest that cannot be read,
    since what that version was made from cannot be told.
    """
    for error in unreadable_versions(store):
        raise StoreError(f"nothing is deleted, as what a version was made from cannot be told: {error}") from error
    kept = {one.reference for one in kept_versions(store, keep, protected, records)}
    versions = (one for slot, found in every_version(store).items() if slot.data_set == data_set for one in found)
    return sorted((one for one in versions if one.reference not in kept), key=lambda one: one.version, reverse=True)


def kept_versions(
    store: ArtifactStore, keep: int, protected: Iterable[str] = (), records: Collection[str] = ()
) -> list[Artifact]:
    """Versions that have to stay, by slot and oldest first: the newest `keep` of each slot, what LATEST and pointers
    name, `protected` references, all versions of the kinds in `records`, and all that any of these was made from.

    Raises StoreError for a pointer or LATEST that cannot be read, since what it protects cannot be told.
    """
    versions = every_version(store)
    by_reference = {one.reference: one for found in versions.values() for one in found}
    kept = set(protected)
    for slot, found in versions.items():
        kept |= {one.reference for one in (found if slot.kind in records else found[-keep:])}
        kept.add(f"{slot}/{store.latest_name(slot)}")
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
