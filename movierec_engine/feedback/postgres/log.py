"""The PostgreSQL log of one data set: a database schema `feedback_<data set>`, which several machines share.

Writers go on beside each other and share their waiting for the disk. An erasure has the log to itself for a moment, so
that erasures are numbered in the order in which they are committed, and no event slips past one.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pyarrow as pa
from psycopg import errors

from movierec_engine.data.id_map import PublicId
from movierec_engine.feedback.erasures import Erasure
from movierec_engine.feedback.events import (
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
from movierec_engine.feedback.postgres import schema, statements, summary_queries
from movierec_engine.feedback.postgres.address import Address, data_set_of, schema_of
from movierec_engine.feedback.postgres.connections import ANSWER_SECONDS, BoundedConnection, Connections
from movierec_engine.feedback.postgres.followed_states import Changes, FollowedStates
from movierec_engine.feedback.postgres.statements import coded, decoded, row_of

WHOLE_LOG_SECONDS = 600.0
"""How long a statement may take that reads a whole log, such as training's."""


class PostgresLog:
    """A FeedbackLog in a database.

    url: as `feedback.url`. live: whether `state` is asked for each request, and is answered from what this process
    remembers and follows.
    """

    def __init__(self, url: str, data_set: str, live: bool = False) -> None:
        address = Address.parse(url)
        self._schema = schema_of(data_set)
        self.where = f"{address.where} (schema {self._schema})"
        self._connections = Connections(address.conninfo, address.where, self._opened)
        self._writers = schema.lock_number("writers", self._schema)
        self._followed = FollowedStates(address.where, self._load_state, self._changes) if live else None

    def record(self, events: Sequence[FeedbackEvent]) -> list[Recorded]:
        """Append the events, all or none; they are on disk when this returns."""
        if not events:
            return []
        for event in events:
            check_not_ahead(event)
        now = now_ms()
        with self.writing() as connection:
            cursor = connection.cursor()
            cursor.executemany(statements.INSERT, [row_of(event, now) for event in events], returning=True)
            made = [results.fetchone() for results in cursor.results()]
            recorded = [
                Recorded(row[0], "recorded") if row else _repeated(connection, event)
                for event, row in zip(events, made, strict=True)
            ]
        self._forget(*(event.user_id for event in events))
        return recorded

    def undo(self, user_id: PublicId, key: str) -> int:
        """Take one event back, as if it had not been recorded; on disk when this returns."""
        return self._undo("key = %s", user_id, key)

    def undo_all(self, user_id: PublicId, movie_id: PublicId, kind: Kind) -> int:
        """Take back whatever of one kind a user said of a movie, such as that it is not of interest."""
        return self._undo("movie_id = %s AND kind = %s", user_id, coded(movie_id), kind)

    def _undo(self, which: str, user_id: PublicId, *of: object) -> int:
        check_identifier("user_id", user_id)
        user = coded(user_id)
        with self.writing() as connection:
            rows = connection.execute(
                "UPDATE events SET undone_ms = %s, xid = pg_current_xact_id() "
                f"WHERE user_id = %s AND {which} AND undone_ms IS NULL RETURNING seq".encode(),
                (now_ms(), user, *of),
            )
            undone = len(rows.fetchall())
            if not undone:
                known = connection.execute(f"SELECT FROM events WHERE user_id = %s AND {which}".encode(), (user, *of))
                if known.fetchone() is None:
                    raise nothing_to_undo(user_id)
        self._forget(user_id)
        return undone

    def expose(self, exposures: Sequence[Exposure]) -> None:
        """Note which lists were shown; a power cut may lose the newest, so that nothing waits for the disk."""
        if not exposures:
            return
        rows: list[dict[str, Any]] = [
            {
                "user": coded(shown.user_id),
                "movies": [coded(movie_id) for movie_id in shown.movie_ids],
                "teams": list(shown.teams),
                "propensities": list(shown.propensities),
                "inclusions": list(shown.inclusions),
                "context": shown.context.written(),
                **{name: getattr(shown, name) for name in _EXPOSED},
            }
            for shown in exposures
        ]
        with self.writing() as connection:
            connection.execute("SET LOCAL synchronous_commit = off")
            cursor = connection.cursor()
            cursor.executemany(statements.EXPOSE, rows, returning=True)
            lists: Counter[str] = Counter()
            for row, results in zip(rows, cursor.results(), strict=True):
                if results.fetchone():
                    lists.update(row["movies"])
            cursor.executemany(statements.COUNT, sorted(lists.items()))  # in one order, so that writers don't deadlock

    def erase(self, user_id: PublicId) -> Erasure:
        """Delete the user's events and exposures, and remember that this was done; on disk when this returns.

        What is deleted stays on PostgreSQL's pages until its VACUUM, and in backups for as long as those are kept.
        """
        check_identifier("user_id", user_id)
        user = coded(user_id)
        with self.writing(alone=True) as connection:
            ((through,),) = connection.execute(statements.NEWEST_SEQ).fetchall()
            now = now_ms()
            connection.execute(statements.FORGET_KEYS, {"user": user})
            connection.execute("DELETE FROM exposures WHERE user_id = %s", (user,))
            row = connection.execute(statements.ERASE, {"user": user, "now": now, "through": through}).fetchone()
            assert row is not None
        if self._followed:
            self._followed.forget([user_id], {user_id: row[0]})
        return Erasure(row[0], user_id, now, through)

    def state(self, user_id: PublicId) -> UserState:
        """Look up the user's current feedback; in a live log from memory, where it changed elsewhere soon after."""
        check_identifier("user_id", user_id)
        return self._followed.state(user_id) if self._followed else self._load_state(user_id)

    def state_without_log(self, user_id: PublicId) -> UserState:
        """A user's state while the database is away: the one last known, and whether they were erased."""
        return (self._followed or FollowedStates(self.where, self._load_state, self._changes)).last_known(user_id)

    @property
    def begun(self) -> bool:
        """Always True: users without feedback are remembered too, so asking costs nothing."""
        return True

    def newest_seq(self) -> int:
        """The highest place that was ever given; one of an event that is being recorded may lie below it."""
        with self.reading() as connection:
            return int(connection.execute(statements.NEWEST_SEQ).fetchall()[0][0]) if connection else 0

    def newest_erasure(self) -> int:
        """The number of the newest erasure, 0 before the first."""
        return int(self._rows("SELECT coalesce(max(number), 0) FROM erasures", none=[(0,)])[0][0])

    def people(self) -> list[PublicId]:
        """Everybody who has said something, or was erased, each once."""
        sql = "SELECT user_id FROM events WHERE undone_ms IS NULL UNION SELECT user_id FROM erasures"
        return [decoded(user) for (user,) in self._rows(sql, seconds=WHOLE_LOG_SECONDS)]

    def erased_since(self, number: int) -> list[PublicId]:
        """Everybody whose erasure has a higher number."""
        return [decoded(user) for (user,) in self._rows("SELECT user_id FROM erasures WHERE number > %s", number)]

    def count_since(self, seq: int, kind: Kind | None = None) -> int:
        """Count the events, of one kind or of all, after a place in the log; undone ones do not count."""
        sql = "SELECT count(*) FROM events WHERE seq > %s AND undone_ms IS NULL"
        rows = self._rows(f"{sql} AND kind = %s" if kind else sql, seq, *([kind] if kind else []), none=[(0,)])
        return int(rows[0][0])

    def events(self, after: int = 0) -> Iterator[LoggedEvent]:
        """The events after a place in the log, in its order, read a page at a time."""
        sql = (
            "SELECT seq, at_ms, undone_ms, user_id, key, movie_id, kind, rating, shown_in, share, timestamp "
            f"FROM events WHERE seq > %s ORDER BY seq LIMIT {PAGE}"
        )
        while True:
            rows = self._rows(sql, after)
            for seq, at_ms, undone_ms, user, key, movie, *content in rows:
                event = FeedbackEvent(key, decoded(user), decoded(movie), *content)
                yield LoggedEvent(seq, at_ms, event, undone_ms is not None)
            if len(rows) < PAGE:
                return
            after = rows[-1][0]

    def intake(self, user_type: pa.DataType | None = None, movie_type: pa.DataType | None = None) -> Intake:
        """Read what training takes in: ratings and erasures, by ids of the data set's types, int64 unless given."""
        types = user_type or pa.int64(), movie_type or pa.int64()
        with self.reading(WHOLE_LOG_SECONDS) as connection:
            if connection is None:
                return Intake.of([], [], 0, 0, *types)
            with connection.transaction():
                connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
                rows = connection.execute(
                    "SELECT seq, user_id, movie_id, rating, at_ms / 1000 FROM events "
                    "WHERE kind = 'rating' AND undone_ms IS NULL ORDER BY seq"
                ).fetchall()
                newest = "SELECT coalesce(max(seq), 0) FROM events WHERE kind = 'rating'"
                ((newest_seq,),) = connection.execute(newest).fetchall()
                erased = connection.execute(
                    "SELECT number, user_id, at_ms, through_seq FROM erasures ORDER BY number"
                ).fetchall()
        ratings = [(seq, decoded(user), decoded(movie), *of) for seq, user, movie, *of in rows]
        erasures = [Erasure(number, decoded(user), *of) for number, user, *of in erased]
        return Intake.of(ratings, erasures, newest_seq, erasures[-1].number if erasures else 0, *types)

    def list_counts(self, by: By, liked_from: float) -> list[tuple[Any, ...]]:
        """Counts of lists, clicks and likes by columns of exposures."""
        return self._rows(summary_queries.LIST_COUNTS.format(by=by), liked_from, seconds=WHOLE_LOG_SECONDS)

    def drafted(self) -> list[tuple[str, list[str], PublicId, int, int]]:
        """Interleaved lists by experiment, variants, user and day."""
        rows = self._rows(summary_queries.DRAFTED, seconds=WHOLE_LOG_SECONDS)
        return [(experiment, names, decoded(user), *of) for experiment, names, user, *of in rows]

    def credited(self) -> list[tuple[str, list[str], PublicId, int, str, int]]:
        """Clicks on interleaved lists by experiment, variants, user, day and variant."""
        rows = self._rows(summary_queries.CREDITED, seconds=WHOLE_LOG_SECONDS)
        return [(experiment, names, decoded(user), *of) for experiment, names, user, *of in rows]

    def counts_by_day(self, days: int) -> list[tuple[str, str, int]]:
        """Events and lists shown of the last days."""
        return self._rows(summary_queries.BY_DAY, days, seconds=WHOLE_LOG_SECONDS)

    def likes_by_day(self, since_ms: int, ratings_since_ms: int, liked_from: float) -> list[tuple[PublicId, int, int]]:
        """How many people liked each movie, by day."""
        rows = self._rows(
            summary_queries.LIKES_BY_DAY, since_ms, ratings_since_ms, liked_from, seconds=WHOLE_LOG_SECONDS
        )
        return [(decoded(movie), day, people) for movie, day, people in rows]

    def totals(self) -> dict[str, int]:
        """Events of each kind, and lists shown."""
        return dict(self._rows(summary_queries.TOTALS, seconds=WHOLE_LOG_SECONDS))

    def exposures(self) -> Iterator[ShownList]:
        """Every list that was shown, in the order of their names, read a page at a time."""
        sql = (
            "SELECT exposure_id, user_id, at_ms, movie_ids, model, version, request_id, propensities, inclusions, "
            f"context FROM exposures WHERE exposure_id > %s ORDER BY exposure_id LIMIT {PAGE}"
        )
        after = ""
        while True:
            rows = self._rows(sql, after)
            for name, user, at_ms, movies, model, version, request, places, whole, context in rows:
                ids, made_for = [decoded(movie) for movie in movies], ListContext.read(context)
                yield ShownList(name, decoded(user), at_ms, ids, model, version, request, places, whole, made_for)
            if len(rows) < PAGE:
                return
            after = rows[-1][0]

    def impressions(self) -> dict[PublicId, int]:
        """Movie -> how many lists have shown it."""
        return {decoded(movie): lists for movie, lists in self._rows("SELECT movie_id, lists FROM impressions")}

    def newest_answers(self) -> list[tuple[str, str, str]]:
        """See `FeedbackLog.newest_answers`; counted over the whole log, so that it may take longer."""
        return self._rows(summary_queries.NEWEST_ANSWERS, seconds=WHOLE_LOG_SECONDS)

    def check(self) -> None:
        """Raises FeedbackError unless the tables are there, of this release; pages are PostgreSQL's to check."""
        self.newest_seq()

    def check_writable(self) -> None:
        """Raises FeedbackError unless an event could be recorded at this moment."""
        with self._connections.use() as connection:
            ((read_only,),) = connection.execute("SHOW transaction_read_only").fetchall()
            if read_only == "on":
                raise errors.ReadOnlySqlTransaction

    def close(self) -> None:
        """Close connections and stop following; the next use begins anew."""
        if self._followed:
            self._followed.close()
        self._connections.close()

    def _opened(self, connection: BoundedConnection) -> None:
        connection.has_log = schema.has_log(connection, self._schema, self.where)

    @contextmanager
    def reading(self, seconds: float = ANSWER_SECONDS) -> Iterator[BoundedConnection | None]:
        """A connection to read from, or None while there is no log: reading makes none."""
        with self._connections.use(seconds) as connection:
            if not connection.has_log:
                self._opened(connection)
            yield connection if connection.has_log else None

    @contextmanager
    def writing(self, alone: bool = False) -> Iterator[BoundedConnection]:
        """A transaction beside others that write, or alone; committed and on disk when the block is left.

        In a live log nobody waits for a database that is known to be away.
        """
        if self._followed:
            self._followed.require_contact()
        with self._connections.use() as connection:
            if not connection.has_log:
                schema.make(connection, self._schema)
                connection.has_log = True
            take = "pg_advisory_xact_lock" if alone else "pg_advisory_xact_lock_shared"
            with connection.pipeline(), connection.transaction():
                connection.execute(f"SELECT {take}(%s)".encode(), (self._writers,))
                yield connection

    def _rows(
        self, sql: str, *of: object, seconds: float = ANSWER_SECONDS, none: Sequence[tuple[Any, ...]] = ()
    ) -> list[Any]:
        """All rows of a question; `none` while there is no log."""
        with self.reading(seconds) as connection:
            return connection.execute(sql.encode(), of).fetchall() if connection else list(none)

    def _load_state(self, user_id: PublicId) -> UserState:
        with self.reading() as connection:
            if connection is None:
                return _NOTHING_SAID
            rows = connection.execute(statements.STATE, {"user": coded(user_id)}).fetchall()
        if rows[0][:2] == (0, None):
            return _NOTHING_SAID
        said = [(kind, decoded(movie), *of) for _, kind, movie, *of in rows if kind is not None]
        return state_of(said, rows[0][0])

    def _changes(self, since: str | None) -> Changes:
        with self._connections.use() as connection:
            if not connection.has_log:
                self._opened(connection)
            if since is None or not connection.has_log:
                ((moment,),) = connection.execute("SELECT pg_current_snapshot()::text").fetchall()
                erased = connection.execute("SELECT user_id, number FROM erasures") if connection.has_log else ()
                return Changes(since or moment, erased={decoded(user): number for user, number in erased})
            first, *changed = connection.execute(statements.CHANGED, {"since": since}).fetchall()
        users = tuple({decoded(user) for _, user, _ in changed})
        return Changes(first[0], users, {decoded(user): number for _, user, number in changed if number is not None})

    def _forget(self, *users: PublicId) -> None:
        if self._followed:
            self._followed.forget(users)


_NOTHING_SAID = UserState()
"""Shared by all of whom nothing is known, who are most of those that are remembered."""
_EXPOSED = ("exposure_id", "at_ms", "model", "version", "experiment", "variant", "request_id")


def data_sets(url: str) -> list[str]:
    """The data sets that have a log in a database, in order."""
    address = Address.parse(url)
    connections = Connections(address.conninfo, address.where, lambda connection: None)
    try:
        with connections.use() as connection:
            rows = connection.execute("SELECT nspname FROM pg_namespace").fetchall()
    finally:
        connections.close()
    return sorted(name for (schema_name,) in rows if (name := data_set_of(schema_name)))


def _repeated(connection: BoundedConnection, event: FeedbackEvent) -> Recorded:
    """The answer to an event that was not inserted: it is known already, or was erased."""
    row = connection.execute(statements.KNOWN, (coded(event.user_id), event.key)).fetchone()
    if row is None:
        raise conflict(event, "for feedback that was erased with its user")
    seq, undone_ms, movie, *content = row
    require_repetition(event, (decoded(movie), *content), undone_ms)
    return Recorded(seq, "already recorded")
