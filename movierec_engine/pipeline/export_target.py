"""Targets of an export: a Parquet or CSV file, here or in an object store, or a table of PostgreSQL.

Each is replaced whole or not at all.
"""

import hashlib
import re
import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import parse_qs, urlencode, urlsplit, urlunsplit

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from movierec_engine.errors import ConfigError, MissingExtraError, MovierecError
from movierec_engine.pipeline.export import ListParts
from movierec_engine.reporting.progress import step
from movierec_engine.store.files import replacing
from movierec_engine.store.objects import Objects
from movierec_engine.store.storage import SCHEMES

if TYPE_CHECKING:
    from psycopg import Cursor

DEFAULT_TABLE = "recommendations"
_TABLE = re.compile(r"([a-z_][a-z0-9_]{0,62}\.)?[a-z_][a-z0-9_]{0,48}")
_POSTGRESQL = ("postgresql", "postgres")
_ID_TYPES = {"bigint", "text"}
_COLUMNS = """
SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute
WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped
"""
"""The columns of a table and their types; none where there is no table."""


class Target(Protocol):
    """The target of an export."""

    name: str
    """For people; never with a password."""
    parts: Path
    """The folder of what is made so far, unless another one is named."""

    def write(self, lists: ListParts) -> int:
        """Replace the target's content by lists; returns the number of rows. On failure the target stays as it was."""
        ...


def target_of(to: str) -> Target:
    """The target that `--to` names: a file, `s3://bucket/lists.parquet` or `postgresql://host/database?table=name`.

    Raises ConfigError for another one.
    """
    scheme = urlsplit(to).scheme
    if scheme in _POSTGRESQL:
        return PostgreSQLTable(to)
    if Path(to).suffix not in _FILES or (scheme and scheme not in SCHEMES):
        raise ConfigError(
            f"--to {to} must end with .parquet or .csv, here or in an object store such as s3://bucket/lists.parquet, "
            "or be a database, postgresql://host/database?table=name"
        )
    return ListObject(to) if scheme else ListFile(Path(to))


class ListFile:
    """A Parquet or CSV file, written beside itself and then put in its place."""

    def __init__(self, path: Path) -> None:
        self.path, self.name = path, str(path)
        self.parts = path.with_name(f".{path.name}.parts")
        if path.is_dir():
            raise ConfigError(f"--to {path} is a folder; name a file in it")
        if not path.absolute().parent.is_dir():
            raise ConfigError(f"--to {path}: there is no folder {path.parent}; make it first")

    @step("writing lists")
    def write(self, lists: ListParts) -> int:
        rows = 0
        try:
            with replacing(self.path) as unfinished, _FILES[self.path.suffix](unfinished, lists.schema) as writer:
                for table in lists.tables():
                    writer.write_table(table)
                    rows += len(table)
        except OSError as error:
            raise MovierecError(f"{self.path} could not be written: {error.strerror or error}") from error
        return rows


class ListObject:
    """A Parquet or CSV file in an object store, which is written here and then uploaded."""

    def __init__(self, url: str) -> None:
        self.name = url
        self.parts = _parts(self.name)
        self._folder, _, self._key = url.rpartition("/")

    def write(self, lists: ListParts) -> int:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / self._key
            rows = ListFile(file).write(lists)
            Objects(self._folder).upload(self._key, file)
        return rows


class PostgreSQLTable:
    """A table of a PostgreSQL database, emptied and filled in one transaction: until its end readers see the old rows.

    The table itself stays, and with it rights, indices, views on it, and columns that somebody has added.
    The password may stand in PGPASSWORD or in a passfile, as for every client of PostgreSQL.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        query = parse_qs(parts.query, keep_blank_values=True)
        self.table = query.pop("table", [DEFAULT_TABLE])[-1]
        if not _TABLE.fullmatch(self.table):
            raise ConfigError(
                f"table={self.table!r} must be small letters, digits and _, with a schema before it or not"
            )
        self._url = urlunsplit(parts._replace(query=urlencode(query, doseq=True)))
        self.name = f"table {self.table} of {parts.hostname or 'the local host'}{parts.path}"
        self.parts = _parts(self.name)

    @step("writing lists")
    def write(self, lists: ListParts) -> int:
        try:
            import psycopg
        except ImportError as error:
            raise MissingExtraError(error) from error
        columns = _columns(lists.schema)
        rows = 0
        try:
            with psycopg.connect(self._url, connect_timeout=10) as connection, connection.cursor() as cursor:
                self._make_empty(cursor, columns)
                with cursor.copy(f"COPY {self.table} ({', '.join(columns)}) FROM STDIN (FORMAT csv)") as copy:
                    for one in lists.tables():
                        copy.write(_as_csv(one))
                        rows += len(one)
        except psycopg.Error as error:
            reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            raise MovierecError(f"{self.name} could not be written: {reason}") from error
        return rows

    def _make_empty(self, cursor: "Cursor[Any]", columns: dict[str, str]) -> None:
        """Make the table where there is none; else delete its rows, while nobody else writes."""
        found = dict(cursor.execute(_COLUMNS, [self.table]).fetchall())
        if not found:
            declared = ", ".join(f"{name} {kind} NOT NULL" for name, kind in columns.items())
            cursor.execute(f"CREATE TABLE {self.table} ({declared}, PRIMARY KEY (user_id, rank))")
        elif missing := columns.keys() - found:
            raise MovierecError(
                f"{self.name} holds other things than lists: it has no column {min(missing)}; drop it, or name "
                "another with table="
            )
        cursor.execute(f"LOCK TABLE {self.table} IN SHARE ROW EXCLUSIVE MODE")
        cursor.execute(f"DELETE FROM {self.table}")
        for name in ("user_id", "movie_id"):
            if {found.get(name), columns[name]} == _ID_TYPES:  # the data set's ids were of the other type
                cursor.execute(f"ALTER TABLE {self.table} ALTER {name} TYPE {columns[name]} USING NULL")


_FILES: dict[str, Callable[..., AbstractContextManager[Any]]] = {".parquet": pq.ParquetWriter, ".csv": pa_csv.CSVWriter}


def _parts(name: str) -> Path:
    """The folder of what is made so far for a target that is not here: one for each."""
    return Path(".movierec-export", hashlib.sha256(name.encode()).hexdigest()[:12])


def _columns(schema: pa.Schema) -> dict[str, str]:
    """The columns of a table of lists and their types in PostgreSQL."""
    user, movie = (
        "text" if pa.types.is_string(schema.field(name).type) else "bigint" for name in ("user_id", "movie_id")
    )
    return {"user_id": user, "rank": "integer", "movie_id": movie, "score": "real", "source": "text"}


def _as_csv(table: pa.Table) -> bytes:
    written = BytesIO()
    pa_csv.write_csv(table, written, pa_csv.WriteOptions(include_header=False))
    return written.getvalue()
