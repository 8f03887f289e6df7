"""Trending and rising items, from likes by day.

    trending(i) = sum of the likes of i within the window, each times 0.5 ** (age / half-life)
    rising(i)   = (r - b) / sqrt(r + b + 1)     r: likes of i within the window, b: in the window before it

The second is how many standard deviations two Poisson counts of one rate would have to differ; what is new has no b.
Ages are whole days. An item that fewer than LEAST people have liked within the window is neither.
"""

import numpy as np
from numpy.typing import NDArray

from movierec_engine.recommending.rows.ratings_by_item import LikesByDay

LEAST = 2
"""One person alone makes no trend."""
_HELD_APART = 1e-6
"""Weight of the data's own clock beside the present one, so that it orders what the present is silent about."""

Floats = NDArray[np.float64]


def trending(data: LikesByDay, log: LikesByDay, gap: int, n_items: int, days: int, half_life: float) -> Floats:
    """Trending score of each item, float64 [n_items], 0 for items that are not trending.

    data: likes of the raw data by their age before its newest rating. log: those of the feedback log, by their age now.
    gap: days from the newest rating of the data to now, 0 where the log is empty: data of years ago have their own
    present then. Otherwise that present stands behind what is liked now.
    """
    now = _decayed(_together(data.older(gap), log), n_items, days, half_life)
    if not gap:
        return now
    then = _decayed(data, n_items, days, half_life)
    return now + _HELD_APART * then / max(float(then.max(initial=0)), 1.0)


def rising(data: LikesByDay, log: LikesByDay, gap: int, n_items: int, days: int) -> Floats:
    """Rising score of each item, float64 [n_items], 0 for items that are not rising; arguments as in `trending`."""
    now = _difference(_together(data.older(gap), log), n_items, days)
    if not gap:
        return now
    then = _difference(data, n_items, days)
    return now + _HELD_APART * then / max(float(then.max(initial=0)), 1.0)


def _decayed(likes: LikesByDay, n_items: int, days: int, half_life: float) -> Floats:
    weights = likes.likes * 0.5 ** (likes.ages / half_life) * (likes.ages < days)
    score = np.bincount(likes.items, weights=weights, minlength=n_items)
    return np.where(_count(likes, likes.ages < days, n_items) >= LEAST, score, 0.0)


def _difference(likes: LikesByDay, n_items: int, days: int) -> Floats:
    recent = _count(likes, likes.ages < days, n_items)
    before = _count(likes, (likes.ages >= days) & (likes.ages < 2 * days), n_items)
    risen = (recent - before) / np.sqrt(recent + before + 1)
    return np.where((recent >= LEAST) & (risen > 0), risen, 0.0)


def _count(likes: LikesByDay, within: NDArray[np.bool_], n_items: int) -> Floats:
    return np.bincount(likes.items[within], weights=likes.likes[within], minlength=n_items).astype(np.float64)


def _together(one: LikesByDay, other: LikesByDay) -> LikesByDay:
    return LikesByDay(*(np.concatenate(parts) for parts in zip(one, other, strict=True)))
