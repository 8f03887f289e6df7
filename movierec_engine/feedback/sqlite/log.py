"""The SQLite log of one data set: `<artifacts>/feedback/<data set>/feedback.db`, its erasures beside it once more.

Nothing is kept in memory: whoever asks after a crash reads what was acknowledged before it.
"""

import hashlib
import json
import os
import sqlite3
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyarrow as pa

from movierec_engine.data.id_map import PublicId
from movierec_engine.feedback.erasures import Erasure, ErasureFile
from movierec_engine.feedback.events import (
    ERASURE_UNKNOWN,
    Exposure,
    FeedbackEvent,
    Kind,
    ListContext,
    LoggedEvent,
    Recorded,
    ShownList,
    UserState,
    check_identifier,
    check_not_ahead,
    now_ms,
)
from movierec_engine.feedback.intake import Intake
from movierec_engine.feedback.log import PAGE, By, conflict, nothing_to_undo, require_repetition, state_of
from movierec_engine.feedback.sqlite import summary_queries
from movierec_engine.feedback.sqlite.database import BUSY_SECONDS, Database, damaged

_COLUMNS = "user_id, key, movie_id, kind, rating, shown_in, share, timestamp"
_INSERT = f"""
INSERT INTO events ({_COLUMNS}, at_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, coalesce(?8 * 1000, max(?9, coalesce(
    (SELECT max(at_ms) FROM events WHERE user_id = ?1 AND movie_id = ?3 AND undone_ms IS NULL), 0))))
"""
_KNOWN = """
SELECT seq, undone_ms, movie_id, kind, rating, shown_in, share, timestamp FROM events WHERE user_id = ? AND key = ?
"""
_ERASED_KEY = """
SELECT 1 FROM erasures WHERE user_id = ? AND EXISTS (SELECT 1 FROM erased_keys WHERE digest IN (?, ?))
"""
_STATE = """
SELECT kind, movie_id, rating, share, at_ms / 1000 FROM events WHERE user_id = ? AND undone_ms IS NULL
ORDER BY at_ms / 1000, seq
"""
_EXPOSE = """
INSERT OR IGNORE INTO exposures SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13
WHERE NOT EXISTS (SELECT 1 FROM erasures WHERE user_id = ?2 AND at_ms >= ?3)
"""
_COUNT = "INSERT INTO impressions VALUES (?, ?) ON CONFLICT DO UPDATE SET lists = lists + excluded.lists"


def log_file(root: Path, data_set: str) -> Path:
    """Path of a data set's log in the artifact store's root."""
    return root / "feedback" / data_set / "feedback.db"


