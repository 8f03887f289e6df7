"""Which index versions are served, noticed between two requests and swapped as one."""

import logging
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from movierec_engine.data.id_map import IdMap
from movierec_engine.data.ratings import Movies
from movierec_engine.errors import MovierecError, StoreError
from movierec_engine.retrieval.faiss_index import RetrievalIndex
from movierec_engine.store import SERVING, Artifact, ArtifactStore, Slot

log = logging.getLogger(__name__)

INDEX = "faiss_index"


@dataclass(frozen=True)
class LoadedIndex:
    """One index version in memory."""

    artifact: Artifact
    index: RetrievalIndex
    movies: list[dict[str, Any]]
    """movie_id, title, year and genres of each item, in item order."""

    @property
    def model(self) -> str:
        return self.artifact.slot.path[0]


@dataclass(frozen=True)
class Snapshot:
    """What is in the store at one moment: the version to serve by default, and each model's newest.

    defaults: the promoted version alone; while there is none each model's newest, the newest of them first.
    """

    defaults: tuple[Artifact, ...]
    newest: dict[str, Artifact]
    signature: tuple[Any, ...]


class Releases:
    """Follows the store. A version that cannot be loaded is refused, logged once, and what was served stays.

    titles: replaces the titles that the indices carry.
    device: `auto`, or the kind of device whose indices alone are served; a promoted one of another kind is passed by.
    """

    def __init__(self, store: ArtifactStore, device: str = "auto", titles: Movies | None = None) -> None:
        self._store, self.device, self._titles = store, device, titles
        self._lock = threading.Lock()
        self._snapshot = Snapshot((), {}, ())
        self._loaded: dict[str, LoadedIndex] = {}
        self._serving: dict[str | None, LoadedIndex] = {}
        self._logged: set[tuple[str, str]] = set()
        self.refused: dict[str, str] = {}
        """Reference of each version in the store that is not served though it should be -> why."""

    def current(self, model: str | None = None) -> LoadedIndex | None:
        """The version to answer from: the default one, or the newest of a model. None while there is none."""
        with self._lock:
            self._follow()
            newest = self._snapshot.newest
            wanted = self._snapshot.defaults if model is None else [newest[model]] if model in newest else []
            for artifact in wanted:
                if loaded := self._load(artifact):
                    self._serving[model] = loaded
                    self._forget()
                if model in self._serving:  # a damaged version leaves what was served; others stand in at the start
                    break
            return self._serving.get(model)

    def newest(self) -> dict[str, Artifact]:
        """Each model's newest version in the store."""
        with self._lock:
            self._follow()
            return dict(self._snapshot.newest)

    def versions(self, model: str) -> list[Artifact]:
        """All readable versions of a model in the store, newest first."""
        slots = [Slot(INDEX, pointer.parts[-3:-1]) for pointer in self._pointers() if pointer.parts[-3] == model]
        found = [version for slot in slots for version in self._store.versions(slot)]
        return sorted(found, key=lambda artifact: artifact.version, reverse=True)

    def _follow(self) -> None:
        """Take a new snapshot if the store's pointers have changed."""
        signature = self._signature()
        if signature == self._snapshot.signature:
            return
        newest: dict[str, Artifact] = {}
        self.refused = {}
        for pointer in self._pointers():
            model, device = pointer.parts[-3:-1]
            try:
                artifact = self._store.require(Slot(INDEX, (model, device)))
            except (MovierecError, OSError, ValueError) as error:
                self._refuse(f"{INDEX}/{model}/{device}", error)
                continue
            if model not in newest or artifact.version > newest[model].version:
                newest[model] = artifact
        defaults = tuple(sorted(newest.values(), key=lambda artifact: artifact.version, reverse=True))
        try:
            promoted = self._promoted()
            defaults = (promoted,) if promoted else defaults
        except (MovierecError, OSError) as error:
            self._refuse(SERVING, error)
            defaults = self._snapshot.defaults or defaults
        self._snapshot = Snapshot(defaults, newest, signature)

    def _promoted(self) -> Artifact | None:
        """The promoted version, or None while there is none of the devices that are served."""
        promoted = self._store.pointed(SERVING)
        if promoted is None:
            return None
        if promoted.slot.kind != INDEX or len(promoted.slot.path) != 2:
            raise StoreError(f"{promoted.reference} is promoted but is no index to serve; promote a version again")
        return promoted if self.device in ("auto", promoted.slot.path[1]) else None

    def _load(self, artifact: Artifact) -> LoadedIndex | None:
        """A version, from memory or from its verified files; None if it is damaged."""
        reference = artifact.reference
        if reference in self._loaded or reference in self.refused:
            return self._loaded.get(reference)
        try:
            index = RetrievalIndex.load(artifact.verify().folder)
            self._loaded[reference] = LoadedIndex(artifact, index, self._movies(index))
        except Exception as error:  # whatever is wrong with the files, the old version goes on being served
            self._refuse(reference, error)
        return self._loaded.get(reference)

    def _forget(self) -> None:
        """Drop versions that nothing answers from any more."""
        used = {loaded.artifact.reference for loaded in self._serving.values()}
        self._loaded = {reference: loaded for reference, loaded in self._loaded.items() if reference in used}

    def _movies(self, index: RetrievalIndex) -> list[dict[str, Any]]:
        table = index.movies
        if self._titles is not None:
            known = IdMap(self._titles.table["movie_id"].to_numpy())
            place = known.index(index.items.ids)
            rows = np.where(place >= 0, place, len(known) + np.arange(len(place)))
            table = pa.concat_tables([self._titles.table, table]).take(rows)
        movies: list[dict[str, Any]] = table.to_pylist()
        return movies

    def _refuse(self, reference: str, error: Exception) -> None:
        self.refused[reference] = str(error) or type(error).__name__
        if (reference, str(error)) not in self._logged:
            self._logged.add((reference, str(error)))
            log.error("%s is not served: %s", reference, self.refused[reference])

    def _pointers(self) -> list[Path]:
        """The LATEST files of the devices that are served, by model and device."""
        device = "*" if self.device == "auto" else self.device
        return sorted(self._store.root.glob(f"{INDEX}/*/{device}/LATEST"))

    def _signature(self) -> tuple[Any, ...]:
        """Changes whenever a pointer of the store does; a few stat calls."""
        return tuple(_stat(path) for path in (self._store.pointer_file(SERVING), *self._pointers()))


def _stat(path: Path) -> tuple[Any, ...]:
    try:
        status = path.stat()
    except OSError:
        return (str(path),)
    return str(path), status.st_mtime_ns, status.st_size, status.st_ino
