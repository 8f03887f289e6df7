"""Counts of capped values in the lists of a block while they are filled, one place after another."""

from dataclasses import dataclass
from functools import lru_cache, partial

import numpy as np
from numpy.typing import NDArray

from movierec_engine.recommending.rules.active import ActiveCap, UnmetOfLists
from movierec_engine.recommending.rules.grades import Grades
from movierec_engine.recommending.rules.item_columns import Mask

Integers = NDArray[np.int64]
Caps = tuple[tuple[int, ActiveCap], ...]
"""Caps, each with its number among the limits."""


@dataclass(frozen=True, eq=False)
class CappedValues:
    """The values that some caps count: those of the first cap, then those of the next, and so on.

    starts: int64 [n_movies + 1], values: int64; those of movie i are values[starts[i]:starts[i + 1]]. at_most: int64
    [v], how many of each a list may have. limit: int64 [v], the number of its cap among the limits. ends: for each cap
    the first of the next cap's values. What no list can have too many of is left out.
    """

    starts: Integers
    values: Integers
    at_most: Integers
    limit: Integers
    ends: tuple[int, ...]


@lru_cache(maxsize=32)
def capped_values(caps: Caps) -> CappedValues:
    """Capped values of every movie under these caps (at least one), as arrays; cached per set of caps."""
    n_movies = len(caps[0][1].starts) - 1
    items, values, at_most, limit, ends = [], [], [], [], [0]
    for number, cap in caps:
        codes = cap.codes[: cap.starts[-1]]
        many = np.bincount(codes) > cap.at_most
        n = int(np.count_nonzero(many))
        kept = many[codes]
        items.append(np.repeat(np.arange(n_movies), np.diff(cap.starts))[kept])
        values.append((np.cumsum(many) - 1)[codes[kept]] + ends[-1])
        at_most.append(np.full(n, cap.at_most))
        limit.append(np.full(n, number))
        ends.append(ends[-1] + n)
    each_once = np.unique(np.concatenate(items) * max(ends[-1], 1) + np.concatenate(values))
    item, value = np.divmod(each_once, max(ends[-1], 1))
    return CappedValues(_starts(item, n_movies), value, np.concatenate(at_most), np.concatenate(limit), tuple(ends))


class CapsOfLists:
    """The caps of n lists.

    items: int64 [n, c], candidates, whose grades are kept as the caps are reached. there: bool [n, c], where there is
    one. before: int64 [n, b], what stands before each list.
    """

    def __init__(self, caps: Caps, grades: Grades, items: Integers, there: Mask, before: Integers) -> None:
        self._caps, self._of, self._n = caps, capped_values(caps), len(items)
        self._n_values = len(self._of.at_most)
        self._at_most = np.tile(self._of.at_most, self._n)
        bits = np.array([grades.bit(number) for number in range(caps[-1][0] + 1)])
        self._grades, self._others = grades.values.ravel(), ~bits[self._of.limit]
        position = there.ravel().nonzero()[0]
        self._width = items.shape[1]
        self._key, lengths = self._keys(position // self._width, items.ravel()[position])
        candidate = position.repeat(lengths)
        self._having = np.sort(self._key << 32 | candidate) & 0xFFFFFFFF
        """The candidates, by position, that have a value: those of each list and value beside one another."""
        self._of_key, self._of_candidate = _starts(self._key, len(self._at_most)), _starts(candidate, items.size)
        """Where those of a key begin in `_having`, and those of a candidate in `_key`."""
        rows = np.arange(self._n).repeat(before.shape[1])
        self._count = np.bincount(self._keys(rows, before.ravel())[0], minlength=len(self._at_most))
        self._reach((self._count >= self._at_most).nonzero()[0])

    def turn_to(self, place: int, free: Integers) -> None:
        """A cap asks for the same at every place."""

    def take(self, rows: Integers, candidates: Integers) -> None:
        key = self._key[_entries(self._of_candidate, rows * self._width + candidates)[0]]
        self._count[key] = count = self._count[key] + 1
        self._reach(key[count == self._at_most[key]])

    def _reach(self, key: Integers) -> None:
        """Grade the candidates down that have a value of which a list has as many as it may."""
        if len(key):
            at, lengths = _entries(self._of_key, key)
            others = self._others[key % self._n_values].repeat(lengths)
            np.bitwise_and.at(self._grades, self._having[at], others)

    def unmet(self) -> dict[int, UnmetOfLists]:
        found = {}
        for (number, cap), start, end in zip(self._caps, self._of.ends, self._of.ends[1:], strict=False):
            count = self._count.reshape(self._n, self._n_values)[:, start:end].max(axis=1, initial=0)
            found[number] = UnmetOfLists(cap.rule, count > cap.at_most, partial(_why, cap, count))
        return found

    def _keys(self, rows: Integers, items: Integers) -> tuple[Integers, Integers]:
        """A number for each list and value of its items, int64 [e], one item after another, and how many each has.

        rows: the lists of the items. items: int64 [m] both.
        """
        at, lengths = _entries(self._of.starts, items)
        return rows.repeat(lengths) * self._n_values + self._of.values[at], lengths


def _why(cap: ActiveCap, count: Integers, row: int) -> str:
    return f"{count[row]} {cap.said} are shown, at most {cap.at_most} were to be"


def _starts(numbers: Integers, n: int) -> Integers:
    """How many of some numbers are below 0, 1, ..., n: int64 [n + 1]."""
    starts = np.zeros(n + 1, dtype=np.int64)
    np.bincount(numbers, minlength=n).cumsum(out=starts[1:])
    return starts


def _entries(starts: Integers, groups: Integers) -> tuple[Integers, Integers]:
    """The entries of some groups, int64 [e], one group after another, and how many each has, int64 [m].

    starts: where the entries of each group begin. groups: int64 [m].
    """
    first = starts[groups]
    lengths = starts[groups + 1] - first
    if len(groups) == 1:  # of a single list, where each step of numpy counts
        return np.arange(first[0], first[0] + lengths[0]), lengths
    ends = lengths.cumsum()
    return np.arange(ends[-1] if len(ends) else 0) + (first - ends + lengths).repeat(lengths), lengths
