"""Lists under rules are those that the documented semantics gives, worked out place by place and item by item."""

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rule_worlds import arranged

from movierec_engine.models.top_k import best_lists
from movierec_engine.recommending.rules import active
from movierec_engine.recommending.rules.active import ActiveCap, ActiveRules, ActiveShare, PlacedPin
from movierec_engine.recommending.rules.arranging import Arranged, arrange, arrange_lists
from movierec_engine.recommending.rules.candidates import more_of

N = 12


def rules_of(**parts: Any) -> ActiveRules:
    usual: dict[str, Any] = {"allowed": None, "keeping": (), "factors": None, "pins": (), "limits": (), "unmet": ()}
    return ActiveRules(version="v", n_items=N, **{**usual, **parts})


def share(name: str, matches: Sequence[int], at_least: float = 0.0, at_most: float = 1.0) -> ActiveShare:
    return ActiveShare(name, np.isin(np.arange(N), matches), at_least, at_most)


def cap(name: str, values: Sequence[Sequence[int]], at_most: int) -> ActiveCap:
    starts = np.cumsum([0, *map(len, values)])
    return ActiveCap(name, starts, np.array([code for own in values for code in own], dtype=np.int64), at_most, "such")


def test_a_factor_of_two_moves_a_movie_from_place_six_to_place_three() -> None:
    factors = np.ones(N)
    factors[5] = 2
    assert arranged(rules_of(factors=factors), range(N), 6).items.tolist() == [0, 1, 2, 5, 3, 4]


def test_a_factor_below_one_buries() -> None:
    factors = np.ones(N)
    factors[0] = 0.4
    assert arranged(rules_of(factors=factors), range(N), 4).items.tolist() == [1, 0, 2, 3]


def test_a_pin_takes_its_place_and_the_others_move_on() -> None:
    made = arranged(rules_of(pins=(PlacedPin("p", 9, 0), PlacedPin("p", 0, 2))), range(N), 4)
    assert made.items.tolist() == [9, 1, 0, 2] and made.pinned == (0, 2) and made.unmet == ()


def test_a_pin_of_a_movie_that_was_seen_leaves_its_place_to_the_next_and_says_so() -> None:
    made = arranged(rules_of(pins=(PlacedPin("premiere", 9, 0),)), [1, 2, 3], 2)
    assert made.items.tolist() == [1, 2] and made.pinned == ()
    assert [one.rule for one in made.unmet] == ["premiere"]


def test_a_share_is_spread_over_the_list() -> None:
    made = arranged(rules_of(limits=(share("recent", [8, 9, 10, 11], at_least=0.2),)), range(N), 10)
    assert made.items.tolist() == [0, 1, 2, 3, 8, 4, 5, 6, 7, 9] and made.unmet == ()


def test_at_most_two_of_a_series_leaves_the_third_out() -> None:
    made = arranged(rules_of(limits=(cap("series", [[0]] * 4 + [[]] * 8, 2),)), range(N), 4)
    assert made.items.tolist() == [0, 1, 4, 5]


def test_a_list_stays_as_long_as_it_was_where_no_movie_keeps_a_rule_and_says_so() -> None:
    made = arranged(rules_of(limits=(cap("series", [[0]] * N, 2), share("few", [3], at_least=0.5))), range(6), 4)
    assert made.items.tolist() == [0, 3, 1, 2]
    assert {one.rule: one.why for one in made.unmet} == {
        "series": "4 such are shown, at most 2 were to be",
        "few": "1 of 4 places are such movies, at least 2 were to be",
    }


def test_of_rules_that_cannot_both_be_met_the_first_is() -> None:
    limits = (share("only odd", [1, 3, 5, 7, 9, 11], at_least=1.0), share("no odd", [1, 3, 5, 7, 9, 11], at_most=0.0))
    assert (arranged(rules_of(limits=limits), range(N), 3).items % 2 == 1).all()
    assert (arranged(rules_of(limits=limits[::-1]), range(N), 3).items % 2 == 0).all()


def test_rules_that_leave_nothing_say_so() -> None:
    rules = rules_of(allowed=np.zeros(N, dtype=np.bool_), keeping=("a", "b"))
    made = arranged(rules, range(N), 3)
    assert len(made.items) == 0
    assert made.unmet[0].why == "the rules 'a' and 'b' leave nothing to show here"


