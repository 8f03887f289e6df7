"""Drift of a data set's newer versions from the one that the served model was trained on."""

from functools import lru_cache
from pathlib import Path

from movierec_engine.errors import StoreError
from movierec_engine.evaluation.drift import Drift, drifts
from movierec_engine.store import SERVING, Artifact, ArtifactStore, Slot, kinds


def served_data(store: ArtifactStore, data_set: str) -> Artifact | None:
    """The raw ratings that the served model was trained on; None while nothing is served, or where they are gone."""
    try:
        index = store.pointed(SERVING, data_set)
    except StoreError:
        return None
    return _ancestor(store, index) if index is not None else None


def data_drift(store: ArtifactStore, then: Artifact, now: Artifact) -> list[Drift]:
    """The drift between two versions of raw ratings, by the genres that the data set's newest movies have."""
    movies = store.latest(Slot(kinds.RAW_MOVIES, now.slot.data_set))
    return list(_drifts(then.folder, now.folder, movies.folder if movies else None))


@lru_cache(maxsize=32)
def _drifts(then: Path, now: Path, movies: Path | None) -> tuple[Drift, ...]:
    """Drift between two versions; cached, since versions are immutable."""
    return tuple(drifts(then, now, movies))


def _ancestor(store: ArtifactStore, artifact: Artifact) -> Artifact | None:
    for reference in artifact.parents.values():
        try:
            parent = store.resolve(reference)
        except StoreError:
            continue
        found = parent if parent.slot.kind == kinds.RAW_RATINGS else _ancestor(store, parent)
        if found is not None:
            return found
    return None
