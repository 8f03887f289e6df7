"""The SQLite file under the log: made in one step, checked at opening, one connection for each thread and durability.

The file, and SQLite's -wal and -shm beside it, are readable by their owner alone, and so is their folder.

WAL mode lets readers go on while one process writes. Under `synchronous=FULL` a commit returns after the log of changes
is on disk; under `NORMAL` it may be undone by a power cut, never by a killed process, and never one that was committed
before it under FULL (https://sqlite.org/pragma.html#pragma_synchronous).
"""

import math
import os
import random
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from movierec_engine.feedback.errors import FeedbackError, LogBusy
from movierec_engine.feedback.sqlite.schema import APPLICATION_ID, SCHEMA_VERSION, create, migrate
from movierec_engine.store.files import fsync, temporary_name

BUSY_SECONDS = 1.0
"""How long a writer, or a reader that has the time, waits for the others."""
_LULL_SECONDS = 0.5
"""A writer that finds the file held within so long of another failed attempt counts it as the same holding."""
FILE_MODE, FOLDER_MODE = 0o600, 0o700

_READING = "reading"
"""A thread's connection for reading; the other two are called by their `synchronous`."""
_POLL_SECONDS = 0.001
_ENDINGS = ("", "-wal", "-shm")
_BUSY = ("SQLITE_BUSY", "SQLITE_LOCKED")
_DAMAGED = ("SQLITE_CORRUPT", "SQLITE_NOTADB")
_Identity = tuple[int, int, int]


class Database:
    """Connections to one file, which several processes and threads use at once.

    reading_seconds: how long a reader waits while another process keeps the file to itself; readers do not wait for
    writers. prepare: called within the first transaction of a new or migrated file, and of one that is opened and not
    `prepared`, such as a copy from before.
    """

    def __init__(
        self,
        path: Path,
        reading_seconds: float,
        prepare: Callable[[sqlite3.Connection], None] = lambda connection: None,
        prepared: Callable[[sqlite3.Connection], bool] = lambda connection: True,
    ) -> None:
        self.path = path.absolute()
        self._reading_seconds, self._prepare, self._prepared = reading_seconds, prepare, prepared
        self._local = threading.local()
        self._abandoned: list[sqlite3.Connection] = []
        self._held_since = self._found_held = -math.inf

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
            with self._transaction(connection, BUSY_SECONDS):
                yield connection

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

    def check_writable(self) -> None:
        """Raises FeedbackError unless somebody could write at this moment; does not wait."""
        with self._explained():
            if identity := self._identity_if_any():
                connection = self._connection(identity, "FULL")
                self._begin(connection, 0)
                connection.execute("ROLLBACK")

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
        connection = self._connect(self.path)
        try:
            self._check_kind(connection)
            if kind != _READING:
                self._make_private()
                connection.execute(f"PRAGMA synchronous = {kind}")
                connection.execute("PRAGMA secure_delete = ON")
                connection.execute("PRAGMA busy_timeout = 0").fetchall()  # `_begin` waits instead
        except BaseException:
            connection.close()
            raise
        return connection

    def _connect(self, path: Path) -> sqlite3.Connection:
        return sqlite3.connect(
            f"{path.as_uri()}?mode=rw", uri=True, timeout=self._reading_seconds, isolation_level=None
        )

    def _check_kind(self, connection: sqlite3.Connection) -> None:
        """Raises FeedbackError for what is no log, or one of a newer release; brings an old one to this release."""
        ((application,),) = connection.execute("PRAGMA application_id").fetchall()
        if application != APPLICATION_ID:
            raise FeedbackError(f"{self.path}: not a feedback log; move it away, or restore the log from a backup")
        version = _version(connection)
        if version > SCHEMA_VERSION:
            raise FeedbackError(
                f"{self.path}: has schema {version}, and this release knows schema {SCHEMA_VERSION}; "
                "use the release that wrote it"
            )
        if version < SCHEMA_VERSION or not self._prepared(connection):
            self._make_private()
            with self._transaction(connection, self._reading_seconds):
                if migrates := _version(connection) < SCHEMA_VERSION:  # nobody else has done it meanwhile
                    migrate(connection)
                if migrates or not self._prepared(connection):
                    self._prepare(connection)

    def _make_private(self) -> None:
        """Let nobody else read the log, as an older release did."""
        for path, mode in ((self.path.parent, FOLDER_MODE), *((self._beside(end), FILE_MODE) for end in _ENDINGS)):
            with suppress(FileNotFoundError, PermissionError):
                if path.stat().st_mode & 0o777 & ~mode:
                    path.chmod(mode)

    def _beside(self, ending: str) -> Path:
        return self.path.with_name(self.path.name + ending)

    def _create(self) -> _Identity:
        """Make the file under another name and link it into place: the first to come wins, nobody sees half of it."""
        self.path.parent.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
        temporary = temporary_name(self.path)
        try:
            os.close(os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL, FILE_MODE))
            with closing(self._connect(temporary)) as connection:
                create(connection)
                with self._transaction(connection, BUSY_SECONDS):
                    self._prepare(connection)
            with suppress(FileExistsError):
                self.path.hardlink_to(temporary)
        finally:
            temporary.unlink(missing_ok=True)
        fsync(self.path.parent)
        return self._identity()

    @contextmanager
    def _transaction(self, connection: sqlite3.Connection, timeout: float) -> Iterator[None]:
        """Committed at the end of the block, undone if the block raises."""
        self._begin(connection, timeout)
        try:
            yield
            connection.execute("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):  # SQLite has undone some failed transactions itself
                connection.execute("ROLLBACK")
            raise

    def _begin(self, connection: sqlite3.Connection, timeout: float) -> None:
        """Begin a transaction that writes, when its turn comes.

        SQLite's own waiting sleeps longer and longer, up to 0.1 s, so that under load those who wait long wait longest.
        The time counts from when the file was first found held, by any thread: who comes while it is held longer than
        `timeout` does not wait at all, so that writers never take up all threads of a server.
        """
        while True:
            try:
                connection.execute("BEGIN IMMEDIATE")
                self._found_held = -math.inf
                return
            except sqlite3.OperationalError as error:
                now = time.monotonic()
                if not error.sqlite_errorname.startswith(_BUSY):
                    raise
                if now - self._found_held > _LULL_SECONDS:
                    self._held_since = now
                self._found_held = now
                if now - self._held_since >= timeout:
                    raise
            time.sleep(_POLL_SECONDS * random.random())

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
                raise LogBusy(f"{self.path}: another process keeps it busy; try again") from error
            reason = f"cannot be used ({error}); look after the disk's space and permissions, then try again"
            raise FeedbackError(f"{self.path}: {reason}") from error
        except OSError as error:
            raise FeedbackError(f"{self.path}: cannot be used ({error.strerror}); make the folder writable") from error


def _version(connection: sqlite3.Connection) -> int:
    ((version,),) = connection.execute("PRAGMA user_version").fetchall()
    return int(version)


def damaged(path: Path, finding: object) -> FeedbackError:
    """The error for a file whose content is broken."""
    detail = " ".join(str(finding).split())
    return FeedbackError(
        f"{path}: damaged ({detail}); stop the server and restore the file from a backup, or move it away"
    )