@st.composite
def cases(draw: st.DrawFn) -> tuple[ActiveRules, list[int], int, int]:
    items = st.integers(0, N - 1)
    masks = st.lists(items, unique=True, max_size=N)
    order = draw(st.permutations(range(N)))[: draw(st.integers(0, N))]
    tenths = st.integers(0, 10).map(lambda n: n / 10)
    limits: list[ActiveShare | ActiveCap] = []
    for number in range(draw(st.integers(0, 3))):
        if draw(st.booleans()):
            low, high = sorted([draw(tenths), draw(tenths)])
            limits.append(share(f"share {number}", draw(masks), low, high))
        else:
            values = draw(st.lists(st.lists(st.integers(0, 2), unique=True, max_size=2), min_size=N, max_size=N))
            limits.append(cap(f"cap {number}", values, draw(st.integers(0, 3))))
    places = draw(st.lists(st.integers(0, 7), unique=True, max_size=3))
    pinned = draw(st.lists(items, unique=True, min_size=len(places), max_size=len(places)))
    pins = tuple(PlacedPin("pin", item, place) for item, place in zip(pinned, sorted(places), strict=True))
    factors = None
    if draw(st.booleans()):
        factors = np.array(draw(st.lists(st.sampled_from([0.25, 0.5, 1.0, 2.0, 3.0]), min_size=N, max_size=N)))
    allowed = ~np.isin(np.arange(N), draw(masks)) if draw(st.booleans()) else None
    keeping = () if allowed is None else ("keep",)
    rules = rules_of(allowed=allowed, keeping=keeping, factors=factors, pins=pins, limits=tuple(limits))
    return rules, order, draw(st.integers(1, N)), draw(st.sampled_from([2, 5, active.DEPTH]))


@given(cases())
def test_a_list_is_the_one_that_the_documented_steps_give(case: tuple[ActiveRules, list[int], int, int]) -> None:
    rules, order, k, depth = case
    usual, active.DEPTH = active.DEPTH, depth
    try:
        made = arranged(rules, order, k)
    finally:
        active.DEPTH = usual
    wanted, pinned = by_hand(rules, order, k, depth)
    assert made.items.tolist() == wanted
    assert set(made.pinned) == pinned
    eligible = [item for item in order if rules.allowed is None or rules.allowed[item]]
    assert len(made.items) == min(k, len(eligible))
    assert {one.rule for one in made.unmet} == broken_by_hand(rules, made.items.tolist(), k, bool(eligible))


@st.composite
def blocks(draw: st.DrawFn) -> tuple[ActiveRules, np.ndarray, int, np.ndarray]:
    """Rules, the scores of some people with ties and with few that are left, k, and what stands before each list."""
    rules, _, k, _ = draw(cases())
    n, b = draw(st.integers(1, 4)), draw(st.integers(0, 3))
    score = st.sampled_from([-np.inf, -1.0, 0.0, 0.5, 2.0]) if draw(st.booleans()) else st.integers(0, 99).map(float)
    scores = np.array(draw(st.lists(score, min_size=n * N, max_size=n * N)), dtype=np.float32).reshape(n, N)
    before = np.array([draw(st.permutations(range(N)))[:b] for _ in range(n)], dtype=np.int64).reshape(n, b)
    np.put_along_axis(scores, before, -np.inf, axis=1)
    if rules.allowed is not None:
        scores[:, ~rules.allowed] = -np.inf
    return rules, scores, k, before


@given(blocks(), st.sampled_from([2, 5, active.DEPTH]))
def test_the_lists_of_a_block_are_those_of_each_person_alone(
    block: tuple[ActiveRules, np.ndarray, int, np.ndarray], depth: int
) -> None:
    rules, scores, k, before = block
    usual, active.DEPTH = active.DEPTH, depth
    try:
        together = arrange_lists(rules, *best_lists(scores, rules.candidates(k)), k, more_of(scores), before)
        alone = [alone_of(rules, row, k, own) for row, own in zip(scores, before, strict=True)]
    finally:
        active.DEPTH = usual
    for row, one in enumerate(alone):
        there = together.items[row] >= 0
        assert there[: len(one.items)].all()
        assert together.items[row][there].tolist() == one.items.tolist()
        assert together.scores[row][there].tolist() == one.scores.tolist() == scores[row][one.items].tolist()
        assert tuple(np.flatnonzero(together.pinned[row])) == one.pinned
        assert together.unmet(row) == one.unmet
        assert together.any_unmet[row] == bool(one.unmet)


