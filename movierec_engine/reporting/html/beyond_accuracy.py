"""The section on beyond-accuracy metrics, and accuracy against one of them."""

from movierec_engine.evaluation.metrics import Metric, metric_title, metrics
from movierec_engine.reporting import numbers
from movierec_engine.reporting.conclusions import ends_sentence, front_sentence, pareto_front
from movierec_engine.reporting.html.charts import Point, scatter
from movierec_engine.reporting.html.document import Block, Cell, Column, Figure, Prose, Row, Section, Table
from movierec_engine.reporting.html.ranking import Ranking

_AXES = ("novelty", "coverage")
"""Measures that accuracy is drawn against, the first that was measured."""


def beyond_accuracy(ranking: Ranking) -> Section:
    """The trade of accuracy against novelty as a chart, and every measure as a table."""
    blocks: list[Block] = [block for block in (_trade(ranking), _table(ranking)) if block]
    if ranking.group.sampled:
        note = (
            "Lists hold sampled candidates alone here, so these measures say little about lists that people would see."
        )
        blocks.append(Prose(note, quiet=True))
    return Section(
        "beyond-accuracy",
        "Beyond accuracy",
        "What the lists are like: none of these numbers is better merely because it is higher, they are what accuracy "
        "is paid with.",
        tuple(blocks) or (Prose("These reports hold nothing beyond accuracy.", quiet=True),),
    )


def _trade(ranking: Ranking) -> Figure | None:
    for measure in _AXES:
        name = f"{measure}@{ranking.depth}"
        having = [model for model in ranking.names if name in ranking.report(model).metrics]
        if len(having) > 1:
            break
    else:
        return None
    points = {model: (ranking.report(model).metrics[name], ranking.mean(model)) for model in having}
    spoken = f"{ranking.title} against {measure}: " + "; ".join(
        f"{model} {numbers.score(y)} at {numbers.score(x, 2)}" for model, (x, y) in points.items()
    )
    marks = [Point(model, ranking.role(model), x, y) for model, (x, y) in points.items()]
    axis = f"{name}, {metrics()[measure].meaning}"
    chart = scatter(marks, axis, f"{ranking.title} on test", spoken)
    if not metrics()[measure].direction:
        ends = {model: (y, x) for model, (x, y) in points.items()}
        title = ends_sentence(ends, f"highest {ranking.title}", f"highest {metric_title(name)}")
        return Figure(title, chart, f"Up is better; {metric_title(name)} has no better end.")
    front = pareto_front(points)
    beaten = [model for model in points if model not in front]
    note = "Up and to the right is better on both."
    if beaten and len(front) > 1:
        note += f" Dominated: {numbers.listed(beaten)}."
    return Figure(front_sentence(front, len(points), f"accuracy-{measure}"), chart, note)


def _table(ranking: Ranking) -> Table | None:
    rows = []
    for metric in metrics().values():
        if metric.of_hits:
            continue
        (name,) = metric.at((ranking.depth,))
        values = [ranking.report(model).metrics.get(name) for model in ranking.names]
        known = [value for value in values if value is not None]
        if known:
            low, high = min(known), max(known)
            cells = [
                Cell("–", spoken="not measured")
                if value is None
                else Cell(_shown(metric, value), heat=(value - low) / (high - low) if high > low else 0.0)
                for value in values
            ]
            rows.append(Row(Cell(metric_title(name), metric.meaning), tuple(cells)))
    if not rows:
        return None
    return Table(
        "What the lists are like",
        (Column("Measure", words=True), *(Column(model) for model in ranking.names)),
        tuple(rows),
        "The stronger the shade, the higher within the row. Definitions are at the end of the page.",
    )


def _shown(metric: Metric, value: float) -> str:
    if metric.unit == "%":
        return numbers.percent(value)
    return numbers.score(value, 2) if metric.unit == "bits" else numbers.score(value, 3)
