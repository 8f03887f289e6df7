"""The feedback log of one data set: `<artifacts>/feedback/<data set>/feedback.db`.

Ids mean something within their data set alone, so every data set has its own log. Nothing is kept in memory: whoever
asks after a crash reads what was acknowledged before it.
"""

import hashlib
import json
import sqlite3
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from movierec_engine.feedback.database import Database, damaged
from movierec_engine.feedback.errors import IdempotencyConflict
from movierec_engine.feedback.events import (
    Erasure,
    Exposure,
    FeedbackEvent,
    Kind,
    LoggedEvent,
    Recorded,
    UserState,
    check_identifier,
)

FEEDBACK_SCHEMA = pa.schema(
    [
        ("seq", pa.int64()),
        ("user_id", pa.int64()),
        ("movie_id", pa.int64()),
        ("rating", pa.float32()),
        ("timestamp", pa.int64()),
    ]
)
ERASURES_SCHEMA = pa.schema([("user_id", pa.int64()), ("through", pa.int64())])

_COLUMNS = "key, user_id, movie_id, kind, rating, request_id, model, version, experiment, variant"
_HOLES = ", ".join("?" * (_COLUMNS.count(",") + 2))
_STATE = "SELECT kind, movie_id, rating FROM events WHERE user_id = ? ORDER BY seq"
_PAGE = 1000


def log_file(root: Path, data_set: str) -> Path:
    """Where the log of a data set stands in the artifact store's root."""
    return root / "feedback" / data_set / "feedback.db"


@dataclass(frozen=True, eq=False)
class Intake:
    """What retraining takes from the log, as of one moment.

    ratings: FEEDBACK_SCHEMA, every rating event in the log's order, timestamps in seconds.
    erasures: ERASURES_SCHEMA, the second through which a user's ratings are gone.
    """

    ratings: pa.Table
    erasures: pa.Table
    newest_seq: int
    """Of the rating events; 0 without any."""
    newest_erasure: int
    """Number of the newest erasure; 0 without any."""


