"""The SQLite file under the log: made in one step, checked at opening, one connection for each thread and durability.

WAL mode lets readers go on while one process writes. Under `synchronous=FULL` a commit returns after the log of changes
is on disk; under `NORMAL` it may be undone by a power cut, never by a killed process, and never one that was committed
before it under FULL (https://sqlite.org/pragma.html#pragma_synchronous).
"""

import os
import random
import secrets
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from movierec_engine.feedback.errors import FeedbackError

APPLICATION_ID = 0x6D766662
SCHEMA_VERSION = 1
BUSY_SECONDS = 10.0
"""How long a writer waits for the others."""

_SCHEMA = f"""
BEGIN;
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {SCHEMA_VERSION};
CREATE TABLE events (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    key TEXT NOT NULL UNIQUE,
    user_id INTEGER NOT NULL,
    movie_id INTEGER NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('rating', 'click', 'not_interested')),
    rating REAL CHECK ((rating IS NOT NULL) = (kind = 'rating')),
    at_ms INTEGER NOT NULL,
    request_id TEXT NOT NULL,
    model TEXT NOT NULL,
    version TEXT NOT NULL,
    experiment TEXT NOT NULL,
    variant TEXT NOT NULL
);
CREATE INDEX events_of_user ON events (user_id, seq, kind, movie_id, rating);
CREATE INDEX events_of_kind ON events (kind);
CREATE TABLE exposures (
    request_id TEXT PRIMARY KEY,
    user_id INTEGER NOT NULL,
    at_ms INTEGER NOT NULL,
    movie_ids TEXT NOT NULL,
    model TEXT NOT NULL,
    version TEXT NOT NULL,
    experiment TEXT NOT NULL,
    variant TEXT NOT NULL,
    teams TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX exposures_of_user ON exposures (user_id);
CREATE TABLE erasures (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    user_id INTEGER NOT NULL UNIQUE,
    at_ms INTEGER NOT NULL,
    through_seq INTEGER NOT NULL
);
CREATE TABLE erased_keys (digest BLOB PRIMARY KEY) WITHOUT ROWID;
COMMIT;
PRAGMA journal_mode = WAL;
"""
"""`movie_ids` and `teams` are JSON arrays. `erased_keys` holds SHA-256 sums, so that a late repetition stays out."""

_READING = "reading"
"""A thread's connection for reading; the other two are called by their `synchronous`."""
_POLL_SECONDS = 0.001
_BUSY = ("SQLITE_BUSY", "SQLITE_LOCKED")
_DAMAGED = ("SQLITE_CORRUPT", "SQLITE_NOTADB")
_Identity = tuple[int, int, int]


