"""The section on the re-ranking trade-off of each model's taste dials: accuracy lost and what it buys."""

from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from movierec_engine.errors import MovierecError
from movierec_engine.evaluation.metrics import Reported, metric_title
from movierec_engine.evaluation.reranking_tradeoff import ACCURACY, BUYS, K
from movierec_engine.pipeline.reranking_tradeoff import TRADEOFF_FILE
from movierec_engine.reporting import numbers, words
from movierec_engine.reporting.comparable import within
from movierec_engine.reporting.html.charts import AMONG, BASELINE, Point, scatter
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
from movierec_engine.store import ArtifactStore, kinds

Tradeoffs = dict[str, dict[float, dict[str, dict[str, Any]]]]
"""Dial -> setting -> measure -> its row of tradeoff.parquet."""

MIDDLE = 0.5
"""The setting that conclusions are about."""

_AXES = {
    "diversity": "how unlike in genre (right: more)",
    "diversity_over_embeddings": "how unlike in who watches (right: more)",
    "novelty": "bits (right: less known)",
    "decade_balance": "divergence from own decades (left: nearer)",
    "genre_balance": "divergence from own genres (left: nearer)",
}


def dials(store: ArtifactStore, data_set: str) -> list[Section]:
    """One section with the charts and the numbers of every model that was measured; none where none was."""
    blocks: list[Block] = []
    for slot in store.slots(kinds.RERANKING_TRADEOFF, data_set):
        try:
            made = store.require(slot).verify()
            tradeoffs = _by_dial(pq.read_table(made.folder / TRADEOFF_FILE).to_pylist())
            name = slot.label
            blocks += [_panels(name, tradeoffs, str(made.facts["data"])), _table(name, tradeoffs)]
        except (MovierecError, OSError, KeyError, pa.ArrowException) as error:
            blocks.append(Prose(f"The trade-off of taste dials cannot be shown: {within(store, error)}.", quiet=True))
    if not blocks:
        return []
    lede = (
        "A person may turn the list away from the model's own order. Each dial alone, on validation: how far to turn "
        "one is picked on validation; test only confirms."
    )
    return [Section("dials", "What taste dials cost", lede, tuple(blocks))]


def _by_dial(rows: list[dict[str, Any]]) -> Tradeoffs:
    tradeoffs: Tradeoffs = {}
    for row in rows:
        tradeoffs.setdefault(row["dial"], {}).setdefault(row["setting"], {})[row["measure"]] = row
    return tradeoffs


def _panels(model: str, tradeoffs: Tradeoffs, data: str) -> SmallCharts:
    lost = {dial: own[0.0][ACCURACY]["value"] - own[MIDDLE][ACCURACY]["value"] for dial, own in tradeoffs.items()}
    least, most = (words.dial(choose(lost, key=lost.__getitem__)) for choose in (min, max))
    metric = metric_title(ACCURACY)
    title = f"{model}: of the dials at {MIDDLE:g}, {least} costs the least {metric} and {most} the most"
    note = (
        f"{data}, validation. The square is the model's own order; every point is named by the dial's setting. Axes "
        "differ between panels."
    )
    return SmallCharts(title, tuple(_panel(model, dial, own) for dial, own in tradeoffs.items()), note)


def _panel(model: str, dial: str, own: dict[float, dict[str, dict[str, Any]]]) -> SmallChart:
    metric, bought = metric_title(ACCURACY), BUYS[dial]
    points = [
        Point(f"{setting:g}", AMONG if setting else BASELINE, row[bought]["value"], row[ACCURACY]["value"])
        for setting, row in own.items()
    ]
    spoken = f"{metric} of {model} against {_AXES[dial]}, by {words.dial(dial)}: " + "; ".join(
        f"{point.name}: {numbers.score(point.y)} at {numbers.score(point.x, 3)}" for point in points
    )
    title = f"{words.sentence(words.dial(dial))} {MIDDLE:g} {_cost(own)} and {_gain(dial, own)}"
    return SmallChart(title, "", scatter(points, _AXES[dial], metric, spoken))


def _cost(own: dict[float, dict[str, dict[str, Any]]]) -> str:
    """Accuracy lost at the middle setting, as the end of a sentence."""
    metric, before, after = metric_title(ACCURACY), own[0.0][ACCURACY]["value"], own[MIDDLE][ACCURACY]
    if after["difference_low"] <= 0 <= after["difference_high"]:
        return f"has no significant cost in {metric}"
    share = after["value"] / before - 1 if before else 1.0
    return f"{'costs' if share < 0 else 'adds'} {numbers.percent(abs(share))} of {metric}"


def _gain(dial: str, own: dict[float, dict[str, dict[str, Any]]]) -> str:
    """The dial's own measure at the middle setting, against setting 0."""
    before, after = (own[setting][BUYS[dial]]["value"] for setting in (0.0, MIDDLE))
    more, share = after > before, numbers.percent(abs(after / before - 1) if before else 0.0, 0)
    if dial == "novelty":
        return f"shows movies {abs(after - before):.2f} bits {'less' if more else 'better'} known"
    if dial.endswith("balance"):
        kinds = "decades" if dial == "decade_balance" else "genres"
        return f"brings the {kinds} {share} {'farther from' if more else 'nearer to'} the user's own"
    kind = "genre" if dial == "diversity" else "who watches them"
    return f"makes lists {share} {'more' if more else 'less'} unlike in {kind}"


def _table(model: str, tradeoffs: Tradeoffs) -> Table:
    """A dial's setting a row, a measure a column."""
    measures = [name for name in (ACCURACY, *BUYS.values()) if name in next(iter(tradeoffs.values()))[0.0]]
    rows = []
    for dial, own in tradeoffs.items():
        for setting, row in own.items():
            cells = [Cell(_value(row[name]), "" if setting == 0 else _difference(row[name])) for name in measures]
            rows.append(Row(Cell(f"{words.sentence(words.dial(dial))} {setting:g}"), tuple(cells)))
    columns = (Column("Dial", "and its setting", words=True), *(Column(_column(name)) for name in measures))
    note = (
        f"Lists of {K}. Second line: 95 % interval of the users' differences from the dial at 0. A divergence is from "
        "the shares in the user's history, in nats; lower is nearer."
    )
    return Table(f"Taste dials of {model}", columns, tuple(rows), note)


def _value(row: dict[str, Any]) -> str:
    return numbers.score(row["value"]) if row["measure"] == ACCURACY else numbers.score(row["value"], 3)


def _difference(row: dict[str, Any]) -> str:
    return numbers.signed_interval(row["difference_low"], row["difference_high"], 3)


def _column(measure: str) -> str:
    """A measure without its depth, which the table's note says; accuracy as elsewhere on the page."""
    name = measure if measure == ACCURACY else Reported.read(measure).name
    return words.sentence(metric_title(name).replace("_", " "))
