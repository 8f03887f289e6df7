"""Logs of both kinds, for tests of the contract that they share."""

from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest
from postgres import PostgresServer, postgres_server

from movierec_engine.feedback import FeedbackLog, FeedbackLogs

NewLog = Callable[[], FeedbackLog]


@pytest.fixture(scope="session")
def server() -> Iterator[PostgresServer]:
    with postgres_server() as running:
        yield running


@pytest.fixture(scope="session", params=["sqlite", pytest.param("postgres", marks=pytest.mark.slow)])
def new_log(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> NewLog:
    """A function that gives a log that nobody has written to."""
    url = request.getfixturevalue("server").url if request.param == "postgres" else ""
    logs, numbers = FeedbackLogs(Path(tmp_path_factory.mktemp("a store? 100%")), url), count()
    return lambda: logs.of(f"camps-{next(numbers)}")


@pytest.fixture
def log(new_log: NewLog) -> Iterator[FeedbackLog]:
    log = new_log()
    yield log
    log.close()
