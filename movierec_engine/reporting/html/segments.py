"""The section on segments: which users and items each model serves best."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from movierec_engine.errors import MovierecError
from movierec_engine.evaluation.comparison import Verdict
from movierec_engine.evaluation.metrics import metric_title
from movierec_engine.evaluation.report import SEGMENTS_FILE
from movierec_engine.pipeline.comparison import by_segment
from movierec_engine.pipeline.reports import labels
from movierec_engine.reporting import conclusions, numbers, words
from movierec_engine.reporting.comparable import within
from movierec_engine.reporting.html.charts import AMONG, BASELINE, BEST, Dot, dots
from movierec_engine.reporting.html.document import (
    Block,
    Cell,
    Column,
    Prose,
    Row,
    Section,
    SmallChart,
    SmallCharts,
    Table,
)
from movierec_engine.reporting.html.ranking import Ranking
from movierec_engine.reporting.html.scale import Scale

FEW = 30
"""Fewer users than this say little."""
MOST_EXCEPTIONS = 10
"""Segments that the table of exceptions lists."""

_KINDS = {
    "activity": ("activity of users", words.activity),
    "length": ("length of the history", words.length),
    "gap": ("time since the newest interaction", words.gap),
    "popularity": ("popularity of items", words.popularity),
}
"""Kinds with few segments, which get charts."""
_MARKS = (
    "Means over the segment's users with 95 % intervals, on one axis; diamond: the segment's highest mean, significant "
    "or not; square: popularity; circles: the other models."
)
_EQUAL = 1e-9


@dataclass(frozen=True)
class SegmentValues:
    """One segment: whom it holds, and model -> mean and the ends of its 95 % interval."""

    kind: str
    name: str
    users: int
    test_items: int
    values: dict[str, tuple[float, float, float]] = field(default_factory=dict)

    @property
    def best(self) -> str:
        """The model with the highest mean, the first of equals in the ranking's order."""
        return max(self.values, key=lambda model: self.values[model][0])


@dataclass(frozen=True)
class Exceptional:
    """A segment in which another model than the leader has the highest mean."""

    segment: SegmentValues
    verdict: Verdict | None
    """That model against the leader, Holm-corrected over the segments of a kind; None where not comparable."""

    @property
    def significant(self) -> bool:
        return self.verdict is not None and self.verdict.significant


@dataclass(frozen=True)
class Segments:
    """Every segment in the files' order, the exceptions among them, and what could not be read."""

    segments: tuple[SegmentValues, ...]
    exceptions: tuple[Exceptional, ...]
    notes: tuple[str, ...]

    def of_kind(self, kind: str) -> list[SegmentValues]:
        return [segment for segment in self.segments if segment.kind == kind]


def read_segments(ranking: Ranking) -> Segments:
    """The segments of every report, by the ranking's metric or the nearest one that segments have."""
    found: dict[tuple[str, str], SegmentValues] = {}
    notes: list[str] = []
    for model, measured in ranking.reports.items():
        try:
            table = pq.read_table(measured.artifact.verify(SEGMENTS_FILE).folder / SEGMENTS_FILE)
            rows = table.filter(pc.equal(table["metric"], ranking.by_segment)).to_pylist()
            for row in rows:
                empty = SegmentValues(row["kind"], row["segment"], row["users"], row["test_items"])
                segment = found.setdefault((row["kind"], row["segment"]), empty)
                segment.values[model] = (row["value"], row["low"], row["high"])
        except (MovierecError, OSError, KeyError, pa.ArrowException) as error:
            notes.append(f"The segments of {model} cannot be shown: {within(ranking.store, error)}.")
    segments = tuple(found.values())
    exceptions, missing = _exceptions(ranking, segments)
    return Segments(segments, exceptions, (*notes, *missing))


