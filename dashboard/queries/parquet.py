"""DuckDB over Parquet files, with an answer instead of an exception where a file cannot be read."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from movierec_engine.data.table_file import LITERAL_PATH, connect

SAMPLE_USERS = 10_000
"""Users that are looked at one by one; of more than these a sample stands for all, and the page says so."""


def columns(path: Path) -> list[str]:
    """Names of a file's columns; none when it cannot be read."""
    try:
        return list(pq.read_schema(path).names)
    except (OSError, pa.ArrowException):
        return []


def rows(path: Path) -> int:
    """Count the rows of a file; 0 when it cannot be read."""
    try:
        return int(pq.read_metadata(path).num_rows)
    except (OSError, pa.ArrowException):
        return 0


def query(text: str, *values: object) -> list[tuple[Any, ...]] | None:
    """The rows of a query, or None when a file that it reads is gone, truncated or lacks a column."""
    try:
        with cursor() as connection:
            return connection.execute(text, list(values)).fetchall()
    except duckdb.Error:
        return None


def arrays(text: str, *values: object) -> dict[str, Any] | None:
    """The columns of a query as NumPy arrays, fractions that are null as NaN; or None as for `query`."""
    try:
        with cursor() as connection:
            found = connection.execute(text, list(values)).fetchnumpy()
            return {
                name: np.ma.filled(column, np.nan) if column.dtype.kind == "f" else column
                for name, column in found.items()
            }
    except duckdb.Error:
        return None


def records(text: str, *values: object) -> list[dict[str, Any]] | None:
    """The rows of a query by column name, or None as for `query`."""
    try:
        with cursor() as connection:
            found = connection.execute(text, list(values))
            names = [column[0] for column in found.description or ()]
            return [dict(zip(names, row, strict=True)) for row in found.fetchall()]
    except duckdb.Error:
        return None


def cursor() -> duckdb.DuckDBPyConnection:
    """A connection of its own to the process's database, with what is registered in it alone; to be closed.

    `parquet_file(path)` is one file's table, as it is written: `read_parquet` would take `[`, `*` and `?` in a path for
    a pattern, and `seed=3` in a folder's name for a column. `numbered_parquet_file(path)` has `file_row_number` beside.
    """
    return _database().cursor()


@cache
def _database() -> duckdb.DuckDBPyConnection:
    """One in-memory database for all queries, since making one takes longer than most of them; it keeps no file."""
    connection = connect()
    connection.execute("SET enable_external_file_cache = false")
    for name, option in (("parquet_file", ""), ("numbered_parquet_file", ", file_row_number = true")):
        connection.execute(
            f"CREATE MACRO {name}(path) AS TABLE "
            f"SELECT * FROM read_parquet({LITERAL_PATH.format('path')}, hive_partitioning = false{option})"
        )
    return connection


def one_in(users: int, most: int = SAMPLE_USERS) -> int:
    """The sampling step: one of so many users is looked at, so that about `most` are."""
    return -(-users // most) if users > most else 1


def sampled(column: str, share: int) -> str:
    """The condition that keeps one in `share` users, the same ones in every file."""
    return "true" if share <= 1 else f"hash({column}) % {share} = 0"


def known(names: Sequence[str], *paths: Path) -> list[str]:
    """Filter the names by what are columns of every file."""
    have = [set(columns(path)) for path in paths]
    return [name for name in names if all(name in own for own in have)]
