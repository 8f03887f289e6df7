"""What an experiment found, counted by hand on small logs and by brute force on random ones."""

import math
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from movierec_engine.feedback import Exposure, FeedbackEvent, FeedbackLog
from movierec_engine.feedback.summary import (
    DUELS_SCHEMA,
    RATES_SCHEMA,
    interleaving_duels,
    share_with_interval,
    sign_test,
    variant_rates,
    version_rates,
)


def shown(request: str, variant: str, user: int = 1, experiment: str = "e") -> Exposure:
    return Exposure(request, user, (10, 11, 12), f"model of {variant}", "v", experiment, variant)


def wilson(hits: int, of: int) -> tuple[float, float]:
    """Wilson (1927), equation for the two roots, z = 1.959964."""
    z, p = 1.959963984540054, hits / of
    middle = p + z * z / (2 * of)
    spread = z * math.sqrt(p * (1 - p) / of + z * z / (4 * of * of))
    return (middle - spread) / (1 + z * z / of), (middle + spread) / (1 + z * z / of)


@pytest.mark.parametrize(("hits", "of"), [(0, 1), (1, 1), (1, 3), (7, 14), (40, 41), (0, 900), (123_456, 20_000_000)])
def test_intervals_and_sign_tests_are_scipys(hits: int, of: int) -> None:
    expected = binomtest(hits, of)
    found = share_with_interval("rate", hits, of)
    low, high = expected.proportion_ci(0.95, method="wilson")
    assert (found["rate"], found["rate_low"], found["rate_high"]) == pytest.approx((hits / of, low, high), abs=1e-12)
    assert sign_test(hits, of - hits) == pytest.approx(expected.pvalue, rel=1e-9, abs=1e-300)


def test_without_a_log_there_are_no_rows(log: FeedbackLog) -> None:
    assert variant_rates(log, 4.0).equals(RATES_SCHEMA.empty_table())
    assert interleaving_duels(log).equals(DUELS_SCHEMA.empty_table())


def test_clicks_and_likes_count_once_a_list_and_only_for_what_it_showed(log: FeedbackLog) -> None:
    log.expose([shown("r1", "a"), shown("r2", "a"), shown("r3", "b", user=2), shown("r4", "a", user=3)])
    log.record(
        [
            FeedbackEvent("1", 1, 10, "click", shown_in="r1"),
            FeedbackEvent("2", 1, 10, "click", shown_in="r1"),  # the same movie again
            FeedbackEvent("3", 1, 11, "click", shown_in="r1"),
            FeedbackEvent("4", 1, 99, "click", shown_in="r2"),  # was not in the list
            FeedbackEvent("5", 2, 10, "click", shown_in="r2"),  # was not shown to this user
            FeedbackEvent("6", 1, 10, "click", shown_in="nowhere"),
            FeedbackEvent("7", 1, 10, "click"),
            FeedbackEvent("8", 1, 12, "rating", 4.0, shown_in="r1"),
            FeedbackEvent("9", 1, 11, "rating", 5.0, shown_in="r2"),
            FeedbackEvent("10", 1, 11, "rating", 1.0, shown_in="r2"),  # changed their mind
            FeedbackEvent("11", 2, 10, "rating", 3.5, shown_in="r3"),
            FeedbackEvent("12", 2, 10, "not_interested", shown_in="r3"),
        ]
    )
    a, b = variant_rates(log, 4.0).to_pylist()
    counted = ("experiment", "variant", "model", "lists", "users", "clicks", "likes", "lists_clicked", "lists_liked")
    assert [a[name] for name in counted] == ["e", "a", "model of a", 3, 2, 2, 1, 1, 1]
    assert [b[name] for name in counted] == ["e", "b", "model of b", 1, 1, 0, 0, 0, 0]
    assert a["click_rate"] == pytest.approx(1 / 3)
    assert (a["like_rate_low"], a["like_rate_high"]) == pytest.approx(wilson(1, 3))
    assert (b["click_rate_low"], b["click_rate_high"]) == pytest.approx(wilson(0, 1), abs=1e-12)


