"""The form of a text file of rows, told from it: packing, encoding, delimiter, header, quotes."""

import codecs
import csv
import lzma
import re
import shutil
import tempfile
import zipfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cache
from itertools import islice, takewhile
from pathlib import Path
from typing import IO, Any

import pyarrow as pa

from movierec_engine.data.column_roles import is_known
from movierec_engine.data.config import ColumnNames, FileFormat
from movierec_engine.data.item_sections import has_item_lines, write_with_items
from movierec_engine.errors import DataError, EmptyDataError

DELIMITERS = {"tab": "\t", "semicolon": ";", "pipe": "|", "comma": ",", "space": " ", "colons": "::"}
_COMMENT = ("#", "%")
_SELDOM_WITHIN = ("\t", "::")
HEAD_LINES = 1000
_HEAD_CHARACTERS = 1 << 18
_BLOCK_BYTES = 1 << 20
_ESCAPED_QUOTE = re.compile(rb'\\"[^;,|\t\r\n"]')
_CP1252_GAPS = {0x81, 0x8D, 0x8F, 0x90, 0x9D}
_NUMBER = re.compile(r"[+-]?\d*[.,]?\d+(e[+-]?\d+)?", re.IGNORECASE)


@dataclass(frozen=True)
class TextForm:
    """The form of a text's rows.

    names: of the columns; column1, column2, ... where no header says them. quote: `"` or nothing. escape: what stands
    before a quote within quotes. lists: a line is a user and the user's items. head: its first rows, without header.
    header_lines: lines above the first row: of names, blank, such as `sep=;`, which Excel reads, and comments, which
    begin with `#` or `%` and are counted apart.
    """

    delimiter: str
    names: tuple[str, ...]
    header: bool
    quote: str
    escape: str
    lists: bool
    head: tuple[tuple[str, ...], ...]
    header_lines: int = 0
    comments: int = 0

    def __str__(self) -> str:
        if self.lists:
            return "lists of items, a user a line"
        between = next((name for name, sign in DELIMITERS.items() if sign == self.delimiter), repr(self.delimiter))
        below = f", below {self.comments} line(s) of comments" if self.comments else ""
        return f"fields separated by {between}, {'with a' if self.header else 'without'} header{below}"


@dataclass(frozen=True)
class PlainText:
    """A text that can be read as it lies there: unpacked, and in UTF-8 or Latin-1.

    packing, encoding: of the file itself. item_lines: whether it has lines that name the item of those below them,
    which here stands in each row.
    """

    path: Path
    packing: str
    encoding: str
    escaped_quotes: bool
    item_lines: bool

    @property
    def latin1(self) -> bool:
        """True if the text is to be read as Latin-1 rather than UTF-8."""
        return self.encoding == "latin-1"

    def head(self) -> list[str]:
        """The first lines, without their ends; blank ones are left out."""
        return list(islice((line for line in self._lines() if line.strip()), HEAD_LINES + 1))

    def lines_through(self, n: int) -> int:
        """The number of lines through the n-th that is not blank, blank ones included."""
        numbers = (number for number, line in enumerate(self._lines(), start=1) if line.strip())
        return next(islice(numbers, n - 1, None)) if n else 0

    def _lines(self) -> list[str]:
        with self.path.open(encoding="latin-1" if self.latin1 else "utf-8-sig", newline="") as file:
            text = file.read(_HEAD_CHARACTERS)
        lines = re.split(r"\r\n|\n|\r", text)
        return lines[:-1] if len(text) == _HEAD_CHARACTERS and len(lines) > 1 else lines


def plain_text(path: Path, encoding: str, folder: Path) -> PlainText:
    """The text of a file, unpacked and recoded into `folder` where it must be; told by its bytes, not by its name.

    encoding: as FileFormat says. Raises DataError for what is no text and for a damaged archive.
    """
    status = path.stat()
    return _plain_text(path, encoding, folder, status.st_mtime_ns, status.st_size)


