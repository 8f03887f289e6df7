"""The report's content: reads the artifact store and puts the sections together.

A section is one function from a ranking to a `Section`, in a file of its own; its place on the page is its place in
`_sections`, or in `_appendix` where it belongs to no group of reports.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import islice

from movierec_engine.data.split import split_label
from movierec_engine.errors import ConfigError, MovierecError, StoreError
from movierec_engine.evaluation.metrics import Reported, judges, judging_metrics, metric_title, metrics
from movierec_engine.evaluation.protocols import described
from movierec_engine.reporting import conclusions, numbers
from movierec_engine.reporting.comparable import ComparableReports, find_groups, within
from movierec_engine.reporting.html.backtests import backtests
from movierec_engine.reporting.html.beyond_accuracy import beyond_accuracy
from movierec_engine.reporting.html.cold_items import cold_items
from movierec_engine.reporting.html.dials import dials
from movierec_engine.reporting.html.document import Page, Part, Section, Terms
from movierec_engine.reporting.html.fold_in import fold_in
from movierec_engine.reporting.html.headline import answers
from movierec_engine.reporting.html.leaderboard import leaderboard
from movierec_engine.reporting.html.learning_curves import learning_curves
from movierec_engine.reporting.html.measurement import RULES, measurement
from movierec_engine.reporting.html.notes import notes_of_part, other_notes
from movierec_engine.reporting.html.pairs import paired_comparison
from movierec_engine.reporting.html.ranking import Ranking, rank
from movierec_engine.reporting.html.reproduction import machine, reproduction
from movierec_engine.reporting.html.segments import Segments, read_segments, segment_section
from movierec_engine.store import SERVING, Artifact, ArtifactStore, kinds

MOST_PARTS = 6
"""Groups that are shown; older ones are named."""

_SAMPLED = (
    "These numbers are sampled: each user's relevant items were ranked against a few others and not against the whole "
    "catalogue. That makes every metric higher and can order models differently (Krichene and Rendle 2020), so they "
    "never stand in one table with full ranking."
)


def gather(store: ArtifactStore, data_set: str, metric: str) -> Page:
    """Gather the page of a data set.

    Raises StoreError for a store without reports, and ConfigError for a metric by which no model is better or that no
    report has.
    """
    if not judges(metric):
        raise ConfigError(f"no model is better by {metric}; choose {', '.join(judging_metrics())}, such as ndcg@10")
    groups, notes = find_groups(store, data_set)
    if not groups:
        what = f" ({'; '.join(notes)})" if notes else ""
        raise StoreError(
            f"there is no evaluation report of {data_set} in {store.location}{what}; `movierec demo` fills it"
        )
    promoted, missing = _promoted(store, data_set)
    rankings = (ranking for group in groups if (ranking := rank(store, group, metric, promoted)))
    shown = list(islice(rankings, MOST_PARTS))
    if not shown:
        have = sorted(name for name in groups[0].any.metrics if judges(name))
        raise ConfigError(f"no report in {store.location} has {metric}; choose from {', '.join(have)}")
    noted = {one.artifact.reference for ranking in shown for one in ranking.reports.values()}
    left_out = [_left_out(group, metric) for group in groups if group not in [one.group for one in shown]]
    parts = _parts(shown)
    return Page(
        title=f"{shown[0].leader} leads by {shown[0].title}",
        written_at=datetime.now(UTC).isoformat(timespec="seconds"),
        metric=metric_title(metric),
        parts=tuple(parts),
        appendix=(
            *backtests(store, data_set, metric),
            *fold_in(store, data_set),
            *dials(store, data_set),
            *cold_items(store, data_set),
            *other_notes(store, data_set, noted),
            *_appendix(shown),
        ),
        notes=(*notes, *missing, *left_out),
    )


def _parts(rankings: Sequence[Ranking]) -> list[Part]:
    parts, drawn = [], set[str]()
    for number, ranking in enumerate(rankings, start=1):
        segments = read_segments(ranking)
        trained = {one.artifact.parents.get(kinds.TRAINED_MODEL, "") for one in ranking.reports.values()}
        report = ranking.report(ranking.leader)
        parts.append(
            Part(
                name=f"part-{number}",
                title=f"{report.data}, {split_label(report.split['strategy'])} split",
                badge="sampled" if ranking.group.sampled else "full ranking",
                facts=f"{described(report.protocol)} · "
                f"{numbers.counted(report.counts['users_evaluated'], 'user')} · fingerprint {report.fingerprint}",
                caution=_SAMPLED if ranking.group.sampled else "",
                headline=conclusions.headline(ranking.outcome),
                answers=answers(ranking, segments),
                sections=tuple(_sections(ranking, segments, curves=not trained <= drawn)),
            )
        )
        drawn |= trained
    return parts


def _sections(ranking: Ranking, segments: Segments, curves: bool) -> list[Section]:
    """The sections of a part in reading order. curves: whether an earlier part does not show the same trainings."""
    return [
        leaderboard(ranking),
        *notes_of_part(ranking),
        *([paired_comparison(ranking)] if len(ranking.names) > 1 else []),
        segment_section(ranking, segments),
        beyond_accuracy(ranking),
        *([learning_curves(ranking)] if curves else []),
        measurement(ranking),
        reproduction(ranking),
    ]


def _appendix(rankings: Sequence[Ranking]) -> list[Section]:
    """Sections that belong to the page as a whole."""
    measured = {
        Reported.read(name).name for one in rankings for label in one.names for name in one.report(label).metrics
    }
    terms = tuple((metric.title, metric.formula) for name, metric in metrics().items() if name in measured)
    return [
        Section("metrics", "Metrics", "What each number is, with its denominator.", (Terms(terms),)),
        Section("rules", "Rules", "What holds for every number.", (Terms(RULES),)),
        machine(),
    ]


def _promoted(store: ArtifactStore, data_set: str) -> tuple[Artifact | None, list[str]]:
    """The index that is served, if one is, and what is wrong with the pointer."""
    try:
        index = store.pointed(SERVING, data_set)
    except MovierecError as error:
        return None, [f"The served version is not known: {within(store, error)}."]
    return index, []


def _left_out(group: ComparableReports, metric: str) -> str:
    report = group.any
    why = "is older than what is shown" if metric in report.metrics else f"has no {metric}"
    models = numbers.listed(list(group.reports))
    return f"Fingerprint {group.any.fingerprint} ({report.data}, {described(report.protocol)}: {models}) {why}."
