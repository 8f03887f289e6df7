"""Spread of metrics over seeds, with all else equal."""

import statistics
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from dashboard.queries.report_file import read_report
from dashboard.queries.store_files import slot_of, store_at
from dashboard.queries.versions import ReportVersion
from movierec_engine.errors import StoreError

MOST_SEEDS = 20
"""Seeds of one configuration that are read, the newest."""


@dataclass(frozen=True)
class Spread:
    """A metric over seeds: mean, and sample standard deviation (n - 1)."""

    mean: float
    sd: float


@dataclass(frozen=True)
class OverSeeds:
    """The newest report of each seed, of one model, device, set-up and configuration; at least two seeds."""

    model: str
    device: str
    fingerprint: str
    seeds: tuple[int, ...]
    reports: tuple[str, ...]
    """Their references, in the order of the seeds."""
    test: dict[str, Spread]
    """Metric such as ndcg@10 -> its spread; only metrics that every one of the reports has."""
    validation: dict[str, Spread]


def over_seeds(root: Path, versions: Iterable[ReportVersion]) -> list[OverSeeds]:
    """Summarize metrics over seeds, for every model, device, set-up and configuration that has several.

    versions: newest first. Only the reports of what has several seeds are read, each of them once in a process.
    """
    configurations: dict[tuple[object, ...], list[ReportVersion]] = {}
    for one in versions:
        if one.seed is not None:
            alike = (one.model, one.device, one.fingerprint, one.settings)
            configurations.setdefault(alike, []).append(one)
    summaries = []
    for members in configurations.values():
        read = _newest_of_each_seed(root, members) if len({one.seed for one in members}) > 1 else {}
        if len(read) > 1:
            first, ordered = members[0], [read[seed] for seed in sorted(read)]
            summaries.append(
                OverSeeds(
                    model=first.model,
                    device=first.device,
                    fingerprint=first.fingerprint,
                    seeds=tuple(sorted(read)),
                    reports=tuple(one.id for one in ordered),
                    test=_spreads([one.test for one in ordered]),
                    validation=_spreads([one.validation for one in ordered]),
                )
            )
    return summaries


def _newest_of_each_seed(root: Path, versions: list[ReportVersion]) -> dict[int, "_Scores"]:
    found: dict[int, _Scores] = {}
    for one in versions:
        if one.seed is None or one.seed in found or len(found) == MOST_SEEDS:
            continue
        if (scores := _scores(root, Path(one.folder))) is not None:
            found[one.seed] = scores
    return found


@dataclass(frozen=True)
class _Scores:
    """The part of a report that a comparison over seeds needs."""

    id: str
    test: dict[str, float]
    validation: dict[str, float]


@lru_cache(maxsize=10_000)
def _scores(root: Path, folder: Path) -> _Scores | None:
    """One version, which never changes; None when it cannot be used, of which `load` tells where it matters."""
    try:
        artifact, report = read_report(store_at(root), slot_of(root, folder.parent), folder)
    except StoreError:
        return None
    return _Scores(artifact.reference, report["metrics"], report["validation_metrics"])


def _spreads(reports: list[dict[str, float]]) -> dict[str, Spread]:
    shared = [name for name in reports[0] if all(name in report for report in reports)]
    values = {name: [report[name] for report in reports] for name in shared}
    return {name: Spread(statistics.fmean(each), statistics.stdev(each)) for name, each in values.items()}
