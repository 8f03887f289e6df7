"""Which scale ratings are on, and what belongs to it."""

import numpy as np
import pytest

from movierec_engine.data.likes import liked_from
from movierec_engine.data.rating_scale import MOVIELENS, RatingScale

TOLD = (0.0, 0.0)
ONE_TO_TEN = np.array([1, 10, 7, 8, 9], dtype=np.float32)
COUNTS = np.array([1] * 30 + [2] * 10 + [700], dtype=np.float32)


@pytest.mark.parametrize(
    ("ratings", "ends", "expected"),
    [
        (np.array([0.5, 5, 3.5]), TOLD, RatingScale(0.5, 5.0, 0.5)),
        (np.array([3, 4, 4.5]), (0.5, 5.0), RatingScale(0.5, 5.0, 0.5)),
        (np.array([3, 4, 4]), (1.0, 5.0), RatingScale(1.0, 5.0, 1.0)),
        (ONE_TO_TEN, TOLD, RatingScale(1.0, 10.0, 1.0)),
        (np.array([1, 100, 63]), TOLD, RatingScale(1.0, 100.0, 1.0)),
        (np.array([0, 1, 1]), TOLD, RatingScale(0.0, 1.0, 1.0)),
        (np.array([0.1, 0.9, 0.45], dtype=np.float32), TOLD, RatingScale(0.1, 0.9, 0.0)),
        (np.array([-9.97, 10, 3.21]), TOLD, RatingScale(-9.97, 10.0, 0.0)),
        (np.array([-1, 1, 10, 7, 8, 9]), TOLD, RatingScale(1.0, 10.0, 1.0)),
        (np.ones(4), TOLD, RatingScale(1.0, 1.0, 0.0)),
        (COUNTS, TOLD, RatingScale(1.0, 1.0, 0.0)),
    ],
    ids=[
        "half stars",
        "set",
        "set whole",
        "to ten",
        "to a hundred",
        "thumbs",
        "shares",
        "any",
        "no rating",
        "likes",
        "counts",
    ],
)
def test_the_scale_is_what_is_set_or_what_the_ratings_tell(
    ratings: np.ndarray, ends: tuple[float, float], expected: RatingScale
) -> None:
    assert RatingScale.of(ratings, liked_from(ratings, 0.0), ends) == expected


def test_counts_that_are_likes_from_a_threshold_on_have_it_as_the_like() -> None:
    assert RatingScale.of(COUNTS, liked_from(COUNTS, 2.0), TOLD) == RatingScale(2.0, 2.0, 0.0)


@pytest.mark.parametrize(
    ("scale", "inside", "outside", "said"),
    [
        (MOVIELENS, [0.5, 4.5, 5], [0, 4.2, 5.5], "a rating from 0.5 to 5 in steps of 0.5"),
        (RatingScale(1, 10, 1), [1, 9, 10], [0.5, 4.5, 11], "a rating from 1 to 10 in steps of 1"),
        (RatingScale(-10, 10, 0), [-10, 3.21], [-10.1, 11], "a rating from -10 to 10"),
        (RatingScale(1, 1, 0), [1], [0, 2], "1, which is a like: the data have no ratings"),
    ],
    ids=["half stars", "to ten", "any", "likes"],
)
def test_a_scale_knows_its_ratings_and_says_what_they_must_be(
    scale: RatingScale, inside: list[float], outside: list[float], said: str
) -> None:
    assert all(rating in scale for rating in inside)
    assert not any(rating in scale for rating in outside)
    assert str(scale) == said


@pytest.mark.parametrize(
    ("scale", "offered"),
    [
        (MOVIELENS, [5, 4.5, 4, 3.5, 3, 2.5, 2, 1.5, 1, 0.5]),
        (RatingScale(1, 5, 1), [5, 4, 3, 2, 1]),
        (RatingScale(1, 100, 1), [100, 89, 78, 67, 56, 45, 34, 23, 12, 1]),
        (RatingScale(0, 4.5, 0), [4.5, 4, 3.5, 3, 2.5, 2, 1.5, 1, 0.5, 0]),
        (RatingScale(1, 1, 0), [1]),
    ],
)
def test_ratings_are_offered_from_the_highest_on(scale: RatingScale, offered: list[float]) -> None:
    assert scale.offered() == pytest.approx(offered)
    assert all(rating in scale for rating in scale.offered())
