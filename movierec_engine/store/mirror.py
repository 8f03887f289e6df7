"""Mirror of an object store: a folder of this host in the layout of a folder's store, for who reads files by path.

It has the manifest of every version, the newest of each slot, the pointers, and the files of every version but for
models' weights, and for indices that are neither the newest nor pointed at. What this host keeps beside an object
store, such as its feedback log, stands in it by links.
"""

import json
import shutil
from collections.abc import Mapping
from typing import Any

from filelock import FileLock

from movierec_engine.errors import StoreError
from movierec_engine.store import kinds
from movierec_engine.store.artifact_store import ArtifactStore
from movierec_engine.store.files import fsync, replace_file
from movierec_engine.store.folder_storage import FolderStorage
from movierec_engine.store.objects import AwayError
from movierec_engine.store.slot import MANIFEST, Slot

HOSTS_OWN = ("feedback", "mlflow", "progress")
_MODELS = (kinds.TRAINED_MODEL, kinds.REFITTED_MODEL)
_READABLE = (".parquet", ".json")
"""Ends of a model's files that are no weights."""


class Mirror:
    """The mirror of an object store, below the folder that this host has for it."""

    def __init__(self, url: str) -> None:
        self.source = ArtifactStore(url)
        self.folder = self.source.root / ".mirror" / url.rstrip("/").partition("://")[2].replace("/", "--")
        self.folder.mkdir(parents=True, exist_ok=True)
        self._target = FolderStorage(self.folder)
        for name in HOSTS_OWN:
            if not (self.folder / name).is_symlink():
                (self.folder / name).symlink_to(self.source.root / name)

    def refresh(self) -> list[str]:
        """Copy new versions and drop deleted ones; returns an error for each version that could not be copied.

        Raises AwayError where the object store does not answer, which leaves what is there.
        """
        problems = []
        with FileLock(self.folder / ".lock"):
            source, target = self.source.storage, self._target
            pointers = {(data_set, name): source.pointer(data_set, name) for data_set, name in source.pointers()}
            pointed = {_reference(text) for text in pointers.values()}
            slots = list(source.slots())
            for slot in slots:
                newest, texts = source.latest(slot), source.manifests(slot)
                for version, text in sorted(texts.items()):
                    whole = version == newest or f"{slot}/{version}" in pointed
                    try:
                        self._bring(slot, version, json.loads(text), whole)
                    except AwayError:
                        raise
                    except (StoreError, ValueError, KeyError, TypeError) as error:
                        problems.append(f"{slot}/{version} is not shown: {error}")
                for gone in set(target.versions(slot)) - set(texts):
                    target.remove(slot, gone)
                if newest and newest != target.latest(slot):
                    target.set_latest(slot, newest)
            for slot in set(target.slots()) - set(slots):
                shutil.rmtree(target.home(slot))
            for (data_set, name), pointer in pointers.items():
                if pointer and pointer != target.pointer(data_set, name):
                    target.set_pointer(data_set, name, pointer)
            for data_set, name in set(target.pointers()) - set(pointers):
                target.remove_pointer(data_set, name)
        return problems

    def _bring(self, slot: Slot, version: str, manifest: Mapping[str, Any], whole: bool) -> None:
        """Bring a version's manifest and files, unless they are there; a damaged manifest is replaced."""
        wanted = {name: file for name, file in manifest["files"].items() if _is_shown(slot.kind, name, whole)}
        home = self._target.home(slot) / version
        missing = {name: file for name, file in wanted.items() if not (home / name).is_file()}
        own = {name: value for name, value in manifest.items() if name != "content"}
        text = json.dumps(own, indent=1)
        if self._target.manifest(slot, version) == text and not missing:
            return
        artifact = self.source.get(slot, version)
        scratch = self._target.scratch()
        scratch.mkdir(parents=True)
        try:
            artifact.storage.copy_to(scratch, slot, version, missing, artifact.content)
            if missing and (damage := artifact.damage_in(scratch, *missing)):
                raise StoreError(damage)
            if home.is_dir():
                for name in missing:
                    (home / name).parent.mkdir(parents=True, exist_ok=True)
                    fsync(scratch / name)
                    (scratch / name).replace(home / name)
                    fsync((home / name).parent)
                replace_file(home / MANIFEST, text)
            else:
                self._target.put(slot, version, scratch, self._target.upload(scratch, own))
        finally:
            shutil.rmtree(scratch, ignore_errors=True)


def _is_shown(kind: str, name: str, whole: bool) -> bool:
    if kind in _MODELS:
        return name.endswith(_READABLE)
    return whole or kind != kinds.FAISS_INDEX


def _reference(text: str | None) -> str:
    """The version that a pointer names, or ""."""
    try:
        return str(json.loads(text or "{}").get("reference", ""))
    except (ValueError, AttributeError):
        return ""
