"""The leaderboard: every model by the chosen metric with its interval, and what it cost."""

from movierec_engine.evaluation.metrics import hit_metrics, less_is_better, metric_title
from movierec_engine.reporting import conclusions, numbers, words
from movierec_engine.reporting.html.charts import Dot, dots
from movierec_engine.reporting.html.document import Cell, Column, Figure, Prose, Row, Section, Table
from movierec_engine.reporting.html.ranking import Ranking
from movierec_engine.reporting.html.scale import Scale

_SHAPES = (
    "Diamond: the highest mean; filled circle: statistically tied; hollow circle: significantly worse, or not "
    "compared; square: popularity, the floor. Line: 95 % interval over users. Intervals that overlap do not make a "
    "difference insignificant: the models are compared on the same users, below."
)


def leaderboard(ranking: Ranking) -> Section:
    """The models in order, as a chart and as a table."""
    users = numbers.counted(ranking.report(ranking.leader).counts["users_evaluated"], "user")
    models = words.sentence(words.spelled(len(ranking.names))) + (" model" if len(ranking.names) == 1 else " models")
    return Section(
        "leaderboard",
        "Leaderboard",
        f"{models} by {ranking.title} on test, the mean over {users}.",
        (_chart(ranking), _table(ranking), *(Prose(note, quiet=True) for note in ranking.notes)),
    )


def _chart(ranking: Ranking) -> Figure:
    rows = [
        Dot(name, ranking.role(name), ranking.mean(name), *ranking.interval(name), numbers.score(ranking.mean(name)))
        for name in ranking.names
    ]
    spoken = f"{ranking.title} on test with 95 % intervals: " + "; ".join(
        f"{row.name} {row.shown}, {numbers.interval(row.low, row.high)}" for row in rows
    )
    scale = Scale.around([bound for row in rows for bound in (row.low, row.high)], ticks=5)
    axis = f"{ranking.title} on test, mean over users"
    return Figure(conclusions.chart_title(ranking.outcome), dots(rows, scale, axis, spoken), _SHAPES)


def _table(ranking: Ranking) -> Table:
    measured = ranking.report(ranking.leader).metrics
    others = [
        metric
        for metric in (f"{name}@{ranking.depth}" for name in hit_metrics())
        if metric != ranking.metric and metric in measured
    ]
    metrics = [ranking.metric, *others]
    best = {metric: _best(ranking, metric) for metric in metrics}
    rows = []
    for name in ranking.names:
        report = ranking.report(name)
        validation = report.validation_metrics.get(ranking.metric)
        scores = [_score(report.metrics, report.intervals, metric, best[metric]) for metric in metrics]
        rows.append(
            Row(
                Cell(name),
                (
                    Cell(conclusions.against_leader(ranking.outcome, name)),
                    scores[0],
                    Cell("–", spoken="not measured")
                    if validation is None
                    else Cell(numbers.score(validation), strong=name == ranking.chosen),
                    *scores[1:],
                    Cell(numbers.duration(report.seconds), numbers.memory(report.peak_memory_mb))
                    if report.seconds
                    else Cell("–", spoken="not trained here"),
                ),
            )
        )
    columns = (
        Column("Model", words=True),
        Column("Against the best", words=True),
        Column(ranking.title, "test"),
        Column(ranking.title, "validation"),
        *(Column(metric_title(metric), "test") for metric in metrics[1:]),
        Column("Training", "and memory"),
    )
    note = (
        f"Below each mean its 95 % interval; bold: the best of the column. The comparison is by {ranking.title} "
        "alone: tied means that the paired tests find no significant difference to the best. Memory: the largest "
        "resident memory of the process that trained and evaluated."
    )
    return Table(f"Models by {ranking.title}", columns, tuple(rows), note)


def _best(ranking: Ranking, metric: str) -> float:
    values = [ranking.report(name).metrics[metric] for name in ranking.names if metric in ranking.report(name).metrics]
    return min(values) if less_is_better(metric) else max(values)


def _score(metrics: dict[str, float], intervals: dict[str, tuple[float, float]], metric: str, best: float) -> Cell:
    if metric not in metrics:
        return Cell("–", spoken="not measured")
    interval = numbers.interval(*intervals[metric], 3) if metric in intervals else ""
    return Cell(numbers.score(metrics[metric]), interval, strong=metrics[metric] == best)
