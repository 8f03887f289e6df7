"""Sweeps: their trials, and the settings in which they differ."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from dashboard.queries import importance
from dashboard.queries.importance import Importance
from dashboard.queries.parquet import records
from dashboard.queries.store_files import folders, slot_folders, slot_of, store_at
from movierec_engine.errors import StoreError
from movierec_engine.store import kinds
from movierec_engine.tuning import trials
from movierec_engine.tuning.axis import Axis
from movierec_engine.tuning.trials import Result, Trial

MOST = 100
"""Sweeps that can be chosen, newest first."""


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
    data: str = ""
    """The data set."""
    space: Mapping[str, Axis] = field(default_factory=dict)
    """Setting -> the scale that it was searched on, where the sweep has kept it."""

    @property
    def failed(self) -> list[Trial]:
        return [trial for trial in self.trials if trial.error]

    @property
    def scored(self) -> list[Result]:
        """The comparable results: those with the first one's fingerprint and a value of the metric."""
        first = self.results[0].fingerprint if self.results else ""
        return [one for one in self.results if one.validation is not None and one.fingerprint == first]

    @property
    def models(self) -> list[str]:
        return list(dict.fromkeys(trial.model for trial in self.trials if trial.model))


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


def searched(results: Sequence[Result]) -> dict[str, list[str | None]]:
    """Setting -> its value in each result, of the settings that have several values."""
    of_each = [settings(result) for result in results]
    names = dict.fromkeys(name for own in of_each for name in own)
    columns = {name: [own.get(name) for own in of_each] for name in names}
    return {name: values for name, values in columns.items() if len(set(values)) > 1}


def importances(sweep: Sweep) -> list[Importance]:
    """The importance of every searched setting, in the sweep's own space."""
    scored = sweep.scored
    scores = np.array([result.validation.mean for result in scored if result.validation is not None])
    return importance.importances(searched(scored), scores, sweep.space, sweep.mode == "max")


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
            data=artifact.slot.data_set,
            space={str(name): Axis(**axis) for name, axis in (summary.get("space") or {}).items()},
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
