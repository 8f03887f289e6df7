"""The section on backtests: the newest of each model, window by window."""

from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from movierec_engine.errors import MovierecError
from movierec_engine.evaluation.metrics import metric_title
from movierec_engine.pipeline.backtest import ALL, METRICS_FILE, WINDOWS_FILE, WITH_HISTORY
from movierec_engine.reporting import numbers
from movierec_engine.reporting.comparable import within
from movierec_engine.reporting.html.charts import Series, lines
from movierec_engine.reporting.html.document import Block, Cell, Column, Figure, Prose, Row, Section, Table
from movierec_engine.store import ArtifactStore, kinds

Windows = dict[str, tuple[list[dict[str, Any]], list[dict[str, Any]]]]
"""Model -> its rows of windows.parquet, and those of metrics.parquet by one metric."""


def backtests(store: ArtifactStore, data_set: str, metric: str) -> list[Section]:
    """One section for each set of windows that backtests share; models of other windows are never in one chart."""
    found: dict[str, Windows] = {}
    notes = []
    for slot in store.slots(kinds.BACKTEST, data_set):
        try:
            made = store.require(slot).verify()
            windows = pq.read_table(made.folder / WINDOWS_FILE).to_pylist()
            measures = pq.read_table(made.folder / METRICS_FILE).to_pylist()
            rows = [row for row in measures if row["metric"] == metric]
            name = slot.label
            found.setdefault(made.fingerprint, {})[name] = windows, rows
        except (MovierecError, OSError, KeyError, pa.ArrowException) as error:
            notes.append(Prose(f"A backtest cannot be shown: {within(store, error)}.", quiet=True))
    sections = [_section(number, windows, metric) for number, windows in enumerate(found.values(), start=1)]
    if notes:
        sections.append(Section("backtests-missing", "Other backtests", "What could not be read.", tuple(notes)))
    return sections


def _section(number: int, models: Windows, metric: str) -> Section:
    """The models' curves over the windows, and the numbers behind them."""
    windows = next(iter(models.values()))[0]
    new = sum(row["users_without_history"] for row in windows) / sum(row["users"] for row in windows)
    blocks: list[Block] = []
    for users, title in ((ALL, "all users"), (WITH_HISTORY, "users with a history")):
        series = {name: _values(rows, windows, users) for name, (_, rows) in models.items()}
        series = {name: values for name, values in series.items() if values}
        if series:
            blocks.append(_chart(series, windows, metric, title))
    blocks.append(_table(models, windows, metric))
    return Section(
        f"backtest-{number}",
        "Backtest over time" if number == 1 else f"Backtest over time, windows {number}",
        "Each window tests models that were trained on what came before it; "
        f"{numbers.percent(new, 0)} of its users are new and are answered by popularity.",
        tuple(blocks),
    )


def _values(rows: list[dict[str, Any]], windows: list[dict[str, Any]], users: str) -> tuple[float, ...]:
    """A model's value in every window; nothing where one has no such users."""
    by_window = {row["window"]: float(row["value"]) for row in rows if row["users"] == users}
    return tuple(by_window[row["window"]] for row in windows) if len(by_window) == len(windows) else ()


def _chart(series: dict[str, tuple[float, ...]], windows: list[dict[str, Any]], metric: str, users: str) -> Figure:
    n = len(windows)
    best = [max(series, key=lambda name: series[name][window]) for window in range(n)]
    leader = max(series, key=best.count)
    title = f"For {users}, {leader} is the best in {best.count(leader)} of {numbers.counted(n, 'window')}"
    spoken = f"{metric_title(metric)} by window, {users}: " + "; ".join(
        f"{name} {', '.join(numbers.score(value) for value in values)}" for name, values in series.items()
    )
    axis = f"{metric_title(metric)}, mean over {users}"
    return Figure(title, lines([Series(name, values) for name, values in series.items()], "window", axis, spoken))


def _table(models: Windows, windows: list[dict[str, Any]], metric: str) -> Table:
    rows = []
    for row in windows:
        cells = [Cell(f"{row['train']:,}"), Cell(f"{row['users']:,}", f"{row['users_without_history']:,} new")]
        for _, measures in models.values():
            own = {one["users"]: one for one in measures if one["window"] == row["window"]}
            cells.append(Cell(_with_interval(own.get(ALL)), _with_interval(own.get(WITH_HISTORY))))
        until = numbers.day(row["test_until"] - 1)
        rows.append(Row(Cell(str(row["window"]), f"{numbers.day(row['test_from'])} to {until}"), tuple(cells)))
    columns = [Column("Window", "tested on", words=True), Column("Train", "interactions"), Column("Users", "tested")]
    columns += [Column(name, metric_title(metric)) for name in models]
    note = "Second line of each model: users with a history alone. In brackets: the 95 % interval."
    return Table("The windows", tuple(columns), tuple(rows), note)


def _with_interval(measure: dict[str, Any] | None) -> str:
    if measure is None:
        return numbers.NONE
    return f"{numbers.score(measure['value'])} {numbers.interval(measure['low'], measure['high'])}"
