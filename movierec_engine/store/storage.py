"""Storage of a store: where its versions and pointers lie, a folder or an object store."""

from collections.abc import Hashable, Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

from movierec_engine.errors import StoreError
from movierec_engine.store.slot import Slot

SCHEMES = ("s3", "gs", "az")
"""Object stores by the first part of their URL: Amazon's S3 and what speaks as it does, Google's, Azure's."""

Location = Path | str
"""A folder, or the URL of an object store such as s3://bucket/prefix."""

Manifest = dict[str, Any]
Files = Mapping[str, Mapping[str, Any]]
"""Name of each file of a version -> its `size` in bytes and its `sha256`."""

REPAIR_OR_REMOVE = "repair it from another store by `movierec store copy FROM TO --verify`, or remove that version"
"""Remedy for a version that has to be readable: one that is made again leaves it as it is."""


class LostRaceError(StoreError):
    """A compare-and-swap failed: somebody else changed the value first."""


def is_url(location: Location) -> bool:
    """True for an object store's URL. Raises StoreError for a URL of another kind, and for a slip such as s3:bucket."""
    scheme, colon, rest = str(location).partition(":")
    if not rest.startswith("//") and not (colon and scheme in (*SCHEMES, "file")):
        return False
    if isinstance(location, Path) or scheme not in SCHEMES or not rest.startswith("//") or not rest.strip("/"):
        known = ", ".join(f"{one}://BUCKET/PREFIX" for one in SCHEMES)
        raise StoreError(f"{location} is no artifact store; give a folder, or a URL such as {known}")
    return True


class Storage(Protocol):
    """Versions that never change once they are put, and small texts that are replaced whole.

    A reader sees an old version or text or a new one, never half of one, whenever a writer is killed.
    """

    @property
    def location(self) -> str:
        """The folder or the URL, for people."""

    @property
    def root(self) -> Path:
        """This host's folder for data that is no artifact: the feedback log, MLflow's files, studies in progress."""

    def scratch(self) -> Path:
        """A folder of this process's own that is still to be made, to write a version in; what killed writers left in
        others is removed."""

    def upload(self, folder: Path, manifest: Manifest) -> Manifest:
        """Have a version's files outlive this process; returns the manifest, with where they are."""

    def put(self, slot: Slot, version: str, folder: Path, manifest: Manifest, *, cached: bool = True) -> None:
        """Let files that were uploaded be a version, in one step; the folder may be taken away.

        cached: whether this host keeps them to read, where the store is elsewhere.
        """

    def remove(self, slot: Slot, version: str) -> None:
        """Delete a version in one step."""

    def sweep(self) -> None:
        """Delete files that belong to no version and to no upload in progress."""

    def manifest(self, slot: Slot, version: str) -> str | None:
        """A version's manifest, or None where there is no such version."""

    def manifests(self, slot: Slot) -> dict[str, str]:
        """The manifest of each version of a slot, in the order of their names."""

    def versions(self, slot: Slot) -> list[str]:
        """The names of a slot's versions, sorted."""

    def folder(self, slot: Slot, version: str, files: Files, content: str) -> Path:
        """A folder on this host with a version's files; not to be written to. content: where `upload` put them.

        Raises StoreError when they cannot be fetched.
        """

    def copy_to(self, folder: Path, slot: Slot, version: str, files: Files, content: str) -> None:
        """Copy a version's files into a folder."""

    def repair(self, slot: Slot, version: str, files: Files, content: str, folder: Path) -> None:
        """Replace files of a version that are damaged by those in a scratch folder, which are as they were written."""

    def discard(self, slot: Slot, version: str) -> bool:
        """Drop this host's copy of a version, so that its next use fetches it; False where there is nothing but it."""

    def slots(self, kind: str = "") -> Iterator[Slot]:
        """Every slot of a kind, or of any, that has a newest version; sorted."""

    def latest(self, slot: Slot) -> str | None:
        """The version that is a slot's newest, or None while none is."""

    def set_latest(self, slot: Slot, version: str) -> None:
        """Let a version be its slot's newest."""

    def pointers(self) -> list[tuple[str, str]]:
        """Data set and name of every pointer, sorted."""

    def pointer(self, data_set: str, name: str) -> str | None:
        """A pointer's text, or None while there is none."""

    def set_pointer(self, data_set: str, name: str, text: str) -> None:
        """Replace a pointer's text."""

    def swap_pointer(self, data_set: str, name: str, before: str | None, text: str) -> None:
        """Replace a pointer's text by compare-and-swap. before: the text that it has, None for a new pointer.

        Raises LostRaceError, and replaces nothing, where it has another one.
        """

    def remove_pointer(self, data_set: str, name: str) -> None:
        """Let a pointer name nothing."""

    def last_stamp(self) -> str:
        """The time in the name that was last given to a version, or "" where that is not known."""

    def set_last_stamp(self, stamp: str) -> None:
        """Note the time in the name that is given to a version."""

    def hold(self, name: str, timeout: float) -> AbstractContextManager[None]:
        """Be the only one who holds a name; a killed holder lets go.

        Raises StoreError when another one still holds it after `timeout` seconds.
        """

    def changes(self, kind: str, data_set: str, pointer: str) -> Hashable:
        """A value that differs once a pointer of a data set, or the newest version of one of its slots, has changed."""

    def slot_changes(self, slot: Slot) -> Hashable:
        """A value that differs once a version was put into a slot or taken out of it."""
