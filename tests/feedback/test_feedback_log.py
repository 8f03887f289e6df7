"""The feedback log: exactly once, all or nothing, one person's state, erasures, and files that are none."""

import os
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from movierec_engine.errors import MovierecError
from movierec_engine.feedback import (
    Exposure,
    FeedbackError,
    FeedbackEvent,
    FeedbackLog,
    IdempotencyConflict,
    InvalidFeedback,
    UserState,
    log_file,
)
from movierec_engine.feedback.database import SCHEMA_VERSION


def rating(key: str, user: int = 1, movie: int = 10, value: float = 4.0, **more: Any) -> FeedbackEvent:
    return FeedbackEvent(key, user, movie, "rating", value, **more)


@pytest.fixture
def log(tmp_path: Path) -> FeedbackLog:
    return FeedbackLog(log_file(tmp_path / "a store? 100%", "camps"))


def everything_in(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.iterdir() if not path.name.endswith("-shm"))


def test_an_event_is_recorded_once_however_often_it_is_sent(log: FeedbackLog) -> None:
    sent = [rating("a"), FeedbackEvent("b", 1, 11, "click", shown_in="r")]
    assert [(one.seq, one.status) for one in log.record(sent)] == [(1, "recorded"), (2, "recorded")]
    again = log.record([sent[1], sent[0], sent[0]])
    assert [(one.seq, one.status) for one in again] == [(2, "already recorded")] + [(1, "already recorded")] * 2
    assert [one.event for one in log.events()] == sent


def test_a_key_twice_in_one_batch_is_recorded_once(log: FeedbackLog) -> None:
    assert [one.seq for one in log.record([rating("a"), rating("a")])] == [1, 1]
    assert log.count_since(0) == 1


@pytest.mark.parametrize(
    "other",
    [
        rating("a", movie=11),
        rating("a", timestamp=10**9),
        FeedbackEvent("a", 1, 10, "watched", share=0.5),
        rating("a", value=4.5),
        FeedbackEvent("a", 1, 10, "click"),
        rating("a", shown_in="other"),
    ],
)
def test_a_key_with_other_content_is_a_conflict_and_its_batch_leaves_nothing(
    log: FeedbackLog, other: FeedbackEvent
) -> None:
    log.record([rating("a")])
    with pytest.raises(IdempotencyConflict, match="'a' was used before"):
        log.record([rating("fresh"), other])
    assert [one.event.key for one in log.events()] == ["a"]
    assert log.record([rating("fresh")])[0].status == "recorded"


def test_a_key_belongs_to_its_user(log: FeedbackLog) -> None:
    assert [one.status for one in log.record([rating("a", user=1), rating("a", user=2)])] == ["recorded"] * 2
    assert (log.state(1).ratings, log.state(2).ratings) == ({10: 4.0}, {10: 4.0})


def test_reading_makes_no_file(log: FeedbackLog) -> None:
    assert log.state(1) == UserState()
    assert (log.newest_seq(), log.newest_erasure(), log.count_since(0), list(log.events())) == (0, 0, 0, [])
    assert (len(log.intake().ratings), len(log.intake().erasures)) == (0, 0)
    assert log.record([]) == []
    assert not log.path.parent.exists()


def test_a_sensor_counts_what_came_after_a_place(log: FeedbackLog) -> None:
    log.record([rating(f"r{i}", user=i) for i in range(2500)])
    log.record([FeedbackEvent("click", 1, 10, "click")])
    assert log.newest_seq() == 2501
    assert (log.count_since(2400), log.count_since(2400, "rating"), log.count_since(2501)) == (101, 100, 0)
    assert [one.seq for one in log.events(after=400)] == list(range(401, 2502))


events = st.builds(
    lambda user, movie, kind, value: (user, movie, kind, value if kind == "rating" else None),
    st.integers(1, 3),
    st.integers(1, 4),
    st.sampled_from(["rating", "click", "not_interested", "watched", "added_to_list"]),
    st.sampled_from([0.5, 3.0, 5.0]),
)