@cache
def _plain_text(path: Path, encoding: str, folder: Path, modified: int, size: int) -> PlainText:
    _refuse_other_files(path)
    packing = _packing(path)
    plain = _unpacked(path, packing, folder) if packing else path
    found, escaped_quotes = _scan(plain, path)
    told = encoding or found
    if told not in ("utf-8", "latin-1"):
        plain = _recoded(plain, path, told, folder)
    item_lines = has_item_lines(plain)
    if item_lines:
        with _new_file(folder) as copy:
            write_with_items(plain, copy)
            plain = Path(copy.name)
    return PlainText(plain, packing, told, escaped_quotes, item_lines)


def _packing(path: Path) -> str:
    with path.open("rb") as file:
        start = file.read(6)
    signs = {
        b"\x1f\x8b": "gzip",
        b"BZh": "bzip2",
        b"\xfd7zXZ\x00": "xz",
        b"\x28\xb5\x2f\xfd": "zstd",
        b"PK\x03\x04": "zip",
    }
    return next((name for sign, name in signs.items() if start.startswith(sign)), "")


_NO_TABLES = {
    b"SQLite format 3\0": "a SQLite database; export its table of ratings as CSV",
    b"ARROW1\0\0": "an Arrow or Feather file; write the table as Parquet",
    b"\xd0\xcf\x11\xe0": "an Excel workbook of the old form; save its sheet as CSV",
    b"\x89HDF": "an HDF5 file; write the table as Parquet or CSV",
    b"Obj\x01": "an Avro file; write the table as Parquet",
}
"""First bytes of a file that is no text -> what the file is, and what to do."""
_OF_EXCEL = "xl/workbook.xml"
_SQL = re.compile(r"(CREATE|DROP) TABLE\b|INSERT INTO\b", re.IGNORECASE)


def _refuse_other_files(path: Path) -> None:
    """Raises DataError, saying what the file is, where its first bytes tell that it is no text."""
    with path.open("rb") as file:
        start = file.read(16)
    for sign, what in _NO_TABLES.items():
        if start.startswith(sign):
            raise DataError(f"{path}: this is {what}")


def _unpacked(path: Path, packing: str, folder: Path) -> Path:
    try:
        with _opened(path, packing) as packed, _new_file(folder) as plain:
            shutil.copyfileobj(packed, plain, _BLOCK_BYTES)
            return Path(plain.name)
    except (EOFError, lzma.LZMAError, zipfile.BadZipFile, pa.ArrowInvalid, OSError) as error:
        raise DataError(f"{path}: cannot be unpacked ({error}); write or download it again") from error


def _opened(path: Path, packing: str) -> Any:
    if packing == "zip":
        return _only_member(path)
    if packing == "xz":
        return lzma.LZMAFile(path)
    return pa.input_stream(str(path), compression="bz2" if packing == "bzip2" else packing)


def _only_member(path: Path) -> IO[bytes]:
    archive = zipfile.ZipFile(path)
    members = [
        one.filename for one in archive.infolist() if not one.is_dir() and not one.filename.startswith("__MACOSX")
    ]
    if _OF_EXCEL in members:
        raise DataError(f"{path}: this is an Excel workbook; save its sheet as CSV")
    if len(members) != 1:
        raise DataError(f"{path}: the archive holds {len(members)} files, not one; unpack it and name one of them")
    return archive.open(members[0])


def _new_file(folder: Path) -> Any:
    return tempfile.NamedTemporaryFile(dir=folder, suffix=".txt", delete=False)


