"""CSV and Parquet files as DuckDB relations of text columns, so that the place of a bad value can be named."""

import codecs
import csv
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from movierec_engine.data.text_form import PlainText, TextForm
from movierec_engine.errors import DataError, EmptyDataError
from movierec_engine.store.scratch import own_prefix, sweep

if TYPE_CHECKING:
    import duckdb

PARQUET_SUFFIXES = (".parquet", ".pq")
LITERAL_PATH = r"regexp_replace({}, '([*?\[])', '[\1]', 'g')"
"""SQL for a path, given as SQL, whose `*`, `?` and `[` DuckDB takes as they stand, and not for a pattern."""
_SPILLED = "movierec-duckdb-"
_BLOCK_BYTES = 1 << 20
_MAX_HEADER = 1 << 16


def connect() -> "duckdb.DuckDBPyConnection":
    """An in-memory database that spills, when it must, to a folder of this process alone, which goes with it."""
    import duckdb  # a server has none

    return duckdb.connect(config={"temp_directory": str(spill_folder())})


def spill_folder() -> Path:
    """A folder of this process alone, for what does not fit into memory and for unpacked files."""
    return Path(_spill_folder().name)


@cache
def _spill_folder() -> tempfile.TemporaryDirectory[str]:
    sweep(Path(tempfile.gettempdir()), _SPILLED)  # of processes that were killed
    return tempfile.TemporaryDirectory(prefix=f"{_SPILLED}{own_prefix()}")


@dataclass(frozen=True)
class TableFile:
    """A file that was opened and found to be readable, with the columns that its reader needs.

    relation: SQL of the table. columns: SQL by column name; each gives trimmed text, or null for an empty field.
    header_lines: lines before the first record, blank ones included. quoted: a field in double quotes may hold
    delimiters and line breaks. latin1: the text is not UTF-8, as it should be, and is read as Latin-1. integers:
    columns stored as whole numbers. moments: SQL of the microseconds since 1970 of each column that is stored as
    moments or days. plain: where the text lies, unpacked and recoded; form: how it is written; of a text whose form was
    told. parts: the files of a table of several. location: what it was opened by, where that is not its path: a folder,
    a pattern or an address. members: of JSON Lines the types in which members are read.
    """

    path: Path
    relation: str
    columns: dict[str, str] = field(repr=False)
    delimiter: str = ","
    header_lines: int = 0
    quoted: bool = True
    latin1: bool = False
    integers: frozenset[str] = frozenset()
    moments: dict[str, str] = field(default_factory=dict, repr=False)
    is_parquet: bool = False
    members: Mapping[str, str] | None = None
    plain: PlainText | None = None
    form: TextForm | None = None
    parts: tuple["TableFile", ...] = ()
    location: str = ""

    @property
    def is_json(self) -> bool:
        return self.members is not None

    @property
    def name(self) -> str:
        """The file's name in messages: the path or address that the user gave."""
        return self.location or str(self.path)

    def text(self, name: str, record: int) -> str:
        """The text of one field of record number `record`, counted from 0; at most 60 characters, for a message."""
        with connect() as database:
            sql = f"SELECT {self.columns[name]} FROM {self.relation} LIMIT 1 OFFSET {record}"
            ((text,),) = database.execute(sql).fetchall()
        return str(text or "")[:60]

    def place(self, record: int) -> str:
        """Name a record's place, counted from 0: `line 12` of a text file, `row 12` of a Parquet file.

        Of several files also the file's name.
        """
        for part in self.parts:
            with connect() as database:
                ((rows,),) = database.execute(f"SELECT count(*) FROM {part.relation}").fetchall()
            if record < rows:
                return f"{part.path.name}: {part.place(record)}"
            record -= rows
        return f"row {record + 1}" if self.is_parquet else f"line {self._line(record)}"

    def _line(self, record: int) -> int:
        """The line on which a record starts; blank lines and quoted line breaks start none."""
        within_quotes = False
        left = record
        number = 0
        with (self.plain.path if self.plain else self.path).open(encoding="latin-1") as lines:
            for line in lines:
                number += 1
                if number <= self.header_lines:
                    continue
                if self.form and self.form.lists:
                    left -= max(len(line.split()) - 1, 0)
                    if left < 0:
                        break
                elif line != "\n" and not within_quotes:
                    if left == 0:
                        break
                    left -= 1
                within_quotes ^= self.quoted and line.count('"') % 2 == 1
        return number


def open_table(path: Path, required: Sequence[str], *, missing_hint: str = "") -> TableFile:
    """A Parquet file (by its suffix), a tab-separated `.tsv`, or else a comma-separated file with a header line.

    Raises DataError when the file cannot be read or lacks a required column.
    """
    if path.suffix.lower() in PARQUET_SUFFIXES:
        file = open_parquet(path)
        named = _named_columns(path, list(file.columns), required, "")
        return replace(file, columns={name: file.columns[name] for name in named})
    delimiter = "\t" if path.suffix.lower() == ".tsv" else ","
    latin1 = check_text_file(path, missing_hint=missing_hint)
    header = _header(path, delimiter, latin1)
    columns = _named_columns(path, header, required, f"; its header must name columns separated by {delimiter!r}")
    return _text_table(path, len(header), columns, delimiter=delimiter, header_lines=1, quoted=True, latin1=latin1)


