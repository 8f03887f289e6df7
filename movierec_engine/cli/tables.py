"""Draws tables of results: for people within the width of the terminal, as JSON or as CSV."""

import csv
import json
import os
import sys
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TextIO

from rich.box import SIMPLE_HEAD
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from movierec_engine.data.nouns import Nouns, called
from movierec_engine.store.plain_json import plain_json

Row = Mapping[str, Any]
CellText = Callable[[Row], str]
Format = Literal["table", "json", "csv"]

_WRAPPED = 24
"""Characters that a column of sentences needs at least."""


@dataclass(frozen=True)
class TableColumn:
    """One column of a table for people."""

    header: str
    text: CellText
    """A row's cell, with as many digits as people need."""
    sheds: int = 0
    """Where the table is too wide, columns go in this order, 1 first; 0 stays."""
    left: bool = False
    wraps: bool = False
    """Whether the cells are sentences or lists of settings, which may take several lines."""
    style: Callable[[Row], str] = lambda row: ""

    def width(self, rows: Sequence[Row]) -> int:
        """Characters of the longest line."""
        return max(cell_len(line) for cell in (self.header, *map(self.text, rows)) for line in cell.split("\n"))

    def least(self, rows: Sequence[Row]) -> int:
        """Characters without which digits or words would be lost."""
        return min(self.width(rows), _WRAPPED) if self.wraps else self.width(rows)


@dataclass(frozen=True)
class ResultTable:
    """One result: `rows` in full precision for programs, `columns` over them for people."""

    title: str
    columns: Sequence[TableColumn]
    rows: Sequence[Row]
    notes: Sequence[str] = ()
    """Sentences below the table, wrapped."""
    lines: Sequence[str] = ()
    """Lines below those, not wrapped: commands, paths, sentences that programs look for."""
    shown: Sequence[Row] | None = None
    """The rows for people, where those are not `rows`."""
    sections: str = ""
    """A key of the shown rows; where its value changes, a line is left free."""

    def called(self, nouns: Nouns) -> "ResultTable":
        """The same table in a data set's own words for movies: in the title, the headers and the notes."""
        columns = [replace(column, header=called(column.header, nouns)) for column in self.columns]
        notes = [called(note, nouns) for note in self.notes]
        return replace(self, title=called(self.title, nouns), columns=columns, notes=notes)


def cell(*keys: str, form: Callable[..., str] = str) -> CellText:
    """A row's values as `form`, a function of `reporting.numbers`, writes them; None where the row lacks one."""
    return lambda row: form(*(row.get(key) for key in keys))


def print_tables(tables: Sequence[ResultTable], form: Format = "table", file: TextIO | None = None) -> None:
    """Print tables for people, or all of their rows as one JSON array or one CSV file.

    Of several tables each row of JSON and CSV begins with `table`, the title of its own.
    """
    file = file or sys.stdout
    rows = [{"table": table.title, **row} if len(tables) > 1 else row for table in tables for row in table.rows]
    if form == "json":
        file.write(json.dumps(plain_json(rows), indent=1, ensure_ascii=False) + "\n")
    elif form == "csv":
        writer = csv.DictWriter(file, list(dict.fromkeys(name for row in rows for name in row)), lineterminator="\n")
        writer.writeheader()
        writer.writerows({name: _cell(value) for name, value in row.items()} for row in plain_json(rows))
    else:
        for table in tables:
            _draw(table, file)


def print_line(text: str, form: Format = "table") -> None:
    """Print what belongs beside a table, such as the path of a report; to standard error beside JSON and CSV."""
    print(text, file=sys.stdout if form == "table" else sys.stderr)


def _draw(table: ResultTable, file: TextIO) -> None:
    """Shed columns until the rest fits; where that is not enough, print a value a line. A pipe has no width."""
    console = Console(file=file, highlight=False, emoji=False, markup=False)
    limit = console.width if console.is_terminal or "COLUMNS" in os.environ else None
    rows = table.rows if table.shown is None else table.shown
    columns = list(table.columns)
    shed: list[TableColumn] = []
    while limit and _needed(columns, rows) > limit and any(column.sheds for column in columns):
        shed.insert(0, min((column for column in columns if column.sheds), key=lambda column: column.sheds))
        columns.remove(shed[0])
    fits = limit is None or _needed(columns, rows) <= limit
    _print_text(console, table.title, limit, "bold")
    if columns and fits:
        gap = 2 if limit is None or _needed(columns, rows, gap=2) <= limit else 1
        console.width = limit or sum(column.width(rows) + gap for column in columns)
        console.print(_rich(table, columns, rows, gap))
    elif columns:
        _print_records(console, table.columns, rows)
    if fits and shed:
        missing = ", ".join(" ".join(column.header.split()) for column in shed)
        _print_text(console, f"Too wide for this terminal: {missing} (--format csv has everything).", limit, "dim")
    for note in table.notes:
        _print_text(console, note, limit, "")
    for line in table.lines:
        file.write(f"{line}\n")
    if columns:
        file.write("\n")


def _rich(table: ResultTable, columns: Sequence[TableColumn], rows: Sequence[Row], gap: int) -> RichTable:
    drawn = RichTable(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, gap - 1, 0, 0))
    for column in columns:
        drawn.add_column(
            Text(column.header),
            justify="left" if column.left else "right",
            no_wrap=not column.wraps,
            overflow="fold",
            min_width=column.least(rows),
        )
    for number, row in enumerate(rows):
        if table.sections and number and row[table.sections] != rows[number - 1][table.sections]:
            drawn.add_section()
        drawn.add_row(*(Text(column.text(row), style=column.style(row)) for column in columns))
    return drawn


def _print_records(console: Console, columns: Sequence[TableColumn], rows: Sequence[Row]) -> None:
    first, *others = columns
    for row in rows:
        _print_text(console, f"\n{first.text(row)}", console.width, "bold")
        for column in others:
            if value := "; ".join(column.text(row).split("\n")):
                _print_text(console, f"  {' '.join(column.header.split())}: {value}", console.width, "")
    console.print()


def _print_text(console: Console, text: str, width: int | None, style: str) -> None:
    """Print sentences; wrapped between words alone, so that a path stays on its line."""
    for line in text.splitlines():
        whole = textwrap.TextWrapper(width or 80, break_long_words=False, break_on_hyphens=False)
        for part in whole.wrap(line) or [""] if width else [line]:
            console.print(Text(part, style=style), soft_wrap=True)


def _needed(columns: Sequence[TableColumn], rows: Sequence[Row], gap: int = 1) -> int:
    return sum(column.least(rows) + gap for column in columns) - gap


def _cell(value: Any) -> Any:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, list | dict) else value
