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
from typing import Any, Protocol
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

DEFAULT_TABLE = "recommendations"
_TABLE = re.compile(r"([a-z_][a-z0-9_]{0,62}\.)?[a-z_][a-z0-9_]{0,48}")
_POSTGRESQL = ("postgresql", "postgres")


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
    """A table of a PostgreSQL database, filled under another name and then renamed, in one transaction.

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
        schema, _, table = self.table.rpartition(".")
        new = f"{schema}{'.' if schema else ''}{table}_incoming"
        user, movie = (_id_type(lists.schema.field(name).type) for name in ("user_id", "movie_id"))
        rows = 0
        try:
            with psycopg.connect(self._url, connect_timeout=10) as connection, connection.cursor() as cursor:
                cursor.execute(f"DROP TABLE IF EXISTS {new}")
                cursor.execute(
                    f"CREATE TABLE {new} (user_id {user} NOT NULL, rank integer NOT NULL, movie_id {movie} NOT NULL, "
                    "score real NOT NULL, source text NOT NULL)"
                )
                with cursor.copy(f"COPY {new} FROM STDIN (FORMAT csv)") as copy:
                    for one in lists.tables():
                        copy.write(_as_csv(one))
                        rows += len(one)
                cursor.execute(f"ALTER TABLE {new} ADD PRIMARY KEY (user_id, rank)")
                cursor.execute(f"DROP TABLE IF EXISTS {self.table}")
                cursor.execute(f"ALTER TABLE {new} RENAME TO {table}")
        except psycopg.Error as error:
            reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            raise MovierecError(f"{self.name} could not be written: {reason}") from error
        return rows


_FILES: dict[str, Callable[..., AbstractContextManager[Any]]] = {".parquet": pq.ParquetWriter, ".csv": pa_csv.CSVWriter}


def _parts(name: str) -> Path:
    """The folder of what is made so far for a target that is not here: one for each."""
    return Path(".movierec-export", hashlib.sha256(name.encode()).hexdigest()[:12])


def _id_type(kind: pa.DataType) -> str:
    return "text" if pa.types.is_string(kind) else "bigint"


def _as_csv(table: pa.Table) -> bytes:
    written = BytesIO()
    pa_csv.write_csv(table, written, pa_csv.WriteOptions(include_header=False))
    return written.getvalue()
