"""The like threshold: the rating from which on an item counts as liked."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

RARE = 0.1
"""Least share of the ratings in the upper half of what is a scale."""


def liked_from(ratings: NDArray[np.floating[Any]], threshold: float) -> float:
    """The rating from which on an item counts as liked; what is rated lower is disliked.

    It is the threshold where some ratings are below it, else the middle between the lowest and the highest rating: 2.75
    of .5 to 5, so that 3 is the least like. Ratings that are all equal are likes, and so are counts, of which the large
    ones are rare: where less than a tenth of the values reach the middle, the lowest one is a like.

    ratings: [n], at least one.
    """
    low, high = float(ratings.min()), float(ratings.max())
    if threshold > low:
        return threshold
    middle = (low + high) / 2
    return middle if (ratings >= middle).mean() >= RARE else low
