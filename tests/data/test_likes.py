"""Where likes begin on the scales that ratings come in."""

import re

import numpy as np
import pytest

from movierec_engine.data.likes import liked_from, low_ratings, negative_ratings, no_rating

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


@pytest.mark.parametrize("number", [2520377.0, 1_000_001.0, 0.7, 3.5, 4.0])
def test_the_threshold_that_is_advised_leaves_out_what_it_says(number: float) -> None:
    values = np.array([0.5 * number] * 3 + [number] * 7, dtype=np.float32)
    said = low_ratings(values, 0)
    advised = re.search(r"data.rating_threshold=(\S+) ", said)
    assert advised and advised[1] == f"{number:.9g}"
    assert said.startswith("30.0 %") and (values < float(advised[1])).sum() == 3


ANIME = np.array([-1.0] * 5 + [1, 2, 4, 5, 6, 7, 7, 8, 8, 9, 9, 10, 10, 10, 10])


@pytest.mark.parametrize(
    ("ratings", "expected"),
    [
        (ANIME, -1.0),
        (np.array([-99.0, 0, 1, 2, 3, 4]), -99.0),
        (np.array([-10.0, -1, 3, 5, 7, 10]), None),
        (np.array([-7.25, 1, 2, 3, 4]), None),
        (np.array([-2.0, 1, 2, 3, 4]), None),
        (np.array([-1.0, 0, 1]), None),
        (np.array([-1.0, 1]), None),
        (STARS, None),
    ],
    ids=["anime", "-99", "jester", "fraction", "within the scale", "three ways", "thumbs", "stars"],
)
def test_a_lone_negative_number_beside_a_scale_is_no_rating(ratings: np.ndarray, expected: float | None) -> None:
    assert no_rating(ratings) == expected


def test_what_is_no_rating_is_no_end_of_the_scale_by_which_likes_begin() -> None:
    assert liked_from(ANIME, 0.0) == liked_from(ANIME[5:], 0.0) == 5.5
    assert liked_from(ANIME, 7.0) == 7.0
    assert low_ratings(ANIME, 0.0).startswith("20.0 % are below 6, ")
    assert liked_from(np.array([-10.0, -4, 3, 5, 10]), 0.0) == 0.0
    assert liked_from(np.array([-1.0, 0, 1]), 0.0) == 0.0


@pytest.mark.parametrize(
    ("ratings", "threshold", "expected"),
    [
        (ANIME, 0, "25.0 % are -1, which is taken for no rating: neither an interaction nor a dislike"),
        (ANIME, -1, "$"),
        (np.array([-10.0, -4, 3, 5]), 0, "50.0 % are negative: dislikes, which are no interactions$"),
        (np.array([-1.0, 0, 1, 1]), 0, "25.0 % are negative: dislikes"),
        (STARS, 3, "$"),
    ],
)
def test_negative_ratings_are_said(ratings: np.ndarray, threshold: float, expected: str) -> None:
    assert re.match(expected, negative_ratings(ratings, threshold))


def test_a_threshold_that_leaves_something_out_is_where_likes_begin() -> None:
    assert liked_from(STARS, 4.0) == 4.0
    assert liked_from(STARS, 0.5) == 2.75
