"""What the other rows are of: hidden gems, favourite genres, and the liked movies that others are like."""

import numpy as np

from movierec_engine.recommending.rows.gems import hidden_gems, quality
from movierec_engine.recommending.rows.genres import favourites
from movierec_engine.recommending.rows.ratings_by_item import NO_LIKES, RatingsByItem
from movierec_engine.recommending.rows.seeds import seeds


def rated(count: list[int], mean: list[float]) -> RatingsByItem:
    counts = np.array(count, dtype=np.int32)
    return RatingsByItem(counts, counts * np.array(mean), 0, NO_LIKES)


def test_quality_is_a_mean_with_ten_ratings_of_the_mean_of_all() -> None:
    ratings = rated([10, 0], [4.0, 0.0])
    assert quality(ratings).tolist() == [4.0, 4.0]
    assert quality(rated([1, 9], [5.0, 3.0])).tolist() == [(5 + 32) / 11, (27 + 32) / 19]


def test_gems_are_the_best_rated_quarter_outside_the_most_popular_half() -> None:
    count = [60, 40, 5, 5, 5, 5]
    gems = hidden_gems(rated(count, [5.0, 5.0, 4.9, 4.0, 3.0, 2.0]), np.array(count, dtype=np.float32))
    assert np.flatnonzero(gems).tolist() == [1, 2], "the first has half of all interactions; the second is past them"


def test_ratings_that_are_all_equal_make_no_gems() -> None:
    gems = hidden_gems(rated([9, 5, 1], [1.0, 1.0, 1.0]), np.array([9, 5, 1], dtype=np.float32))
    assert not gems.any()
    assert not len(hidden_gems(rated([], []), np.empty(0, dtype=np.float32)))


def test_favourite_genres_are_those_liked_more_than_by_others() -> None:
    everybody = {"Drama": 50.0, "Comedy": 30.0, "War": 20.0}
    assert favourites({"Drama": 5, "War": 5}, everybody) == ["War", "Drama"]
    assert favourites({}, everybody) == ["Drama", "Comedy", "War"]
    assert favourites({}, {}) == []
    assert favourites({"New": 1}, everybody) == ["New"]


def test_seeds_are_the_best_rated_of_the_newest_and_not_like_each_other() -> None:
    alike = {0: [1], 1: [0], 2: [], 3: [4], 4: [3]}
    liked: list[tuple[int, float | None]] = [(0, 5.0), (3, 4.0), (2, 5.0), (1, 5.0), (4, None)]
    found = seeds(liked, lambda item: np.array(alike[item], dtype=np.int64), 3)
    assert found == [1, 4], "1 is newer than 0 and like it; 2 is like nothing; 4 counts as the mean, above 3"
    assert seeds(liked, lambda item: np.array(alike[item], dtype=np.int64), 1) == [1]
    assert seeds([], lambda item: np.empty(0, dtype=np.int64), 3) == []
