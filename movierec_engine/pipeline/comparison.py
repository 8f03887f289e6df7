"""Comparison of models, with its significance, over all users and by segments: from the reports, without the models."""

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from movierec_engine.errors import ConfigError, MovierecError
from movierec_engine.evaluation.bootstrap import bootstrap_intervals
from movierec_engine.evaluation.comparison import (
    LeaderComparison,
    Verdict,
    compare_all_pairs,
    correct,
)
from movierec_engine.evaluation.metrics import hit_metrics, hits_at, less_is_better, metrics
from movierec_engine.evaluation.protocols import Protocol
from movierec_engine.evaluation.segments import segments
from movierec_engine.pipeline.reports import (
    Measured,
    champion_setups,
    comparable,
    find_report,
    heldout_of,
    labels,
    newest_reports,
    rankings_of,
    users_of,
)
from movierec_engine.store import Artifact, ArtifactStore, Slot, content_key, kinds


@dataclass(frozen=True)
class Board:
    """Reports of one fingerprint by label, compared by one metric of their users."""

    measured: dict[str, Measured]
    metric: str
    part: str
    users: int
    means: dict[str, float]
    intervals: dict[str, tuple[float, float]]
    outcome: LeaderComparison
    family: int
    """Models whose pairs the p values are corrected over: those of the board, and the others of the set-up."""


@dataclass(frozen=True)
class SegmentVerdict:
    """Two models within a segment; verdicts of one kind of segments are corrected together."""

    kind: str
    segment: str
    users: int
    verdict: Verdict


def reports_to_compare(
    store: ArtifactStore, data_set: str, names: Sequence[str], protocol: Protocol | None = None
) -> list[Measured]:
    """The named reports of a data set; without names those of every model in the default evaluation set-up.

    The default is the set-up of the served model, else the one with the most models, else the newest. Names are looked
    for in the first set-up in that order that has all of them.

    Raises StoreError for what is not there, MovierecError for reports that may not be compared or a single one.
    """
    found = newest_reports(store, data_set)
    found = [one for one in found if protocol is None or one.report.protocol == protocol.name]
    setups, champions = [one.report.fingerprint for one in found], champion_setups(store, data_set)
    order = sorted(
        dict.fromkeys(setups), key=lambda setup: (setup in champions, setups.count(setup)), reverse=True
    )  # stable: of equals the newest stays first
    measured = [one for one in found if one.report.fingerprint == next(iter(order), "")]
    if names:
        in_each = (_named([one for one in found if one.report.fingerprint == setup], names) for setup in order)
        measured = next(filter(None, in_each), []) or [find_report(store, data_set, name, protocol) for name in names]
    if len({one.artifact.reference for one in measured}) < 2:
        raise MovierecError(
            f"there are not two reports of {data_set} to compare in {store.location}; name two models that were "
            "evaluated"
        )
    comparable(measured)
    return measured


def _named(reports: Sequence[Measured], names: Sequence[str]) -> list[Measured]:
    """For each name, such as `ease` or `ease/cpu`, the newest of the reports; none where one of the names is not there.

    reports: newest first.
    """
    of_each = [
        [one for one in reports if name in (one.report.model, f"{one.report.model}/{one.report.device}")]
        for name in names
    ]
    return [candidates[0] for candidates in of_each] if all(of_each) else []


def family_of(store: ArtifactStore, data_set: str, measured: Sequence[Measured]) -> list[Measured]:
    """Reports, and the others of their evaluation set-up: of each model and device the newest.

    The pairs of all of them are tested together, so that a pair of models has one p value wherever it is shown.
    """
    have = {one.artifact.reference for one in measured}
    setup = measured[0].report.fingerprint
    return [
        *measured,
        *(
            one
            for one in newest_reports(store, data_set)
            if one.report.fingerprint == setup and one.artifact.reference not in have
        ),
    ]


def board(
    store: ArtifactStore,
    measured: Sequence[Measured],
    metric: str,
    part: str = "test",
    family: Sequence[Measured] = (),
) -> Board:
    """Every report against the one with the best mean, Holm-corrected over all pairs of a family.

    family: `family_of` the reports; by default the reports alone.
    """
    named = dict(zip(labels(measured), measured, strict=True))
    values = users_of(store, measured, [metric], part)
    of_users = {name: value[metric] for name, value in zip(named, values, strict=True)}
    tested = _tested(store, measured, family, metric, part)
    bounds = bootstrap_intervals(np.column_stack(list(of_users.values())))
    return Board(
        named,
        metric,
        part,
        users=int((~np.isnan(values[0][metric])).sum()),
        means={name: float(np.nanmean(value)) for name, value in of_users.items()},
        intervals={name: (float(low), float(high)) for name, (low, high) in zip(of_users, bounds, strict=True)},
        outcome=LeaderComparison.of(tested, of_users, less_is_better=less_is_better(metric)),
        family=max(len(measured), len({name for verdict in tested for name in (verdict.better, verdict.worse)})),
    )


