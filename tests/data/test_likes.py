"""Where likes begin on the scales that ratings come in."""

import re

import numpy as np
import pytest

from movierec_engine.data.likes import liked_from, low_ratings

STARS = np.array([0.5, 1, 2, 3, 3.5, 4, 4, 5])


@pytest.mark.parametrize(
    ("ratings", "expected"),
    [
        (STARS, 2.75),
        (np.array([1.0, 4, 5, 5, 3]), 3.0),
        (np.array([1.0, 10, 7, 8]), 5.5),
        (np.ones(5), 1.0),
        (np.array([0.0, 0, 0, 1]), 0.5),
        (np.array([1.0] * 30 + [2] * 10 + [700]), 1.0),
        (np.array([1.0] * 9 + [9]), 5.0),
    ],
    ids=["half stars", "stars", "one to ten", "all equal", "thumbs", "counts", "just a tenth"],
)
def test_likes_begin_at_the_middle_of_a_scale_and_everywhere_in_counts(ratings: np.ndarray, expected: float) -> None:
    assert liked_from(ratings, 0.0) == expected


@pytest.mark.parametrize(
    ("ratings", "threshold", "expected"),
    [
        (
            np.array([0.0, 1, 1, 1]),
            0,
            "25.0 % are 0, which count .*; data.rating_threshold=1 leaves",
        ),
        (np.array([0.0] * 99 + [1]), 0, "99.0 % are 0, "),
        (np.array([1.0, 2, 4, 5]), 0, "50.0 % are below 4, .*; data.rating_threshold=4 leaves them out"),
        (np.array([0.0, 1, 1, 1]), 1, "^$"),
        (np.array([-1.0, 1, 1, 1]), 0, "^$"),
        (np.ones(5), 0, "^$"),
        (np.array([1.0] * 30 + [2] * 10 + [700]), 0, "^$"),
    ],
    ids=["thumbs", "rare likes", "stars", "with a threshold", "negative ones are left out", "all equal", "counts"],
)
def test_low_ratings_that_count_are_said(ratings: np.ndarray, threshold: float, expected: str) -> None:
    assert re.match(expected, low_ratings(ratings, threshold))


def test_a_threshold_that_leaves_something_out_is_where_likes_begin() -> None:
    assert liked_from(STARS, 4.0) == 4.0
    assert liked_from(STARS, 0.5) == 2.75