def test_an_erased_user_leaves_the_summary(log: FeedbackLog) -> None:
    log.expose([shown("r1", "a"), shown("r2", "a", user=2)])
    log.record([FeedbackEvent("1", 1, 10, "click", shown_in="r1")])
    log.erase(1)
    (row,) = variant_rates(log, 4.0).to_pylist()
    assert (row["lists"], row["clicks"]) == (1, 0)


def test_a_like_is_what_the_data_set_says_and_not_four_stars(log: FeedbackLog) -> None:
    """5 of 10 where likes begin at 7, and 3 of 3 where 3 is the best there is."""
    log.expose([shown("r1", "a"), shown("r2", "b", user=2)])
    log.record(
        [
            FeedbackEvent("1", 1, 10, "rating", 5.0, shown_in="r1"),
            FeedbackEvent("2", 2, 10, "rating", 3.0, shown_in="r2"),
        ]
    )
    assert [row["like_rate"] for row in variant_rates(log, 7.0).to_pylist()] == [0.0, 0.0]
    assert [row["like_rate"] for row in variant_rates(log, 3.0).to_pylist()] == [1.0, 1.0]
    rates = version_rates(log, 5.0)
    assert [rates[f"model of {name}", "v"]["like_rate"] for name in "ab"] == [1.0, 0.0]


DAY = 86_400_000


def drafted(name: str, teams: tuple[str, ...], user: int = 1, day: int = 20_000) -> Exposure:
    movies = tuple(range(10, 10 + len(teams)))
    return Exposure(name, user, movies, experiment="duel", teams=teams, at_ms=day * DAY)


def test_an_occasion_is_won_by_whose_movies_were_clicked_more(log: FeedbackLog) -> None:
    """Six users: a wins three, b one, one is a tie, one has no click; a movie credited to none decides nothing."""
    log.expose([drafted(f"r{user}", ("a", "b", "b", "a", ""), user) for user in range(6)])
    clicked = {"r0": [10], "r1": [10, 13, 11], "r2": [13], "r3": [11, 12, 10], "r4": [10, 11, 14]}
    log.record(
        [
            FeedbackEvent(f"{request} {movie}", int(request[1:]), movie, "click", shown_in=request)
            for request, movies in clicked.items()
            for movie in movies
        ]
    )
    (row,) = interleaving_duels(log).to_pylist()
    assert {name: row[name] for name in DUELS_SCHEMA.names[:9]} == {
        "experiment": "duel",
        "first": "a",
        "second": "b",
        "lists": 6,
        "occasions": 6,
        "first_wins": 3,
        "second_wins": 1,
        "ties": 1,
        "without_clicks": 1,
    }
    assert row["p_value"] == pytest.approx(2 * (1 + 4) / 2**4)
    assert (row["first_share_low"], row["first_share_high"]) == pytest.approx(wilson(3, 4))


def test_lists_of_one_draft_count_as_one_occasion(log: FeedbackLog) -> None:
    """User 1 loads the page of one day twenty times and always clicks a's movie; that is one win, and no evidence.

    On the next day the same user decides for b by two clicks against one, over two lists. User 2 has the day of user 1,
    which is another occasion, and takes the click back.
    """
    log.expose([drafted(f"r{n}", ("a", "b")) for n in range(20)])
    log.expose([drafted(name, ("a", "b"), day=20_001) for name in ("n1", "n2")] + [drafted("o", ("a", "b"), user=2)])
    log.record([FeedbackEvent(f"{n}", 1, 10, "click", shown_in=f"r{n}") for n in range(20)])
    later = [("n1", 10), ("n1", 11), ("n2", 11)]
    log.record([FeedbackEvent(f"{name} {movie}", 1, movie, "click", shown_in=name) for name, movie in later])
    log.record([FeedbackEvent("o", 2, 10, "click", shown_in="o")])
    log.undo(2, "o")
    (row,) = interleaving_duels(log).to_pylist()
    counted = ("lists", "occasions", "first_wins", "second_wins", "ties", "without_clicks")
    assert [row[name] for name in counted] == [23, 3, 1, 1, 0, 1]
    assert row["p_value"] == 1.0, "of twenty lists alone it would be .000002"


