"""An HTML page as a test sees it: what is not closed, what is loaded, and the tables."""

from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = {"meta", "link", "br", "hr", "img", "input"}

Attributes = list[tuple[str, str | None]]


@dataclass
class FoundTable:
    """A table's caption, the fingerprint-free id of the part that it stands in, and its rows of texts."""

    part: str
    caption: str = ""
    rows: list[list[str]] = field(default_factory=list)

    def cell(self, row: str, column: str) -> str:
        """The text where a row, named by its header, meets a column, named by the beginning of its header."""
        header = next(index for index, text in enumerate(self.rows[0]) if text.startswith(column))
        return next(cells[header] for cells in self.rows[1:] if cells[0].split()[0] == row)

    def names(self) -> list[str]:
        return [cells[0] for cells in self.rows[1:]]


class ParsedPage(HTMLParser):
    """problems: tags that are closed in the wrong order or never."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.problems: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.tables: list[FoundTable] = []
        self.text: list[str] = []
        self._part = ""
        self.feed(html)
        self.close()
        self.problems += [f"<{tag}> is never closed" for tag in self.open]

    def table(self, caption: str, part: str = "part-1") -> FoundTable:
        return next(found for found in self.tables if found.part == part and found.caption.startswith(caption))

    def words(self) -> str:
        return " ".join(" ".join(self.text).split())

    def handle_starttag(self, tag: str, attrs: Attributes) -> None:
        attributes = dict(attrs)
        self.tags.append((tag, attributes))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "article":
            self._part = attributes.get("id") or ""
        elif tag == "table":
            self.tables.append(FoundTable(self._part))
        elif tag == "tr":
            self.tables[-1].rows.append([])
        elif tag in ("td", "th"):
            self.tables[-1].rows[-1].append("")

    def handle_startendtag(self, tag: str, attrs: Attributes) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.problems.append(f"</{tag}> at {self.getpos()} closes what is not open")

    def handle_data(self, data: str) -> None:
        if "style" in self.open:
            return
        self.text.append(data)
        if "caption" in self.open:
            self.tables[-1].caption += data.strip()
        elif self.open and ("td" in self.open or ("th" in self.open and "table" in self.open)):
            row = self.tables[-1].rows[-1]
            row[-1] = f"{row[-1]} {data.strip()}".strip()
