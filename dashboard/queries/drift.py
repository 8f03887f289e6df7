"""Drift of a data set's versions, as the engine computes it for the alerts."""

from dataclasses import dataclass
from pathlib import Path

from movierec_engine.errors import MovierecError
from movierec_engine.evaluation.drift import Drift
from movierec_engine.pipeline.data_drift import data_drift, served_data
from movierec_engine.store import Artifact, ArtifactStore


@dataclass(frozen=True)
class Moved:
    """The drift of the newest ratings from those that the served model was trained on."""

    then: str
    """When the training's data were read."""
    now: str
    drifts: tuple[Drift, ...]


def between(root: Path, before: Artifact, after: Artifact) -> list[Drift] | None:
    """The drift from one version of raw ratings to another; None where one cannot be read."""
    try:
        return data_drift(ArtifactStore(root), before, after)
    except (MovierecError, OSError):
        return None


def since_training(root: Path, data: str) -> Moved | None:
    """The drift since the served model's training; None while nothing is served, or no newer data are there to read."""
    store = ArtifactStore(root)
    then = served_data(store, data)
    now = store.latest(then.slot) if then else None
    if then is None or now is None or now.key == then.key:
        return None
    found = between(root, then, now)
    return Moved(then.created_at, now.created_at, tuple(found)) if found else None