@settings(max_examples=25)
@given(st.lists(st.one_of(events, st.integers(1, 3)), max_size=25))
def test_a_state_is_what_replaying_the_events_gives(
    tmp_path_factory: pytest.TempPathFactory, actions: list[Any]
) -> None:
    """An oracle in dictionaries: newest rating of each movie, sets, and all of it forgotten by an erasure."""
    log = FeedbackLog(tmp_path_factory.mktemp("log") / "feedback.db")
    expected: dict[int, dict[str, Any]] = {}
    erasures = 0
    for number, action in enumerate(actions):
        if isinstance(action, int):
            log.erase(action)
            erasures += 1
            expected[action] = {"erasure": erasures}
            continue
        user, movie, kind, value = action
        log.record([FeedbackEvent(str(number), user, movie, kind, value)])
        mine = expected.setdefault(user, {})
        if kind == "rating":
            mine.setdefault("ratings", {})[movie] = value
        else:
            name = "clicked" if kind == "click" else kind
            if kind == "watched":
                mine.setdefault("watched", {})[movie] = None
                continue
            mine[name] = mine.get(name, frozenset()) | {movie}
    for user in (1, 2, 3):
        assert log.state(user) == UserState(**expected.get(user, {}))
    log.close()


def test_an_erasure_is_immediate_complete_and_of_one_person(log: FeedbackLog) -> None:
    log.record([rating("secret-key", shown_in="secret-list"), rating("other", user=2)])
    log.expose([Exposure("secret-list", 1, (123454321,)), Exposure("r2", 2, (10,))])
    assert b"secret" in everything_in(log.path.parent)
    erased = log.erase(1)
    assert (erased.number, erased.user_id, erased.through_seq) == (1, 1, 2)
    assert log.state(1) == UserState(erasure=1)
    assert log.state(2).ratings == {10: 4.0}
    assert log.query("SELECT exposure_id FROM exposures") == [("r2",)]
    left = everything_in(log.path.parent)
    assert b"secret" not in left and b"123454321" not in left
    assert log.newest_seq() == 2, "places are never used again"


def test_after_an_erasure_a_late_repetition_stays_out_and_new_feedback_counts(log: FeedbackLog) -> None:
    log.record([rating("a"), FeedbackEvent("no", 1, 12, "not_interested")])
    log.erase(1)
    with pytest.raises(IdempotencyConflict, match="erased with its user"):
        log.record([rating("a")])
    assert log.record([rating("a", user=2)])[0].status == "recorded", "another user's key is another key"
    assert log.record([rating("b", movie=11, value=2.0)])[0].seq == 4
    assert log.state(1) == UserState({11: 2.0}, erasure=1)
    again = log.erase(1)
    assert (again.number, again.through_seq) == (2, 4)
    assert log.state(1) == UserState(erasure=2)
    assert log.newest_erasure() == 2
    assert len(log.intake().erasures) == 1


def test_a_line_that_a_killed_writer_left_unfinished_spoils_no_other(log: FeedbackLog) -> None:
    log.erase(7)
    record = log.path.with_name("erasures.tsv")
    with record.open("ab") as file:
        file.write(b"2\t8")
    log.erase(9)
    lines = record.read_bytes().split(b"\n")
    assert (lines[1], lines[2].split(b"\t")[:2], lines[3:]) == (b"2\t8", [b"2", b"9"], [b""])
    assert {user: log.state_without_log(user).erasure for user in (7, 8, 9)} == {7: 1, 8: 0, 9: 2}


