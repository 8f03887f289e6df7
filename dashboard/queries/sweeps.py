"""Sweeps: their trials, and how much each setting matters."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dashboard.queries.parquet import records
from dashboard.queries.store_files import folders, slot_folders, slot_of, store_at
from movierec_engine.errors import StoreError
from movierec_engine.store import kinds
from movierec_engine.tuning import trials
from movierec_engine.tuning.trials import Result, Trial

MOST = 100
"""Sweeps that can be chosen, newest first."""
BINS = 4
"""A number of more values than this is cut into so many bins of equally many trials, for its importance."""


@dataclass(frozen=True)
class Sweep:
    """One sweep's trials; results are those that differ in nothing but the seed taken together, the best first."""

    id: str
    version: str
    created_at: str
    asked: tuple[str, ...]
    metric: str
    mode: str
    trials: tuple[Trial, ...]
    results: tuple[Result, ...]

    @property
    def failed(self) -> list[Trial]:
        return [trial for trial in self.trials if trial.error]

    @property
    def scored(self) -> list[Result]:
        """Those of the first fingerprint that have the metric: what may be compared."""
        first = self.results[0].fingerprint if self.results else ""
        return [one for one in self.results if one.validation is not None and one.fingerprint == first]

    @property
    def models(self) -> list[str]:
        return list(dict.fromkeys(trial.model for trial in self.trials if trial.model))


@dataclass(frozen=True)
class Importance:
    """Importance of one setting: the share of the trials' differences that lies between its values."""

    setting: str
    share: float
    """Of the variance of the validation metric, corrected for chance; from 0 to 1."""
    direction: float | None
    """Spearman's rank correlation of a number with the metric, positive where more is better; None for words."""
    values: int


def sweeps(root: Path) -> list[Sweep]:
    """The newest MOST readable sweeps, newest first."""
    found = []
    for folder in slot_folders(root, kinds.SWEEP):
        for version in reversed(folders(folder)[-MOST:]):
            if (sweep := _sweep(root, version)) is not None:
                found.append(sweep)
    return found


def settings(result: Result) -> dict[str, str]:
    """Name -> value of what differs from the sweep's other trials, without the seed."""
    pairs = (word.split("=", 1) for word in result.differing if "=" in word)
    return {name.lstrip("+~"): value for name, value in pairs if name != "seed"}


def number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if np.isfinite(value) else None


def searched(results: Sequence[Result]) -> dict[str, list[str | None]]:
    """Setting -> its value in each result, of the settings that have several values."""
    of_each = [settings(result) for result in results]
    names = dict.fromkeys(name for own in of_each for name in own)
    columns = {name: [own.get(name) for own in of_each] for name in names}
    return {name: values for name, values in columns.items() if len(set(values)) > 1}


def importances(results: Sequence[Result], mode: str) -> list[Importance]:
    """Every searched setting's share of the variance of the validation metric, the largest first.

    One-way analysis of variance: the share between the values' means (eta squared), less what chance alone gives so
    many values (epsilon squared, Kelley 1935), at least 0. Numbers of more than BINS values are binned at quantiles.
    Each setting is looked at alone, so that interactions count for none of them, and shares need not sum to 1.
    """
    scores = np.array([result.validation.mean for result in results if result.validation is not None])
    found = []
    for name, values in searched(results).items():
        numbers = [number(value) if value is not None else None for value in values]
        known = np.array([value for value in numbers if value is not None])
        numeric = len(known) == len(values)
        groups = _groups(known) if numeric else np.unique([str(value) for value in values], return_inverse=True)[1]
        direction = _spearman(known, scores if mode == "max" else -scores) if numeric else None
        found.append(Importance(name, explained(groups, scores), direction, len(set(values))))
    return sorted(found, key=lambda one: -one.share)


def explained(groups: NDArray[Any], scores: NDArray[Any]) -> float:
    """Epsilon squared of scores, float [n], by their groups, int [n]; 0 where nothing can be told."""
    n, k = len(scores), len(np.unique(groups))
    total = float(((scores - scores.mean()) ** 2).sum()) if n else 0.0
    if total <= 0 or n <= k:
        return 0.0
    within = sum(float(((own - own.mean()) ** 2).sum()) for own in (scores[groups == one] for one in np.unique(groups)))
    return max(0.0, 1 - (within / (n - k)) / (total / (n - 1)))


def _groups(values: NDArray[Any]) -> NDArray[Any]:
    if len(np.unique(values)) <= BINS:
        return np.asarray(np.unique(values, return_inverse=True)[1])
    return np.searchsorted(np.quantile(values, np.arange(1, BINS) / BINS), values, side="left")


def _spearman(one: NDArray[Any], other: NDArray[Any]) -> float | None:
    from scipy.stats import rankdata

    ranks = rankdata(one), rankdata(other)
    if len(one) < 3 or any(np.ptp(own) == 0 for own in ranks):
        return None
    return float(np.corrcoef(*ranks)[0, 1])


@lru_cache(maxsize=500)
def _sweep(root: Path, folder: Path) -> Sweep | None:
    """One version, which never changes; None when it cannot be used."""
    try:
        artifact = store_at(root).get(slot_of(root, folder.parent), folder.name)
        summary = json.loads((folder / trials.SUMMARY_FILE).read_text(encoding="utf-8"))
        rows = records("SELECT * FROM parquet_file(?) ORDER BY number", str(folder / trials.TRIALS_FILE))
        made = tuple(_trial(row) for row in rows or [])
        metric, mode = str(summary["metric"]), str(summary["mode"])
        return Sweep(
            id=artifact.reference,
            version=artifact.version,
            created_at=artifact.created_at,
            asked=tuple(map(str, summary["asked"])),
            metric=metric,
            mode=mode,
            trials=made,
            results=tuple(trials.rank(made, metric, mode)),
        )
    except (StoreError, OSError, KeyError, TypeError, ValueError, AttributeError, IndexError):
        return None


def _trial(row: Mapping[str, Any]) -> Trial:
    def of_part(part: str) -> dict[str, float]:
        names = (name for name in row if name.startswith(f"{part} ") and row[name] is not None)
        return {name.removeprefix(f"{part} "): float(row[name]) for name in names}

    return Trial(
        overrides=tuple(row["overrides"]),
        error=str(row["error"] or ""),
        report=str(row["report"] or ""),
        model=str(row["model"] or ""),
        device=str(row["device"] or ""),
        seed=row["seed"],
        fingerprint=str(row["fingerprint"] or ""),
        seconds=row["seconds"],
        validation=of_part("validation"),
        test=of_part("test"),
    )
