"""What an experiment found, counted by hand on small logs and by brute force on random ones."""

import math
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from movierec_engine.feedback import Exposure, FeedbackEvent, FeedbackLog
from movierec_engine.feedback.summary import DUELS_SCHEMA, RATES_SCHEMA, interleaving_duels, variant_rates


@pytest.fixture
def log(tmp_path: Path) -> FeedbackLog:
    return FeedbackLog(tmp_path / "feedback.db")


def shown(request: str, variant: str, user: int = 1, experiment: str = "e") -> Exposure:
    return Exposure(request, user, (10, 11, 12), f"model of {variant}", "v", experiment, variant)


def wilson(hits: int, of: int) -> tuple[float, float]:
    """Wilson (1927), equation for the two roots, z = 1.959964."""
    z, p = 1.959963984540054, hits / of
    middle = p + z * z / (2 * of)
    spread = z * math.sqrt(p * (1 - p) / of + z * z / (4 * of * of))
    return (middle - spread) / (1 + z * z / of), (middle + spread) / (1 + z * z / of)


def test_without_a_log_there_are_no_rows(log: FeedbackLog) -> None:
    assert variant_rates(log).equals(RATES_SCHEMA.empty_table())
    assert interleaving_duels(log).equals(DUELS_SCHEMA.empty_table())
    assert not log.path.exists()


def test_clicks_and_likes_count_once_a_list_and_only_for_what_it_showed(log: FeedbackLog) -> None:
    log.expose([shown("r1", "a"), shown("r2", "a"), shown("r3", "b", user=2), shown("r4", "a", user=3)])
    log.record(
        [
            FeedbackEvent("1", 1, 10, "click", request_id="r1"),
            FeedbackEvent("2", 1, 10, "click", request_id="r1"),  # the same movie again
            FeedbackEvent("3", 1, 11, "click", request_id="r1"),
            FeedbackEvent("4", 1, 99, "click", request_id="r2"),  # was not in the list
            FeedbackEvent("5", 2, 10, "click", request_id="r2"),  # was not shown to this user
            FeedbackEvent("6", 1, 10, "click", request_id="nowhere"),
            FeedbackEvent("7", 1, 10, "click"),
            FeedbackEvent("8", 1, 12, "rating", 4.0, request_id="r1"),
            FeedbackEvent("9", 1, 11, "rating", 5.0, request_id="r2"),
            FeedbackEvent("10", 1, 11, "rating", 1.0, request_id="r2"),  # changed their mind
            FeedbackEvent("11", 2, 10, "rating", 3.5, request_id="r3"),
            FeedbackEvent("12", 2, 10, "not_interested", request_id="r3"),
        ]
    )
    a, b = variant_rates(log).to_pylist()
    counted = ("experiment", "variant", "model", "lists", "users", "clicks", "likes", "lists_clicked", "lists_liked")
    assert [a[name] for name in counted] == ["e", "a", "model of a", 3, 2, 2, 1, 1, 1]
    assert [b[name] for name in counted] == ["e", "b", "model of b", 1, 1, 0, 0, 0, 0]
    assert a["click_rate"] == pytest.approx(1 / 3)
    assert (a["like_rate_low"], a["like_rate_high"]) == pytest.approx(wilson(1, 3))
    assert (b["click_rate_low"], b["click_rate_high"]) == pytest.approx(wilson(0, 1), abs=1e-12)


def test_an_erased_user_leaves_the_summary(log: FeedbackLog) -> None:
    log.expose([shown("r1", "a"), shown("r2", "a", user=2)])
    log.record([FeedbackEvent("1", 1, 10, "click", request_id="r1")])
    log.erase(1)
    (row,) = variant_rates(log).to_pylist()
    assert (row["lists"], row["clicks"]) == (1, 0)


def drafted(request: str, teams: tuple[str, ...]) -> Exposure:
    return Exposure(request, 1, tuple(range(10, 10 + len(teams))), experiment="duel", teams=teams)