def test_a_backup_that_is_put_back_brings_nobody_back_who_was_erased_since(log: FeedbackLog) -> None:
    log.erase(5)
    log.record([rating("a"), rating("b", movie=11), rating("kept", user=2)])
    log.close()
    backup = log.path.with_name("backup.db")
    with sqlite3.connect(log.path) as source, sqlite3.connect(backup) as copy:
        source.backup(copy)
    log.erase(1)
    log.close()
    for ending in ("-wal", "-shm"):
        log.path.with_name(log.path.name + ending).unlink(missing_ok=True)
    backup.replace(log.path)
    restored = FeedbackLog(log.path)
    assert restored.intake().ratings["user_id"].to_pylist() == [2]
    assert {user: restored.state(user) for user in (1, 2, 5)} == {
        1: UserState(erasure=2),
        2: UserState({10: 4.0}),
        5: UserState(erasure=1),
    }
    with pytest.raises(IdempotencyConflict, match="erased with its user"):
        restored.record([rating("a")])
    assert restored.record([rating("c")])[0].status == "recorded"
    assert FeedbackLog(log.path).state(1) == UserState({10: 4.0}, erasure=2), "what is told since stays"
    assert restored.erase(2).number == 3


def test_a_person_without_feedback_can_be_erased(log: FeedbackLog) -> None:
    assert log.erase(2**63 - 1).through_seq == 0
    assert log.intake().erasures["user_id"].to_pylist() == [2**63 - 1]


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("key", ["", "x" * 201, "a\x00b", "\ud800", None, 7, b"a"]),
        ("user_id", [-1, 2**63, 10**5000, True, 1.0, "", "x" * 257, "a\nb", "\ud800", None]),
        ("movie_id", [-1, 2**63, None]),
        ("kind", ["like", "", None, 3, "x" * 10**6]),
        ("rating", [float("nan"), float("inf"), None, "4", True, 10**400]),
        ("shown_in", ["x" * 201, "a\nb", None]),
        ("timestamp", [0, 20170923, 31_535_999, -1, 1.5e9, True, "1"]),
        ("share", [-0.01, 1.01, float("nan"), "1", True, 10**400]),
    ],
)
def test_what_no_log_takes_is_refused_by_name(field: str, values: list[Any]) -> None:
    of_kind = {"kind": "watched"} if field == "share" else {"kind": "rating", "rating": 3.0}
    good = {"key": "a", "user_id": 1, "movie_id": 1, **of_kind}
    for value in values:
        with pytest.raises(InvalidFeedback) as refused:
            FeedbackEvent(**{**good, field: value})  # type: ignore[arg-type]
        assert refused.value.field == field
        assert str(refused.value).startswith(field)
        assert len(str(refused.value)) < 1500


def test_a_click_has_no_rating_and_a_draft_names_every_movie() -> None:
    with pytest.raises(InvalidFeedback, match="rating does not belong to a click"):
        FeedbackEvent("a", 1, 1, "click", 3.0)
    for kind, value in (("click", None), ("rating", 3.0)):
        with pytest.raises(InvalidFeedback, match=f"share does not belong to a {kind}"):
            FeedbackEvent("a", 1, 1, kind, value, share=0.5)  # type: ignore[arg-type]
    assert [FeedbackEvent("a", 1, 1, "watched", share=share).share for share in (0, 1, None)] == [0, 1, None]
    assert FeedbackEvent("a", 1, 1, "click", timestamp=31_536_000).timestamp == 31_536_000, "1971"
    with pytest.raises(InvalidFeedback, match="teams has 1 names for 2 movies"):
        Exposure("r", 1, (1, 2), teams=("a",))
    with pytest.raises(InvalidFeedback, match="movie_ids"):
        Exposure("r", 1, (1, -2))
    with pytest.raises(InvalidFeedback, match="at most 1000"):
        Exposure("r", 1, tuple(range(1001)))


def test_ids_are_checked_in_questions_too(log: FeedbackLog) -> None:
    for ask in (log.state, log.erase):
        with pytest.raises(InvalidFeedback, match="user_id"):
            ask(2**63)


def test_the_extremes_that_are_valid_come_back_as_they_were(log: FeedbackLog) -> None:
    sent = [FeedbackEvent("ключ 🎬" + "x" * 190, 2**63 - 1, 0, "rating", -1.5e308, "x" * 200)]
    log.record(sent)
    assert [one.event for one in log.events()] == sent