def open_headerless(
    path: Path, names: Sequence[str], delimiter: str, *, should_be_utf8: bool, missing_hint: str = ""
) -> TableFile:
    """A text file without header and without quoting: MovieLens 100K, 1M and 10M. `names` are all its columns."""
    latin1 = check_text_file(path, missing_hint=missing_hint)
    columns = {name: f"c{i}" for i, name in enumerate(names)}
    file = _text_table(path, len(names), columns, delimiter=delimiter, header_lines=0, quoted=False, latin1=latin1)
    return replace(file, latin1=latin1 and should_be_utf8)


def check_file(path: Path, *, missing_hint: str = "") -> None:
    """Raises DataError unless `path` is a file with something in it."""
    if path.is_dir():
        raise DataError(f"{path}: this is a folder where a file is expected; give the path of the file inside it")
    if not path.exists():
        raise DataError(f"{path}: no such file; {missing_hint or 'check the path in the data settings'}")
    if path.stat().st_size == 0:
        raise EmptyDataError(f"{path}: the file is empty; replace it with one that holds data")


def check_text_file(path: Path, *, missing_hint: str = "") -> bool:
    """True where the text must be read as Latin-1, because it is not UTF-8.

    Raises DataError when there is no such file, when it is empty, and when it holds NUL bytes and so is no text.
    """
    check_file(path, missing_hint=missing_hint)
    decoder = codecs.getincrementaldecoder("utf-8")()
    latin1 = False
    with reading(path), path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            if b"\0" in block:
                raise DataError(f"{path}: the file holds NUL bytes, so it is not text; unpack it or save it as UTF-8")
            latin1 = latin1 or not _decodes(decoder, block)
    return latin1 or not _decodes(decoder, b"", final=True)


def _decodes(decoder: codecs.IncrementalDecoder, block: bytes, final: bool = False) -> bool:
    try:
        decoder.decode(block, final)
    except UnicodeDecodeError:
        return False
    return True


@contextmanager
def reading(path: Path | str, delimiter: str = ",", *, may_drop: bool = False) -> Iterator[None]:
    """Turns what DuckDB or the file system raise while `path` is read into a one-sentence DataError.

    may_drop: settings may leave out lines that cannot be split.
    """
    import duckdb

    try:
        yield
    except duckdb.OutOfMemoryException as error:
        raise DataError(
            f"{path}: reading needs more memory than there is; use a smaller data set or a larger machine"
        ) from error
    except duckdb.Error as error:
        raise DataError(f"{path}: {_explained(str(error), delimiter, may_drop)}") from error
    except OSError as error:
        raise DataError(f"{path}: the file cannot be read ({error.strerror}); check its permissions") from error


def sql_text(value: str) -> str:
    """A string as an SQL literal."""
    return "'" + value.replace("'", "''") + "'"


