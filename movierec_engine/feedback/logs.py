"""Where the feedback logs of an artifact store are: in PostgreSQL if a URL is set, else in SQLite files beside it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from movierec_engine.errors import MissingExtraError
from movierec_engine.feedback.config import url_of_environment
from movierec_engine.feedback.log import FeedbackLog
from movierec_engine.feedback.sqlite.database import BUSY_SECONDS
from movierec_engine.feedback.sqlite.log import SqliteLog, log_file

LIVE_SECONDS = 0.05
"""How long a request waits for a SQLite log that another process keeps to itself."""


@dataclass(frozen=True)
class FeedbackLogs:
    """The logs of one artifact store, one for each data set."""

    root: Path
    """The store's folder."""
    url: str = field(default="", repr=False)
    """As `feedback.url`."""

    @classmethod
    def of_environment(cls, root: Path) -> "FeedbackLogs":
        """The logs that MOVIEREC_FEEDBACK_URL names, for callers without settings."""
        return cls(root, url_of_environment())

    @property
    def where(self) -> str:
        """The folder, or the database's address without its password. Raises as `of` does."""
        return _address(self.url) if self.url else str(self.root / "feedback")

    def of(self, data_set: str, live: bool = False) -> FeedbackLog:
        """A data set's log, which may not have begun.

        live: to look up a user's state for each request of a server.
        Raises ConfigError for a URL that is none of PostgreSQL's, MissingExtraError where its driver is not installed.
        """
        if not self.url:
            return SqliteLog(log_file(self.root, data_set), LIVE_SECONDS if live else BUSY_SECONDS)
        with _driver_needed():
            from movierec_engine.feedback.postgres.log import PostgresLog
        return PostgresLog(self.url, data_set, live)

    def data_sets(self) -> list[str]:
        """Names of the data sets that have a log, in order."""
        if not self.url:
            folder = self.root / "feedback"
            return sorted(path.name for path in folder.glob("*") if log_file(self.root, path.name).is_file())
        with _driver_needed():
            from movierec_engine.feedback.postgres.log import data_sets
        return data_sets(self.url)


def _address(url: str) -> str:
    with _driver_needed():
        from movierec_engine.feedback.postgres.address import Address
    return Address.parse(url).where


@contextmanager
def _driver_needed() -> Iterator[None]:
    """A missing psycopg as one sentence that names its extra."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise MissingExtraError(error) from error
