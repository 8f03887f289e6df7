"""Hidden gems: items that few people know and those who do rate high."""

import numpy as np
from numpy.typing import NDArray

from movierec_engine.recommending.rows.ratings_by_item import RatingsByItem

PRIOR = 10
"""Ratings of the mean of all that each item begins with (a Bayesian average)."""
BEST_SHARE = 0.25
"""Share of the items outside the head that are gems: those of the highest averages."""
HEAD = 0.5
"""The most popular items with this share of all interactions are known to everybody (evaluation's head)."""

Floats = NDArray[np.float64]


def quality(ratings: RatingsByItem) -> Floats:
    """Each item's mean rating with PRIOR ratings of the mean of all added, float64 [n_items]."""
    mean = float(ratings.total.sum()) / max(int(ratings.count.sum()), 1)
    return np.asarray((ratings.total + PRIOR * mean) / (ratings.count + PRIOR))


def hidden_gems(ratings: RatingsByItem, popularity: NDArray[np.float32]) -> NDArray[np.bool_]:
    """bool [n_items], True for the gems; none where all ratings are equal, which say nothing of how good an item is.

    popularity: float32 [n_items], train interactions.
    """
    good = quality(ratings)
    if not len(good) or np.ptp(good) < 1e-9:
        return np.zeros(len(good), dtype=np.bool_)
    order = np.argsort(-popularity, kind="stable")
    before = np.cumsum(popularity[order]) - popularity[order]
    known = np.zeros(len(order), dtype=np.bool_)
    known[order[before < HEAD * popularity.sum()]] = True
    rest = good[~known]
    return ~known & (good >= np.quantile(rest, 1 - BEST_SHARE)) if len(rest) else ~known
