"""Kinds of users by activity and of items by popularity, the same wherever they are told apart."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from movierec_engine.data.catalogue import Catalogue

ACTIVITY_FROM = {"cold": 0, "limited": 5, "moderate": 20, "rich": 100}
"""Kinds of users by train interactions: from this number on."""

POPULARITY_UP_TO = {"head": 0.5, "mid": 0.8, "tail": 1.0}
"""Kinds of items, most popular first: up to this share of the train interactions (long tail: Anderson 2006)."""


def activity_tier(activity: NDArray[np.integer[Any]]) -> NDArray[np.int64]:
    """Positions in ACTIVITY_FROM, by numbers of train interactions; any shape."""
    return np.searchsorted(list(ACTIVITY_FROM.values()), activity, side="right") - 1


def popularity_tier(catalogue: Catalogue) -> NDArray[np.int64]:
    """Positions in POPULARITY_UP_TO, int64 [n_items].

    Items in order of popularity: one belongs to the tier in which the interactions of the items before it end, so that
    the most popular item is always head. Items without interactions are tail.
    """
    order = np.argsort(catalogue.popularity_rank)
    count = catalogue.popularity[order]
    before = (np.cumsum(count) - count) / max(count.sum(), 1)
    tier = np.empty(len(order), dtype=np.int64)
    tier[order] = np.searchsorted(list(POPULARITY_UP_TO.values()), before, side="right")
    return np.asarray(np.minimum(tier, len(POPULARITY_UP_TO) - 1))
