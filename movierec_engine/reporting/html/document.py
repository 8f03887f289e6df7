"""The report's document model: a section is a title, one sentence that says what it shows, and blocks.

Blocks hold text and numbers in words; how they look is the template's alone. `kind` names the template's macro.
"""

from dataclasses import dataclass
from typing import ClassVar

from markupsafe import Markup


@dataclass(frozen=True)
class Cell:
    """One cell of a table."""

    text: str
    note: str = ""
    """A quieter second line."""
    strong: bool = False
    heat: float | None = None
    """Shade of the cell, 0 to 1; the number itself is in the text."""
    spoken: str = ""
    """Text for screen readers in place of a sign."""


@dataclass(frozen=True)
class Column:
    """A column's name; words are set to the left, numbers to the right."""

    name: str
    note: str = ""
    words: bool = False


@dataclass(frozen=True)
class Row:
    """A row: its header, which names it, and the other cells."""

    header: Cell
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Table:
    """A table; the first column is that of the row headers."""

    caption: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    note: str = ""
    kind: ClassVar[str] = "table"


@dataclass(frozen=True)
class Figure:
    """A chart under the sentence that says what to conclude from it."""

    title: str
    chart: Markup
    note: str = ""
    kind: ClassVar[str] = "figure"


@dataclass(frozen=True)
class SmallChart:
    """One of several small charts that share an axis."""

    title: str
    note: str
    chart: Markup


@dataclass(frozen=True)
class SmallCharts:
    """Small charts side by side, under the sentence that says what to conclude from them together."""

    title: str
    panels: tuple[SmallChart, ...]
    note: str = ""
    kind: ClassVar[str] = "panels"


@dataclass(frozen=True)
class Prose:
    """A paragraph; quiet where it says what is missing and why."""

    text: str
    quiet: bool = False
    kind: ClassVar[str] = "prose"


@dataclass(frozen=True)
class Terms:
    """Terms and what they mean."""

    terms: tuple[tuple[str, str], ...]
    kind: ClassVar[str] = "terms"


@dataclass(frozen=True)
class Command:
    """Something to run, one command a line."""

    title: str
    lines: tuple[str, ...]


@dataclass(frozen=True)
class Commands:
    """Commands in order."""

    commands: tuple[Command, ...]
    kind: ClassVar[str] = "commands"


Block = Table | Figure | SmallCharts | Prose | Terms | Commands


@dataclass(frozen=True)
class Section:
    """A section of the page; `name` is a word for links, unique within its part."""

    name: str
    title: str
    lede: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class Headline:
    """A question that the reader came with, and the answer in a few words and a sentence."""

    question: str
    answer: str
    sentence: str


@dataclass(frozen=True)
class Part:
    """Everything about the models that may be compared with one another."""

    name: str
    title: str
    badge: str
    """`full ranking`, or `sampled`."""
    facts: str
    caution: str
    """A caution before any number is read; empty where there is none."""
    headline: str
    """The conclusion, in one sentence."""
    answers: tuple[Headline, ...]
    sections: tuple[Section, ...]


@dataclass(frozen=True)
class Page:
    """The whole page."""

    title: str
    written_at: str
    metric: str
    parts: tuple[Part, ...]
    appendix: tuple[Section, ...]
    notes: tuple[str, ...]
    """One sentence for each thing that was left out."""