def alone_of(rules: ActiveRules, scores: np.ndarray, k: int, before: np.ndarray) -> Arranged:
    order = [item for item in np.argsort(-scores, kind="stable").tolist() if scores[item] > -np.inf]

    def more(n: int, among: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        chosen = np.array([item for item in order if among[item]][:n], dtype=np.int64)
        return chosen, scores[chosen]

    first = np.array(order[: rules.candidates(k)], dtype=np.int64)
    return arrange(rules, first, scores[first], k, more, before)


def test_a_pin_of_a_later_page_is_shown_there_though_the_model_ranks_it_last() -> None:
    rules = rules_of(pins=(PlacedPin("premiere", 11, 5),))
    scores = np.where(np.arange(N) < 4, -np.inf, -np.arange(N)).astype(np.float32)
    made = alone_of(rules, scores, 3, np.arange(4))
    assert made.items.tolist() == [4, 11, 5] and made.pinned == (1,) and made.unmet == ()


def test_a_value_that_a_movie_has_twice_counts_once() -> None:
    made = arranged(rules_of(limits=(cap("genres", [[0, 0]] * 6 + [[]] * 6, 2),)), range(N), 3)
    assert made.items.tolist() == [0, 1, 6]


def test_many_limits_are_heeded_in_their_order() -> None:
    """The first of 60 that cannot all be met is."""
    limits = tuple(share(f"only {item}", [item], at_least=1.0) for item in [7, *range(6)] * 8 + [8, 9, 10, 11])
    assert arranged(rules_of(limits=limits), range(N), 1).items.tolist() == [7]
    assert arranged(rules_of(limits=limits[::-1]), range(N), 1).items.tolist() == [11]


def by_hand(rules: ActiveRules, order: Sequence[int], k: int, depth: int) -> tuple[list[int], set[int]]:
    """The documented steps, one item at a time, with exact shares."""
    eligible = [item for item in order if rules.allowed is None or rules.allowed[item]]
    pool = eligible[: max(depth, k)] if rules.factors is not None or rules.limits else eligible
    if rules.factors is not None:
        key = {item: (place + 1) / rules.factors[item] for place, item in enumerate(pool)}
        pool = sorted(pool, key=lambda item: key[item])
    beyond = [item for item in eligible if item not in pool]
    added = {pin.item for pin in rules.pins if pin.place < k}
    for limit in rules.limits:
        if isinstance(limit, ActiveShare) and limit.at_least:
            wanted = 4 * math.ceil(tenth(limit.at_least) * k)
            if sum(bool(limit.matches[item]) for item in pool) < wanted:
                added |= set([item for item in eligible if limit.matches[item]][:wanted])
    pool = pool + [item for item in beyond if item in added]
    later = [item for item in pool if item in {pin.item for pin in rules.pins if pin.place >= k}]
    first = [item for item in pool if item not in later]
    pool = first if len(first) >= k else first + later
    length = min(k, len(pool))
    pins = {pin.place: pin.item for pin in rules.pins if pin.item in pool and pin.place < length}
    late = [pin.item for pin in rules.pins if pin.item in pool and length <= pin.place < k]
    for item in reversed(late):
        pins[max(place for place in range(length) if place not in pins)] = item
    shown = dict(pins)
    for place in range(length):
        if place not in pins:
            left = [item for item in pool if item not in shown.values()]
            for limit in rules.limits:
                kept = [item for item in left if keeps(limit, item, place, shown, length)]
                left = kept or left
            shown[place] = left[0]
    return [shown[place] for place in range(length)], set(pins)


def keeps(limit: ActiveShare | ActiveCap, item: int, place: int, shown: dict[int, int], length: int) -> bool:
    if isinstance(limit, ActiveCap):
        return all(count_of(limit, value, shown.values()) < limit.at_most for value in values_of(limit, item))
    count, free = sum(bool(limit.matches[one]) for one in shown.values()), length - len(shown)
    least, most = math.ceil(tenth(limit.at_least) * length), math.floor(tenth(limit.at_most) * length)
    if count < least and (least - count >= free or count < math.floor(tenth(limit.at_least) * (place + 1))):
        return bool(limit.matches[item])
    if count >= min(most, math.ceil(tenth(limit.at_most) * (place + 1))):
        return not limit.matches[item]
    return True


def broken_by_hand(rules: ActiveRules, shown: list[int], k: int, any_left: bool) -> set[str]:
    if not any_left and rules.keeping:
        return {"keep"}
    broken = {pin.rule for pin in rules.pins if pin.place < k and shown[pin.place : pin.place + 1] != [pin.item]}
    for limit in rules.limits:
        if isinstance(limit, ActiveCap):
            if any(count_of(limit, value, shown) > limit.at_most for value in range(3)):
                broken.add(limit.rule)
        else:
            count = sum(bool(limit.matches[item]) for item in shown)
            if not tenth(limit.at_least) * len(shown) <= count <= tenth(limit.at_most) * len(shown):
                broken.add(limit.rule)
    return broken


def values_of(limit: ActiveCap, item: int) -> list[int]:
    return [int(code) for code in limit.codes[limit.starts[item] : limit.starts[item + 1]]]


def count_of(limit: ActiveCap, value: int, items: Any) -> int:
    return sum(value in values_of(limit, item) for item in items)


def tenth(value: float) -> Fraction:
    return Fraction(round(value * 10), 10)


@pytest.mark.parametrize("k", [1, 3, 10])
def test_without_rules_in_the_way_the_list_is_the_models(k: int) -> None:
    assert arranged(rules_of(limits=(share("s", range(N), at_least=0.5),)), range(N), k).items.tolist() == [*range(k)]
