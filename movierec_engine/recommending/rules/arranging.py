"""Lists arranged under rules: boosts, then pins, then place by place within shares and caps.

1. Candidates are what rules and request allow and what the person may still be shown, in the model's order, or that of
   the dials. Filters, allow and deny lists and availability hold always.
2. Boosts divide places: the candidate at place r of a factor f is ordered by r / f. So a factor of 2 moves one from
   place 20 to about place 10 and a factor of 0.5 back, whatever the scale of a model's scores is. The first DEPTH
   candidates are reordered so.
3. Pins stand at their places, and nowhere before those.
4. Every other place goes to the best candidate left that keeps all shares and caps. After n places of k a share of at
   least s has s n, rounded down, and in all s k, rounded up; one of at most s has no more than s n, rounded up, and in
   all s k, rounded down. So they are spread over the list and not pushed to its end. Pins count, from the start.
5. Where no candidate keeps all, those of higher priority are kept, and the list says which it does not meet. It has k
   places wherever there are k candidates.

Shares and caps choose among the first DEPTH candidates, and, where those have few that a share asks for, the best such.

The lists of a block of people are arranged together, one place after another for all of them; one list is a block of
one.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from movierec_engine.recommending.rules.active import (
    ActiveCap,
    ActiveRules,
    ActiveShare,
    PlacedPin,
    UnmetOfLists,
    UnmetRule,
)
from movierec_engine.recommending.rules.candidates import (
    Items,
    MoreOfLists,
    Rows,
    Scores,
    boosted,
    in_order,
    with_wanted,
)
from movierec_engine.recommending.rules.caps import CapsOfLists
from movierec_engine.recommending.rules.grades import Grades, LimitsOfLists
from movierec_engine.recommending.rules.item_columns import Mask
from movierec_engine.recommending.rules.shares import SharesOfLists

More = Callable[[int, Mask], tuple[Items, Scores]]
"""n and bool [n_items] -> the person's n best candidates among those, best first, with their scores."""
NOTHING = np.empty(0, dtype=np.int64)


@dataclass(frozen=True)
class Arranged:
    """items: int64 [<=k]. scores: the model's, float32 [<=k]. pinned: places from 0 that rules pinned."""

    items: Items
    scores: Scores
    pinned: tuple[int, ...] = ()
    unmet: tuple[UnmetRule, ...] = ()


@dataclass(frozen=True, eq=False)
class ArrangedLists:
    """The lists of a block.

    items: int64 [n, k], -1 behind a list's last. scores: float32 [n, k]. pinned: bool [n, k]. rules_unmet: those that
    a list may not meet, in the order in which it says so.
    """

    items: Items
    scores: Scores
    pinned: Mask
    rules_unmet: tuple[UnmetOfLists, ...]

    @property
    def any_unmet(self) -> Mask:
        """bool [n], the lists that do not meet a rule."""
        of = [np.zeros(len(self.items), dtype=np.bool_), *(one.lists for one in self.rules_unmet)]
        return np.asarray(np.any(of, axis=0))

    def unmet(self, row: int) -> tuple[UnmetRule, ...]:
        """The rules that a list does not meet."""
        return tuple(UnmetRule(one.rule, one.why(row)) for one in self.rules_unmet if one.lists[row])


def arrange(rules: ActiveRules, items: Items, scores: Scores, k: int, more: More, before: Items = NOTHING) -> Arranged:
    """The list of k under rules.

    items: int64 [c], candidates that the rules allow, best first; as many as `rules.candidates(k)` or all that there
    are. scores: float32 [c]. before: what stands before this list where it continues another, which pins, shares and
    caps go on from.
    """

    def more_of_it(_: Rows, n: int, among: Mask) -> tuple[Items, Scores]:
        found, of_found = more(n, among)
        return found[None], of_found[None]

    if not len(items):
        items, scores = np.full(1, -1, dtype=np.int64), np.zeros(1, dtype=np.float32)
    lists = arrange_lists(rules, items[None], scores[None], k, more_of_it, before[None])
    length = int(np.count_nonzero(lists.items >= 0))
    pinned = tuple(np.flatnonzero(lists.pinned[0]).tolist())
    return Arranged(lists.items[0, :length], lists.scores[0, :length], pinned, lists.unmet(0))


def arrange_lists(
    rules: ActiveRules, items: Items, scores: Scores, k: int, more: MoreOfLists, before: Items | None = None
) -> ArrangedLists:
    """The lists of k of a block of people, each as `arrange` makes it.

    items: int64 [n, c], c > 0, with -1 behind a list's last candidate. scores: float32 [n, c]. before: int64 [n, b].
    """
    before = np.empty((len(items), 0), dtype=np.int64) if before is None else before
    items, scores = boosted(rules, items, scores)
    some: Mask = np.asarray((items >= 0).any(axis=1))
    unmet = [_unmet(one.rule, np.ones(len(items), dtype=np.bool_), one.why) for one in rules.unmet]
    if rules.keeping:
        named = " and ".join(map(repr, rules.keeping))
        unmet.append(_unmet(rules.keeping[-1], ~some, f"the rules {named} leave nothing to show here"))
    if not (rules.pins or rules.limits):
        items, scores = items[:, :k], scores[:, :k]
        return ArrangedLists(items, scores, np.zeros(items.shape, dtype=np.bool_), tuple(unmet))
    own = [replace(pin, place=pin.place - before.shape[1]) for pin in rules.pins if pin.place >= before.shape[1]]
    pins = [pin for pin in own if pin.place < k]
    items, scores = with_wanted(rules, pins, items, scores, k, more)
    items, scores, left = _held_back([pin.item for pin in own if pin.place >= k], items, scores, k)
    length = np.minimum(np.count_nonzero(left, axis=1), k)
    chosen = _placed(pins, items, left, length, k)
    pinned = chosen >= 0
    missed = _filled(chosen, rules, items, left, length, before)
    shown, of_shown = (in_order(one, np.maximum(chosen, 0)) for one in (items, scores))
    shown[chosen < 0] = -1
    for one in (*(_missed(pin, shown) for pin in pins), *missed):
        unmet.append(replace(one, lists=one.lists & some) if rules.keeping else one)
    return ArrangedLists(shown, of_shown, pinned, tuple(unmet))


