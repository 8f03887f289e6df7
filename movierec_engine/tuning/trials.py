"""What a sweep leaves behind: its trials ranked by validation, over seeds where they have several, as a table and as an
artifact of kind `sweep`."""

import json
import shlex
import statistics
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from movierec_engine.errors import StoreError
from movierec_engine.evaluation.report import REPORT_FILE, EvaluationReport
from movierec_engine.store import Artifact, ArtifactStore, Slot, content_key, kinds

TRIALS_FILE = "trials.parquet"
SUMMARY_FILE = "sweep.json"
_SHOWN = 10
_WIDTH = 160
"""Columns of a table that goes into a file or a pipe."""


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
        return f"{self.mean:.4f}" if self.sd is None else f"{self.mean:.4f} ± {self.sd:.4f}"


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


def conclude(
    store: ArtifactStore, data_set: str, trials: Sequence[Trial], metric: str, mode: str, asked: Sequence[str]
) -> Artifact:
    """Print the table of a sweep's best trials, and publish all of them; asked: the sweep's own command line."""
    results = rank(trials, metric, mode)
    show(store, trials, metric, mode)
    failed = [trial for trial in trials if trial.error]
    fingerprints = {result.fingerprint for result in results}
    summary = {
        "metric": metric,
        "mode": mode,
        "asked": list(asked),
        "results": [_plain(result) for result in results],
        "failed": [{"overrides": list(trial.overrides), "error": trial.error} for trial in failed],
    }

    def write(folder: Path) -> None:
        (folder / SUMMARY_FILE).write_text(json.dumps(summary, indent=1), encoding="utf-8")
        pq.write_table(_table_of(trials), folder / TRIALS_FILE)

    return store.publish(
        Slot(kinds.SWEEP, data_set),
        write,
        key=content_key([asdict(trial) for trial in trials]),
        fingerprint=fingerprints.pop() if len(fingerprints) == 1 else "",
        config={"overrides": list(asked)},
        facts={
            "metric": metric,
            "mode": mode,
            "trials": len(trials),
            "failed": len(failed),
            "best": results[0].command if results else "",
        },
    )


def show(store: ArtifactStore, trials: Sequence[Trial], metric: str, mode: str) -> None:
    """Print a table of the best trials for each fingerprint, the failed ones, and the command of the best."""
    console = Console(width=None if sys.stdout.isatty() else _WIDTH)
    results = rank(trials, metric, mode)
    for fingerprint in dict.fromkeys(result.fingerprint for result in results):
        comparable = [result for result in results if result.fingerprint == fingerprint]
        console.print(
            results_table(comparable, f"best trials by validation {metric}, fingerprint {fingerprint}", metric)
        )
        if len(comparable) > _SHOWN:
            console.print(f"and {len(comparable) - _SHOWN} more")
        console.print(f"again: {comparable[0].command}", soft_wrap=True, highlight=False, markup=False)
    for trial in trials:
        if trial.error:
            settings = " ".join(_differing(trial, trials)) or "the only trial"
            console.print(f"[bold red]failed:[/] {escape(settings)}: {escape(trial.error)}", soft_wrap=True)
    if results:
        console.print(f"reports: {store.root}/<report>/{REPORT_FILE}", soft_wrap=True, highlight=False, markup=False)


def results_table(results: Sequence[Result], title: str, metric: str) -> Table:
    """The first results; test stands beside validation, dimmed, since nothing is chosen by it."""
    seeds = any(len(result.trials) > 1 for result in results)
    table = Table(title=title)
    table.add_column("rank", justify="right")
    table.add_column("settings", overflow="fold")
    table.add_column(f"validation {metric}", justify="right")
    table.add_column("test, not chosen by", justify="right", style="dim")
    if seeds:
        table.add_column("seeds", justify="right")
    table.add_column("seconds", justify="right")
    table.add_column("report", overflow="fold")
    for number, result in enumerate(results[:_SHOWN], start=1):
        spent = Score.over([trial.seconds for trial in result.trials if trial.seconds is not None])
        table.add_row(
            str(number),
            escape(" ".join(result.differing) or "-"),
            "-" if result.validation is None else str(result.validation),
            "-" if result.test is None else str(result.test),
            *([str(len(result.trials))] if seeds else []),
            "-" if spent is None else f"{spent.mean:.1f}",
            "\n".join(trial.report for trial in result.trials),
        )
    return table


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


def _differing(trial: Trial, trials: Iterable[Trial]) -> list[str]:
    shared = set.intersection(*(set(other.overrides) for other in trials))
    return [word for word in trial.overrides if word not in shared]


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