def _exceptions(
    ranking: Ranking, segments: tuple[SegmentValues, ...]
) -> tuple[tuple[Exceptional, ...], tuple[str, ...]]:
    leader = ranking.leader
    behind = [
        segment
        for segment in segments
        if leader in segment.values and segment.values[segment.best][0] > segment.values[leader][0] + _EQUAL
    ]
    verdicts: dict[tuple[str, str, str], Verdict] = {}
    notes = []
    for model in dict.fromkeys(segment.best for segment in behind):
        a, b = ranking.reports[leader], ranking.reports[model]
        try:
            for row in by_segment(ranking.store, a, b, ranking.by_segment):
                if row.verdict.better == labels([a, b])[1]:
                    verdicts[model, row.kind, row.segment] = row.verdict
        except MovierecError as error:
            notes.append(
                f"Where {model} is significantly better than {leader} is not known: {within(ranking.store, error)}."
            )
    return (
        tuple(Exceptional(one, verdicts.get((one.best, one.kind, one.name))) for one in behind),
        tuple(notes),
    )


def segment_section(ranking: Ranking, segments: Segments) -> Section:
    """Charts of users and by popularity, tables by genre and decade, and where the leader is not the best."""
    blocks: list[Block] = []
    for kind, (title, meaning) in _KINDS.items():
        if of_kind := segments.of_kind(kind):
            blocks.append(
                SmallCharts(
                    f"By {title}: {_who_leads(of_kind)}",
                    tuple(_panels(ranking, of_kind, meaning)),
                    _MARKS,
                )
            )
    if segments.exceptions:
        blocks.append(_exception_table(ranking, segments.exceptions))
    for kind in ("genre", "decade"):
        if of_kind := segments.of_kind(kind):
            blocks.append(_heat_table(ranking, kind, of_kind))
    blocks += [Prose(note, quiet=True) for note in segments.notes]
    if not segments.segments:
        blocks.append(Prose("There are no metrics by segments of users and items to show.", quiet=True))
    metric = metric_title(ranking.by_segment)
    return Section(
        "segments",
        "Which users and items each model serves best",
        f"{metric} by segments of users and of items. {whom(ranking, segments)}",
        tuple(blocks),
    )


def whom(ranking: Ranking, segments: Segments) -> str:
    """Sentence on the segments in which the leader is not the best."""
    if not segments.segments:
        return "No metrics by segments can be read."
    if len(ranking.names) == 1:
        return "One model alone cannot be better than another."
    if not segments.exceptions:
        return f"{ranking.leader} has the highest mean in every segment of users and items."
    significant = [one for one in segments.exceptions if one.significant]
    others = len(segments.exceptions) - len(significant)
    if not significant:
        return (
            f"No other model is significantly better than {ranking.leader} in any segment of users or items, though "
            f"another has the higher mean in {others} of {len(segments.segments)}."
        )
    more = f" In {others} more another model has the higher mean, not significantly." if others else ""
    return f"No single winner. {better_elsewhere(significant)}{more}"


def better_elsewhere(significant: Sequence[Exceptional]) -> str:
    """Sentence on the models that are significantly better than the leader, and their segments; at least one."""
    by_model: dict[str, list[str]] = {}
    for one in significant:
        by_model.setdefault(one.segment.best, []).append(words.segment(one.segment.kind, one.segment.name))
    models = [f"{model} for {numbers.listed(names)}" for model, names in by_model.items()]
    return f"Significantly better: {'; '.join(models)}."


def _who_leads(segments: Sequence[SegmentValues]) -> str:
    return words.who_leads({one.name: one.best for one in segments if one.values[one.best][0] > 0})


