"""The section on cold items: their number, their neighbours, and the accuracy that showing them costs."""

from typing import Any

from movierec_engine.errors import MovierecError
from movierec_engine.evaluation.metrics import metric_title
from movierec_engine.pipeline.cold_items import Example, examples, share_rows, summary
from movierec_engine.reporting import numbers
from movierec_engine.reporting.comparable import within
from movierec_engine.reporting.html.charts import AMONG, BASELINE, Point, scatter
from movierec_engine.reporting.html.document import Block, Cell, Column, Figure, Prose, Row, Section, Table, Terms
from movierec_engine.store import ArtifactStore, kinds

METRIC = "ndcg@10"
"""The metric that a share costs, whatever the page is about."""


def cold_items(store: ArtifactStore, data_set: str) -> list[Section]:
    """One section with the charts and the numbers of every model that was measured; none where none was."""
    blocks: list[Block] = []
    for slot in store.slots(kinds.COLD_ITEMS, data_set):
        try:
            made = store.require(slot).verify()
            name = slot.label
            blocks += _blocks(name, made.facts, share_rows(made), examples(made))
        except (MovierecError, OSError, KeyError, TypeError) as error:
            blocks.append(Prose(f"New movies cannot be shown: {within(store, error)}.", quiet=True))
    if not blocks:
        return []
    lede = (
        "A movie that a model does not know is scored by its neighbours, the known movies most like it in genres and "
        "year. Lists have no new movies unless a share is asked for; how much to ask for is a choice, so its "
        "cost is measured on validation."
    )
    return [Section("cold-items", "New movies", lede, tuple(blocks))]


def _blocks(model: str, facts: dict[str, Any], rows: list[dict[str, Any]], shown: list[Example]) -> list[Block]:
    blocks: list[Block] = [Prose(f"{model}: {summary(facts).replace('%', ' %')} {_found(facts['cold_items'])}")]
    if not facts["placed"]:
        return [*blocks, Prose(f"No new movie has neighbours in {model}, so there is nothing to show.", quiet=True)]
    where = Prose(f"Neighbours of the new movies that the most lists of {model} would hold:")
    return [*blocks, _figure(model, facts, rows), _table(model, facts, rows), where, _places(facts, shown)]


def _found(cold: dict[str, Any] | None) -> str:
    """Sentence on the ranking quality of cold items."""
    if cold is None:
        return "How well cold items are ranked was not measured."
    return (
        f"Items that it was trained without, in {numbers.counted(cold['folds'], 'fold')}, are ranked by their "
        f"neighbours' scores with an AUC of {numbers.score(cold['auc'], 3)} "
        f"{numbers.interval(cold['low'], cold['high'], 3)}; their neighbours' popularity alone has "
        f"{numbers.score(cold['popularity'], 3)} and chance 0.5."
    )


def _figure(model: str, facts: dict[str, Any], rows: list[dict[str, Any]]) -> Figure:
    metric = metric_title(METRIC)
    points = [
        Point(f"{row['share']:g}", AMONG if row["share"] else BASELINE, 100 * row["new_share"], row["ndcg"])
        for row in rows
    ]
    spoken = f"{metric} of {model} against the share of new movies in its recommendations: " + "; ".join(
        f"{point.x:.1f} %: {numbers.score(point.y)}" for point in points
    )
    least = next((row for row in rows if row["new_share"] > 0), rows[-1])
    before = rows[0]["ndcg"]
    cost = numbers.percent(abs(least["ndcg"] / before - 1) if before else 0.0)
    seen = numbers.counted(least["shown"], "new movie")
    title = (
        f"{model}: with {numbers.percent(least['new_share'], 0)} of the recommendations given to new movies, {seen} of "
        f"{facts['placed']:,} are seen, for at most {cost} of {metric}"
    )
    note = (
        f"{facts['data']}, validation, lists of {facts['k']} of {numbers.counted(facts['users'], 'user')}. The square "
        "is the model's own list; every point is named by the share that was asked for. No user has a "
        "new movie in validation, so none is ever a hit: the cost shown is an upper bound."
    )
    return Figure(title, scatter(points, "new movies, % of the recommendations", metric, spoken), note)


def _table(model: str, facts: dict[str, Any], rows: list[dict[str, Any]]) -> Table:
    columns = (
        Column("Share", "asked for", words=True),
        Column("Of recommendations", "are new movies"),
        Column("New movies seen", "in any list"),
        Column(metric_title(METRIC), "validation"),
    )
    body = []
    for row in rows:
        interval = numbers.signed_interval(row["difference_low"], row["difference_high"])
        cells = (
            Cell(numbers.percent(row["new_share"])),
            Cell(f"{row['shown']:,}", numbers.percent(row["shown"] / facts["placed"])),
            Cell(numbers.score(row["ndcg"]), interval if row["share"] else ""),
        )
        body.append(Row(Cell(f"{row['share']:g}"), cells))
    note = (
        f"Lists of {facts['k']}, new movies evenly between the model's own items. Second line: of those with "
        "neighbours, and the 95 % interval of the users' differences from share 0."
    )
    return Table(f"New movies in the lists of {model}", columns, tuple(body), note)


def _places(facts: dict[str, Any], shown: list[Example]) -> Terms:
    return Terms(
        tuple(
            (
                example.title,
                f"scored by {numbers.listed(example.among)}; {numbers.counted(example.lists, 'list')} of "
                f"{facts['users']:,} would hold it at the largest share.",
            )
            for example in shown
        )
    )