def _scan(plain: Path, path: Path) -> tuple[str, bool]:
    """The encoding of a text, and whether quotes within its quotes are escaped by backslashes."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    is_utf8, escaped_quotes = True, False
    controls: set[int] = set()
    with plain.open("rb") as file:
        start = file.read(_BLOCK_BYTES)
        if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            return "utf-16", False
        if len(start) > 3 and not any(start[1:2000:2]) and any(start[:2000:2]):
            return "utf-16-le", False
        block = start
        while block:
            if b"\0" in block:
                raise DataError(f"{path}: the file holds NUL bytes, so it is not text; unpack it or save it as UTF-8")
            if is_utf8:
                try:
                    decoder.decode(block)
                except UnicodeDecodeError:
                    is_utf8 = False
            if not is_utf8:
                controls |= set(block) & set(range(0x80, 0xA0))
            escaped_quotes = escaped_quotes or bool(_ESCAPED_QUOTE.search(block))
            block = file.read(_BLOCK_BYTES)
    if is_utf8:
        try:
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            is_utf8 = False
    if is_utf8:
        return "utf-8", escaped_quotes
    return "cp1252" if controls and not controls & _CP1252_GAPS else "latin-1", escaped_quotes


def _recoded(plain: Path, path: Path, encoding: str, folder: Path) -> Path:
    try:
        with plain.open(encoding=encoding, newline="") as text, _new_file(folder) as copy:
            while block := text.read(_BLOCK_BYTES):
                copy.write(block.lstrip("\ufeff").encode())
            return Path(copy.name)
    except UnicodeError as error:
        raise DataError(f"{path}: the text is not {encoding} ({error}); set data.format.encoding") from error


def text_form(path: Path, plain: PlainText, given: FileFormat, named: Sequence[str] = ()) -> TextForm:
    """The form of a text's rows.

    named: columns that settings name, by which a header is known. Raises DataError where that cannot be told, naming
    the setting that says it.
    """
    lines = plain.head()
    if not lines:
        raise EmptyDataError(f"{path}: the file is empty; replace it with one that holds data")
    if (_SQL.match(lines[0]) or lines[0].startswith(("--", "/*"))) and any(_SQL.match(line) for line in lines):
        raise DataError(f"{path}: these are SQL statements; load them into a database and export the table as CSV")
    said = re.fullmatch("sep=(.)", lines[0], re.IGNORECASE)
    if said:
        lines = lines[1:]
        if not lines:
            raise EmptyDataError(f"{path}: the file is empty but for {said[0]!r}; replace it with one that holds data")
    lists = (
        _are_lists(path, lines)
        if not said and given.rows == "auto" and given.delimiter in ("", "space", " ")
        else given.rows == "lists"
    )
    if lists:
        pairs: list[tuple[str, ...]] = [(line.split()[0], item) for line in lines for item in line.split()[1:]]
        return TextForm(" ", ("column1", "column2"), False, "", "", True, tuple(pairs[:HEAD_LINES]))
    escape = "\\" if plain.escaped_quotes else '"'
    marked = sum(1 for _ in takewhile(lambda line: line.startswith(_COMMENT), lines))
    unmarked = lines[marked:] or lines
    delimiter = DELIMITERS.get(given.delimiter, given.delimiter) or (
        said[1] if said else _delimiter(path, unmarked, escape)
    )
    quote = '"' if _is_quoted(unmarked, delimiter) else ""
    width = _usual_width(split_lines(unmarked, delimiter, quote, escape))
    comments = sum(1 for _ in takewhile(lambda line: _is_comment(line, delimiter, width), lines[:marked]))
    rows = split_lines(lines[comments:], delimiter, quote, escape)
    header = _has_header(path, rows, given.header, named)
    width = len(rows[0]) if header else _usual_width(rows)
    placed = tuple(f"column{n + 1}" for n in range(width))
    names = tuple(name.strip() or place for name, place in zip(rows[0], placed, strict=True)) if header else placed
    head = [tuple(row) for row in rows[header:] if len(row) == width]
    escape = escape if quote else ""
    above = plain.lines_through(bool(said) + comments + header)
    return TextForm(delimiter, names, header, quote, escape, False, tuple(head), above, comments)


def _is_comment(line: str, delimiter: str, width: int) -> bool:
    """True if a line that begins with `#` or `%` is neither a row nor names the columns, by its number of fields."""
    text = line.lstrip("".join(_COMMENT)).strip()
    fields = text.split(delimiter)
    is_of_numbers = line[1:2].isspace() and all(is_number(field.strip()) for field in fields)  # as KONECT's sizes
    return is_of_numbers or len(line.split(delimiter)) != width or len(fields) != width


def _usual_width(rows: Sequence[Sequence[str]]) -> int:
    return Counter(map(len, rows)).most_common(1)[0][0]


def split_lines(lines: Sequence[str], delimiter: str, quote: str, escape: str) -> list[list[str]]:
    """The fields of each row."""
    if len(delimiter) > 1 or not quote:
        return [line.split(delimiter) for line in lines]
    doubled = escape == '"'
    reader = csv.reader(lines, delimiter=delimiter, doublequote=doubled, escapechar=None if doubled else escape)
    try:
        return [row for row in reader if row]
    except csv.Error:
        return [line.split(delimiter) for line in lines]


def _delimiter(path: Path, lines: Sequence[str], escape: str) -> str:
    """The delimiter that splits the lines into equally many fields; of several such one that seldom stands in a field,
    or else the one that gives the most."""
    best: tuple[tuple[bool, bool, int], str] | None = None
    for sign in DELIMITERS.values():
        quote = '"' if _is_quoted(lines, sign) else ""
        counts = Counter(len(row) for row in split_lines(lines, sign, quote, escape))
        width, agreeing = counts.most_common(1)[0]
        share = agreeing / counts.total()
        if width > 1 and share > 0.5:
            score = (share > 0.9, sign in _SELDOM_WITHIN, width if sign != " " else 2)
            if best is None or score > best[0]:
                best = (score, sign)
    if best is None:
        shown = lines[0].strip()[:60]
        raise DataError(
            f"{path}: what separates the fields cannot be told from the first lines, such as {shown!r}; "
            "set data.format.delimiter, such as tab, or mend the file"
        )
    return best[1]


def _is_quoted(lines: Sequence[str], delimiter: str) -> bool:
    """True if fields stand in quotes. Between tabs, spaces and colons a quote is otherwise a character like others."""
    if delimiter in (",", ";", "|"):
        return True
    opened = [field for line in lines for field in line.split(delimiter) if field.startswith('"')]
    return bool(opened) and all(len(field) > 1 and field.endswith('"') for field in opened)


def _has_header(path: Path, rows: Sequence[Sequence[str]], given: str, named: Sequence[str]) -> bool:
    if given != "auto":
        return given == "yes"
    first, others = [field.strip() for field in rows[0]], rows[1:]
    if any(is_number(field) for field in first):
        return False
    if len([field for field in first if field in named or is_known(field)]) > 1:
        return True
    for place in range(len(first)):
        values = [row[place].strip() for row in others if len(row) == len(first)]
        if values and all(is_number(value) for value in values):
            return True  # a word above nothing but numbers
    said = set(named) - set(asdict(ColumnNames()).values())
    if said & {*first, *(f"column{n + 1}" for n in range(len(first)))}:
        return bool(said & set(first))
    if others:
        shown = ", ".join(first)[:60]
        raise DataError(
            f"{path}: whether its first line, {shown!r}, names the columns cannot be told; "
            "set data.format.header=yes or data.format.header=no"
        )
    return True


def is_number(text: str) -> bool:
    return bool(_NUMBER.fullmatch(text))


def _are_lists(path: Path, lines: Sequence[str]) -> bool:
    """True if each line is a user and that user's items: whole numbers, not equally many on each line."""
    fields = [line.split() for line in lines]
    if not all(field.isdecimal() for row in fields for field in row) or any("\t" in line for line in lines):
        return False
    counts = {len(row) for row in fields}
    users_differ = len({row[0] for row in fields}) == len(fields)
    if counts == {1} or (len(counts) == 1 and min(counts) < 5):
        return False
    if len(counts) == 1 or not users_differ:
        if len(counts) == 1 and users_differ and len(lines) > 1:
            raise DataError(
                f"{path}: whether a line is a user and all of the user's items cannot be told; "
                "set data.format.rows=lists or data.format.rows=pairs"
            )
        return False
    return True
