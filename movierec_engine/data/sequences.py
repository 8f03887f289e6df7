"""Histories as sequences, and the windows of them that models of order learn from."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy import sparse


@dataclass(frozen=True, eq=False)
class Sequences:
    """Sequences of n users, one after another.

    items: int64 [total], each user's oldest first. starts: int64 [n + 1], where each user's begin, as CSR has it.
    """

    items: NDArray[np.int64]
    starts: NDArray[np.int64]

    @classmethod
    def of(cls, histories: sparse.csr_matrix) -> Self:
        """Of histories with places, CSR [n, n_items], of which only the order in a row counts."""
        starts = histories.indptr.astype(np.int64)
        row = np.repeat(np.arange(histories.shape[0]), np.diff(starts))
        order = np.lexsort((histories.data, row))
        return cls(histories.indices[order].astype(np.int64), starts)

    @property
    def lengths(self) -> NDArray[np.int64]:
        """int64 [n]."""
        return np.diff(self.starts)

    def newest(self, length: int) -> "Sequences":
        """The last `length` items of each user, or all of them where there are no more."""
        lengths = np.minimum(self.lengths, length)
        starts = np.concatenate([[0], np.cumsum(lengths)])
        places = np.arange(starts[-1]) + np.repeat(self.starts[1:] - starts[1:], lengths)
        return Sequences(self.items[places], starts)

    def windows(self, length: int, rng: np.random.Generator) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Windows of at most `length` items whose next items are all items but each user's first, once each.

        Of a longer sequence the first window has a random length, so that the cuts are elsewhere each time.

        Returns the place in `items` where each window begins, and how many items it has: int64 [w] each.
        """
        targets = self.lengths - 1
        user = np.flatnonzero(targets > 0)
        total = targets[user]
        first = np.where(total > length, rng.integers(1, length + 1, len(user)), total)
        count = 1 + -(-(total - first) // length)
        number = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)  # of a user's windows
        first, total = np.repeat(first, count), np.repeat(total, count)
        begin = np.where(number == 0, 0, first + (number - 1) * length)
        end = np.minimum(first + number * length, total)
        return np.repeat(self.starts[user], count) + begin, end - begin


def grouped_by_length(lengths: NDArray[np.int64], least_share: float = 0.7) -> list[NDArray[np.int64]]:
    """Groups of sequences of similar lengths, the longest first: which of them, int64 [g] each.

    No sequence of a group is shorter than `least_share` of the group's longest, so that padding wastes little.
    """
    order = np.argsort(-lengths, kind="stable")
    ordered, groups, start = lengths[order], [], 0
    while start < len(order):
        end = start + int(np.searchsorted(-ordered[start:], -least_share * ordered[start], side="right"))
        groups.append(order[start:end])
        start = end
    return groups
