"""What each person has rated, looked up by public id."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from movierec_engine.data.id_map import IdMap
from movierec_engine.retrieval.rated import RatedMovies

WIDE = 2**31
"""The smallest id that needs more than 32 bits."""


def rated(*rows: tuple[int, int, float]) -> RatedMovies:
    user, movie, rating = zip(*rows, strict=True) if rows else ((), (), ())
    return RatedMovies.of(
        pa.table(
            {
                "user_id": pa.array(user, pa.int64()),
                "movie_id": pa.array(movie, pa.int64()),
                "rating": pa.array(rating, pa.float32()),
            }
        )
    )


ROWS = ((7, 30, 3.0), (2, 20, 2.0), (7, 10, 1.0), (9, 5, 4.5), (2, 25, 2.5), (7, 20, 2.0))


@pytest.mark.parametrize(
    ("user", "movies", "ratings"),
    [
        (2, [20, 25], [2.0, 2.5]),
        (7, [10, 20, 30], [1.0, 2.0, 3.0]),
        (9, [5], [4.5]),
        *((stranger, [], []) for stranger in (-1, 1, 3, 8, 10, 2**63 - 1)),
    ],
)
def test_a_person_has_the_movies_of_the_own_rows_ascending(user: int, movies: list[int], ratings: list[float]) -> None:
    found = rated(*ROWS).by(user)
    assert (found[0].tolist(), found[1].tolist()) == (movies, ratings)


def test_a_persons_oldest_rating_comes_first_and_makes_no_other_set_of_movies() -> None:
    rows = {"user_id": [7, 7, 7, 2], "movie_id": [30, 10, 20, 5], "rating": [1.0, 2.0, 3.0, 4.0]}
    timed = RatedMovies.of(pa.table({**rows, "timestamp": [5, 9, 5, 1]}))
    movies, ratings = timed.by(7)
    assert (movies.tolist(), ratings.tolist()) == ([20, 30, 10], [3.0, 1.0, 2.0])
    assert timed.same_movies(RatedMovies.of(pa.table(rows)))


def test_nobody_has_rated_anything_in_an_empty_table() -> None:
    nothing = rated()
    assert nothing.by(1)[0].tolist() == nothing.by(1)[1].tolist() == []
    assert nothing.starts.tolist() == [0]


@pytest.mark.parametrize(("movie", "width"), [(WIDE - 1, np.int32), (WIDE, np.int64)])
def test_ids_are_as_narrow_as_they_can_be(movie: int, width: type) -> None:
    found = rated((1, movie, 4.0))
    assert found.movies.dtype == width
    assert found.by(1)[0].tolist() == [movie]


def test_the_rated_items_of_other_maps_are_found_by_user_and_by_item() -> None:
    """Users 2, 3 and 7, of whom 3 has rated nothing; items 10, 20, 30 and 40: 5 and 25 are none of them."""
    starts, ends, items = rated(*ROWS).within(IdMap(np.array([2, 3, 7])), IdMap(np.array([10, 20, 30, 40])))
    found = [items[start:end].tolist() for start, end in zip(starts, ends, strict=True)]
    assert found == [[1], [], [0, 1, 2]]


def test_rated_items_are_found_where_ids_are_texts() -> None:
    rows = {"user_id": ["u", "u", "v"], "movie_id": ["d", "b", "c"], "rating": [1.0, 2.0, 3.0]}
    starts, ends, items = RatedMovies.of(pa.table(rows)).within(IdMap.of(["u", "v", "w"]), IdMap.of(["a", "b", "d"]))
    found = [items[start:end].tolist() for start, end in zip(starts, ends, strict=True)]
    assert found == [[1, 2], [], []]


def test_the_same_movies_of_the_same_people_are_the_same_whatever_the_ratings() -> None:
    one = rated(*ROWS)
    assert one.same_movies(rated(*((user, movie, 5.0) for user, movie, _ in reversed(ROWS))))
    assert not one.same_movies(rated(*ROWS[1:]))
    assert not one.same_movies(rated(*ROWS[:-1], (9, 20, 2.0)))  # the same movie, of somebody else
    assert not one.same_movies(rated((8, 30, 3.0), *ROWS[1:]))
    assert not one.same_movies(rated((7, 31, 3.0), *ROWS[1:]))


def test_what_is_saved_is_all_that_there_is(tmp_path: Path) -> None:
    one = rated(*ROWS)
    one.save(tmp_path)
    again = RatedMovies.load(tmp_path)
    assert again.same_movies(one)
    assert np.array_equal(again.ratings, one.ratings)