def _panels(ranking: Ranking, segments: Sequence[SegmentValues], meaning: Callable[[str], str]) -> Iterable[SmallChart]:
    bounds = [bound for segment in segments for values in segment.values.values() for bound in values]
    scale = Scale.around(bounds, ticks=4, zero=True, tight=True)
    axis = metric_title(ranking.by_segment)
    for segment in segments:
        rows = [
            Dot(model, _role(ranking, segment, model), value, low, high, numbers.score(value, 3))
            for model, (value, low, high) in segment.values.items()
        ]
        spoken = f"{axis} of {words.segment(segment.kind, segment.name)}: " + "; ".join(
            f"{row.name} {row.shown}, {numbers.interval(row.low, row.high, 3)}" for row in rows
        )
        yield SmallChart(
            words.sentence(segment.name), f"{meaning(segment.name)} · {_whom(segment)}", dots(rows, scale, axis, spoken)
        )


def _role(ranking: Ranking, segment: SegmentValues, model: str) -> str:
    """A model's role in the panel of a segment; none is the best where all have 0."""
    if model == segment.best and segment.values[model][0] > 0:
        return BEST
    return BASELINE if ranking.report(model).model == conclusions.BASELINE else AMONG


def _exception_table(ranking: Ranking, exceptions: Sequence[Exceptional]) -> Table:
    rows = []
    ordered = sorted(exceptions, key=lambda one: (not one.significant, _p(one)))
    for one in ordered[:MOST_EXCEPTIONS]:
        segment, leader = one.segment, ranking.leader
        difference = segment.values[segment.best][0] - segment.values[leader][0]
        rows.append(
            Row(
                Cell(words.sentence(words.segment(segment.kind, segment.name))),
                (
                    Cell(segment.best),
                    Cell(numbers.score(segment.values[segment.best][0])),
                    Cell(numbers.score(segment.values[leader][0])),
                    Cell(numbers.signed(difference)),
                    Cell(numbers.p_value(_p(one) if one.verdict else None)),
                    Cell("yes" if one.significant else "no", strong=one.significant),
                    Cell(f"{segment.users:,}", "few" if segment.users < FEW else ""),
                    Cell(f"{segment.test_items:,}"),
                ),
            )
        )
    columns = (
        Column("Segment", words=True),
        Column("Highest", words=True),
        Column("Its mean"),
        Column(ranking.leader),
        Column("Ahead by"),
        Column("p", "Holm-corrected"),
        Column("Significant", words=True),
        Column("Users"),
        Column("Test items"),
    )
    note = f"Corrected over the segments of a kind, for each pair of models. Few: under {FEW} users, which say little."
    if more := len(exceptions) - MOST_EXCEPTIONS:
        note += f" {words.sentence(words.spelled(more))} more, of larger p, are not listed." if more > 0 else ""
    return Table(f"Where {ranking.leader} does not have the highest mean", columns, tuple(rows), note)


def _p(one: Exceptional) -> float:
    return conclusions.corrected_p(one.verdict) if one.verdict else 2.0


def _heat_table(ranking: Ranking, kind: str, segments: Sequence[SegmentValues]) -> Table:
    rows = []
    for segment in segments:
        top = segment.values[segment.best][0]
        cells = []
        for model in ranking.names:
            if model not in segment.values:
                cells.append(Cell("–", spoken="not measured"))
                continue
            value = segment.values[model][0]
            cells.append(Cell(numbers.score(value, 3), strong=value == top > 0, heat=value / top if top > 0 else 0.0))
        few = "few users" if segment.users < FEW else ""
        counts = (Cell(f"{segment.users:,}", few), Cell(f"{segment.test_items:,}"))
        rows.append(Row(Cell(segment.name), (*cells, *counts)))
    columns = (
        Column(words.sentence(kind), words=True),
        *(Column(model) for model in ranking.names),
        Column("Users"),
        Column("Test items"),
    )
    note = (
        "The stronger the shade, the nearer to the row's best model, which is bold. Only the row's own items count as "
        "relevant."
    )
    return Table(f"By {kind}: {_who_leads(segments)}", columns, tuple(rows), note)


def _whom(segment: SegmentValues) -> str:
    few = " (few)" if segment.users < FEW else ""
    return f"{numbers.counted(segment.users, 'user')}{few}, {numbers.counted(segment.test_items, 'test item')}"
