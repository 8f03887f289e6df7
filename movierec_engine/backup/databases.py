"""Copies of SQLite and PostgreSQL databases while they are in use: one moment of each, whole or not at all."""

import os
import sqlite3
import subprocess
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

from movierec_engine.backup.archive import BackupError

BUSY_SECONDS = 60.0
"""How long a database that another process keeps to itself is waited for."""
ENDINGS = ("", "-wal", "-shm", "-journal")
"""Name endings of the files that SQLite keeps for a database."""
_HAS_RUNS = "SELECT EXISTS (SELECT 1 FROM runs)"
"""Dagster and MLflow both call the table so."""
_OTHERS = """
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()
"""


def copy_sqlite(source: Path, target: Path) -> None:
    """Copy a SQLite database by its own backup (https://sqlite.org/backup.html), and check the copy.

    In one step, so that writers cannot make it begin again and again. Raises BackupError for one that is busy for a
    minute or damaged.
    """
    deadline = time.monotonic() + BUSY_SECONDS

    def give_up(status: int, remaining: int, total: int) -> None:  # Python's own would wait for ever
        if status in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED) and time.monotonic() > deadline:
            raise sqlite3.OperationalError("database is locked")

    try:
        with (
            closing(sqlite3.connect(f"{source.as_uri()}?mode=ro", uri=True, timeout=BUSY_SECONDS)) as read,
            closing(sqlite3.connect(target)) as written,
        ):
            read.backup(written, progress=give_up)
            findings = [finding for (finding,) in written.execute("PRAGMA quick_check(1)")]
    except sqlite3.Error as error:
        reason = f"cannot be copied ({error}); look after the disk's space, what locks it, and whether it is whole"
        raise BackupError(f"{source}: {reason}") from error
    if findings != ["ok"]:
        raise BackupError(f"{source}: damaged ({' '.join(str(findings[0]).split())}); restore it from a backup")


def sqlite_has_runs(path: Path) -> bool:
    """True for a database of Dagster's or MLflow's that holds a run, and for one that cannot be read."""
    if not path.exists():
        return False
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=BUSY_SECONDS)) as connection:
            return bool(connection.execute(_HAS_RUNS).fetchone()[0])
    except sqlite3.OperationalError as error:
        return "no such table" not in str(error)
    except sqlite3.Error:
        return True


@dataclass(frozen=True)
class Postgres:
    """A PostgreSQL database, copied by PostgreSQL's own programs, which have to be installed."""

    url: str
    """`postgresql://user:password@host:port/name`, also with a driver, as in `postgresql+psycopg2`."""

    @property
    def name(self) -> str:
        """For people: without the password."""
        return self._address

    def dump(self, target: Path) -> None:
        """Write its content as of one moment to a file, in PostgreSQL's own packed form."""
        self._run("pg_dump", "--format=custom", "--no-owner", "--no-privileges", f"--file={target}")

    def restore(self, source: Path) -> None:
        """Put back what `dump` wrote, in place of what is there, in one transaction."""
        self._run(
            "pg_restore",
            "--clean",
            "--if-exists",
            "--no-owner",
            "--no-privileges",
            "--single-transaction",
            "--exit-on-error",
            str(source),
        )

    def require_unused(self) -> None:
        """Raises BackupError where somebody else is connected, for whom `restore` could wait for ever."""
        others = int(self._ask(_OTHERS))
        if others:
            raise BackupError(
                f"{self.name}: {others} other connections; stop the webserver, the daemon, the code server and what "
                "else uses it first"
            )

    def has_runs(self) -> bool:
        """True for a database of Dagster's or MLflow's that holds a run."""
        return self._ask("SELECT to_regclass('runs') IS NOT NULL") == "t" and self._ask(_HAS_RUNS) == "t"

    def _ask(self, query: str) -> str:
        return self._run("psql", "--no-psqlrc", "--tuples-only", "--no-align", "--command", query).strip()

    @property
    def _address(self) -> str:
        parts = urlsplit(self.url)
        host = parts.netloc.rpartition("@")[2]
        user = parts.netloc.rpartition("@")[0].partition(":")[0]
        return urlunsplit(("postgresql", f"{user}@{host}" if user else host, parts.path, parts.query, ""))

    def _run(self, program: str, *arguments: str) -> str:
        """The output of one of PostgreSQL's programs; the password is in its environment, where `ps` shows none."""
        password = unquote(urlsplit(self.url).netloc.rpartition("@")[0].partition(":")[2])
        environment = {**os.environ, **({"PGPASSWORD": password} if password else {}), "PGCONNECT_TIMEOUT": "10"}
        try:
            done = subprocess.run(
                [program, "--no-password", f"--dbname={self._address}", *arguments],
                env=environment,
                capture_output=True,
                text=True,
                check=False,
            )
        except FileNotFoundError as error:
            raise BackupError(f"{program} is not on this machine; apt-get install postgresql-client") from error
        if done.returncode:
            raise BackupError(f"{self.name}: {program}: {_last_error(done.stderr).removeprefix(f'{program}: error: ')}")
        return done.stdout


def _last_error(output: str) -> str:
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    wrong = [line for line in lines if "error" in line.lower() or "fatal" in line.lower()]
    return (wrong or lines or ["it failed without a word"])[0]