def test_a_click_that_names_the_request_alone_answers_its_users_newest_list(log: FeedbackLog) -> None:
    """Two users, and one of them twice, whose client gave every request the same id."""
    log.expose(
        [
            Exposure("x1", 1, (10, 11), variant="a", experiment="e", request_id="same", at_ms=1),
            Exposure("x2", 2, (10, 12), variant="a", experiment="e", request_id="same", at_ms=2),
            Exposure("x3", 1, (10, 13), variant="b", experiment="e", request_id="same", at_ms=3),
        ]
    )
    log.record([FeedbackEvent("1", 1, 10, "click", shown_in="same"), FeedbackEvent("2", 2, 12, "click", shown_in="x2")])
    a, b = variant_rates(log, 4.0).to_pylist()
    assert [(row["lists"], row["clicks"]) for row in (a, b)] == [(2, 1), (1, 1)]


def test_a_duel_that_nobody_clicked_in_has_no_share(log: FeedbackLog) -> None:
    log.expose([drafted("r", ("a", "b"))])
    (row,) = interleaving_duels(log).to_pylist()
    assert (row["lists"], row["without_clicks"], row["first_share"], row["p_value"]) == (1, 1, None, None)


def test_other_variants_under_the_same_name_are_another_pair(log: FeedbackLog) -> None:
    log.expose([drafted("r1", ("a", "b")), drafted("r2", ("c", "b")), drafted("r3", ("b",))])
    log.record([FeedbackEvent("1", 1, 10, "click", shown_in="r2")])
    duels = {(row["first"], row["second"]): row for row in interleaving_duels(log).to_pylist()}
    assert {pair: row["lists"] for pair, row in duels.items()} == {("a", "b"): 2, ("b", "c"): 2, ("a", "c"): 0}
    assert (duels["b", "c"]["second_wins"], duels["a", "b"]["first_wins"]) == (1, 0)


clicks = st.lists(st.tuples(st.integers(0, 5), st.integers(1, 2), st.integers(0, 5), st.booleans()), max_size=30)


@settings(max_examples=25)
@given(st.lists(st.tuples(st.integers(1, 2), st.sampled_from("ab")), max_size=6), clicks)
def test_rates_are_those_of_counting_event_by_event(
    new_log: Callable[[], FeedbackLog], lists: list[tuple[int, str]], clicks: list[tuple[int, int, int, bool]]
) -> None:
    log = new_log()
    log.expose(
        [Exposure(f"r{i}", user, (1, 2, 3), experiment="e", variant=name) for i, (user, name) in enumerate(lists)]
    )
    expected: dict[str, Counter[str]] = {name: Counter() for _, name in lists}
    for _, name in lists:
        expected[name]["lists"] += 1
    hits: set[Any] = set()
    for number, (request, user, movie, liked) in enumerate(clicks):
        kind, value = ("rating", 5.0) if liked else ("click", None)
        log.record([FeedbackEvent(str(number), user, movie, kind, value, shown_in=f"r{request}")])  # type: ignore[arg-type]
        if request < len(lists) and lists[request][0] == user and movie in (1, 2, 3):
            hits.add((request, movie, "likes" if liked else "clicks"))
    for request, _, what in hits:
        expected[lists[request][1]][what] += 1
    for request, what in {(request, what) for request, _, what in hits}:
        expected[lists[request][1]][f"lists_{what.removesuffix('s')}{'d' if what == 'likes' else 'ed'}"] += 1
    for row in variant_rates(log, 4.0).to_pylist():
        for name in ("lists", "clicks", "likes", "lists_clicked", "lists_liked"):
            assert row[name] == expected[row["variant"]][name]
    assert {row["variant"] for row in variant_rates(log, 4.0).to_pylist()} == set(expected)
    log.close()
