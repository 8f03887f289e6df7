"""Where likes begin on the scales that ratings come in."""

import numpy as np
import pytest

from movierec_engine.data.likes import liked_from

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


def test_a_threshold_that_leaves_something_out_is_where_likes_begin() -> None:
    assert liked_from(STARS, 4.0) == 4.0
    assert liked_from(STARS, 0.5) == 2.75
