"""Trials of a sweep, ranked by validation, over seeds where they have several, as a table and as an
artifact of kind `sweep`."""

import json
import shlex
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from movierec_engine.errors import StoreError
from movierec_engine.evaluation.report import EvaluationReport
from movierec_engine.reporting import numbers
from movierec_engine.store import Artifact, ArtifactStore, Slot, content_key, kinds
from movierec_engine.tracking.server import without_credentials
from movierec_engine.tuning.axis import Axis

TRIALS_FILE = "trials.parquet"
SUMMARY_FILE = "sweep.json"


@dataclass(frozen=True)
class Trial:
    """One job of a sweep: what was asked for, and what it reached or why it failed."""

    overrides: tuple[str, ...]
    """All of the job's settings on top of configs/, in Hydra's syntax."""
    error: str = ""
    report: str = ""
    """Reference of the evaluation report."""
    model: str = ""
    device: str = ""
    seed: int | None = None
    fingerprint: str = ""
    seconds: float | None = None
    """Training time."""
    validation: Mapping[str, float] = field(default_factory=dict)
    test: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def of(cls, report: Artifact) -> "Trial":
        """The trial that a report is of. Raises StoreError when it cannot be read."""
        content = EvaluationReport.load(report.folder)
        return cls(
            overrides=tuple(report.config["overrides"]),
            report=report.reference,
            model=content.model,
            device=content.device,
            seed=content.seed,
            fingerprint=content.fingerprint,
            seconds=content.seconds,
            validation=content.validation_metrics,
            test=content.metrics,
        )


@dataclass(frozen=True)
class Score:
    """A metric over seeds; one seed alone has no deviation."""

    mean: float
    sd: float | None = None
    """Sample standard deviation, with n - 1."""

    @classmethod
    def over(cls, values: Sequence[float]) -> "Score | None":
        if not values:
            return None
        return cls(statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else None)

    def __str__(self) -> str:
        return numbers.mean_and_sd(self.mean, self.sd)


@dataclass(frozen=True)
class Result:
    """The trials of one fingerprint that differ in nothing but the seed."""

    trials: tuple[Trial, ...]
    differing: tuple[str, ...]
    """The settings in which they differ from the sweep's other trials; without the seed if they have several."""
    fingerprint: str
    validation: Score | None
    test: Score | None

    @property
    def command(self) -> str:
        """The command line that repeats it."""
        settings = [word for word in self.trials[0].overrides if not word.startswith("seed=")]
        seeds = [word for word in self.trials[0].overrides if word.startswith("seed=")]
        several = len(self.trials) > 1
        if several:
            seeds = ["seed=" + ",".join(str(trial.seed) for trial in self.trials)]
        words = ["python", "-m", "movierec_engine.train", *(["--multirun"] if several else [])]
        return shlex.join([*words, *settings, *seeds])


def rank(trials: Sequence[Trial], metric: str, mode: str) -> list[Result]:
    """The successful trials, those that differ in the seed alone taken together; the best on validation first.

    Results without the metric stand last. Different fingerprints are never compared: they stand one after another.
    """
    shared = set.intersection(*(set(trial.overrides) for trial in trials)) if trials else set()
    groups: dict[tuple[str, ...], list[Trial]] = {}
    for trial in trials:
        if not trial.error:
            settings = [word for word in trial.overrides if not word.startswith("seed=")]
            groups.setdefault((trial.fingerprint, *settings), []).append(trial)
    results = []
    for (fingerprint, *_), group in groups.items():
        several = len(group) > 1
        results.append(
            Result(
                trials=tuple(group),
                differing=tuple(
                    word
                    for word in group[0].overrides
                    if word not in shared and not (several and word.startswith("seed="))
                ),
                fingerprint=fingerprint,
                validation=Score.over([trial.validation[metric] for trial in group if metric in trial.validation]),
                test=Score.over([trial.test[metric] for trial in group if metric in trial.test]),
            )
        )
    sign = -1 if mode == "max" else 1
    order = list(dict.fromkeys(result.fingerprint for result in results))
    return sorted(
        results,
        key=lambda result: (
            order.index(result.fingerprint),
            result.validation is None,
            sign * result.validation.mean if result.validation else 0.0,
        ),
    )


