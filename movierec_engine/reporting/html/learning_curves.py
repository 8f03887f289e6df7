"""The section on the learning curves of models that are trained by gradient."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from movierec_engine.errors import MovierecError
from movierec_engine.evaluation.metrics import metric_title
from movierec_engine.pipeline.training import HISTORY_FILE
from movierec_engine.reporting import numbers
from movierec_engine.reporting.comparable import within
from movierec_engine.reporting.html.charts import Series, lines
from movierec_engine.reporting.html.document import Block, Cell, Column, Figure, Prose, Row, Section, Table
from movierec_engine.reporting.html.ranking import Ranking
from movierec_engine.store import kinds


def learning_curves(ranking: Ranking) -> Section:
    """The validation metric by epoch, all models in one chart, with what an epoch cost."""
    histories: dict[str, pa.Table] = {}
    closed, notes = [], []
    for name, measured in ranking.reports.items():
        try:
            trained = ranking.store.resolve(measured.artifact.parents.get(kinds.TRAINED_MODEL, ""))
            if HISTORY_FILE in trained.files:
                histories[name] = _read(trained.verify(HISTORY_FILE).folder)
            else:
                closed.append(name)
        except (MovierecError, OSError, pa.ArrowException) as error:
            notes.append(f"The history of {name} cannot be shown: {within(ranking.store, error)}.")
    blocks: list[Block] = []
    metric = _measured(ranking, histories)
    drawn = {name: _column(table, metric) for name, table in histories.items() if metric in table.column_names}
    drawn = {name: values for name, values in drawn.items() if values}
    if drawn:
        blocks = [_chart(metric, drawn), _table(metric, drawn, histories)]
    elif histories:
        notes.append(f"No model was measured by {ranking.metric} after each epoch.")
    if closed:
        notes.append(f"Fitted in one go, without epochs to draw: {numbers.listed(closed)}.")
    blocks += [Prose(note, quiet=True) for note in notes]
    return Section(
        "learning-curves",
        "Learning curves",
        "Validation after each epoch, for the models that are trained by gradient.",
        tuple(blocks),
    )


def _read(folder: Path) -> pa.Table:
    return pq.read_table(folder / HISTORY_FILE)


def _measured(ranking: Ranking, histories: dict[str, pa.Table]) -> str:
    """The ranking's metric where epochs were measured by it, or else NDCG."""
    columns = {name for table in histories.values() for name in table.column_names}
    return ranking.metric if ranking.metric in columns else f"ndcg@{ranking.depth}"


def _column(table: pa.Table, name: str) -> tuple[float, ...]:
    values: list[Any] = table[name].to_pylist()
    return tuple(float(value) for value in values if value is not None)


def _chart(metric: str, drawn: dict[str, tuple[float, ...]]) -> Figure:
    peaks = {name: max(values) for name, values in drawn.items()}
    highest = max(peaks, key=peaks.__getitem__)
    epoch = drawn[highest].index(peaks[highest]) + 1
    title = f"{highest} gets highest, {numbers.score(peaks[highest])} after {numbers.counted(epoch, 'epoch')}"
    spoken = f"{metric_title(metric)} on validation by epoch: " + "; ".join(
        f"{name} reaches {numbers.score(peaks[name])} at epoch {values.index(peaks[name]) + 1} of {len(values)}"
        for name, values in drawn.items()
    )
    chart = lines(
        [Series(name, values) for name, values in drawn.items()],
        "epoch",
        f"{metric_title(metric)} on validation, mean over users",
        spoken,
    )
    return Figure(title, chart, "Dot: the highest value of each model.")


def _table(metric: str, drawn: dict[str, tuple[float, ...]], histories: dict[str, pa.Table]) -> Table:
    rows = []
    for name, values in drawn.items():
        seconds = _column(histories[name], "seconds") if "seconds" in histories[name].column_names else ()
        loss = _column(histories[name], "loss") if "loss" in histories[name].column_names else ()
        rows.append(
            Row(
                Cell(name),
                (
                    Cell(f"{len(values):,}"),
                    Cell(f"{values.index(max(values)) + 1:,}"),
                    Cell(numbers.score(max(values))),
                    Cell(numbers.score(values[-1])),
                    Cell(f"{numbers.score(loss[0], 3)} → {numbers.score(loss[-1], 3)}" if loss else numbers.NONE),
                    Cell(f"{sum(seconds) / len(seconds):.2f}" if seconds else numbers.NONE),
                ),
            )
        )
    title = metric_title(metric)
    columns = (
        Column("Model", words=True),
        Column("Epochs"),
        Column("Best epoch"),
        Column("Highest", title),
        Column("Last", title),
        Column("Loss", "first → last"),
        Column("Seconds", "an epoch"),
    )
    return Table("What training took", columns, tuple(rows), "Losses of different kinds are not comparable.")
