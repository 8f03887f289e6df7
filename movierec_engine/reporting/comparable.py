"""Comparable reports: which may be ranked together, and in which order their groups are shown, on every surface."""

from collections.abc import Callable, Container, Iterable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from movierec_engine.data.config import NEXT_ITEM, NEXT_ITEM_AFTER, USERS
from movierec_engine.errors import StoreError
from movierec_engine.evaluation.protocols import FULL, described
from movierec_engine.evaluation.report import REPORT_FILE, EvaluationReport
from movierec_engine.pipeline.reports import Measured, champion_setups, labels, latest_name
from movierec_engine.reporting import numbers
from movierec_engine.store import ArtifactStore, Slot, kinds

T = TypeVar("T")

_SPLITS = {
    "random": "random split",
    "global_time": "split by time",
    "user_time": "split by each user's time (leaky)",
    "leave_one_out": "leave one out (leaky)",
    USERS: "people never seen",
    NEXT_ITEM: "next item",
    NEXT_ITEM_AFTER: "next item after one moment",
    "given": "given split",
}
"""Strategies of splits as people call them, and by what they ask where that is another question than the usual one."""


@dataclass(frozen=True)
class EvaluationSetup:
    """An evaluation set-up: reports of the same data, protocol and fingerprint may be ranked together."""

    data: str
    protocol: str
    fingerprint: str
    strategy: str = field(default="", compare=False)
    """Strategy of the split, whose parts the fingerprint tells apart."""
    users: int = field(default=0, compare=False)
    """Evaluated on test; 0 where that is not known."""
    models: int = field(default=0, compare=False)
    """Reports that are ranked in it: the newest of each model and device; 0 where that is not known."""
    newest: str = field(default="", compare=False)
    """When the newest of them was made, as an ISO instant."""

    @property
    def id(self) -> str:
        return f"{self.data}/{self.protocol}/{self.fingerprint}"

    @property
    def sampled(self) -> bool:
        return self.protocol != FULL

    @property
    def name(self) -> str:
        """For people, such as `random split · 671 users · 8 models · today · 0123456789ab`."""
        return " · ".join(
            [
                _SPLITS.get(self.strategy, f"{self.strategy} split" if self.strategy else "unknown split"),
                *([described(self.protocol)] if self.sampled else []),
                *([numbers.counted(self.users, "user")] if self.users else []),
                *([numbers.counted(self.models, "model")] if self.models else []),
                *([numbers.days_ago(self.newest)] if self.newest else []),
                self.fingerprint,
            ]
        )


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
    reports: Iterable[T],
    setup: Callable[[T], EvaluationSetup],
    newness: Callable[[T], Any],
    champions: Container[str] = (),
) -> dict[EvaluationSetup, list[T]]:
    """Reports by their set-up, the default one first: that of the served model, else the one with the most reports.

    champions: fingerprints of the set-ups that the served model was measured in. Of equals the newest is first.
    """
    groups: dict[EvaluationSetup, list[T]] = {}
    for one in reports:
        groups.setdefault(setup(one), []).append(one)

    def order(group: tuple[EvaluationSetup, list[T]]) -> tuple[Any, ...]:
        found, members = group
        return found.fingerprint in champions, len(members), max(map(newness, members))

    return dict(sorted(groups.items(), key=order, reverse=True))


def find_groups(store: ArtifactStore, data_set: str) -> tuple[list[ComparableReports], list[str]]:
    """Every group of a data set, the default one first (see `by_setup`); and what was left out.

    Of each model, device and fingerprint the report that LATEST names, or else the newest that can be read.
    """
    chosen: list[Measured] = []
    notes: list[str] = []
    for slot in store.slots(kinds.EVALUATION_REPORT, data_set):
        found, damaged = _readable(store, slot)
        chosen += found
        if damaged:
            more = f" ({len(damaged)} versions of {slot} were left out)" if len(damaged) > 1 else " (left out)"
            notes.append(f"{damaged[0]}{more}.")
    groups = by_setup(
        chosen,
        lambda one: _setup(data_set, one.report),
        newness=lambda one: one.artifact.version,
        champions=champion_setups(store, data_set),
    )
    return [
        ComparableReports(setup, dict(zip(labels(reports), reports, strict=True))) for setup, reports in groups.items()
    ], notes


def _setup(data_set: str, report: EvaluationReport) -> EvaluationSetup:
    return EvaluationSetup(data_set, report.protocol, report.fingerprint, str(report.split.get("strategy", "")))


def within(store: ArtifactStore, error: Exception) -> str:
    """An error's sentence with paths as they are within the store."""
    return str(error).replace(f"{store.location}/", "").rstrip(".")


def _readable(store: ArtifactStore, slot: Slot) -> tuple[list[Measured], list[str]]:
    """The report of each fingerprint in a slot, LATEST or else the newest, and the errors of unreadable reports."""
    versions, latest = store.storage.versions(slot)[::-1], latest_name(store, slot)
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
