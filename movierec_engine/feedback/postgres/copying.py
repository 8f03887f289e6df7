"""A SQLite log's content into PostgreSQL: in pages, each one transaction, and compared row by row before and after.

A copy that was cut off goes on where it stopped, and one that is through changes nothing. Places, numbers of erasures
and idempotency keys stay what they were, so that models know what they were trained on and repetitions stay out.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from movierec_engine.feedback.errors import FeedbackError
from movierec_engine.feedback.log import PAGE
from movierec_engine.feedback.postgres.log import PostgresLog
from movierec_engine.feedback.postgres.statements import coded
from movierec_engine.feedback.sqlite.log import SqliteLog
from movierec_engine.reporting.progress import advance, step

_EVENTS = "seq, user_id, key, movie_id, kind, rating, share, at_ms, timestamp, shown_in, undone_ms"
_EXPOSURES = (
    "exposure_id, user_id, at_ms, movie_ids, model, version, experiment, variant, teams, request_id, propensities, "
    "inclusions, context"
)
_COLUMNS = {
    "events": _EVENTS,
    "exposures": _EXPOSURES,
    "erasures": "number, user_id, at_ms, through_seq",
    "erased_keys": "digest",
}
"""Table -> its columns, of which the first is its key."""
_LOWEST: dict[str, object] = {"events": 0, "exposures": "", "erasures": 0, "erased_keys": b""}
_SHOWN = "INSERT INTO impressions VALUES (%s, %s) ON CONFLICT (movie_id) DO UPDATE SET lists = excluded.lists"

_Rows = list[tuple[Any, ...]]


@dataclass(frozen=True)
class LogCopy:
    """Rows of each table: those in the log, and of them those that this copy has added."""

    rows: dict[str, int]
    added: dict[str, int]


@step("copying the feedback log")
def copy_log(source: SqliteLog, target: PostgresLog) -> LogCopy:
    """Copy what is missing, and compare all. Nobody may write to either meanwhile.

    Raises FeedbackError where the target holds anything that the source does not, and where there is no source.
    """
    if not source.path.is_file():
        raise FeedbackError(
            f"no feedback log at {source.path}, so nothing was copied; name its data set by --data, and its store by "
            "MOVIEREC_ARTIFACTS, or MOVIEREC_LOCAL where that is an object store"
        )
    source.check()
    for table in _COLUMNS:
        for _ in _missing(source, target, table):
            pass
    rows = {table: source.query(f"SELECT count(*) FROM {table}")[0][0] for table in _COLUMNS}
    added = dict.fromkeys(_COLUMNS, 0)
    for table, columns in _COLUMNS.items():
        places = ", ".join(["%s"] * len(columns.split(", ")))
        for lacking in _missing(source, target, table):
            with target.writing(alone=True) as connection:
                statement = f"INSERT INTO {table} ({columns}) VALUES ({places})"
                connection.cursor().executemany(statement.encode(), lacking)
            added[table] += len(lacking)
            advance(added[table], rows[table], f"rows of {table}")
    with target.writing(alone=True) as connection:
        connection.execute(
            "SELECT setval('events_seq_seq', greatest(%s, last_value), is_called OR %s > 0) FROM events_seq_seq",
            (max(1, source.newest_seq()), source.newest_seq()),
        )
        shown = [(coded(movie), lists) for movie, lists in source.impressions().items()]
        connection.cursor().executemany(_SHOWN, shown)
    for table in _COLUMNS:
        if any(_missing(source, target, table)):
            raise FeedbackError(f"{target.where}: rows of {table} are missing after the copy; run it again")
    return LogCopy(rows, added)


def _missing(source: SqliteLog, target: PostgresLog, table: str) -> Iterator[_Rows]:
    """The rows that the target lacks, in pages. Raises FeedbackError for one that only the target has."""
    columns = _COLUMNS[table]
    key = columns.split(", ", maxsplit=1)[0]
    after = _LOWEST[table]
    while True:
        page = source.query(f"SELECT {columns} FROM {table} WHERE {key} > ? ORDER BY {key} LIMIT {PAGE}", after)
        given = [_converted(table, row) for row in page]
        until = f" AND {key} <= %s" if len(page) == PAGE else ""
        with target.reading() as connection:
            statement = f"SELECT {columns} FROM {table} WHERE {key} > %s{until} ORDER BY {key}"
            arguments = (after, page[-1][0]) if until else (after,)
            there = connection.execute(statement.encode(), arguments).fetchall() if connection else []
        known = {row[0]: row for row in given}
        for row in there:
            if known.get(row[0]) != row:
                raise FeedbackError(
                    f"{target.where} holds other feedback than {source.where} ({table}, {key} {row[0]!r}); copy into a "
                    "database that no server has written to"
                )
        held = {row[0] for row in there}
        if lacking := [row for row in given if row[0] not in held]:
            yield lacking
        if len(page) < PAGE:
            return
        after = page[-1][0]


def _converted(table: str, row: tuple[Any, ...]) -> tuple[Any, ...]:
    """A row of SQLite's as PostgreSQL gives it."""
    values = dict(zip(_COLUMNS[table].split(", "), row, strict=True))
    for name in ("user_id", "movie_id"):
        if name in values:
            values[name] = coded(values[name])
    if table == "exposures":
        values["movie_ids"] = [coded(one) for one in json.loads(values["movie_ids"])]
        for name in ("teams", "propensities", "inclusions"):
            values[name] = json.loads(values[name])
    return tuple(values.values())