class FeedbackLog:
    """Appends to the log and reads it; safe to share among threads, and over a fork.

    The file is made by the first event, exposure or erasure. Every method raises FeedbackError, in one sentence, when
    the file is damaged, of a newer release, busy for long, or cannot be written.
    """

    def __init__(self, path: Path | str) -> None:
        self._database = Database(Path(path))
        self.path = self._database.path

    def record(self, events: Sequence[FeedbackEvent]) -> list[Recorded]:
        """Append the events, all or none; they are on disk when this returns.

        Raises IdempotencyConflict when a key was used before for something else.
        """
        if not events:
            return []
        with self._database.writing() as connection:
            now = _now_ms()
            return [_record(connection, event, now) for event in events]

    def expose(self, exposures: Sequence[Exposure]) -> None:
        """Note which lists were shown; a power cut may lose the newest, so that answers need not wait for the disk."""
        if not exposures:
            return
        now = _now_ms()
        rows = [
            (
                shown.request_id,
                shown.user_id,
                now,
                json.dumps(shown.movie_ids, separators=(",", ":")),
                shown.model,
                shown.version,
                shown.experiment,
                shown.variant,
                json.dumps(shown.teams, separators=(",", ":")),
            )
            for shown in exposures
        ]
        with self._database.writing(durable=False) as connection:
            connection.executemany("INSERT OR IGNORE INTO exposures VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)

    def erase(self, user_id: int) -> Erasure:
        """Delete the user's events and exposures, and remember that this was done; on disk when this returns.

        What is deleted is overwritten in the file. The file of recent changes (-wal) is cut too, unless it stays in use
        for a second; then its old content goes when it is written over.
        """
        check_identifier("user_id", user_id)
        with self._database.writing() as connection:
            keys = connection.execute("SELECT key FROM events WHERE user_id = ?", (user_id,)).fetchall()
            connection.executemany("INSERT OR IGNORE INTO erased_keys VALUES (?)", [(_digest(key),) for (key,) in keys])
            for table in ("events", "exposures", "erasures"):
                connection.execute(f"DELETE FROM {table} WHERE user_id = ?", (user_id,))
            now, through = _now_ms(), _last_number(connection, "events")
            number = connection.execute(
                "INSERT INTO erasures (user_id, at_ms, through_seq) VALUES (?, ?, ?)", (user_id, now, through)
            ).lastrowid
            assert number is not None
        self._database.forget_changes()
        return Erasure(number, user_id, now, through)

    def state(self, user_id: int) -> UserState:
        """What the user's feedback says now, for every request to ask: a look into two indices."""
        check_identifier("user_id", user_id)
        with self._database.reading() as connection:
            if connection is None:
                return UserState()
            rows = connection.execute(_STATE, (user_id,)).fetchall()
            erased = connection.execute("SELECT number FROM erasures WHERE user_id = ?", (user_id,)).fetchone()
        ratings: dict[int, float] = {}
        for kind, movie_id, rating in rows:
            if kind == "rating":
                ratings.pop(movie_id, None)
                ratings[movie_id] = rating
        return UserState(
            ratings,
            frozenset(movie_id for kind, movie_id, _ in rows if kind == "click"),
            frozenset(movie_id for kind, movie_id, _ in rows if kind == "not_interested"),
            erased[0] if erased else 0,
        )

    def newest_seq(self) -> int:
        """The highest place that was ever given, 0 before the first; it never falls, not even by an erasure."""
        with self._database.reading() as connection:
            return _last_number(connection, "events") if connection else 0

    def newest_erasure(self) -> int:
        """The number of the newest erasure, 0 before the first."""
        with self._database.reading() as connection:
            return _last_number(connection, "erasures") if connection else 0

    def count_since(self, seq: int, kind: Kind | None = None) -> int:
        """How many events, of one kind or of all, come after a place in the log."""
        with self._database.reading() as connection:
            if connection is None:
                return 0
            of_kind = " AND kind = ?" if kind else ""
            arguments = (seq, kind) if kind else (seq,)
            ((count,),) = connection.execute(f"SELECT count(*) FROM events WHERE seq > ?{of_kind}", arguments)
            return int(count)

    def events(self, after: int = 0) -> Iterator[LoggedEvent]:
        """The events after a place in the log, in its order, read a page at a time."""
        while True:
            with self._database.reading() as connection:
                sql = f"SELECT seq, at_ms, {_COLUMNS} FROM events WHERE seq > ? ORDER BY seq LIMIT {_PAGE}"
                rows = connection.execute(sql, (after,)).fetchall() if connection else []
            for seq, at_ms, *values in rows:
                yield LoggedEvent(seq, at_ms, FeedbackEvent(*values))
            if len(rows) < _PAGE:
                return
            after = rows[-1][0]

    def intake(self) -> Intake:
        """What retraining takes in."""
        with self._database.snapshot() as connection:
            if connection is None:
                return Intake(FEEDBACK_SCHEMA.empty_table(), ERASURES_SCHEMA.empty_table(), 0, 0)
            ratings = connection.execute(
                "SELECT seq, user_id, movie_id, rating, at_ms / 1000 FROM events WHERE kind = 'rating' ORDER BY seq"
            ).fetchall()
            erasures = connection.execute("SELECT user_id, at_ms / 1000 FROM erasures ORDER BY number").fetchall()
            newest_erasure = _last_number(connection, "erasures")
        return Intake(
            _table(ratings, FEEDBACK_SCHEMA),
            _table(erasures, ERASURES_SCHEMA),
            ratings[-1][0] if ratings else 0,
            newest_erasure,
        )

    def query(self, sql: str, *arguments: object) -> list[tuple[Any, ...]]:
        """All rows of a question that only reads, such as those of the summary; none while there is no log."""
        with self._database.reading() as connection:
            return connection.execute(sql, arguments).fetchall() if connection else []

    def check(self) -> None:
        """Read the whole file, for a server to do before it begins; raises FeedbackError when it is damaged anywhere.

        The other methods notice damage only where they read. Takes about 2 seconds for a million events.
        """
        with self._database.reading() as connection:
            findings = connection.execute("PRAGMA quick_check(1)").fetchall() if connection else [("ok",)]
        if findings != [("ok",)]:
            raise damaged(self.path, findings[0][0])

    def close(self) -> None:
        """Close the calling thread's connections; the next use opens new ones."""
        self._database.close()


def _record(connection: sqlite3.Connection, event: FeedbackEvent, now: int) -> Recorded:
    if connection.execute("SELECT 1 FROM erased_keys WHERE digest = ?", (_digest(event.key),)).fetchone():
        return Recorded(0, "erased")
    known = connection.execute(
        "SELECT seq, user_id, movie_id, kind, rating, request_id FROM events WHERE key = ?", (event.key,)
    ).fetchone()
    if known is None:
        values = (event.key, *event.content(), event.model, event.version, event.experiment, event.variant, now)
        inserted = connection.execute(f"INSERT INTO events ({_COLUMNS}, at_ms) VALUES ({_HOLES})", values)
        return Recorded(inserted.lastrowid or 0, "recorded")
    seq, *content = known
    if tuple(content) != event.content():
        raise IdempotencyConflict(
            f"the idempotency key {event.key!r} was used before, for something else; send a new key with new feedback"
        )
    return Recorded(seq, "already recorded")


def _last_number(connection: sqlite3.Connection, table: str) -> int:
    row = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = ?", (table,)).fetchone()
    return int(row[0]) if row else 0


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _table(rows: list[tuple[object, ...]], schema: pa.Schema) -> pa.Table:
    columns = zip(*rows, strict=True) if rows else [()] * len(schema)
    return pa.table([pa.array(column, kind) for column, kind in zip(columns, schema.types, strict=True)], schema=schema)
