"""The contract of a feedback log, on both kinds: exactly once, all or nothing, one person's state, erasures."""

import os
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from feedback_events import rating
from hypothesis import given, settings
from hypothesis import strategies as st

from movierec_engine.feedback import (
    Exposure,
    FeedbackEvent,
    FeedbackLog,
    IdempotencyConflict,
    InvalidFeedback,
    ListContext,
    UnknownEvent,
    UserState,
)


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


def test_an_erasure_is_immediate_complete_and_of_one_person(log: FeedbackLog) -> None:
    log.record([rating("a", shown_in="r1"), rating("other", user=2)])
    log.expose([Exposure("r1", 1, (10,)), Exposure("r2", 2, (10,))])
    erased = log.erase(1)
    assert (erased.number, erased.user_id, erased.through_seq) == (1, 1, 2)
    assert log.state(1) == UserState(erasure=1)
    assert log.state(2).ratings == {10: 4.0}
    assert log.totals() == {"rating": 1, "list_shown": 1}
    log.expose([Exposure("late", 1, (10,), at_ms=erased.at_ms), Exposure("r3", 1, (10,), at_ms=erased.at_ms + 1)])
    assert log.totals()["list_shown"] == 2, "what was shown before the erasure stays out"
    assert log.newest_seq() == 2, "places are never used again"


def test_what_was_undone_counts_nowhere_and_its_key_stays_taken(log: FeedbackLog) -> None:
    log.record([rating("a"), rating("b", movie=11), FeedbackEvent("no", 1, 12, "not_interested")])
    assert (log.undo(1, "a"), log.undo(1, "a"), log.undo_all(1, 12, "not_interested")) == (1, 0, 1)
    assert log.state(1) == UserState({11: 4.0})
    assert log.intake().ratings["movie_id"].to_pylist() == [11]
    assert (log.count_since(0), log.totals()["rating"]) == (1, 1)
    assert [one.undone for one in log.events()] == [True, False, True]
    with pytest.raises(IdempotencyConflict, match="undone"):
        log.record([rating("a")])
    for undo in (lambda: log.undo(2, "a"), lambda: log.undo_all(1, 12, "click")):
        with pytest.raises(UnknownEvent, match="has given no such feedback"):
            undo()


def test_the_latest_second_counts_and_of_equals_what_was_recorded_last(log: FeedbackLog) -> None:
    sent = [rating("a", value=1.0, timestamp=10**9), rating("b", value=2.0, timestamp=10**9)]
    log.record([*sent, rating("c", value=3.0, timestamp=10**9 - 1)])
    assert log.state(1).ratings == {10: 2.0}
    ahead = int(time.time()) + 30
    log.record([rating("d", value=4.0, timestamp=ahead), rating("e", value=5.0)])
    assert log.state(1).ratings == {10: 5.0}, "the server's clock never lies before what the user did"
    assert [one.at_ms for one in log.events()][-2:] == [1000 * ahead] * 2


def test_ids_that_are_texts_are_others_than_numbers(log: FeedbackLog) -> None:
    log.record([FeedbackEvent("a", "17", 'é"\\', "rating", 4.0), rating("a", user=17)])
    assert (log.state("17").ratings, log.state(17).ratings) == ({'é"\\': 4.0}, {10: 4.0})
    log.erase("17")
    assert (log.state("17").erasure, log.state(17)) == (1, UserState({10: 4.0}))
    with pytest.raises(IdempotencyConflict, match="erased with its user"):
        log.record([FeedbackEvent("a", "17", 'é"\\', "rating", 4.0)])
    assert log.intake().of_other_ids == 0


def test_a_dashboard_sees_days_kinds_and_what_answered(log: FeedbackLog) -> None:
    day = 86_400_000
    log.record([rating("a", timestamp=10**9), rating("b", movie=11, timestamp=10**9 + 86_400)])
    log.expose([Exposure(f"r{at}", 1, (10,), "ease", f"v{at}", "e", at_ms=at * day) for at in (11574, 11575)])
    assert log.counts_by_day(2) == [
        ("2001-09-09", "list_shown", 1),
        ("2001-09-09", "rating", 1),
        ("2001-09-10", "list_shown", 1),
        ("2001-09-10", "rating", 1),
    ]
    assert log.counts_by_day(1) == [("2001-09-10", "list_shown", 1), ("2001-09-10", "rating", 1)]
    assert log.newest_answers() == [("e", "ease", "v11574"), ("e", "ease", "v11575")]


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
def test_a_state_is_what_replaying_the_events_gives(new_log: Callable[[], FeedbackLog], actions: list[Any]) -> None:
    """An oracle in dictionaries: newest rating of each movie, sets, and all of it forgotten by an erasure."""
    log = new_log()
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