class SqliteLog:
    """A FeedbackLog in a file.

    reading_seconds: how long a question waits while another process keeps the whole file to itself.
    """

    def __init__(self, path: Path | str, reading_seconds: float = BUSY_SECONDS) -> None:
        self._database = Database(Path(path), reading_seconds, self._join_erasures, self._has_all_erasures)
        self.path = self._database.path
        self._erasures = ErasureFile(self.path.with_name("erasures.tsv"))

    @property
    def where(self) -> str:
        """The file."""
        return str(self.path)

    def record(self, events: Sequence[FeedbackEvent]) -> list[Recorded]:
        """Append the events, all or none; they are on disk when this returns."""
        if not events:
            return []
        for event in events:
            check_not_ahead(event)
        with self._database.writing() as connection:
            now = now_ms()
            ((erased,),) = connection.execute("SELECT EXISTS (SELECT 1 FROM erased_keys)")
            return [_record(connection, event, now, erased) for event in events]

    def undo(self, user_id: PublicId, key: str) -> int:
        """Take one event back, as if it had not been recorded; on disk when this returns."""
        return self._undo("key = ?", user_id, key)

    def undo_all(self, user_id: PublicId, movie_id: PublicId, kind: Kind) -> int:
        """Take back whatever of one kind a user said of a movie, such as that it is not of interest."""
        return self._undo("movie_id = ? AND kind = ?", user_id, movie_id, kind)

    def _undo(self, which: str, user_id: PublicId, *of: object) -> int:
        check_identifier("user_id", user_id)
        with self._database.writing() as connection:
            undone = connection.execute(
                f"UPDATE events SET undone_ms = ? WHERE user_id = ? AND {which} AND undone_ms IS NULL",
                (now_ms(), user_id, *of),
            ).rowcount
            if not undone:
                known = connection.execute(f"SELECT 1 FROM events WHERE user_id = ? AND {which}", (user_id, *of))
                if known.fetchone() is None:
                    raise nothing_to_undo(user_id)
            return undone

    def expose(self, exposures: Sequence[Exposure]) -> None:
        """Note which lists were shown; a power cut may lose the newest, so that nothing waits for the disk.

        Lists from before their user's erasure are left out.
        """
        if not exposures:
            return
        rows = [
            (
                shown.exposure_id,
                shown.user_id,
                shown.at_ms,
                json.dumps(shown.movie_ids, separators=(",", ":")),
                shown.model,
                shown.version,
                shown.experiment,
                shown.variant,
                json.dumps(shown.teams, separators=(",", ":")),
                shown.request_id,
                json.dumps(shown.propensities, separators=(",", ":")),
                json.dumps(shown.inclusions, separators=(",", ":")),
                shown.context.written(),
            )
            for shown in exposures
        ]
        lists: Counter[PublicId] = Counter()
        with self._database.writing(durable=False) as connection:
            for shown, row in zip(exposures, rows, strict=True):
                if connection.execute(_EXPOSE, row).rowcount > 0:
                    lists.update(shown.movie_ids)
            connection.executemany(_COUNT, lists.items())

    def erase(self, user_id: PublicId) -> Erasure:
        """Delete the user's events and exposures, and remember that this was done; on disk when this returns.

        What is deleted is overwritten in the file. The file of recent changes (-wal) is cut too, unless it stays in use
        for a second; then its old content goes when it is written over.
        """
        check_identifier("user_id", user_id)
        with self._database.writing() as connection:
            now, through = now_ms(), _last_number(connection, "events")
            _delete(connection, user_id)
            number = connection.execute(
                "INSERT INTO erasures (user_id, at_ms, through_seq) VALUES (?, ?, ?)", (user_id, now, through)
            ).lastrowid
            assert number is not None
            erasure = Erasure(number, user_id, now, through)
            if self._erasures.path.exists():
                self._erasures.add(erasure)
            else:
                self._erasures.write(_erasures(connection))
        self._database.forget_changes()
        return erasure

    def state(self, user_id: PublicId) -> UserState:
        """Look up the user's current feedback, for every request: a look into two indices."""
        check_identifier("user_id", user_id)
        with self._database.reading() as connection:
            if connection is None:
                erasure = (self._erasures.newest() or {}).get(user_id)
                return UserState(erasure=erasure.number if erasure else 0)
            rows = connection.execute(_STATE, (user_id,)).fetchall()
            erased = connection.execute("SELECT number FROM erasures WHERE user_id = ?", (user_id,)).fetchone()
        return state_of(rows, erased[0] if erased else 0)

    def state_without_log(self, user_id: PublicId) -> UserState:
        """A user's state while the log cannot be read: whether they were erased, and no feedback."""
        try:
            newest = self._erasures.newest()
        except OSError:
            newest = None
        if newest is None:
            return UserState(erasure=ERASURE_UNKNOWN, known=False)
        return UserState(erasure=newest[user_id].number if user_id in newest else 0, known=False)

    @property
    def begun(self) -> bool:
        """True where there is a log, or a record of the erasures of one. Asked for each list, in the fastest way."""
        return os.access(self.path, os.F_OK) or self._erasures.begun

    def newest_seq(self) -> int:
        """The highest place that was ever given, 0 before the first; it never falls, not even by an erasure."""
        with self._database.reading() as connection:
            return _last_number(connection, "events") if connection else 0

    def newest_erasure(self) -> int:
        """The number of the newest erasure, 0 before the first."""
        with self._database.reading() as connection:
            return _last_number(connection, "erasures") if connection else _newest_number(self._remembered())

    def people(self) -> list[PublicId]:
        """Everybody who has said something, or was erased, each once."""
        sql = "SELECT user_id FROM events WHERE undone_ms IS NULL UNION SELECT user_id FROM erasures"
        return [user_id for (user_id,) in self.query(sql)] if self.begun else []

    def erased_since(self, number: int) -> list[PublicId]:
        """Everybody whose erasure has a higher number."""
        with self._database.reading() as connection:
            if connection is None:
                return [one.user_id for one in self._remembered() if one.number > number]
            return [
                user_id for (user_id,) in connection.execute("SELECT user_id FROM erasures WHERE number > ?", (number,))
            ]

    def count_since(self, seq: int, kind: Kind | None = None) -> int:
        """Count the events, of one kind or of all, after a place in the log; undone ones do not count."""
        with self._database.reading() as connection:
            if connection is None:
                return 0
            of_kind = " AND kind = ?" if kind else ""
            arguments = (seq, kind) if kind else (seq,)
            sql = f"SELECT count(*) FROM events WHERE seq > ? AND undone_ms IS NULL{of_kind}"
            ((count,),) = connection.execute(sql, arguments)
            return int(count)

    def events(self, after: int = 0) -> Iterator[LoggedEvent]:
        """The events after a place in the log, in its order, read a page at a time."""
        while True:
            with self._database.reading() as connection:
                sql = f"SELECT seq, at_ms, undone_ms, {_COLUMNS} FROM events WHERE seq > ? ORDER BY seq LIMIT {PAGE}"
                rows = connection.execute(sql, (after,)).fetchall() if connection else []
            for seq, at_ms, undone_ms, user_id, key, *content in rows:
                yield LoggedEvent(seq, at_ms, FeedbackEvent(key, user_id, *content), undone_ms is not None)
            if len(rows) < PAGE:
                return
            after = rows[-1][0]

    def intake(self, user_type: pa.DataType | None = None, movie_type: pa.DataType | None = None) -> Intake:
        """Read what training takes in: ratings and erasures, by ids of the data set's types, int64 unless given."""
        types = user_type or pa.int64(), movie_type or pa.int64()
        with self._database.snapshot() as connection:
            if connection is None:
                erased = self._remembered()
                return Intake.of([], erased, 0, _newest_number(erased), *types)
            ratings = connection.execute(
                "SELECT seq, user_id, movie_id, rating, at_ms / 1000 FROM events "
                "WHERE kind = 'rating' AND undone_ms IS NULL ORDER BY seq"
            ).fetchall()
            ((newest_seq,),) = connection.execute("SELECT coalesce(max(seq), 0) FROM events WHERE kind = 'rating'")
            erased = _erasures(connection)
            newest_erasure = _last_number(connection, "erasures")
        return Intake.of(ratings, erased, newest_seq, newest_erasure, *types)

    def query(self, sql: str, *arguments: object) -> list[tuple[Any, ...]]:
        """All rows of a question that only reads, such as those of the summary; none while there is no log."""
        with self._database.reading() as connection:
            return connection.execute(sql, arguments).fetchall() if connection else []

    def list_counts(self, by: By, liked_from: float) -> list[tuple[Any, ...]]:
        """Counts of lists, clicks and likes by columns of exposures."""
        return self.query(summary_queries.LIST_COUNTS.format(by=by), liked_from)

    def drafted(self) -> list[tuple[str, list[str], PublicId, int, int]]:
        """Interleaved lists by experiment, variants, user and day."""
        return [(one, json.loads(names), *rest) for one, names, *rest in self.query(summary_queries.DRAFTED)]

    def credited(self) -> list[tuple[str, list[str], PublicId, int, str, int]]:
        """Clicks on interleaved lists by experiment, variants, user, day and variant."""
        return [(one, json.loads(names), *rest) for one, names, *rest in self.query(summary_queries.CREDITED)]

    def counts_by_day(self, days: int) -> list[tuple[str, str, int]]:
        """Events and lists shown of the last days."""
        return self.query(summary_queries.BY_DAY, days)

    def likes_by_day(self, since_ms: int, ratings_since_ms: int, liked_from: float) -> list[tuple[PublicId, int, int]]:
        """How many people liked each movie, by day."""
        return self.query(summary_queries.LIKES_BY_DAY, since_ms, ratings_since_ms, liked_from)

    def totals(self) -> dict[str, int]:
        """Events of each kind, and lists shown."""
        return dict(self.query(summary_queries.TOTALS))

    def exposures(self) -> Iterator[ShownList]:
        """Every list that was shown, in the order of their names, read a page at a time."""
        columns = "exposure_id, user_id, at_ms, movie_ids, model, version, request_id, propensities, inclusions"
        after = ""
        while True:
            sql = f"SELECT {columns}, context FROM exposures WHERE exposure_id > ? ORDER BY exposure_id LIMIT {PAGE}"
            rows = self.query(sql, after)
            for name, user, at_ms, movies, model, version, request, places, whole, context in rows:
                ids, made_for = _array(movies), ListContext.read(context)
                chances = _array(places), _array(whole)
                yield ShownList(name, user, at_ms, ids, model, version, request, *chances, made_for)
            if len(rows) < PAGE:
                return
            after = rows[-1][0]

    def impressions(self) -> dict[PublicId, int]:
        """Movie -> how many lists have shown it."""
        return dict(self.query("SELECT movie_id, lists FROM impressions"))

    def newest_answers(self) -> list[tuple[str, str, str]]:
        """See `FeedbackLog.newest_answers`."""
        return self.query(summary_queries.NEWEST_ANSWERS)

    def check(self) -> None:
        """Read the whole file, for a server to do before it begins; raises FeedbackError when it is damaged anywhere.

        The other methods notice damage only where they read. Takes about 2 seconds for a million events.
        """
        with self._database.reading() as connection:
            findings = connection.execute("PRAGMA quick_check(1)").fetchall() if connection else [("ok",)]
        if findings != [("ok",)]:
            raise damaged(self.path, findings[0][0])

    def check_writable(self) -> None:
        """Raises FeedbackError unless an event could be recorded at this moment; does not wait."""
        self._database.check_writable()

    def close(self) -> None:
        """Close the calling thread's connections; the next use opens new ones."""
        self._database.close()

    def _remembered(self) -> list[Erasure]:
        """The newest erasure of each user as the second record has them, in order."""
        return sorted((self._erasures.newest() or {}).values(), key=lambda one: one.number)

    def _has_all_erasures(self, connection: sqlite3.Connection) -> bool:
        """False for a log that is older than its second record: a backup that was put back."""
        with suppress(OSError):
            return _newest_number(self._remembered()) <= _last_number(connection, "erasures")
        return True

    def _join_erasures(self, connection: sqlite3.Connection) -> None:
        """Apply erasures that only `erasures.tsv` has to the log, and write that file for a log of an older release."""
        last = _last_number(connection, "erasures")
        for one in self._remembered():
            if one.number > last:
                _delete(connection, one.user_id, one.at_ms)
                row = one.number, one.user_id, one.at_ms, one.through_seq
                connection.execute("INSERT OR REPLACE INTO erasures VALUES (?, ?, ?, ?)", row)
        if not self._erasures.path.exists():
            self._erasures.write(_erasures(connection))


