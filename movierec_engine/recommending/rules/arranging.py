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
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from movierec_engine.recommending.rules.active import ActiveCap, ActiveRules, ActiveShare, PlacedPin, UnmetRule
from movierec_engine.recommending.rules.item_columns import Mask

Items = NDArray[np.int64]
Scores = NDArray[np.float32]
More = Callable[[int, Mask], tuple[Items, Scores]]
"""n and bool [n_items] -> the person's n best candidates among those, best first, with their scores."""
_SPARE = 4
"""Times as many movies that a share asks for are among the candidates, wherever there are so many."""
NOTHING = np.empty(0, dtype=np.int64)
_DIGITS = 9
"""Shares of places are rounded to so many, so that 0.1 of 30 places are 3."""


@dataclass(frozen=True)
class Arranged:
    """items: int64 [<=k]. scores: the model's, float32 [<=k]. pinned: places from 0 that rules pinned."""

    items: Items
    scores: Scores
    pinned: tuple[int, ...] = ()
    unmet: tuple[UnmetRule, ...] = ()


def arrange(rules: ActiveRules, items: Items, scores: Scores, k: int, more: More, before: Items = NOTHING) -> Arranged:
    """The list of k under rules.

    items: int64 [c], candidates that the rules allow, best first; as many as `rules.candidates(k)` or all that there
    are. scores: float32 [c]. before: what stands before this list where it continues another, which pins, shares and
    caps go on from.
    """
    if rules.keeping and not len(items):
        named = " and ".join(map(repr, rules.keeping))
        nothing = UnmetRule(rules.keeping[-1], f"the rules {named} leave nothing to show here")
        return Arranged(items[:0], scores[:0], unmet=(*rules.unmet, nothing))
    if rules.factors is not None:
        order = np.argsort(np.arange(1, len(items) + 1) / rules.factors[items], kind="stable")
        items, scores = items[order], scores[order]
    if not rules.pins and not rules.limits:
        return Arranged(items[:k], scores[:k], unmet=rules.unmet)
    items, scores = _with_wanted(rules, items, scores, k, more)
    own = [replace(pin, place=pin.place - len(before)) for pin in rules.pins if pin.place >= len(before)]
    items, scores = _held_back([pin.item for pin in own if pin.place >= k], items, scores, k)
    length = min(k, len(items))
    pins = _placed(own, items, length, k)
    chosen = _filled(rules.limits, items, pins, length, before)
    shown = items[chosen]
    unmet = [*rules.unmet, *_missed(own, shown, k)]
    unmet += [one for limit in rules.limits if (one := _broken(limit, np.concatenate([before, shown])))]
    return Arranged(shown, scores[chosen], tuple(sorted(pins)), tuple(unmet))


def _with_wanted(rules: ActiveRules, items: Items, scores: Scores, k: int, more: More) -> tuple[Items, Scores]:
    """The candidates, and after them the pinned ones and those that shares ask for, which are not among them yet."""
    if len(items) < rules.candidates(k):  # there are no others
        return items, scores
    found: list[tuple[Items, Scores]] = []
    pinned = np.array([pin.item for pin in rules.pins if pin.place < k], dtype=np.int64)
    if len(absent := np.setdiff1d(pinned, items)):
        found.append(more(len(absent), _mask_of(absent, rules)))
    for limit in rules.limits:
        if isinstance(limit, ActiveShare) and limit.at_least:
            wanted = _SPARE * _up(limit.at_least * k)
            if np.count_nonzero(limit.matches[items]) < wanted:
                found.append(more(wanted, limit.matches[: rules.n_items]))
    if not found:
        return items, scores
    extra, first = np.unique(np.concatenate([own for own, _ in found]), return_index=True)
    of_extra = np.concatenate([own for _, own in found])[first]
    new = ~np.isin(extra, items)
    extra, of_extra = extra[new], of_extra[new]
    order = np.argsort(-of_extra, kind="stable")
    return np.concatenate([items, extra[order]]), np.concatenate([scores, of_extra[order]])


def _held_back(pinned: Sequence[int], items: Items, scores: Scores, k: int) -> tuple[Items, Scores]:
    """The candidates without those that are pinned behind the list, which come last where k would not be left."""
    later = np.isin(items, pinned) if pinned else np.zeros(len(items), dtype=np.bool_)
    first = np.flatnonzero(~later)
    order = first if len(first) >= k else np.concatenate([first, np.flatnonzero(later)])
    return (items[order], scores[order]) if later.any() else (items, scores)


def _mask_of(items: Items, rules: ActiveRules) -> Mask:
    mask = np.zeros(rules.n_items, dtype=np.bool_)
    mask[items] = True
    return mask


def _placed(pins: Sequence[PlacedPin], items: Items, length: int, k: int) -> dict[int, int]:
    """Place -> the candidate that is pinned there; in a list that is shorter than that, the last places."""
    place_of = {item: place for place, item in enumerate(items.tolist())} if pins else {}
    found: dict[int, int] = {}
    late: list[int] = []
    for pin in pins:
        candidate = place_of.get(pin.item)
        if candidate is not None and pin.place < length:
            found[pin.place] = candidate
        elif candidate is not None and pin.place < k:
            late.append(candidate)
    for candidate in reversed(late):
        found[next(place for place in range(length - 1, -1, -1) if place not in found)] = candidate
    return found