def test_a_sound_log_passes_its_check(log: FeedbackLog) -> None:
    log.check()
    log.record([rating("a")])
    log.check()
    assert log.path.exists()


def test_an_exposure_is_kept_once(log: FeedbackLog) -> None:
    log.expose([Exposure("r", 1, (1, 2)), Exposure("r", 1, (3,))])
    log.expose([Exposure("r", 1, (4,))])
    assert log.query("SELECT movie_ids FROM exposures") == [("[1,2]",)]


def half(path: Path) -> None:
    log = FeedbackLog(path)
    log.record([rating(f"k{i}", user=i) for i in range(5000)])
    log.close()  # the last connection moves all changes into the file
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def newer(path: Path) -> None:
    log = FeedbackLog(path)
    log.record([rating("a")])
    log.close()
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    connection.close()


def foreign(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE events (seq INTEGER)")


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (half, "damaged"),
        (lambda path: path.write_bytes(b"\xff" * 9000), "damaged"),
        (lambda path: path.write_bytes(b""), "not a feedback log"),
        (foreign, "not a feedback log"),
        (newer, f"has schema {SCHEMA_VERSION + 1}, and this release knows schema {SCHEMA_VERSION}"),
        (lambda path: path.mkdir(), "cannot be used"),
        (lambda path: path.with_name("feedback.db-wal").write_bytes(b"changes"), "missing beside feedback.db-wal"),
    ],
)
def test_a_file_that_is_no_log_is_one_sentence_and_stays_as_it_is(
    tmp_path: Path, spoil: Callable[[Path], Any], sentence: str
) -> None:
    path = tmp_path / "feedback.db"
    spoil(path)
    kept = {one.name: one.read_bytes() for one in tmp_path.iterdir() if one.is_file() and "-shm" not in one.name}
    log = FeedbackLog(path)
    for act in (
        log.check,
        lambda: log.record([rating("new", user=10**9)]),
        lambda: log.erase(1),
        lambda: log.state(4999),
        log.intake,
        lambda: list(log.events()),
    ):
        with pytest.raises(FeedbackError, match=sentence) as refused:
            act()
        assert "\n" not in str(refused.value)
    assert {name: (tmp_path / name).read_bytes() for name in kept} == kept


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "feedback").write_text("a file where the folder belongs", encoding="utf-8")
    with pytest.raises(MovierecError, match="cannot be used"):
        FeedbackLog(tmp_path / "feedback" / "feedback.db").record([rating("a")])
    assert (tmp_path / "feedback").read_text(encoding="utf-8") == "a file where the folder belongs"


def test_a_log_that_is_replaced_under_a_running_server_gets_the_next_event(log: FeedbackLog, tmp_path: Path) -> None:
    log.record([rating("a")])
    log.path.parent.rename(tmp_path / "moved away")
    assert log.record([rating("b")])[0].seq == 1
    assert [one.event.key for one in FeedbackLog(log.path).events()] == ["b"]


def test_threads_share_a_log(log: FeedbackLog) -> None:
    outcomes: list[Any] = []

    def send(own: int) -> None:
        for number in range(25):
            outcomes.extend(log.record([rating(f"shared-{number}", user=5), rating(f"{own}-{number}", user=own)]))

    threads = [threading.Thread(target=send, args=(own,)) for own in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    new = [one.seq for one in outcomes if one.status == "recorded"]
    assert len(outcomes) == 6 * 50
    assert sorted(new) == list(range(1, 25 + 6 * 25 + 1)), "each key once, in places without a gap"


def test_a_forked_worker_writes_beside_its_parent(log: FeedbackLog) -> None:
    log.record([rating("parent")])
    child = os.fork()
    if child == 0:
        status = 1
        try:
            log.record([rating("child")])
            status = 0
        finally:
            os._exit(status)
    assert os.waitpid(child, 0)[1] == 0
    log.record([rating("parent again")])
    assert [one.event.key for one in log.events()] == ["parent", "child", "parent again"]
