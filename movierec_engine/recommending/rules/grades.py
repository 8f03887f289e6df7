"""Grades: how well each candidate of a block of lists keeps the shares and caps at the next place."""

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from movierec_engine.recommending.rules.active import UnmetOfLists
from movierec_engine.recommending.rules.item_columns import Mask


class Grades:
    """The grades of n lists' candidates, c each: whole numbers, of which the larger is the better.

    The first bit says that the candidate is left, the others that it keeps each limit, those of higher priority first.
    So the best has the largest grade: it keeps all limits if any candidate does, and else those of higher priority.

    left: bool [n, c], the candidates that may be taken. n_limits: 63 at most.
    """

    def __init__(self, left: Mask, n_limits: int) -> None:
        size = next(size for size in (8, 16, 32, 64) if size > n_limits)
        self._kind = np.dtype(f"uint{size}").type
        self._n_limits = n_limits
        self.values: NDArray[Any] = np.where(left, self._kind(2 ** (n_limits + 1) - 1), self._kind(0))

    def bit(self, limit: int) -> Any:
        """The bit of a limit, by its number."""
        return self._kind(1 << (self._n_limits - 1 - limit))

    def best(self) -> NDArray[np.int64]:
        """The best candidate of each list, the first of those with equal grades: int64 [n]."""
        return np.asarray(self.values.argmax(axis=1))

    def take(self, rows: NDArray[np.int64], candidates: NDArray[np.int64]) -> None:
        """Take candidates out of some lists, so that they are not chosen again; both int64 [m]."""
        self.values[rows, candidates] = 0


class LimitsOfLists(Protocol):
    """The shares or the caps of n lists that are being filled, which keep the candidates' grades."""

    def turn_to(self, place: int, free: NDArray[np.int64]) -> None:
        """Grade for a place, from 0. free: int64 [n], places of each list that are free from there."""

    def take(self, rows: NDArray[np.int64], candidates: NDArray[np.int64]) -> None:
        """Candidates stand in some lists, int64 [m] both, each list once."""

    def unmet(self) -> dict[int, UnmetOfLists]:
        """Each limit, by its number, and the lists that do not meet it."""
        ...
