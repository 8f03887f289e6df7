"""Connections to PostgreSQL: a few for each process, opened when they are needed, every wait bounded in time.

A pool that reconnects in the background (psycopg_pool) lets whoever asks wait meanwhile, in longer and longer pauses.
Here whoever asks opens the connection, so that a database that is away is found out at once, and one that is back is
used at once.
"""

import logging
import os
import re
import select
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psycopg
from psycopg import errors, pq

from movierec_engine.feedback.errors import FeedbackError, LogAway, LogBusy

ANSWER_SECONDS = 2.0
"""How long a statement may take, unless more is asked for."""
LOCK_SECONDS = 1.0
"""How long a statement waits for another one's lock."""
_CONNECT_SECONDS = 2
_IDLE = 8
"""Connections that a process keeps open while nobody uses them."""
IDLE_SECONDS = 60.0
"""How long it keeps each, for the next wave of requests; a server has few, and others need some."""
_OPTIONS: dict[str, Any] = {
    "connect_timeout": _CONNECT_SECONDS,
    "application_name": "movierec feedback",
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 2,
}
_BUSY = (errors.LockNotAvailable, errors.DeadlockDetected, errors.SerializationFailure, errors.QueryCanceled)
logging.getLogger("psycopg").addFilter(lambda record: "error ignored" not in record.msg)
"""Its notes on how it left a connection that was given up: the error itself is raised, and told in one sentence."""
_IS_AWAY = ("08", "57P")
"""SQLSTATEs of a lost connection and of a server that shuts down or starts."""
_NO_CONNECTION_LEFT = re.compile("too many (clients|connections)|connection slots|no more connections", re.IGNORECASE)
"""As PostgreSQL and PgBouncer say it; whoever fails to connect gets no SQLSTATE."""


class BoundedConnection(psycopg.Connection[tuple[Any, ...]]):
    """A connection that is given up where the server does not answer in time, be it stopped or out of reach."""

    seconds = ANSWER_SECONDS
    has_log = False
    """Whether the log's tables are known to be there."""
    idle_since = 0.0

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        try:
            return super().wait(gen, interval, self.seconds if timeout is None else timeout)
        except psycopg.OperationalError as error:
            if self.closed or self.pgconn.transaction_status != pq.TransactionStatus.ACTIVE:
                raise
            self.pgconn.finish()  # what it is at is not known
            raise psycopg.OperationalError(f"no answer within {self.seconds:g} s") from error


class Connections:
    """The connections of this process to one database.

    where: names the database in errors. opened: called with each new connection.
    """

    def __init__(self, conninfo: str, where: str, opened: Callable[[BoundedConnection], None]) -> None:
        self.where = where
        self._conninfo, self._opened = conninfo, opened
        self._idle: tuple[int, list[BoundedConnection]] = os.getpid(), []

    @contextmanager
    def use(self, seconds: float = ANSWER_SECONDS) -> Iterator[BoundedConnection]:
        """A connection for this block alone, in which each statement may take so long.

        Raises LogAway, LogBusy or FeedbackError for PostgreSQL's errors, each in one sentence without the password.
        """
        with self._explained():
            connection = self._take()
            try:
                if connection.seconds != seconds:
                    connection.seconds = seconds
                    connection.execute(f"SET statement_timeout = {round(1000 * seconds)}")
                yield connection
            except errors.ReadOnlySqlTransaction:
                connection.close()  # open sessions stay read-only, or with an old primary, once there is another
                self.close()
                raise
            finally:
                self._give_back(connection)

    def close(self) -> None:
        """Close those that nobody uses; the next use opens new ones."""
        idle = self._own()
        while idle:
            idle.pop().close()

    def _own(self) -> list[BoundedConnection]:
        """Idle connections of this process; those of one that forked it are left to that one (psycopg sees to it)."""
        if self._idle[0] != os.getpid():
            self._idle = os.getpid(), []
        return self._idle[1]

    def _take(self) -> BoundedConnection:
        idle = self._own()
        with suppress(IndexError):
            while True:
                connection = idle.pop()
                if not _has_ended(connection):
                    return connection
                connection.close()
        connection = BoundedConnection.connect(self._conninfo, autocommit=True, **_OPTIONS)
        try:
            connection.execute(
                f"SET statement_timeout = {round(1000 * connection.seconds)}; SET synchronous_commit = on; "
                f"SET lock_timeout = {round(1000 * LOCK_SECONDS)}; SET idle_in_transaction_session_timeout = '10s'"
            )
            self._opened(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _give_back(self, connection: BoundedConnection) -> None:
        idle = self._own()
        clean = not connection.closed and connection.pgconn.transaction_status == pq.TransactionStatus.IDLE
        if clean and len(idle) < _IDLE:
            connection.idle_since = time.monotonic()
            idle.append(connection)
        else:
            connection.close()
        with suppress(IndexError):  # of another thread that has taken the last one
            while idle[0].idle_since < time.monotonic() - IDLE_SECONDS:  # those used last are taken first
                idle.pop(0).close()

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """PostgreSQL's errors as one sentence."""
        try:
            yield
        except psycopg.Error as error:
            said = " ".join(str(error).split()) or type(error).__name__
            if isinstance(error, _BUSY):
                raise LogBusy(f"the feedback log in {self.where} is busy ({said}); try again") from error
            if _NO_CONNECTION_LEFT.search(said):
                raise LogAway(
                    f"the feedback database {self.where} has no connection left ({said}); raise its max_connections, "
                    "or run fewer workers"
                ) from error
            lost = isinstance(error, psycopg.OperationalError | psycopg.InterfaceError)
            if lost and (error.sqlstate is None or error.sqlstate.startswith(_IS_AWAY)):
                raise LogAway(
                    f"the feedback database {self.where} does not answer ({said}); start it, or correct feedback.url"
                ) from error
            if isinstance(error, errors.ReadOnlySqlTransaction):
                raise FeedbackError(
                    f"the feedback database {self.where} takes no changes; point feedback.url at the primary server"
                ) from error
            raise FeedbackError(
                f"the feedback log in {self.where} cannot be used ({said}); look after its rights and space"
            ) from error


def _has_ended(connection: BoundedConnection) -> bool:
    """Whether the server has closed an idle connection, or has said anything: to be told without asking it."""
    if connection.closed:
        return True
    poll = select.poll()
    poll.register(connection.pgconn.socket, select.POLLIN)
    return bool(poll.poll(0))