def head_to_head(
    store: ArtifactStore, a: Measured, b: Measured, k: int, part: str = "test", family: Sequence[Measured] = ()
) -> dict[str, Verdict]:
    """Two reports by every metric of accuracy at k that both have, each Holm-corrected over all pairs of a family.

    On validation those of hits alone, which are measured there. family: as in `board`.
    """
    of_part = hit_metrics() if part == "validation" else {n: one for n, one in metrics().items() if one.of_accuracy}
    names = [name for metric in of_part.values() for name in metric.at((k,)) if _has(a, name) and _has(b, name)]
    if not names:
        raise ConfigError(f"the reports have no accuracy metric at depth {k}; choose one of evaluation.k_values")
    pair = set(labels([a, b]))
    return {
        name: next(one for one in _tested(store, [a, b], family, name, part) if {one.better, one.worse} == pair)
        for name in names
    }


def _tested(
    store: ArtifactStore, measured: Sequence[Measured], family: Sequence[Measured], metric: str, part: str
) -> tuple[Verdict, ...]:
    """All pairs of a family compared by a metric; the measured ones have the names that they have alone.

    Of the others those that lack the metric's users are left out.
    """
    have = {one.artifact.reference for one in measured}
    names = dict(zip(labels(measured), measured, strict=True))
    of_users = {
        name: value[metric] for name, value in zip(names, users_of(store, measured, [metric], part), strict=True)
    }
    for one in family:
        if one.artifact.reference not in have:
            try:
                _, values = users_of(store, [measured[0], one], [metric], part)
            except MovierecError:
                continue
            of_users[one.artifact.reference] = values[metric]
    return compare_all_pairs(of_users, less_is_better=less_is_better(metric))


def by_segment(
    store: ArtifactStore, a: Measured, b: Measured, metric: str, kinds_of: Collection[str] = ()
) -> list[SegmentVerdict]:
    """Two reports by a metric within every segment of users and of items, Holm-corrected over each kind of segments.

    kinds_of: the kinds that are wanted, all by default.
    """
    _, depth = hits_at(metric)
    comparable([a, b])
    names, heldout = labels([a, b]), heldout_of(store, a)
    rankings = [rankings_of(one, heldout) for one in (a, b)]
    found: dict[str, list[tuple[str, int, Verdict]]] = {}
    for segment in segments(rankings[0]):
        if kinds_of and segment.kind not in kinds_of:
            continue
        values = {label: segment.values(one, (depth,))[metric] for label, one in zip(names, rankings, strict=True)}
        verdict = compare_all_pairs(values, less_is_better=less_is_better(metric))[0]
        found.setdefault(segment.kind, []).append((segment.name, int(segment.users.sum()), verdict))
    return [
        SegmentVerdict(kind, segment, users, corrected)
        for kind, rows in found.items()
        for (segment, users, _), corrected in zip(rows, correct([verdict for *_, verdict in rows]), strict=True)
    ]


def publish_board(store: ArtifactStore, compared: Board) -> Artifact:
    """Keep a comparison in the store, as evidence: comparison.parquet has a row for each model but the leader."""
    rows = [
        {"leader": verdict.better, "model": verdict.worse, **_numbers(verdict), "significant": verdict.significant}
        for verdict in compared.outcome.verdicts
    ]
    measured = compared.measured
    reports = {name: one.artifact.reference for name, one in measured.items()}
    return store.publish(
        Slot(kinds.COMPARISON, next(iter(measured.values())).artifact.slot.data_set),
        lambda folder: pq.write_table(pa.Table.from_pylist(rows), folder / "comparison.parquet"),
        key=content_key(sorted(reports.values()), compared.metric, compared.part),
        fingerprint=next(iter(measured.values())).report.fingerprint,
        parents={name: one.artifact for name, one in measured.items()},
        facts={
            "metric": compared.metric,
            "part": compared.part,
            "leader": compared.outcome.leader,
            "among_best": list(compared.outcome.among_best),
        },
    )


def _numbers(verdict: Verdict) -> dict[str, float]:
    corrected = {"p_bootstrap_holm": verdict.p_bootstrap, "p_wilcoxon_holm": verdict.p_wilcoxon}
    return {**asdict(verdict.comparison), **corrected}


def _has(measured: Measured, metric: str) -> bool:
    return metric in measured.report.metrics
