"""MLflow's embedded SQLite database: made in one step, and made again where an earlier set-up was cut off.

MLflow makes its tables by some hundred statements, each on its own: killed in the midst of them, or met by a second
process that does the same, they leave a database that MLflow refuses from then on. So it is made under another name, by
one process at a time, and renamed once it is whole.
"""

import logging
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock

if TYPE_CHECKING:
    from mlflow import MlflowClient

log = logging.getLogger(__name__)

DATABASE_FILE = "mlflow.db"
_LOCK_SECONDS = 5.0
"""How long a run waits, once, for a database that another program has locked."""
_SETUP_SECONDS = 120.0
"""How long a run waits for another one that sets the database up, which takes seconds on an idle machine."""


def home(artifacts: Path) -> Path:
    """The folder of the embedded database and of the runs' files."""
    return artifacts.absolute() / "mlflow"


def tracking_uri(artifacts: Path) -> str:
    """MLFLOW_TRACKING_URI, or the embedded SQLite database below the artifacts."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{home(artifacts) / DATABASE_FILE}"


def open_client(artifacts: Path) -> "MlflowClient":
    """A client of the tracking server, or of the embedded database, which is made if need be.

    An embedded database that was left half-made, and so holds no run, is set aside and made again.
    """
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    from mlflow import MlflowClient

    logging.getLogger("mlflow.store.db.utils").setLevel(logging.ERROR)  # it would warn of each of ten attempts
    if os.environ.get("MLFLOW_TRACKING_URI"):
        return MlflowClient(tracking_uri(artifacts))
    with one_at_a_time(artifacts):
        _ensure(home(artifacts) / DATABASE_FILE)
        return MlflowClient(tracking_uri(artifacts))


@contextmanager
def one_at_a_time(artifacts: Path) -> Iterator[None]:
    """Held by whoever opens the embedded database or makes an experiment. Raises filelock.Timeout after two minutes."""
    home(artifacts).mkdir(parents=True, exist_ok=True)
    with FileLock(home(artifacts) / "setup.lock", timeout=_SETUP_SECONDS):
        yield


def check_database(uri: str) -> None:
    """Raise sqlite3.Error soon if a SQLite database is locked or damaged; MLflow itself would try for minutes."""
    path = Path(uri.removeprefix("sqlite:///"))
    if uri.startswith("sqlite:///") and path.exists():
        with _locked(path) as database:
            database.execute("PRAGMA schema_version")


def _ensure(database: Path) -> None:
    """Make the database unless there is a whole one."""
    if database.exists() and _half_made(database):
        aside = database.with_name(f"{DATABASE_FILE}.half-made-{datetime.now(UTC):%Y%m%dT%H%M%S%f}")
        log.warning("MLflow: %s was left half-made; it is made again, and the old one kept as %s", database, aside.name)
        _rename(database, aside)
    if not database.exists():
        _make(database)


def _make(database: Path) -> None:
    """Let MLflow make its tables in a file beside, and rename that; what a killed process left of one goes first."""
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    for left in database.parent.glob(f".{DATABASE_FILE}.building*"):
        left.unlink()
    building = database.with_name(f".{DATABASE_FILE}.building")
    made = SqlAlchemyStore(f"sqlite:///{building}", (database.parent / "files").as_uri())  # type: ignore[no-untyped-call]
    made.engine.dispose()
    _rename(building, database)


def _half_made(database: Path) -> bool:
    """True if a database holds no run and lacks some of MLflow's tables or migrations.

    One that cannot be read, or that another program has locked, is left to say so when it is opened.
    """
    from mlflow.exceptions import MlflowException
    from mlflow.store.db import utils
    from sqlalchemy.exc import SQLAlchemyError

    schema: Any = utils
    try:
        with _locked(database) as connection:
            tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            if "runs" in tables and connection.execute("SELECT count(*) FROM runs").fetchone()[0]:
                return False
        engine = schema.create_sqlalchemy_engine(f"sqlite:///{database}")
        try:
            if not schema._all_tables_exist(engine):
                return True
            schema._verify_schema(engine)
        finally:
            engine.dispose()
    except MlflowException:  # another migration than the newest
        return True
    except (sqlite3.Error, SQLAlchemyError):
        return False
    return False


def _rename(database: Path, to: Path) -> None:
    """Rename a database, after the files that SQLite keeps beside it."""
    for suffix in ("-journal", "-wal", "-shm"):
        beside = database.with_name(database.name + suffix)
        if beside.exists():
            beside.rename(to.with_name(to.name + suffix))
    database.rename(to)


@contextmanager
def _locked(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection that holds the database's write lock, and changes nothing."""
    with closing(sqlite3.connect(path, timeout=_LOCK_SECONDS)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield connection
        connection.rollback()
