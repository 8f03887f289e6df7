"""Exploration: draws that follow their weights, propensities that are exact, and the chance to be the best."""

from collections import Counter
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from movierec_engine.errors import ConfigError
from movierec_engine.recommending.exploration import (
    ExplorationConfig,
    ListExploration,
    capped,
    chances_to_be_best,
    draw,
    systematic_sample,
)

Weights = st.lists(st.floats(0.001, 100), min_size=5, max_size=12).map(np.array)


@settings(max_examples=30, deadline=None)
@given(Weights, st.integers(1, 5))
def test_a_systematic_sample_takes_each_as_often_as_its_weight_says_and_none_twice(raw: np.ndarray, n: int) -> None:
    weights = capped(raw, 1 / n)
    assert weights.sum() == pytest.approx(1) and weights.max() <= 1 / n + 1e-12
    steps = 500
    taken = [systematic_sample(weights, n, (step + 0.5) / steps) for step in range(steps)]
    assert all(len(set(one.tolist())) == n for one in taken)
    shares = np.bincount(np.concatenate(taken), minlength=len(weights)) / steps
    assert shares == pytest.approx(n * weights, abs=2 / steps)


@given(Weights, st.floats(0.2, 1))
def test_what_is_cut_off_goes_to_the_others_by_their_weights(raw: np.ndarray, most: float) -> None:
    weights = capped(raw, most)
    free = weights < most - 1e-9
    ratios = weights[free] / raw[free]
    assert ratios == pytest.approx(np.full(len(ratios), ratios[0] if len(ratios) else 0))


def test_weights_of_nought_get_a_share_where_the_others_are_full() -> None:
    assert capped(np.array([1.0, 0.0, 0.0]), 0.5).tolist() == [0.5, 0.25, 0.25]


@pytest.mark.parametrize("strategy", ["epsilon", "thompson"])
def test_propensities_are_what_happens_over_many_requests(strategy: str) -> None:
    config = ExplorationConfig(share=0.3, strategy=strategy, from_place=3, pool=6)
    exploration = config.of_list(5, available=6)
    assert (exploration.places, exploration.kept.tolist()) == ((2, 3, 4), [1, 1, 0.7, 0.7, 0.7])
    weights = config.weights(np.array([3, 2.5, 2, 1, 0.5, 0]), np.array([0, 9, 0, 0, 50, 0.0]), 3)
    requests = 4000
    at_place, in_list = Counter[tuple[int, int]](), Counter[int]()
    for number in range(requests):
        chance = config.random(1, f"r{number}")
        places = exploration.explored(chance)
        drawn = draw(places, weights, chance) if len(places) else {}
        assert len(set(drawn.values())) == len(drawn)
        at_place.update(drawn.items())
        in_list.update(drawn.values())
    for place, row in product(exploration.places, range(6)):
        expected = float(exploration.at_place(weights)[row])
        assert at_place[place, row] / requests == pytest.approx(expected, abs=5 * (expected / requests) ** 0.5)
    for row in range(6):
        expected = float(exploration.in_list(weights)[row])
        assert in_list[row] / requests == pytest.approx(expected, abs=5 * (expected / requests) ** 0.5)
    assert exploration.in_list(weights).sum() == pytest.approx(3 * 0.3), "as many as places are explored"


def test_the_chance_to_be_best_is_that_of_drawn_scores() -> None:
    means, sds = np.array([1.0, 0.8, 0.0, -2.0]), np.array([0.1, 0.5, 1.0, 3.0])
    drawn = np.random.default_rng(0).normal(means, sds, size=(200_000, 4)).argmax(axis=1)
    assert chances_to_be_best(means, sds) == pytest.approx(np.bincount(drawn) / len(drawn), abs=0.004)


def test_what_is_certain_is_the_best_alone_and_equals_share() -> None:
    assert chances_to_be_best(np.array([2.0, 1.0, 2.0]), np.zeros(3)).tolist() == [0.5, 0, 0.5]
    assert chances_to_be_best(np.array([0.0, 0.0]), np.ones(2)) == pytest.approx([0.5, 0.5])
    assert chances_to_be_best(np.array([0.0, 1e9]), np.array([1.0, 1e-30])) == pytest.approx([0, 1])


def test_what_was_seen_less_is_drawn_more_of_equally_good_ones_and_nothing_has_no_chance() -> None:
    config = ExplorationConfig(share=0.1)
    weights = config.weights(np.array([5, 1, 1, 1.0]), np.array([10_000, 0, 3, 100.0]), 1)
    assert weights[1] > weights[2] > weights[3] >= 0.1 / 4 - 1e-12


@pytest.mark.parametrize(
    ("available", "pinned", "places"),
    [(40, (), (5, 6, 7, 8, 9)), (2, (), (8, 9)), (0, (), ()), (40, (0, 6, 9), (5, 7, 8)), (2, (9,), (7, 8))],
)
def test_places_stay_that_a_rule_pinned_that_come_first_or_that_the_pool_cannot_fill(
    available: int, pinned: tuple[int, ...], places: tuple[int, ...]
) -> None:
    assert ExplorationConfig(share=0.1, from_place=6).of_list(10, available, pinned).places == places


def test_a_list_shorter_than_the_first_place_to_explore_stays() -> None:
    config = ExplorationConfig(share=0.5)
    assert config.of_list(5, 100) == ListExploration(5, (), 0.5)
    assert len(config.of_list(5, 100).explored(config.random(1, "r"))) == 0


def test_the_chance_of_a_request_is_its_own_and_comes_again_with_it() -> None:
    config = ExplorationConfig(share=0.1)
    first = config.random(1, "r").random()
    assert config.random(1, "r").random() == first
    others = (config.random("1", "r"), config.random(1, "s"), ExplorationConfig(share=0.1, salt="x").random(1, "r"))
    assert len({first, *(one.random() for one in others)}) == 4


@pytest.mark.parametrize(
    ("given_settings", "said"),
    [
        ({"share": 0.6}, "share=0.6 must be from 0"),
        ({"share": float("nan")}, "share=nan must be from 0"),
        ({"strategy": "ucb"}, "strategy=ucb is not known; choose one of epsilon, thompson"),
        ({"candidates": "old"}, "candidates=old is not known; choose one of new, next"),
        ({"from_place": 0}, "from_place=0 must be at least 1"),
        ({"pool": 0}, "pool=0 must be from 1 to 1000"),
        ({"impressions": 0}, "impressions=0 must be at least 1"),
    ],
)
def test_a_setting_that_cannot_be_is_refused(given_settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=f"exploration.{said}"):
        ExplorationConfig(**given_settings)
