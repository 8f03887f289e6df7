"""States that a server process remembers: as new as the last contact, and safe about erasures without one."""

import threading
from collections.abc import Callable

import pytest

from movierec_engine.feedback import FeedbackError, LogAway, UserState
from movierec_engine.feedback.events import ERASURE_UNKNOWN
from movierec_engine.feedback.postgres import followed_states
from movierec_engine.feedback.postgres.followed_states import Changes, FollowedStates


class Database:
    """Counts what is asked of it; what changed since a moment is told once `tell` lets it."""

    def __init__(self) -> None:
        self.states: dict[object, UserState] = {}
        self.erased: dict[int | str, int] = {}
        self.problem: Exception | None = None
        self.loads = 0
        self.news: list[Changes] = []
        self.asked = threading.Semaphore(0)
        self.while_loading: Callable[[], None] = lambda: None

    def load(self, user_id: int | str) -> UserState:
        self.loads += 1
        state = self.states.get(user_id, UserState())
        self.while_loading()
        return state

    def changes(self, since: str | None) -> Changes:
        self.asked.release()
        if self.problem:
            raise self.problem
        if since is None:
            return Changes("1", erased=dict(self.erased))
        return self.news.pop(0) if self.news else Changes("1")


@pytest.fixture
def database(monkeypatch: pytest.MonkeyPatch) -> Database:
    monkeypatch.setattr(followed_states, "POLL_SECONDS", 0.001)
    return Database()


@pytest.fixture
def states(database: Database) -> FollowedStates:
    return FollowedStates("db", database.load, database.changes)


def polled(database: Database, times: int = 2) -> None:
    """Wait until the thread has asked anew, and has taken in what it heard before."""
    while database.asked.acquire(blocking=False):
        pass
    for _ in range(times):
        assert database.asked.acquire(timeout=60)


def test_a_state_is_loaded_once_until_its_user_changes(database: Database, states: FollowedStates) -> None:
    assert [states.state(1), states.state(1), states.state(2)] == [UserState()] * 3
    assert database.loads == 2
    database.states[1] = UserState({10: 4.0})
    database.news.append(Changes("2", (1,)))
    polled(database, 3)
    assert (states.state(1), states.state(2), database.loads) == (UserState({10: 4.0}), UserState(), 3)
    states.close()


def test_a_change_while_a_state_is_loaded_is_not_forgotten(database: Database, states: FollowedStates) -> None:
    """What was read before the change is answered, being as new as the question, and is not remembered."""
    states.state(2)
    database.while_loading = lambda: states.forget([1])
    assert states.state(1) == UserState()
    database.while_loading = lambda: None
    database.states[1] = UserState({10: 4.0})
    assert states.state(1) == UserState({10: 4.0})
    states.close()


def test_a_state_that_was_loaded_while_contact_was_lost_and_found_is_not_remembered(
    database: Database, states: FollowedStates
) -> None:
    """What changed meanwhile is told to nobody."""

    def reconnect() -> None:
        database.problem = LogAway("away")
        polled(database)
        database.problem = None
        polled(database)

    states.state(2)
    database.while_loading = reconnect
    assert states.state(1) == UserState()
    database.while_loading = lambda: None
    database.states[1] = UserState({10: 4.0})
    assert states.state(1) == UserState({10: 4.0})
    states.close()


def test_what_others_change_while_a_state_is_loaded_lets_it_be_remembered(
    database: Database, states: FollowedStates
) -> None:
    states.state(2)
    database.while_loading = lambda: states.forget([2])
    loads = database.loads
    assert [states.state(1), states.state(1)] == [UserState()] * 2
    assert database.loads == loads + 1
    states.close()


def test_without_contact_what_was_known_is_used_on_and_nobody_waits(database: Database, states: FollowedStates) -> None:
    database.erased = {7: 3}
    database.states[1] = UserState({10: 4.0})
    states.state(1)
    database.problem = LogAway("away")
    polled(database)
    with pytest.raises(LogAway, match=r"^away$"):
        states.state(1)
    loads = database.loads
    assert states.last_known(1) == UserState({10: 4.0})
    assert states.last_known(7) == UserState(erasure=3, known=False)
    assert states.last_known(8) == UserState(known=False)
    states.forget([9], {9: 4})
    assert states.last_known(9).erasure == 4
    database.problem = None
    database.states[1] = UserState({10: 1.0})
    polled(database)
    assert states.state(1) == UserState({10: 1.0}), "what happened meanwhile is not known, so that all is read anew"
    assert database.loads == loads + 1
    states.close()


def test_an_error_that_nobody_foresaw_is_a_log_that_cannot_be_read_for_a_while(
    database: Database, states: FollowedStates, caplog: pytest.LogCaptureFixture
) -> None:
    states.state(1)
    database.problem = ZeroDivisionError("unforeseen")
    polled(database)
    with pytest.raises(FeedbackError, match=r"^db cannot be followed: ZeroDivisionError\('unforeseen'\)$"):
        states.state(1)
    assert "Traceback" in caplog.text
    database.problem = None
    polled(database)
    assert states.state(1) == UserState()
    states.close()


def test_who_had_no_contact_or_none_for_long_takes_everybody_for_erased(
    database: Database, states: FollowedStates, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert states.last_known(1).erasure == ERASURE_UNKNOWN
    database.problem = LogAway("away")
    with pytest.raises(LogAway):
        states.state(1)
    assert states.last_known(1).erasure == ERASURE_UNKNOWN
    database.problem = None
    polled(database)
    states.state(1)
    assert states.last_known(1).erasure == 0
    monkeypatch.setattr(followed_states, "TRUST_SECONDS", 0.0)
    assert states.last_known(1).erasure == ERASURE_UNKNOWN
    states.close()


def test_only_so_many_states_are_remembered(
    database: Database, states: FollowedStates, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(followed_states, "REMEMBERED", 3)
    for user in (1, 2, 3, 4):
        states.state(user)
    for user in (2, 3, 4):
        states.state(user)
    assert database.loads == 4
    states.state(1)
    assert database.loads == 5
    states.close()
