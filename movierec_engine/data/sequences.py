"""Histories as sequences, and the windows of them that models of order learn from."""

from dataclasses import dataclass, field
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

TIME_BUCKETS = 32
"""Buckets of the time between two items, by powers of two of a second: the last begins at 68 years."""
LEAST_SHARE = 0.7
"""Length of the shortest sequence of a group over that of the longest, at least."""


@dataclass(frozen=True, eq=False)
class Sequences:
    """Sequences of n users, one after another.

    items: int64 [total], each user's oldest first. starts: int64 [n + 1], where each user's begin, as CSR has it.
    seconds: int64 [total], the time of each item; [0] where only the order is known.
    """

    items: NDArray[np.int64]
    starts: NDArray[np.int64]
    seconds: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, dtype=np.int64))

    @classmethod
    def of(cls, histories: sparse.csr_matrix, timed: bool = False) -> Self:
        """Sequences of histories whose entries are places or times, CSR [n, n_items]; only their order in a row counts.

        timed: whether the entries are times, which are kept.
        """
        starts = histories.indptr.astype(np.int64)
        row = np.repeat(np.arange(histories.shape[0]), np.diff(starts))
        order = np.lexsort((histories.data, row))
        seconds = np.floor(histories.data[order] if timed else []).astype(np.int64)
        return cls(histories.indices[order].astype(np.int64), starts, seconds)

    @property
    def lengths(self) -> NDArray[np.int64]:
        """int64 [n]."""
        return np.diff(self.starts)

    def newest(self, length: int) -> "Sequences":
        """The last `length` items of each user, or all of them where there are no more."""
        lengths = np.minimum(self.lengths, length)
        starts = np.concatenate([[0], np.cumsum(lengths)])
        places = ranges(self.starts[1:] - lengths, lengths)
        return Sequences(self.items[places], starts, self.seconds[places] if len(self.seconds) else self.seconds)

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


def ranges(begins: NDArray[np.int64], lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """begin, begin + 1, ... of each length, one after another: int64 [sum of lengths]."""
    ends = np.cumsum(lengths)
    places: NDArray[np.int64] = np.arange(lengths.sum()) + np.repeat(begins - (ends - lengths), lengths)
    return places


def grouped_by_length(lengths: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Groups of sequences of similar lengths, the longest first: which of them, int64 [g] each.

    No sequence of a group is shorter than LEAST_SHARE of the group's longest, so that padding wastes little.
    """
    order = np.argsort(-lengths, kind="stable")
    ordered, groups, start = lengths[order], [], 0
    while start < len(order):
        end = start + int(np.searchsorted(-ordered[start:], -LEAST_SHARE * ordered[start], side="right"))
        groups.append(order[start:end])
        start = end
    return groups


def bucket_of_time(seconds: NDArray[np.int64]) -> NDArray[np.int32]:
    """floor(log2(1 + seconds)) of what is not negative, at most TIME_BUCKETS - 1, exactly: int32 of the same shape."""
    return np.asarray(np.minimum(np.frexp(1.0 + seconds)[1] - 1, TIME_BUCKETS - 1), dtype=np.int32)


def told_times(seconds: ArrayLike, after: float = 0.0) -> NDArray[np.float64]:
    """Ascending times for a history given in order, as `Interactions.exact_times` has them: float64 [n].

    seconds: int [n], the oldest first, 0 where it is not known. after: the newest entry of the history that these go
    on, 0 for none. No time is before the one told earlier, and unknown ones are equal to it, or to the first known.
    """
    given = np.asarray(seconds, dtype=np.float64)
    second = np.floor(after)
    time = np.maximum.accumulate(np.maximum(given, max(second, given[given > 0][0] if given.any() else 0)))
    first, end = np.searchsorted(time, time), np.searchsorted(time, time, side="right")
    begun = np.where(time == second, after - second, 0.0)
    return np.asarray(time + begun + (1 - begun) * (1 + np.arange(len(time)) - first) / (1 + end - first))
