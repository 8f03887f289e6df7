"""Trends: likes by day, decayed by age, with two clocks; derived by hand."""

import math

import numpy as np
import pytest

from movierec_engine.errors import ConfigError
from movierec_engine.recommending.rows.config import RowsConfig
from movierec_engine.recommending.rows.ratings_by_item import DAY, KEPT_DAYS, NO_LIKES, LikesByDay, RatingsByItem
from movierec_engine.recommending.rows.trends import rising, trending


def likes(*rows: tuple[int, int, int]) -> LikesByDay:
    """Rows item, age, likes."""
    return LikesByDay(*np.array(rows, dtype=np.int32).T)


def test_likes_are_counted_by_item_and_day_of_those_that_are_kept() -> None:
    newest = 1000 * DAY
    rows = [
        (0, 5.0, newest),
        (0, 4.0, newest - 10),
        (0, 1.0, newest),  # no like
        (1, 3.0, newest - 3 * DAY),
        (1, 5.0, newest - KEPT_DAYS * DAY),  # too old
        (-1, 5.0, newest),  # outside the catalogue
    ]
    items, ratings, seconds = (np.array(column) for column in zip(*rows, strict=True))
    found = RatingsByItem.of(items, ratings, seconds, 3, liked_from=3.0)
    assert (found.count.tolist(), found.total.tolist(), found.newest) == ([3, 2, 0], [10.0, 8.0, 0.0], newest)
    assert list(zip(*(part.tolist() for part in found.recent), strict=True)) == [(0, 0, 2), (1, 3, 1)]
    again = RatingsByItem.from_arrays(found.arrays())
    assert again.newest == newest and again.recent.likes.tolist() == [2, 1]


def test_data_without_times_have_no_likes_by_day() -> None:
    found = RatingsByItem.of(np.array([0, 1]), np.array([1.0, 1.0]), np.array([0, 0]), 2, liked_from=0.0)
    assert found.newest == 0 and not len(found.recent.items) and found.count.tolist() == [1, 1]
    empty = RatingsByItem.of(np.array([-1]), np.array([1.0]), np.array([7]), 2, liked_from=0.0)
    assert empty.newest == 0 and empty.count.tolist() == [0, 0]


def test_a_like_counts_half_after_each_half_life_and_nothing_outside_the_window() -> None:
    data = likes((0, 0, 2), (1, 10, 8), (2, 30, 100), (3, 0, 1))
    scores = trending(data, NO_LIKES, 0, 5, days=30, half_life=10)
    assert scores.tolist() == [2, 4, 0, 0, 0], "one person is no trend, nor is what is 30 days old"


def test_what_is_liked_now_comes_before_the_present_of_old_data_which_follows() -> None:
    data = likes((0, 0, 50), (1, 1, 20))
    scores = trending(data, likes((2, 0, 2)), 2000, 4, days=30, half_life=10)
    assert np.argsort(-scores).tolist()[:3] == [2, 0, 1] and scores[1] > 0


def test_rising_is_how_far_two_counts_lie_apart() -> None:
    data = likes((0, 0, 9), (0, 10, 7), (1, 5, 5), (2, 0, 3), (2, 19, 8), (3, 2, 1))
    scores = rising(data, NO_LIKES, 0, 4, days=10)
    expected = [2 / math.sqrt(17), 5 / math.sqrt(6), 0, 0]
    assert scores == pytest.approx(expected)


@pytest.mark.parametrize(
    "wrong", [{"trending_days": 0}, {"trending_days": 366}, {"trending_half_life": 0}, {"trending_seconds": -1}]
)
def test_settings_out_of_bounds_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ConfigError, match=f"serving.rows.{next(iter(wrong))}="):
        RowsConfig(**wrong)