def _filled(
    limits: Sequence[ActiveShare | ActiveCap], items: Items, pins: dict[int, int], length: int, before: Items
) -> NDArray[np.int64]:
    """The candidates of a list, int64 [length], best first. pins: place -> candidate."""
    chosen = np.empty(length, dtype=np.int64)
    left = np.ones(len(items), dtype=np.bool_)
    counters: list[_Counter] = [
        (_ShareCounter(one, items, length, before) if isinstance(one, ActiveShare) else _CapCounter(one, items, before))
        for one in limits
    ]
    for place, candidate in pins.items():
        chosen[place], left[candidate] = candidate, False
        for counter in counters:
            counter.take(candidate)
    free = length - len(pins)
    for place in range(length):
        if place in pins:
            continue
        keeping = [counter.keeps(len(before) + place + 1, free) for counter in counters]
        candidate = int(left.argmax())
        if not all(keeps is None or keeps[candidate] for keeps in keeping):
            open_to = left
            for keeps in keeping:
                if keeps is not None and (narrower := open_to & keeps).any():
                    open_to = narrower
            candidate = int(open_to.argmax())
        chosen[place], left[candidate] = candidate, False
        for counter in counters:
            counter.take(candidate)
        free -= 1
    return chosen


class _Counter(Protocol):
    """What a list so far has of a share or a cap."""

    def keeps(self, n: int, free: int) -> Mask | None:
        """bool [candidates], those that may stand at place n, with so many places free from there; None for all."""

    def take(self, candidate: int) -> None:
        """A candidate stands in the list."""


class _ShareCounter:
    def __init__(self, share: ActiveShare, items: Items, length: int, before: Items) -> None:
        self._share, self._count = share, int(np.count_nonzero(share.matches[before]))
        self._matches = share.matches[items]
        whole = len(before) + length
        self._least, self._most = _up(share.at_least * whole), _down(share.at_most * whole)

    def keeps(self, n: int, free: int) -> Mask | None:
        lacking = self._least - self._count
        if lacking > 0 and (lacking >= free or self._count < _down(self._share.at_least * n)):
            return self._matches
        if self._count >= min(self._most, _up(self._share.at_most * n)):
            return ~self._matches
        return None

    def take(self, candidate: int) -> None:
        self._count += int(self._matches[candidate])


class _CapCounter:
    def __init__(self, cap: ActiveCap, items: Items, before: Items) -> None:
        self._most = cap.at_most
        self._codes, self._candidates, self._starts = _codes_of(cap, items)
        self._keeps = np.ones(len(items), dtype=np.bool_)
        self._full = cap.at_most == 0
        if self._full:
            self._keeps[self._candidates] = False
        self._counts: dict[int, int] = {}
        for code in _codes_of(cap, before)[0].tolist():
            self._count(code)

    def keeps(self, n: int, free: int) -> Mask | None:
        return self._keeps if self._full else None

    def take(self, candidate: int) -> None:
        for code in self._codes[self._starts[candidate] : self._starts[candidate + 1]].tolist():
            self._count(code)

    def _count(self, code: int) -> None:
        self._counts[code] = count = self._counts.get(code, 0) + 1
        if count == self._most:
            self._full = True
            self._keeps[self._candidates[self._codes == code]] = False


def _codes_of(cap: ActiveCap, items: Items) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """The values of some items, which of the items has each, and where each item's start: int64."""
    lengths = cap.starts[items + 1] - cap.starts[items]
    starts = np.concatenate([[0], np.cumsum(lengths)])
    owner = np.repeat(np.arange(len(items)), lengths)
    at = np.arange(starts[-1]) - starts[owner] + cap.starts[items][owner]
    return cap.codes[at], owner, starts


def _missed(pins: Sequence[PlacedPin], shown: Items, k: int) -> list[UnmetRule]:
    """The pins of the first k places that do not stand where they should."""
    places = {item: place for place, item in enumerate(shown.tolist())} if pins else {}
    missed = []
    for pin in pins:
        place = places.get(pin.item)
        if pin.place >= k or place == pin.place:
            continue
        if place is None:
            why = f"what it pins to place {pin.place + 1} is left out here, as it was seen or is filtered away"
        else:
            why = f"the list has {len(shown)} places, so that what it pins to place {pin.place + 1} is at {place + 1}"
        missed.append(UnmetRule(pin.rule, why))
    return missed


def _broken(limit: ActiveShare | ActiveCap, shown: Items) -> UnmetRule | None:
    """Why a list does not meet a limit, None where it does."""
    if isinstance(limit, ActiveCap):
        codes, _, _ = _codes_of(limit, shown)
        most = int(np.unique(codes, return_counts=True)[1].max(initial=0))
        if most <= limit.at_most:
            return None
        return UnmetRule(limit.rule, f"{most} {limit.said} are shown, at most {limit.at_most} were to be")
    count, length = int(np.count_nonzero(limit.matches[shown])), len(shown)
    least, most = _up(limit.at_least * length), _down(limit.at_most * length)
    if least <= count <= most:
        return None
    wanted = f"at least {least} were to be" if count < least else f"at most {most} were to be"
    return UnmetRule(limit.rule, f"{count} of {length} places are such movies, {wanted}")


def _up(places: float) -> int:
    return math.ceil(round(places, _DIGITS))


def _down(places: float) -> int:
    return math.floor(round(places, _DIGITS))