@dataclass(frozen=True)
class SweepTrials:
    """The trials of one search or multirun, and what they are ranked by."""

    trials: tuple[Trial, ...]
    metric: str
    """A validation metric, such as ndcg@10."""
    mode: str
    """max or min."""
    gain: str = ""
    """Gain of a search within a time over the default settings, in a sentence."""
    space: Mapping[str, Axis] = field(default_factory=dict)
    """Setting -> the scale that it was searched on; empty where values were listed one by one."""

    @property
    def results(self) -> list[Result]:
        return rank(self.trials, self.metric, self.mode)

    @property
    def failed(self) -> list[Trial]:
        return [trial for trial in self.trials if trial.error]

    def differing(self, trial: Trial) -> list[str]:
        """The settings of a trial that not all of the sweep's trials share."""
        shared = set.intersection(*(set(other.overrides) for other in self.trials))
        return [word for word in trial.overrides if word not in shared]


def publish(store: ArtifactStore, data_set: str, sweep: SweepTrials, asked: Sequence[str]) -> Artifact:
    """Keep a sweep's trials in the store; asked: the sweep's own command line."""
    asked = [without_credentials(word) for word in asked]
    results, failed = sweep.results, sweep.failed
    fingerprints = {result.fingerprint for result in results}
    summary = {
        "metric": sweep.metric,
        "mode": sweep.mode,
        "asked": asked,
        "results": [_plain(result) for result in results],
        "gain": sweep.gain,
        "space": {name: asdict(axis) for name, axis in sweep.space.items()},
        "failed": [{"overrides": list(trial.overrides), "error": trial.error} for trial in failed],
    }

    def write(folder: Path) -> None:
        (folder / SUMMARY_FILE).write_text(json.dumps(summary, indent=1), encoding="utf-8")
        pq.write_table(_table_of(sweep.trials), folder / TRIALS_FILE)

    return store.publish(
        Slot(kinds.SWEEP, data_set),
        write,
        key=content_key([asdict(trial) for trial in sweep.trials]),
        fingerprint=fingerprints.pop() if len(fingerprints) == 1 else "",
        config={"overrides": asked},
        facts={
            "metric": sweep.metric,
            "mode": sweep.mode,
            "trials": len(sweep.trials),
            "failed": len(failed),
            "best": results[0].command if results else "",
            "gain": sweep.gain,
        },
    )


def of_wandb_sweep(store: ArtifactStore, sweep_id: str) -> list[Trial]:
    """The trials that a W&B agent has run so far, each a process of its own, from their reports in the store."""
    trials = []
    for slot in store.slots(kinds.EVALUATION_REPORT):
        for report in store.versions(slot):
            if report.origin.get("wandb_sweep_id") == sweep_id:
                try:
                    trials.append(Trial.of(report))
                except StoreError:  # damaged; the others still count
                    continue
    return trials


def _plain(result: Result) -> dict[str, Any]:
    return {
        "differing": list(result.differing),
        "fingerprint": result.fingerprint,
        "validation": asdict(result.validation) if result.validation else None,
        "test": asdict(result.test) if result.test else None,
        "seeds": [trial.seed for trial in result.trials],
        "reports": [trial.report for trial in result.trials],
        "command": result.command,
    }


def _table_of(trials: Sequence[Trial]) -> pa.Table:
    """One row a trial; a column for each metric of validation and of test."""
    names = ("error", "report", "model", "device", "seed", "fingerprint", "seconds")
    columns: dict[str, Any] = {"number": list(range(len(trials)))}
    columns["overrides"] = pa.array([list(trial.overrides) for trial in trials], pa.list_(pa.string()))
    columns |= {name: [getattr(trial, name) for trial in trials] for name in names}
    for part in ("validation", "test"):
        for metric in dict.fromkeys(name for trial in trials for name in getattr(trial, part)):
            columns[f"{part} {metric}"] = [getattr(trial, part).get(metric) for trial in trials]
    return pa.table(columns)
