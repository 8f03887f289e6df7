"""Comparable reports: which may be ranked together, and in which order their groups are shown, on every surface."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from movierec_engine.data.config import NEXT_ITEM, NEXT_ITEM_AFTER, USERS
from movierec_engine.errors import StoreError
from movierec_engine.evaluation.protocols import FULL
from movierec_engine.evaluation.report import REPORT_FILE, EvaluationReport
from movierec_engine.pipeline.reports import Measured, labels
from movierec_engine.store import ArtifactStore, Slot, kinds

T = TypeVar("T")

_QUESTIONS = {
    USERS: "people never seen",
    NEXT_ITEM: "next item",
    NEXT_ITEM_AFTER: "next item after one moment",
}
"""What splits ask for that ask another question than for held-out items of known people."""


@dataclass(frozen=True)
class EvaluationSetup:
    """An evaluation set-up: reports of the same data, protocol and fingerprint may be ranked together."""

    data: str
    protocol: str
    fingerprint: str
    strategy: str = field(default="", compare=False)
    """Of the split, whose parts the fingerprint tells apart."""

    @property
    def id(self) -> str:
        return f"{self.data}/{self.protocol}/{self.fingerprint}"

    @property
    def sampled(self) -> bool:
        return self.protocol != FULL

    @property
    def name(self) -> str:
        """For people, such as `ml-1m · full ranking · 0123456789ab`."""
        asked = [_QUESTIONS[self.strategy]] if self.strategy in _QUESTIONS else []
        return " · ".join([self.data, *asked, f"{'sampled' if self.sampled else 'full'} ranking", self.fingerprint])


@dataclass(frozen=True)
class ComparableReports:
    """Reports with the same set-up, by label: one of every model and device."""

    setup: EvaluationSetup
    reports: dict[str, Measured]

    @property
    def any(self) -> EvaluationReport:
        """One of the reports, for what all have in common."""
        return next(iter(self.reports.values())).report

    @property
    def sampled(self) -> bool:
        return self.setup.sampled


def by_setup(
    reports: Iterable[T], setup: Callable[[T], EvaluationSetup], newness: Callable[[T], Any]
) -> dict[EvaluationSetup, list[T]]:
    """Reports by their set-up, the set-up of the newest report first: the one that the leaderboard ranks by."""
    groups: dict[EvaluationSetup, list[T]] = {}
    for one in reports:
        groups.setdefault(setup(one), []).append(one)
    return dict(sorted(groups.items(), key=lambda group: max(map(newness, group[1])), reverse=True))


def find_groups(store: ArtifactStore, data_set: str) -> tuple[list[ComparableReports], list[str]]:
    """Every group of a data set, those with reports that LATEST names first, then the newest; and what was left out.

    Of each model, device and fingerprint the report that LATEST names, or else the newest that can be read.
    """
    chosen: list[tuple[Measured, bool]] = []
    notes: list[str] = []
    for slot in store.slots(kinds.EVALUATION_REPORT, data_set):
        found, damaged = _readable(store, slot)
        latest = _latest(store, slot)
        chosen += [(one, one.artifact.version == latest) for one in found]
        if damaged:
            more = f" ({len(damaged)} versions of {slot} were left out)" if len(damaged) > 1 else " (left out)"
            notes.append(f"{damaged[0]}{more}.")
    groups = by_setup(
        chosen,
        lambda one: _setup(data_set, one[0].report),
        newness=lambda one: (one[1], one[0].artifact.version),
    )
    found_groups = []
    for setup, members in groups.items():
        reports = [one for one, _ in members]
        found_groups.append(ComparableReports(setup, dict(zip(labels(reports), reports, strict=True))))
    return found_groups, notes


def _setup(data_set: str, report: EvaluationReport) -> EvaluationSetup:
    return EvaluationSetup(data_set, report.protocol, report.fingerprint, str(report.split.get("strategy", "")))


def within(store: ArtifactStore, error: Exception) -> str:
    """An error's sentence with paths as they are within the store."""
    return str(error).replace(f"{store.root}/", "").rstrip(".")


def _readable(store: ArtifactStore, slot: Slot) -> tuple[list[Measured], list[str]]:
    """One report of each fingerprint in a slot, and what is wrong with those that it was chosen before."""
    folder = store.latest_file(slot).parent
    versions = sorted((path.name for path in folder.iterdir() if path.is_dir()), reverse=True)
    latest = _latest(store, slot)
    found: dict[str, Measured] = {}
    damaged = []
    for version in sorted(versions, key=lambda version: version != latest):
        try:
            artifact = store.get(slot, version)
            if artifact.fingerprint not in found:
                report = EvaluationReport.load(artifact.verify(REPORT_FILE).folder)
                found[artifact.fingerprint] = Measured(artifact, report)
        except StoreError as error:
            damaged.append(within(store, error))
    return list(found.values()), damaged


def _latest(store: ArtifactStore, slot: Slot) -> str:
    try:
        return store.latest_file(slot).read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
