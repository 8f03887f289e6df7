"""Spread of metrics over seeds, with all else equal."""

import json
import statistics
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from dashboard.queries.report_file import read_report
from dashboard.queries.store_files import folders, slot_folders, slot_of
from movierec_engine.errors import StoreError
from movierec_engine.store import ArtifactStore, kinds

READ_FOR_SEEDS = 100
"""Versions of each model and device, newest first, among which reports with other seeds are looked for."""


@dataclass(frozen=True)
class Spread:
    """A metric over seeds: mean, and sample standard deviation (n - 1)."""

    mean: float
    sd: float


@dataclass(frozen=True)
class OverSeeds:
    """The newest report of each seed, of one model, device, fingerprint and configuration; at least two seeds."""

    model: str
    device: str
    fingerprint: str
    seeds: tuple[int, ...]
    reports: tuple[str, ...]
    """Their references, in the order of the seeds."""
    test: dict[str, Spread]
    """Metric such as ndcg@10 -> its spread; only metrics that every one of the reports has."""
    validation: dict[str, Spread]


def over_seeds(root: Path) -> list[OverSeeds]:
    """Summarize metrics over seeds, for every model, device and configuration that has several.

    Reads the newest READ_FOR_SEEDS reports of each model and device, each of them once in a process.
    """
    newest: dict[tuple[str, ...], dict[int, _Seeded]] = {}
    for folder in slot_folders(root, kinds.EVALUATION_REPORT):
        for version in reversed(folders(folder)[-READ_FOR_SEEDS:]):
            if (found := _seeded(root, version)) is not None:
                newest.setdefault(found.alike, {}).setdefault(found.seed, found)
    summaries = []
    for (model, device, fingerprint, _), by_seed in newest.items():
        if len(by_seed) > 1:
            reports = [by_seed[seed] for seed in sorted(by_seed)]
            summaries.append(
                OverSeeds(
                    model=model,
                    device=device,
                    fingerprint=fingerprint,
                    seeds=tuple(sorted(by_seed)),
                    reports=tuple(report.id for report in reports),
                    test=_spreads([report.test for report in reports]),
                    validation=_spreads([report.validation for report in reports]),
                )
            )
    return summaries


@dataclass(frozen=True)
class _Seeded:
    """The part of a report that a comparison over seeds needs."""

    id: str
    alike: tuple[str, str, str, str]
    """Model, device, fingerprint, and all settings that decide a trained model, except for the seed."""
    seed: int
    test: dict[str, float]
    validation: dict[str, float]


_ASIDE = ("resume", "checkpoint_seconds")
"""Settings of the trainer that do not decide what it trains."""


@lru_cache(maxsize=10_000)
def _seeded(root: Path, folder: Path) -> _Seeded | None:
    """One version, which never changes; None when it cannot be used, of which `load` tells where it matters."""
    slot = slot_of(root, folder.parent)
    try:
        artifact, report = read_report(ArtifactStore(root), slot, folder)
        data = artifact.config.get("data", {})
        decisive = {
            "model": {name: value for name, value in artifact.config.get("model", {}).items() if name != "seed"},
            "trainer": {
                name: value for name, value in artifact.config.get("trainer", {}).items() if name not in _ASIDE
            },
            "data": {name: data.get(name) for name in ("train_size", "negative_samples")},
        }
        seed = int(report["seed"])
    except (StoreError, KeyError, TypeError, ValueError, AttributeError):
        return None
    model, device = slot.model, slot.device
    alike = (model, device, report["fingerprint"], json.dumps(decisive, sort_keys=True))
    return _Seeded(artifact.reference, alike, seed, report["metrics"], report["validation_metrics"])


def _spreads(reports: list[dict[str, float]]) -> dict[str, Spread]:
    shared = [name for name in reports[0] if all(name in report for report in reports)]
    values = {name: [report[name] for report in reports] for name in shared}
    return {name: Spread(statistics.fmean(each), statistics.stdev(each)) for name, each in values.items()}
