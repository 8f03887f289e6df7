"""Counts of each share's movies in the lists of a block while they are filled, one place after another."""

import math
from functools import lru_cache, partial

import numpy as np
from numpy.typing import NDArray

from movierec_engine.recommending.rules.active import ActiveShare, UnmetOfLists
from movierec_engine.recommending.rules.grades import Grades

Integers = NDArray[np.int64]
Shares = tuple[tuple[int, ActiveShare], ...]
"""Shares, each with its number among the limits."""
_DIGITS = 9
"""Shares of places are rounded to so many, so that 0.1 of 30 places are 3."""
_ANY, _MATCHING, _OTHERS = 0, 1, 2
"""Demands of a share on a place: any movie, one that matches, or one that does not."""


class SharesOfLists:
    """The shares of n lists.

    items: int64 [n, c], candidates, whose grades are kept as the shares ask. length: int64 [n], places of each list, k
    at most. before: int64 [n, b], what stands before each.
    """

    def __init__(
        self, shares: Shares, grades: Grades, items: Integers, length: Integers, before: Integers, k: int
    ) -> None:
        self._shares, self._grades = shares, grades
        self._before, self._length = before.shape[1], before.shape[1] + length
        self._matches = np.array([share.matches[items] for _, share in shares])
        self._count = np.array([np.count_nonzero(share.matches[before], axis=1) for _, share in shares])
        bounds = [_bounds(share.at_least, share.at_most, self._before + k) for _, share in shares]
        least, most, self._due, self._full = np.array(bounds).swapaxes(0, 1)
        self._least, self._most = least[:, self._length], most[:, self._length]
        self._asked = np.zeros(self._count.shape, dtype=np.int64)

    def turn_to(self, place: int, free: Integers) -> None:
        n = self._before + place + 1
        due = self._count < np.minimum(self._least, np.maximum(self._least + 1 - free, self._due[:, n, None]))
        full = self._count >= np.minimum(self._most, self._full[:, n, None])
        asked = np.where(due, _MATCHING, np.where(full, _OTHERS, _ANY))
        share, row = (asked != self._asked).nonzero()
        self._asked = asked
        for which in set(share.tolist()):
            self._grade(which, row[share == which])

    def _grade(self, which: int, rows: Integers) -> None:
        """Grade the candidates of some lists by whether a share asks for them."""
        bit, grades = self._grades.bit(self._shares[which][0]), self._grades.values[rows]
        asked = self._asked[which, rows, None]
        keeps = (asked == _ANY) | (self._matches[which, rows] == (asked == _MATCHING))
        self._grades.values[rows] = np.where(keeps, grades | bit, grades & ~bit)

    def take(self, rows: Integers, candidates: Integers) -> None:
        self._count[:, rows] += self._matches[:, rows, candidates]

    def unmet(self) -> dict[int, UnmetOfLists]:
        broken = (self._count < self._least) | (self._count > self._most)
        return {
            number: UnmetOfLists(share.rule, broken[which], partial(self._why, which))
            for which, (number, share) in enumerate(self._shares)
        }

    def _why(self, which: int, row: int) -> str:
        count, least, most = (int(one[which, row]) for one in (self._count, self._least, self._most))
        wanted = f"at least {least} were to be" if count < least else f"at most {most} were to be"
        return f"{count} of {self._length[row]} places are such movies, {wanted}"


@lru_cache(maxsize=256)
def _bounds(at_least: float, at_most: float, longest: int) -> Integers:
    """The bounds that a share sets for each number of places from 0 to `longest`: int64 [4, longest + 1].

    The least and the most of a list of n, and after n places of a longer one what must be there and what may be.
    """
    places = range(longest + 1)
    return np.array(
        [
            [up(at_least * n) for n in places],
            [down(at_most * n) for n in places],
            [down(at_least * n) for n in places],
            [up(at_most * n) for n in places],
        ]
    )


def up(places: float) -> int:
    return math.ceil(round(places, _DIGITS))


def down(places: float) -> int:
    return math.floor(round(places, _DIGITS))
