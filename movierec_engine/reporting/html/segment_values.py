"""Every model's values by segments of users and items, and where the leader is not the best."""

from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from movierec_engine.errors import MovierecError
from movierec_engine.evaluation.comparison import Verdict
from movierec_engine.evaluation.report import SEGMENTS_FILE
from movierec_engine.pipeline.comparison import by_segment
from movierec_engine.pipeline.reports import labels
from movierec_engine.reporting.html.groups import within
from movierec_engine.reporting.html.ranking import Ranking

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
