"""Rating statistics of each item over all people: number and sum of ratings, and recent likes by day."""

from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

KEPT_DAYS = 730
"""Likes are kept by the day for so many days before the newest rating."""
DAY = 86_400
"""Seconds."""


class LikesByDay(NamedTuple):
    """Likes of items by age: int32 [m] each. An item has one entry for each age, in whole days from 0."""

    items: NDArray[np.int32]
    ages: NDArray[np.int32]
    likes: NDArray[np.int32]

    def older(self, days: int) -> "LikesByDay":
        """The same likes so many days later."""
        return LikesByDay(self.items, self.ages + np.int32(days), self.likes)


NO_LIKES = LikesByDay(*(np.empty(0, dtype=np.int32) for _ in range(3)))


@dataclass(frozen=True, eq=False)
class RatingsByItem:
    """Rating statistics of a catalogue's items, over all ratings of the raw data.

    count: int32 [n_items], ratings. total: float64 [n_items], their sum.
    newest: the second of the newest rating; 0 where the data have no times.
    recent: likes of the last KEPT_DAYS days before it; none where there are no times.
    """

    count: NDArray[np.int32]
    total: NDArray[np.float64]
    newest: int
    recent: LikesByDay

    @classmethod
    def of(
        cls,
        items: NDArray[np.integer[Any]],
        ratings: NDArray[np.floating[Any]],
        seconds: NDArray[np.integer[Any]],
        n_items: int,
        liked_from: float,
    ) -> Self:
        """From ratings [n] with the items that they are of, below 0 outside the catalogue, and their times.

        seconds: since 1970; all equal where the data have none. liked_from: the least rating of a like.
        """
        known = items >= 0
        items, ratings, seconds = items[known], ratings[known], seconds[known]
        count = np.bincount(items, minlength=n_items).astype(np.int32)
        total = np.bincount(items, weights=ratings, minlength=n_items).astype(np.float64)
        timed = len(seconds) > 0 and bool(seconds.min() < seconds.max())
        if not timed:
            return cls(count, total, 0, NO_LIKES)
        newest = int(seconds.max())
        age = (newest - seconds) // DAY
        liked = (age < KEPT_DAYS) & (ratings >= liked_from)
        pairs, likes = np.unique(items[liked].astype(np.int64) * KEPT_DAYS + age[liked], return_counts=True)
        by_day = (pairs // KEPT_DAYS, pairs % KEPT_DAYS, likes)
        return cls(count, total, newest, LikesByDay(*(part.astype(np.int32) for part in by_day)))

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The arrays to store, which `from_arrays` reads."""
        own = {"count": self.count, "total": self.total, "newest": np.array(self.newest, dtype=np.int64)}
        return {**own, **{f"recent_{name}": values for name, values in self.recent._asdict().items()}}

    @classmethod
    def from_arrays(cls, arrays: dict[str, NDArray[Any]]) -> Self:
        recent = LikesByDay(*(arrays[f"recent_{name}"] for name in LikesByDay._fields))
        return cls(arrays["count"], arrays["total"], int(arrays["newest"]), recent)