def test_after_an_erasure_a_late_repetition_stays_out_and_new_feedback_counts(log: FeedbackLog) -> None:
    log.record([rating("a"), FeedbackEvent("no", 1, 12, "not_interested")])
    log.erase(1)
    with pytest.raises(IdempotencyConflict, match="erased with its user"):
        log.record([rating("a")])
    assert log.record([rating("a", user=2)])[0].status == "recorded", "another user's key is another key"
    assert log.record([rating("b", movie=11, value=2.0)])[0].seq == 4
    assert log.state(1) == UserState({11: 2.0}, erasure=1)
    log.record([rating("c", user=3)])
    assert (sorted(log.people()), log.erased_since(0), log.erased_since(1)) == ([1, 2, 3], [1], [])
    log.undo(3, "c")
    assert sorted(log.people()) == [1, 2]
    again = log.erase(1)
    assert (again.number, again.through_seq) == (2, 5)
    assert log.state(1) == UserState(erasure=2)
    assert log.newest_erasure() == 2
    assert len(log.intake().erasures) == 1


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


def test_an_exposure_is_kept_once(log: FeedbackLog) -> None:
    log.expose([Exposure("r", 1, (1, 2)), Exposure("r", 1, (3,))])
    log.expose([Exposure("r", 1, (4,))])
    assert log.totals()["list_shown"] == 1


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
    assert len(new) == len(set(new)) == 25 + 6 * 25, "each key once, in a place of its own"
    assert sorted(new) == [one.seq for one in log.events()]


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


def test_an_explored_list_is_read_with_its_propensities_and_each_list_counts_its_movies_once(log: FeedbackLog) -> None:
    context = ListContext("mail", "NO", "20261129T120000", first_row=1)
    explored = Exposure(
        "a", 1, (10, 20), "ease", "v1", request_id="r", propensities=(1.0, 0.05), inclusions=(1.0, 0.1), context=context
    )
    log.expose([explored, Exposure("b", "two", ("10",))])
    log.expose([explored, Exposure("c", 2, (10,))])
    found = [*log.exposures()]
    assert [one.exposure_id for one in found] == ["a", "b", "c"]
    assert found[0] == ("a", 1, explored.at_ms, [10, 20], "ease", "v1", "r", [1.0, 0.05], [1.0, 0.1], context)
    assert found[1].context == ListContext()
    assert (found[1].user_id, found[1].movie_ids, found[1].propensities, found[1].inclusions) == ("two", ["10"], [], [])
    assert log.impressions() == {10: 2, 20: 1, "10": 1}, "a list that is noted again counts once"
    log.erase(1)
    assert log.impressions()[20] == 1, "how often a movie was shown is nobody's own"


def test_lists_are_read_a_page_at_a_time_each_once(log: FeedbackLog) -> None:
    names = [f"{number:05}" for number in range(2001)]
    log.expose([Exposure(name, 1, (10,)) for name in names])
    assert [one.exposure_id for one in log.exposures()] == names
    assert log.impressions() == {10: 2001}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ((0.5,), "1 numbers for 2 movies"),
        ((0.0, 1.0), "0.0 is not a probability above 0"),
        ((float("nan"), 1.0), "nan is not a probability"),
        ((1.0, 1.5), "1.5 is not a probability"),
        ((1.0, True), "True is not a probability"),
    ],
)
def test_what_is_no_probability_is_not_noted(given: tuple[float, ...], said: str) -> None:
    for name in ("propensities", "inclusions"):
        with pytest.raises(InvalidFeedback, match=f"^{name}.*{said}"):
            Exposure("a", 1, (10, 20), **{name: given})


def test_people_who_liked_a_movie_are_counted_once_by_the_day_of_their_newest_like(log: FeedbackLog) -> None:
    day = 86_400
    start = 12_000 * day
    events = [
        rating("old", timestamp=start - 1),  # before ratings count
        rating("a", timestamp=start),
        FeedbackEvent("b", 1, 10, "click", timestamp=start + day),
        FeedbackEvent("c", 2, 10, "watched", timestamp=start + day),
        FeedbackEvent("d", 2, 11, "added_to_list", timestamp=start - 5 * day),
        FeedbackEvent("e", 3, 11, "click", timestamp=start - 6 * day),  # before anything counts
        FeedbackEvent("f", 3, 12, "not_interested", timestamp=start),
        rating("g", user=4, movie=12, value=2.0, timestamp=start),
        FeedbackEvent("h", 4, 13, "click", timestamp=start),
    ]
    log.record(events)
    log.undo(4, "h")
    found = log.likes_by_day(1000 * (start - 5 * day), 1000 * start, 3.0)
    assert found == [(11, 11_995, 1), (10, 12_001, 2)]
    log.erase(2)
    assert log.likes_by_day(0, 1000 * start, 3.0) == [(11, 11_994, 1), (10, 12_001, 1)]
