"""Drift of a data set's newer versions from the one that the served model was trained on, or from the one before."""

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
    return raw_ratings_behind(store, index) if index is not None else None


def data_before(store: ArtifactStore, raw_ratings: Artifact) -> Artifact | None:
    """The raw ratings that a version is compared with: the served model's, or without other ones the version before."""
    served = served_data(store, raw_ratings.slot.data_set)
    return served if served and served.key != raw_ratings.key else version_before(store, raw_ratings)


def version_before(store: ArtifactStore, artifact: Artifact) -> Artifact | None:
    """The newest older version of the same slot with other content, or None."""
    older = (one for one in reversed(store.versions(artifact.slot)) if one.version < artifact.version)
    return next((one for one in older if one.key != artifact.key), None)


def data_drift(store: ArtifactStore, then: Artifact, now: Artifact) -> list[Drift]:
    """The drift between two versions of raw ratings, by the genres that the data set's newest movies have."""
    movies = store.latest(Slot(kinds.RAW_MOVIES, now.slot.data_set))
    return list(_drifts(then.folder, now.folder, movies.folder if movies else None))


@lru_cache(maxsize=32)
def _drifts(then: Path, now: Path, movies: Path | None) -> tuple[Drift, ...]:
    """Drift between two versions; cached, since versions are immutable."""
    return tuple(drifts(then, now, movies))


def raw_ratings_behind(store: ArtifactStore, artifact: Artifact) -> Artifact | None:
    """The raw ratings that an artifact was made from, through its parents; None if they are gone."""
    for reference in artifact.parents.values():
        try:
            parent = store.resolve(reference)
        except StoreError:
            continue
        found = parent if parent.slot.kind == kinds.RAW_RATINGS else raw_ratings_behind(store, parent)
        if found is not None:
            return found
    return None
