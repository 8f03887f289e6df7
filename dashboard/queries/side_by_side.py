"""Reports side by side: settings that differ, and runs of one configuration over seeds taken together."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dashboard.queries.versions import ReportVersion
from movierec_engine.reporting import numbers


@dataclass(frozen=True)
class Group:
    """The content of one column: a report, or the reports of one configuration over several seeds."""

    label: str
    members: tuple[ReportVersion, ...]

    @property
    def seeds(self) -> int:
        return len({one.seed for one in self.members})


def grouped(versions: Sequence[ReportVersion], labels: Mapping[str, str], together: bool) -> list[Group]:
    """The reports in their order; those that differ in the seed alone are one group where they are taken together.

    labels: report id -> its name.
    """
    alike: dict[tuple[object, ...], list[ReportVersion]] = {}
    for one in versions:
        key = (one.model, one.device, one.settings) if together and one.seed is not None else (one.id,)
        alike.setdefault(key, []).append(one)
    groups = []
    for members in alike.values():
        first, seeds = members[0], len({one.seed for one in members})
        label = labels[first.id] if seeds == 1 else f"{labels[first.id]} · {seeds} seeds"
        groups.append(Group(label, tuple(members)))
    return groups


def over(group: Group, values: Mapping[str, float]) -> tuple[float, float | None] | None:
    """Mean of a group's values, and their standard deviation (n - 1) where it has several; None without any.

    values: report id -> value.
    """
    own = [values[one.id] for one in group.members if one.id in values]
    if not own:
        return None
    return statistics.fmean(own), statistics.stdev(own) if len(own) > 1 else None


def settings_rows(groups: Sequence[Group]) -> list[dict[str, str]]:
    """A row for each setting that differs, and for the seeds: setting -> value by group."""
    named = {group.label: dict(group.members[0].settings) for group in groups}
    seeds = {group.label: ", ".join(sorted({str(one.seed) for one in group.members})) for group in groups}
    settings = dict.fromkeys(name for own in named.values() for name in own)
    rows = [{"Setting": "seed", **seeds}] if len(set(seeds.values())) > 1 else []
    for setting in settings:
        of = {label: own.get(setting, numbers.NONE) for label, own in named.items()}
        if len(set(of.values())) > 1:
            rows.append({"Setting": setting, **of})
    return rows


def curve_rows(histories: Mapping[str, list[list[dict[str, float]]]], metric: str) -> list[dict[str, Any]]:
    """Label, epoch, mean, and mean -/+ standard deviation over a group's runs.

    histories: label -> the history of each of its runs. An epoch counts while every run of the group has it.
    """
    rows = []
    for label, runs in histories.items():
        curves = [{int(row["epoch"]): row[metric] for row in run if metric in row} for run in runs]
        curves = [curve for curve in curves if curve]
        for epoch in sorted(set.intersection(*map(set, curves))) if curves else []:
            own = [curve[epoch] for curve in curves]
            mean, sd = statistics.fmean(own), statistics.stdev(own) if len(own) > 1 else 0.0
            rows.append({"model": label, "epoch": epoch, "mean": mean, "low": mean - sd, "high": mean + sd})
    return rows
