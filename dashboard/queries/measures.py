"""Measures of reports: every metric and every cost, with title, number format and better direction."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from dashboard.queries.leaderboard import Standing
from dashboard.queries.reports import Snapshot
from dashboard.queries.store_files import store_at
from movierec_engine.errors import StoreError
from movierec_engine.evaluation.metrics import metric_of, metric_title
from movierec_engine.reporting import numbers
from movierec_engine.store import kinds


@dataclass(frozen=True)
class Measure:
    """One number of each report, such as ndcg@10 or the training time.

    better: `higher`, `lower`, or "" where neither is. log: whether it spans magnitudes. least: on a log axis, the
    smallest value that is drawn.
    """

    key: str
    title: str
    axis: str
    better: str
    show: Callable[[float], str]
    log: bool = False
    least: float = 0.0


def _cost(key: str, title: str, axis: str, show: Callable[[float], str], least: float) -> Measure:
    return Measure(key, title, axis, "lower", show, log=True, least=least)


COSTS = {
    one.key: one
    for one in (
        _cost("training", "Training", "Training time, seconds", numbers.duration, 0.001),
        _cost("evaluation", "Evaluation", "Evaluation time, seconds", numbers.duration, 0.001),
        _cost("latency", "Time per user", "Time to rank a test user, seconds", numbers.latency, 1e-7),
        _cost("memory", "Peak memory", "Peak memory of the run, MB", numbers.memory, 1.0),
        _cost("model_size", "Model size", "Files of the trained model, MB", numbers.memory, 0.001),
        _cost("index_size", "Index size", "Files of the index, MB", numbers.memory, 0.001),
    )
}
"""The API's latency is in no report: the time to rank a test user is the nearest to it."""


def all_measures(snapshot: Snapshot, standings: Sequence[Standing], k: int) -> dict[str, Measure]:
    """Key -> measure: every metric at k that one of the reports has, those without a depth, and the costs."""
    ids = {one.id for one in standings}
    found = {_key(row): row["metric"] for row in _scores(snapshot) if row["id"] in ids and row["k"] in (0, k)}
    measures = {}
    for key, metric in found.items():
        known = metric_of(metric)
        title, better = metric_title(key), known.direction if known else ""
        measures[key] = Measure(key, title, f"{title} on test", better, numbers.score)
    return {**measures, **COSTS}


def values(snapshot: Snapshot, standings: Sequence[Standing], keys: Sequence[str]) -> dict[str, dict[str, float]]:
    """Report id -> key -> value, of those of the keys that the report has."""
    found: dict[str, dict[str, float]] = {}
    by_id = {one.id: one for one in standings}
    for row in _scores(snapshot):
        if row["id"] in by_id and (key := _key(row)) in keys:
            found.setdefault(row["id"], {})[key] = row["score"]
    for report, one in by_id.items():
        for key in keys:
            if key in _OF_STANDING and (cost := _OF_STANDING[key](snapshot.root, one)) is not None:
                found.setdefault(report, {})[key] = cost
    return found


def intervals_of(snapshot: Snapshot, key: str, labels: Mapping[str, str]) -> dict[str, tuple[float, float]]:
    """Label -> the ends of a metric's 95 % interval. labels: report id -> label."""
    return {
        labels[row["id"]]: (row["low"], row["high"])
        for row in _scores(snapshot)
        if row["id"] in labels and row["low"] is not None and _key(row) == key
    }


def _scores(snapshot: Snapshot) -> list[dict[str, Any]]:
    """The table of scores by row: a few dozen of each report."""
    rows: list[dict[str, Any]] = snapshot.scores.to_pylist()
    return rows


def _key(row: Mapping[str, Any]) -> str:
    """Such as ndcg@10, or auc for a metric without a depth."""
    return f"{row['metric']}@{row['k']}" if row["k"] else str(row["metric"])


def _latency(_: Path, one: Standing) -> float | None:
    return one.evaluation_seconds / one.users if one.evaluation_seconds and one.users else None


@lru_cache(maxsize=10_000)
def _megabytes(root: Path, reference: str) -> float | None:
    """Size of a version's files by its manifest; None where it is not there or empty."""
    try:
        files = store_at(root).resolve(reference).files
    except (StoreError, OSError, ValueError):
        return None
    return sum(file["size"] for file in files.values()) / 1024**2 or None


def _index_megabytes(root: Path, trained_model: str) -> float | None:
    """Size of the newest index of a model's slot, where it was built from this very model."""
    try:
        store = store_at(root)
        index = store.latest(store.resolve(trained_model).slot.beside(kinds.FAISS_INDEX))
    except (StoreError, OSError, ValueError):
        return None
    if index is None or index.parents.get(kinds.TRAINED_MODEL) != trained_model:
        return None
    return _megabytes(root, index.reference)


_OF_STANDING: Mapping[str, Callable[[Path, Standing], float | None]] = {
    "training": lambda _, one: one.seconds or None,
    "evaluation": lambda _, one: one.evaluation_seconds,
    "latency": _latency,
    "memory": lambda _, one: one.memory_mb,
    "model_size": lambda root, one: _megabytes(root, one.trained_model),
    "index_size": lambda root, one: _index_megabytes(root, one.trained_model),
}
