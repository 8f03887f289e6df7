"""Explored lists keep the shares and caps of rules, whatever is drawn, by probabilities that are exact."""

import math
from collections import Counter
from functools import partial
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rule_worlds import arranged

from movierec_engine.recommending.exploration import ExplorationConfig, ListExploration
from movierec_engine.recommending.rules.active import ActiveCap, ActiveRules, ActiveShare
from movierec_engine.recommending.rules.replacements import replacements
from movierec_engine.serving.live_exploration import Pool, PooledPlaces, explore

N, K = 16, 6
Limit = ActiveShare | ActiveCap


def cap(values: list[list[int]], at_most: int) -> ActiveCap:
    starts = np.cumsum([0, *map(len, values)])
    return ActiveCap("cap", starts, np.array([code for own in values for code in own], dtype=np.int64), at_most, "such")


Shares = st.tuples(st.lists(st.booleans(), min_size=N, max_size=N), st.integers(0, 10), st.integers(0, 10)).map(
    lambda drawn: ActiveShare("share", np.array(drawn[0]), min(drawn[1:]) / 10, max(drawn[1:]) / 10)
)
Values = st.lists(st.lists(st.integers(0, 2), unique=True, max_size=2), min_size=N, max_size=N)
Limits = st.lists(st.one_of(Shares, st.builds(cap, Values, st.integers(0, 3))), min_size=1, max_size=3).map(tuple)


def list_under(limits: tuple[Limit, ...]) -> np.ndarray:
    rules = ActiveRules("v", N, None, (), None, (), limits, ())
    return arranged(rules, range(N), K).items


def excess(limit: Limit, shown: np.ndarray) -> int:
    """By how many movies a list misses a limit, at the worst of its beginnings."""
    if isinstance(limit, ActiveCap):
        counts = Counter(code for item in shown for code in limit.codes[limit.starts[item] : limit.starts[item + 1]])
        return max(0, *(counts[code] - limit.at_most for code in range(3)))
    found = np.cumsum(limit.matches[shown])
    worst = 0
    for n, count in enumerate(found.tolist(), start=1):
        whole = n == len(shown)
        least, most = round(limit.at_least * n, 9), round(limit.at_most * n, 9)
        low, high = (math.ceil(least), math.floor(most)) if whole else (math.floor(least), math.ceil(most))
        worst = max(worst, low - count, count - high)
    return worst


@settings(max_examples=60, deadline=None)
@given(Limits, st.lists(st.integers(0, K - 1), unique=True, min_size=1, max_size=4), st.integers(1, 10), st.data())
def test_no_combination_of_replacements_breaks_what_the_list_keeps(
    limits: tuple[Limit, ...], places: list[int], most: int, data: st.DataObject
) -> None:
    shown = list_under(limits)
    others = np.setdiff1d(np.arange(N), shown)
    found = replacements(limits, shown, sorted(places), others, most)
    given_rows = [row for rows in found.values() for row in rows.tolist()]
    assert len(set(given_rows)) == len(given_rows) <= most, "no movie at two places"
    assert set(found) <= set(places)
    options = [[None, *others[rows].tolist()] for rows in found.values()]
    for _ in range(10):
        changed = shown.copy()
        for place, choices in zip(found, options, strict=True):
            choice = data.draw(st.sampled_from(choices))
            changed[place] = shown[place] if choice is None else choice
        assert len(set(changed.tolist())) == K
        for limit in limits:
            assert excess(limit, changed) <= excess(limit, shown)


def test_a_movie_of_a_full_value_may_stand_where_one_of_it_stands_already_alone() -> None:
    series = cap([[0], [0], [1], [0], [2], [1]], 2)  # 0 and 1 are of series 0, which is full
    found = replacements((series,), np.array([0, 1, 2]), [1, 2], np.array([3, 4, 5]), 10)
    assert {place: rows.tolist() for place, rows in found.items()} == {1: [0], 2: [1, 2]}


def test_without_limits_each_goes_to_the_place_that_has_fewest_and_no_more_than_asked_for() -> None:
    found = replacements((), np.arange(3), [1, 2], np.arange(3, 9), 5)
    assert {place: rows.tolist() for place, rows in found.items()} == {2: [0, 2, 4], 1: [1, 3]}


@pytest.mark.parametrize("strategy", ["epsilon", "thompson"])
def test_propensities_under_limits_are_what_happens_over_many_requests(strategy: str) -> None:
    limits = (
        cap([[item % 3] for item in range(N)], 2),
        ActiveShare("share", np.arange(N) % 2 == 0, 0.5, 1.0),
    )
    shown = list_under(limits)
    others = np.setdiff1d(np.arange(N), shown)
    pool = Pool(others, np.linspace(3, 0, len(others)), np.arange(len(others)) * 3.0)
    config = ExplorationConfig(share=0.3, strategy=strategy, from_place=3)
    fitting = replacements(limits, shown, [2, 3, 4, 5], others, 8)
    assert len(fitting) == 4 and sum(map(len, fitting.values())) == 8
    parts: list[PooledPlaces] = [
        (ListExploration(K, (place,), config.share), partial(pool.take, rows)) for place, rows in fitting.items()
    ]
    requests = 3000
    at_place, in_list = Counter[tuple[int, int]](), Counter[int]()
    noted: dict[tuple[int, int], set[tuple[float, float]]] = {}
    for number in range(requests):
        drawn, propensities = explore(config, K, parts, config.random(1, f"r{number}"))
        movies = [drawn[place][0] if place in drawn else int(shown[place]) for place in range(K)]
        assert all(excess(limit, np.array(movies)) == 0 for limit in limits)
        at_place.update(enumerate(movies))
        in_list.update(movies)
        for place, movie in enumerate(movies):
            noted.setdefault((place, movie), set()).add((propensities.at_place[place], propensities.in_list[place]))
    for (place, movie), chances in noted.items():
        ((here, anywhere),) = chances
        for count, chance in ((at_place[place, movie], here), (in_list[movie], anywhere)):
            assert count / requests == pytest.approx(chance, abs=5 * (chance / requests) ** 0.5 + 1e-9)
    every = set(product([0, 1], shown[:2].tolist())) | {(place, int(shown[place])) for place in range(2, K)}
    every |= {(place, int(others[row])) for place, rows in fitting.items() for row in rows.tolist()}
    assert set(noted) <= every and len(noted) >= 2 + 4 + 6