def test_a_list_is_won_by_whose_movies_were_clicked_more(log: FeedbackLog) -> None:
    """Six lists: a wins three, b one, one is a tie, one has no click; a movie credited to none decides nothing."""
    log.expose([drafted(f"r{i}", ("a", "b", "b", "a", "")) for i in range(6)])
    clicked = {"r0": [10], "r1": [10, 13, 11], "r2": [13], "r3": [11, 12, 10], "r4": [10, 11, 14]}
    log.record(
        [
            FeedbackEvent(f"{request} {movie}", 1, movie, "click", request_id=request)
            for request, movies in clicked.items()
            for movie in movies
        ]
    )
    (row,) = interleaving_duels(log).to_pylist()
    assert {name: row[name] for name in DUELS_SCHEMA.names[:8]} == {
        "experiment": "duel",
        "first": "a",
        "second": "b",
        "lists": 6,
        "first_wins": 3,
        "second_wins": 1,
        "ties": 1,
        "without_clicks": 1,
    }
    assert row["p_value"] == pytest.approx(2 * (1 + 4) / 2**4)
    assert (row["first_share_low"], row["first_share_high"]) == pytest.approx(wilson(3, 4))


def test_a_duel_that_nobody_clicked_in_has_no_share(log: FeedbackLog) -> None:
    log.expose([drafted("r", ("a", "b"))])
    (row,) = interleaving_duels(log).to_pylist()
    assert (row["lists"], row["without_clicks"], row["first_share"], row["p_value"]) == (1, 1, None, None)


def test_other_variants_under_the_same_name_are_another_pair(log: FeedbackLog) -> None:
    log.expose([drafted("r1", ("a", "b")), drafted("r2", ("c", "b")), drafted("r3", ("b",))])
    log.record([FeedbackEvent("1", 1, 10, "click", request_id="r2")])
    duels = {(row["first"], row["second"]): row for row in interleaving_duels(log).to_pylist()}
    assert {pair: row["lists"] for pair, row in duels.items()} == {("a", "b"): 2, ("b", "c"): 2, ("a", "c"): 0}
    assert (duels["b", "c"]["second_wins"], duels["a", "b"]["first_wins"]) == (1, 0)


clicks = st.lists(st.tuples(st.integers(0, 5), st.integers(1, 2), st.integers(0, 5), st.booleans()), max_size=30)


@settings(max_examples=25)
@given(st.lists(st.tuples(st.integers(1, 2), st.sampled_from("ab")), max_size=6), clicks)
def test_rates_are_those_of_counting_event_by_event(
    tmp_path_factory: pytest.TempPathFactory, lists: list[tuple[int, str]], clicks: list[tuple[int, int, int, bool]]
) -> None:
    log = FeedbackLog(tmp_path_factory.mktemp("log") / "feedback.db")
    log.expose(
        [Exposure(f"r{i}", user, (1, 2, 3), experiment="e", variant=name) for i, (user, name) in enumerate(lists)]
    )
    expected: dict[str, Counter[str]] = {name: Counter() for _, name in lists}
    for _, name in lists:
        expected[name]["lists"] += 1
    hits: set[Any] = set()
    for number, (request, user, movie, liked) in enumerate(clicks):
        kind, value = ("rating", 5.0) if liked else ("click", None)
        log.record([FeedbackEvent(str(number), user, movie, kind, value, request_id=f"r{request}")])  # type: ignore[arg-type]
        if request < len(lists) and lists[request][0] == user and movie in (1, 2, 3):
            hits.add((request, movie, "likes" if liked else "clicks"))
    for request, _, what in hits:
        expected[lists[request][1]][what] += 1
    for request, what in {(request, what) for request, _, what in hits}:
        expected[lists[request][1]][f"lists_{what.removesuffix('s')}{'d' if what == 'likes' else 'ed'}"] += 1
    for row in variant_rates(log).to_pylist():
        for name in ("lists", "clicks", "likes", "lists_clicked", "lists_liked"):
            assert row[name] == expected[row["variant"]][name]
    assert {row["variant"] for row in variant_rates(log).to_pylist()} == set(expected)
    log.close()