def _held_back(pinned: Sequence[int], items: Items, scores: Scores, k: int) -> tuple[Items, Scores, Mask]:
    """The candidates, of which those that are pinned behind the list come last, and which may be taken: bool [n, c].

    They may be where k would not be left without them.
    """
    there = items >= 0
    later = np.isin(items, pinned) if pinned else np.zeros(items.shape, dtype=np.bool_)
    if not later.any():
        return items, scores, there
    enough = np.count_nonzero(there & ~later, axis=1) >= k
    order = np.argsort(later, axis=1, kind="stable")
    items, scores, later = (in_order(one, order) for one in (items, scores, later))
    return items, scores, (items >= 0) & ~(later & enough[:, None])


def _placed(pins: Sequence[PlacedPin], items: Items, left: Mask, length: Items, k: int) -> Items:
    """The candidate that is pinned to each place, int64 [n, k], -1 for none; in a list that is shorter than that, the
    last places."""
    chosen = np.full((len(items), k), -1, dtype=np.int64)
    late: list[tuple[Rows, Items]] = []
    for pin in pins:
        matches = (items == pin.item) & left
        candidate = np.where(matches.any(axis=1), matches.argmax(axis=1), -1)
        chosen[:, pin.place] = np.where(pin.place < length, candidate, -1)
        rows = np.flatnonzero((candidate >= 0) & (pin.place >= length))
        late.append((rows, candidate[rows]))
    places = np.arange(k)
    for rows, candidate in reversed(late):
        free = (chosen[rows] < 0) & (places < length[rows][:, None])
        chosen[rows, k - 1 - free[:, ::-1].argmax(axis=1)] = candidate
    return chosen


def _filled(
    chosen: Items, rules: ActiveRules, items: Items, left: Mask, length: Items, before: Items
) -> list[UnmetOfLists]:
    """Choose a candidate for each place that has none, place by place, and say which limits the lists do not meet.

    chosen: int64 [n, k], -1 for no candidate. left: bool [n, c], those that may be taken. length: int64 [n].
    """
    grades = Grades(left, len(rules.limits))
    shares = tuple((number, one) for number, one in enumerate(rules.limits) if isinstance(one, ActiveShare))
    caps = tuple((number, one) for number, one in enumerate(rules.limits) if isinstance(one, ActiveCap))
    limits: list[LimitsOfLists] = []
    if shares:
        limits.append(SharesOfLists(shares, grades, items, length, before, chosen.shape[1]))
    if caps:
        limits.append(CapsOfLists(caps, grades, items, left, before))

    def take(rows: Rows, candidates: Items) -> None:
        grades.take(rows, candidates)
        for limit in limits:
            limit.take(rows, candidates)

    for place in np.flatnonzero((chosen >= 0).any(axis=0)).tolist():
        rows = (chosen[:, place] >= 0).nonzero()[0]
        take(rows, chosen[rows, place])
    open_places = (chosen < 0) & (np.arange(chosen.shape[1]) < length[:, None])
    free = open_places[:, ::-1].cumsum(axis=1)[:, ::-1]
    """How many places are open from each."""
    for place in np.flatnonzero(open_places.any(axis=0)).tolist():
        for limit in limits:
            limit.turn_to(place, free[:, place])
        rows = open_places[:, place].nonzero()[0]
        chosen[rows, place] = candidates = grades.best()[rows]
        take(rows, candidates)
    unmet = {number: one for limit in limits for number, one in limit.unmet().items()}
    return [unmet[number] for number in sorted(unmet)]


def _unmet(rule: str, lists: Mask, why: str) -> UnmetOfLists:
    return UnmetOfLists(rule, lists, lambda _: why)


def _missed(pin: PlacedPin, shown: Items) -> UnmetOfLists:
    """The lists in which a pinned movie is not at its place. shown: int64 [n, k]."""

    def why(row: int) -> str:
        places = np.flatnonzero(shown[row] == pin.item)
        if not len(places):
            return f"what it pins to place {pin.place + 1} is left out here, as it was seen or is filtered away"
        length = int(np.count_nonzero(shown[row] >= 0))
        return f"the list has {length} places, so that what it pins to place {pin.place + 1} is at {places[0] + 1}"

    return UnmetOfLists(pin.rule, shown[:, pin.place] != pin.item, why)