def sql_name(name: str) -> str:
    """A column's name as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal(path: Path) -> str:
    """SQL for just this path; absolute, since DuckDB takes a `~` at its beginning for the home folder."""
    return LITERAL_PATH.format(sql_text(str(path.absolute())))


def _text_table(
    path: Path,
    n_fields: int,
    columns: dict[str, str],
    *,
    delimiter: str,
    header_lines: int,
    quoted: bool,
    latin1: bool,
) -> TableFile:
    quote = sql_text('"' if quoted else "")
    types = ", ".join(f"c{i}: 'VARCHAR'" for i in range(n_fields))
    relation = (
        f"read_csv({literal(path)}, hive_partitioning=false, columns={{{types}}}, auto_detect=false, header=false, "
        f"skip={header_lines}, delim={sql_text(delimiter)}, quote={quote}, escape={quote}, "
        f"encoding='{'latin-1' if latin1 else 'utf-8'}')"
    )
    texts = {name: clean(column) for name, column in columns.items()}
    return TableFile(path, relation, texts, delimiter, header_lines, quoted, latin1)


def text_relation(path: Path, plain: PlainText, form: TextForm, *, drop_bad_rows: bool) -> TableFile:
    """A text of a form that was told, with all of its columns."""
    place, encoding = literal(plain.path), "latin-1" if plain.latin1 else "utf-8"
    more = ", ignore_errors=true, store_rejects=true" if drop_bad_rows else ""
    if form.lists:
        lines = (
            f"read_csv({place}, hive_partitioning=false, columns={{line: 'VARCHAR'}}, auto_detect=false, "
            f"header=false, delim='\x01', quote='', escape='', encoding='{encoding}'{more})"
        )
        fields = f"SELECT string_split_regex(trim(line), '[ ]+') AS fields FROM {lines}"
        relation = f"(SELECT fields[1] AS c0, unnest(fields[2:]) AS c1 FROM ({fields}))"
    else:
        types = ", ".join(f"c{number}: 'VARCHAR'" for number in range(len(form.names)))
        relation = (
            f"read_csv({place}, hive_partitioning=false, columns={{{types}}}, auto_detect=false, header=false, "
            f"skip={form.header_lines}, delim={sql_text(form.delimiter)}, quote={sql_text(form.quote)}, "
            f"escape={sql_text(form.escape)}, encoding='{encoding}'{more})"
        )
    columns = {name: clean(f"c{number}") for number, name in enumerate(form.names)}
    return TableFile(
        path=path,
        relation=relation,
        columns=columns,
        delimiter=form.delimiter,
        header_lines=form.header_lines,
        quoted=bool(form.quote),
        latin1=plain.latin1 or plain.encoding == "cp1252",
        plain=plain,
        form=form,
    )


def open_parquet(path: Path) -> TableFile:
    """A Parquet file with all of its columns; raises DataError when it is none."""
    check_file(path)
    relation = f"read_parquet({literal(path)}, hive_partitioning=false)"
    with reading(path), connect() as database:
        described = database.execute(f"DESCRIBE SELECT * FROM {relation}").fetchall()
    types = {name: kind for name, kind, *_ in described}
    columns, moments = {}, {}
    for name, kind in types.items():
        value = sql_name(name)
        if kind.startswith("STRUCT") and kind.endswith("[]"):
            value = f"to_json({value})"
        elif kind.endswith("[]"):
            value = f"array_to_string({value}, '|')"
        elif kind.startswith(("TIMESTAMP", "DATE")):
            known = f"CAST({value} AS TIMESTAMPTZ)" if kind == "TIMESTAMPTZ_NS" else value  # which epoch_us knows not
            moments[name] = f"epoch_us({known})"
            value = value if kind == "DATE" else f"make_timestamp({moments[name]})"  # of a zone's in UTC
        columns[name] = clean(f"CAST({value} AS VARCHAR)")
    integers = frozenset(name for name in columns if types[name].endswith(("INT", "INTEGER")))
    return TableFile(path, relation, columns, integers=integers, moments=moments, is_parquet=True)


def clean(column: str) -> str:
    """Trimmed text, null when empty. Never a bare column: DuckDB 2.0 pushes TRY_CAST(column) into its CSV reader, where
    a bad value raises an error instead of giving null (duckdb issue 23818)."""
    return f"nullif(trim({column}), '')"


def _header(path: Path, delimiter: str, latin1: bool) -> list[str]:
    with reading(path), path.open(encoding="latin-1" if latin1 else "utf-8-sig", newline="") as file:
        line = file.readline(_MAX_HEADER).rstrip("\r\n")
    return [name.strip() for name in next(csv.reader([line], delimiter=delimiter), [])]


def _named_columns(path: Path, header: list[str], required: Sequence[str], advice: str) -> dict[str, str]:
    for name in required:
        if name not in header:
            shown = ", ".join(header)[:200]
            raise DataError(f"{path}: column {name!r} is missing among the columns {shown!r}{advice}")
    for name in required:
        if header.count(name) > 1:
            raise DataError(f"{path}: column {name!r} stands more than once in the header; rename or remove one")
    return {name: f"c{header.index(name)}" for name in required}


_SENTENCES = {
    "unterminated quote": "a quoted field has no closing quote; correct the line",
    "aximum line size": "the line is longer than 2 MB; correct the line or convert the file",
    "not latin-1": "the text is neither UTF-8 nor Latin-1; save it as UTF-8",
    "invalid state": "the text has unbalanced quotes or mixed line ends; save it again with one kind of line end",
    "arquet": "this is not a complete Parquet file; write or download it again",
    "magic bytes": "this is not a complete Parquet file; write or download it again",
}
"""Sentences for DuckDB errors, by a part of their message."""


def _explained(message: str, delimiter: str, may_drop: bool) -> str:
    """One sentence for a DuckDB error about a file."""
    if malformed := re.search(r"Malformed JSON .* in line (\d+)", message):
        return f"near line {malformed[1]}: this is no JSON; correct it, or leave it out by data.format.bad_rows=drop"
    at_line = re.search(r"Line: (\d+)", message)
    where = f"line {at_line[1]}: " if at_line else ""
    if fields := re.search(r"Expected Number of Columns: (\d+) Found: (\d+)", message):
        or_drop = ", or leave such lines out by data.format.bad_rows=drop" if may_drop else " or convert the file"
        return (
            f"{where}{fields[2]} field(s) where {fields[1]} separated by {delimiter!r} are expected; "
            f"correct the line{or_drop}"
        )
    other = f"the file cannot be read ({message.splitlines()[0]}); write or download it again"
    return where + next((sentence for part, sentence in _SENTENCES.items() if part in message), other)