class Database:
    """Connections to one file, which several processes and threads use at once."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self._local = threading.local()
        self._abandoned: list[sqlite3.Connection] = []

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection | None]:
        """A connection to read from, or None while there is no file: reading makes none."""
        with self._explained():
            identity = self._identity_if_any()
            yield self._connection(identity, _READING) if identity else None

    @contextmanager
    def writing(self, durable: bool = True) -> Iterator[sqlite3.Connection]:
        """One transaction, alone in the file: committed at the end of the block, undone if the block raises.

        durable: whether it is on disk, safe from a power cut, when the block is left.
        """
        with self._explained():
            identity = self._identity_if_any() or self._create()
            connection = self._connection(identity, "FULL" if durable else "NORMAL")
            _begin(connection)
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):  # SQLite has undone some failed transactions itself
                    connection.execute("ROLLBACK")
                raise

    @contextmanager
    def snapshot(self) -> Iterator[sqlite3.Connection | None]:
        """Like `reading`, with every statement of the block seeing the same moment."""
        with self.reading() as connection:
            if connection is None:
                yield None
                return
            connection.execute("BEGIN")
            try:
                yield connection
            finally:
                connection.execute("COMMIT")

    def forget_changes(self) -> bool:
        """Move all changes from the -wal file into the file and cut the former, unless it stays in use for a second."""
        deadline = time.monotonic() + 1
        with self._explained():
            connection = self._connection(self._identity(), "FULL")
            while True:
                ((busy, *_),) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
                if not busy or time.monotonic() > deadline:
                    return not busy
                time.sleep(_POLL_SECONDS * random.random())

    def close(self) -> None:
        """Close the calling thread's connections; the next use opens new ones."""
        for connection, (process, *_) in self._local.__dict__.values():
            if process == os.getpid():
                connection.close()
        self._local.__dict__.clear()

    def _identity(self) -> _Identity:
        """This process and the file."""
        status = self.path.stat()
        return os.getpid(), status.st_dev, status.st_ino

    def _identity_if_any(self) -> _Identity | None:
        """This process and the file, or None while there is none.

        Raises FeedbackError when the file was taken away from its -wal file, which SQLite would play into a new one.
        """
        with suppress(FileNotFoundError):
            return self._identity()
        changes = self.path.with_name(f"{self.path.name}-wal")
        if not changes.exists():
            return None
        with suppress(FileNotFoundError):  # somebody may just have made both
            return self._identity()
        raise FeedbackError(
            f"{self.path}: missing beside {changes.name}; put it back, or move {changes.name} away to begin a new log"
        )

    def _connection(self, identity: _Identity, kind: str) -> sqlite3.Connection:
        opened: tuple[sqlite3.Connection, _Identity] | None = getattr(self._local, kind, None)
        if opened and opened[1] == identity:
            return opened[0]
        if opened:
            # of the process that forked this one, or of a file that was replaced: closing it could take away the
            # -wal file that others use
            self._abandoned.append(opened[0])
        connection = self._open(kind)
        setattr(self._local, kind, (connection, identity))
        return connection

    def _open(self, kind: str) -> sqlite3.Connection:
        connection = sqlite3.connect(
            f"{self.path.as_uri()}?mode=rw", uri=True, timeout=BUSY_SECONDS, isolation_level=None
        )
        try:
            ((application,),) = connection.execute("PRAGMA application_id").fetchall()
            ((version,),) = connection.execute("PRAGMA user_version").fetchall()
            if application != APPLICATION_ID:
                raise FeedbackError(f"{self.path}: not a feedback log; move it away, or restore the log from a backup")
            if version != SCHEMA_VERSION:
                raise FeedbackError(
                    f"{self.path}: has schema {version}, and this release knows schema {SCHEMA_VERSION}; "
                    "use the release that wrote it"
                )
            if kind != _READING:
                connection.execute(f"PRAGMA synchronous = {kind}")
                connection.execute("PRAGMA secure_delete = ON")
                connection.execute("PRAGMA busy_timeout = 0").fetchall()  # `_begin` waits instead
        except BaseException:
            connection.close()
            raise
        return connection

    def _create(self) -> _Identity:
        """Make the file under another name and link it into place: the first to come wins, nobody sees half of it."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self.path.with_name(f".{self.path.name}.{os.getpid()}-{secrets.token_hex(4)}")
        try:
            connection = sqlite3.connect(temporary, isolation_level=None)
            connection.executescript(_SCHEMA)
            connection.close()
            with suppress(FileExistsError):
                self.path.hardlink_to(temporary)
        finally:
            temporary.unlink(missing_ok=True)
        descriptor = os.open(self.path.parent, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        return self._identity()

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """SQLite's errors and the operating system's as one sentence."""
        try:
            yield
        except sqlite3.Error as error:
            name = getattr(error, "sqlite_errorname", "")
            if name.startswith(_DAMAGED):
                raise damaged(self.path, error) from error
            if name.startswith(_BUSY):
                reason = f"another process has kept it busy for {BUSY_SECONDS:g} s; try again"
            elif name.startswith(_DAMAGED):
                reason = (
                    f"damaged ({error}); stop the server, keep a copy, and restore it from a backup or move it away"
                )
            else:
                reason = f"cannot be used ({error}); look after the disk's space and permissions, then try again"
            raise FeedbackError(f"{self.path}: {reason}") from error
        except OSError as error:
            raise FeedbackError(f"{self.path}: cannot be used ({error.strerror}); make the folder writable") from error


def _begin(connection: sqlite3.Connection) -> None:
    """Begin a transaction that writes, when its turn comes.

    SQLite's own waiting sleeps longer and longer, up to 0.1 s, so that under load those who wait long wait longest.
    """
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.execute("BEGIN IMMEDIATE")
            return
        except sqlite3.OperationalError as error:
            if not error.sqlite_errorname.startswith(_BUSY) or time.monotonic() > deadline:
                raise
        time.sleep(_POLL_SECONDS * random.random())


def damaged(path: Path, finding: object) -> FeedbackError:
    """The error for a file whose content is broken."""
    detail = " ".join(str(finding).split())
    return FeedbackError(
        f"{path}: damaged ({detail}); stop the server and restore the file from a backup, or move it away"
    )