def _array(text: str) -> list[Any] | None:
    """A JSON array, or None where it is none, as one that was written half."""
    try:
        found = json.loads(text)
    except (ValueError, TypeError):
        return None
    return found if isinstance(found, list) else None


def _delete(connection: sqlite3.Connection, user_id: PublicId, through_ms: int | None = None) -> None:
    """Delete a user's events, exposures and older erasure, all or up to a moment; digests of their keys stay."""
    until = " AND at_ms <= ?" if through_ms is not None else ""
    of_user = (user_id,) if through_ms is None else (user_id, through_ms)
    keys = connection.execute(f"SELECT key FROM events WHERE user_id = ?{until}", of_user).fetchall()
    digests = [(_digest(user_id, key),) for (key,) in keys]
    connection.executemany("INSERT OR IGNORE INTO erased_keys VALUES (?)", digests)
    for table in ("events", "exposures", "erasures"):
        connection.execute(f"DELETE FROM {table} WHERE user_id = ?{until}", of_user)


def _record(connection: sqlite3.Connection, event: FeedbackEvent, now: int, erased: bool) -> Recorded:
    """erased: whether any key was ever erased, so that this one may have been."""
    known = connection.execute(_KNOWN, (event.user_id, event.key)).fetchone()
    if known is None:
        if erased and _is_erased(connection, event):
            raise conflict(event, "for feedback that was erased with its user")
        inserted = connection.execute(_INSERT, (event.user_id, event.key, *event.content(), now))
        return Recorded(inserted.lastrowid or 0, "recorded")
    seq, undone_ms, *content = known
    require_repetition(event, content, undone_ms)
    return Recorded(seq, "already recorded")


def _is_erased(connection: sqlite3.Connection, event: FeedbackEvent) -> bool:
    digests = _digest(event.user_id, event.key), hashlib.sha256(event.key.encode()).digest()
    return connection.execute(_ERASED_KEY, (event.user_id, *digests)).fetchone() is not None


def _erasures(connection: sqlite3.Connection) -> list[Erasure]:
    rows = connection.execute("SELECT number, user_id, at_ms, through_seq FROM erasures ORDER BY number").fetchall()
    return [Erasure(*row) for row in rows]


def _newest_number(erasures: list[Erasure]) -> int:
    return erasures[-1].number if erasures else 0


def _last_number(connection: sqlite3.Connection, table: str) -> int:
    row = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = ?", (table,)).fetchone()
    return int(row[0]) if row else 0


def _digest(user_id: PublicId, key: str) -> bytes:
    person = json.dumps(user_id) if isinstance(user_id, str) else user_id
    return hashlib.sha256(f"{person} {key}".encode()).digest()
