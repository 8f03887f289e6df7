from datetime import time, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from movierec_engine.data.dataset import Dataset
from movierec_engine.errors import DataError, EmptyDataError

COLUMNS = {
    "user_id": ["eve", "ann", "ann", "bob"],
    "movie_id": [9, 7, 3, 7],
    "rating": [4.0, 5.0, 1.0, 3.0],
    "timestamp": [10, 20, 30, 40],
}


class Capsule:
    """A frame that can do nothing but hand itself over to Arrow, as those of polars do."""

    def __init__(self, table: pa.Table) -> None:
        self._table = table

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return self._table.__arrow_c_stream__(requested_schema)


def rows(data: Dataset) -> list[tuple[Any, ...]]:
    return [tuple(row.values()) for row in data.train.to_table().to_pylist()]


@pytest.mark.parametrize("made", [dict, pa.table, pd.DataFrame, lambda columns: Capsule(pa.table(columns))])
def test_every_kind_of_frame_gives_the_same_interactions(made: Any) -> None:
    data = Dataset.from_frame(made(COLUMNS))
    assert rows(data) == [("ann", 3, 1.0, 30), ("ann", 7, 5.0, 20), ("bob", 7, 3.0, 40), ("eve", 9, 4.0, 10)]
    assert len(data.validation) == 0


def test_columns_are_mapped_by_name_and_others_left_alone() -> None:
    frame = pd.DataFrame({"customer": [1, 2], "sku": ["b", "a"], "stars": [2, 5], "colour": ["red", "blue"]})
    data = Dataset.from_frame(frame, user="customer", item="sku", rating="stars")
    assert rows(data) == [(1, "b", 2.0, 0), (2, "a", 5.0, 0)]


@pytest.mark.parametrize(
    "names", [("user", "item", "weight", "datetime"), ("CustomerID", "sku", "Stars", "created_at")]
)
def test_columns_of_usual_names_are_found(names: tuple[str, ...]) -> None:
    values = [[1, 2], ["b", "a"], [2, 5], [30, 40]]
    assert rows(Dataset.from_frame(dict(zip(names, values, strict=True)))) == [(1, "b", 2.0, 30), (2, "a", 5.0, 40)]


def test_without_ratings_and_times_every_row_is_a_like() -> None:
    assert rows(Dataset.from_frame({"user_id": [1], "movie_id": [2]})) == [(1, 2, 1.0, 0)]
    frame = {"user_id": [1], "movie_id": [2], "score": [4], "date": [5]}
    assert rows(Dataset.from_frame(frame, rating="", timestamp="")) == [(1, 2, 1.0, 0)]


def test_of_several_ratings_of_a_movie_the_newest_counts_and_of_equally_new_ones_the_last() -> None:
    frame = {"user_id": [1] * 5, "movie_id": [2, 2, 2, 3, 3], "rating": [1, 2, 3, 4, 5], "timestamp": [5, 9, 7, 6, 6]}
    assert rows(Dataset.from_frame(frame)) == [(1, 2, 2.0, 9), (1, 3, 5.0, 6)]
    assert len(Dataset.from_frame({"user_id": [1, 1, 1, 2], "movie_id": [7, 8, 9, 7]}).train) == 4, "none is repeated"


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_dates_become_seconds(unit: str) -> None:
    times = pa.array(np.array(["2001-09-09T01:46:40"], dtype=f"datetime64[{unit}]"))
    data = Dataset.from_frame(pa.table({"user_id": [1], "movie_id": [2], "timestamp": times}))
    assert data.train.timestamp.tolist() == [1_000_000_000]


def test_low_ratings_go_first_and_then_users_and_items_with_too_few() -> None:
    frame = {"user_id": [1, 1, 2, 2, 3, 3], "movie_id": [7, 8, 7, 8, 8, 9], "rating": [5, 5, 5, 5, 5, 1]}
    data = Dataset.from_frame(frame, rating_threshold=5, min_user_interactions=2, min_item_interactions=2)
    assert [row[:2] for row in rows(data)] == [(1, 7), (1, 8), (2, 7), (2, 8)]
    data = Dataset.from_frame(frame, rating_threshold=5, min_item_interactions=3)
    assert [row[:2] for row in rows(data)] == [(1, 8), (2, 8), (3, 8)]
    with pytest.raises(EmptyDataError, match="no rating reaches rating_threshold=6"):
        Dataset.from_frame(frame, rating_threshold=6)


def test_a_split_knows_likes_and_dislikes_by_the_threshold() -> None:
    """Ten users with ratings of 1 to 5 of ten items each, two of each value: from 4 on they are likes."""
    user, item = np.divmod(np.arange(100), 10)
    frame = {"user_id": user, "movie_id": item, "rating": 1 + (user + item) % 5}
    low = {(u, i) for u, i, value in zip(*frame.values(), strict=True) if value < 4}
    data = Dataset.from_frame(frame, rating_threshold=4)
    train, test = data.split(validation=0.25, test=0.25)
    assert train.rating_threshold == 4, "for another split"
    assert test.interactions.rating.min() == 4
    assert test.disliked is not None
    disliked = set(zip(*test.disliked.nonzero(), strict=True))
    assert disliked and disliked <= low
    assert np.array_equal(test.interactions.items.ids, np.arange(10))


@pytest.mark.parametrize(("ratings", "dislikes"), [([1, 2, 9, 10], [1, 2]), ([0, 1], [0]), ([3, 3], [])])
def test_without_a_threshold_the_lower_half_of_the_scale_is_disliked(ratings: list[int], dislikes: list[int]) -> None:
    user, item = np.divmod(np.arange(160), 16)
    values = np.resize(ratings, 160)
    _, test = Dataset.from_frame({"user_id": user, "movie_id": item, "rating": values}).split(test=0.5)
    assert test.disliked is not None
    disliked = test.disliked.toarray().astype(bool)[test.interactions.user, test.interactions.item]
    assert np.array_equal(disliked, np.isin(test.interactions.rating, dislikes))


@pytest.mark.parametrize(
    ("change", "named", "said"),
    [
        (
            {"movie_id": None},
            {},
            r"no column of a usual name for the item; it has user_id, .*\(frame, item=\.\.\.\)",
        ),
        ({}, {"rating": "stars"}, "no column 'stars' for the rating"),
        (
            {"movie_id": None, "sku": [1, 2, 3, 4], "isbn": [1, 2, 3, 4]},
            {},
            r"'isbn', 'sku'; choose one by .*item='isbn'\)",
        ),
        ({"user_id": ["a", None, "b", "c"]}, {}, r"^column 'user_id' has no value in row 1"),
        ({"user_id": ["a", "nan", "b", "c"]}, {}, "^'nan' stands for a missing user; leave such rows"),
        ({"user_id": [0.5, 1, 2, 3]}, {}, "^column 'user_id': ids must be whole numbers"),
        ({"rating": ["good"] * 4}, {}, "column 'rating' for the rating must hold finite numbers, and is string"),
        ({"rating": [1.0, float("nan"), 2.0, 3.0]}, {}, "finite numbers"),
        ({"rating": [1e39] * 4}, {}, "finite numbers"),
        ({"timestamp": ["last week"] * 4}, {}, "holds texts that are not all ISO dates or times, such as 'last week'"),
        ({"timestamp": [time(10, 5)] * 4}, {}, r"'timestamp' for the timestamp holds time64\[us\], which is no moment"),
        ({"timestamp": [timedelta(1)] * 4}, {}, "holds duration.*, which is no moment; make moments of it first"),
        ({"timestamp": pd.period_range("2020-09", periods=4)}, {}, "holds extension<.*period.*, which is no moment"),
        ({"rating": pd.period_range("2020-09", periods=4)}, {}, "'rating' .* must hold finite numbers, and is ext"),
        ({"timestamp": [b"1"] * 4}, {}, "column 'timestamp' for the timestamp must hold finite numbers"),
    ],
)
def test_a_frame_that_cannot_be_used_is_refused_in_one_sentence(
    change: dict[str, Any], named: dict[str, str], said: str
) -> None:
    columns = {name: values for name, values in (COLUMNS | change).items() if values is not None}
    with pytest.raises(DataError, match=said):
        Dataset.from_frame(columns, **named)


@pytest.mark.parametrize(
    "frame",
    [
        pd.DataFrame({"user_id": [1, "a"], "movie_id": [1, 2]}),
        {"user_id": [10**20], "movie_id": [1]},
        {"user_id": [1, 2], "movie_id": [1]},
        pd.DataFrame({"user_id": [1, 2], "movie_id": [1, 2], "rating": [1j, 2j]}),
        [{"user_id": 1, "movie_id": 2}],
        None,
    ],
)
def test_what_is_no_frame_is_refused_in_one_sentence(frame: Any) -> None:
    with pytest.raises(DataError, match=r"no frame of interactions \(.*\); give a frame of pandas, polars, Arrow"):
        Dataset.from_frame(frame)


def test_a_column_that_stands_twice_is_refused() -> None:
    frame = pa.table([[1, 2], [3, 4], [5, 6]], names=["user_id", "movie_id", "user_id"])
    with pytest.raises(DataError, match="more than one column 'user_id'; rename or leave out the others"):
        Dataset.from_frame(frame)


@pytest.mark.parametrize(
    ("ratings", "read"),
    [([True, False], [1, 0]), (pa.array([1.25, 3.5]).cast(pa.decimal128(5, 2)), [1.25, 3.5])],
)
def test_booleans_and_decimals_are_ratings(ratings: Any, read: list[float]) -> None:
    data = Dataset.from_frame({"user_id": [1, 1], "movie_id": [2, 3], "liked": ratings}, rating="liked")
    assert data.train.rating.tolist() == read


@pytest.mark.parametrize(
    "times",
    [
        ["2001-09-09 01:46:40.9", "2001-09-09 01:46:40.1"],
        ["2001-09-09T03:46:40.9+02:00", "2001-09-09T01:46:40.1Z"],
        [1_000_000_000.9, 1_000_000_000.1],
        pd.to_datetime(["2001-09-09 01:46:40.9", "2001-09-09 01:46:40.1"]),
    ],
)
def test_the_newest_counts_within_a_second_too(times: Any) -> None:
    data = Dataset.from_frame(
        pd.DataFrame({"user_id": [1, 1], "movie_id": [2, 2], "rating": [1, 5], "timestamp": times})
    )
    assert rows(data) == [(1, 2, 1.0, 1_000_000_000)]


def test_an_empty_frame_is_refused() -> None:
    with pytest.raises(EmptyDataError, match="no rows"):
        Dataset.from_frame({"user_id": pa.array([], pa.int64()), "movie_id": pa.array([], pa.int64())})


def test_a_split_holds_out_shares_of_each_user_and_masks_what_is_known() -> None:
    pairs = [(user, item) for user in range(5) for item in range(10)]
    whole = Dataset.from_frame({"user_id": [f"u{u}" for u, _ in pairs], "movie_id": [i for _, i in pairs]})
    data, test = whole.split(validation=0.2, test=0.1)
    parts = data.train, data.validation.interactions, test.interactions
    assert [np.bincount(part.user).tolist() for part in parts] == [[7] * 5, [2] * 5, [1] * 5]
    assert (sum(part.matrix() for part in parts) != whole.train.matrix()).nnz == 0
    assert (test.seen != data.train.matrix() + data.validation.interactions.matrix()).nnz == 0
    again, other = (whole.split(validation=0.2, test=0.1, seed=seed)[1].interactions.matrix() for seed in (42, 43))
    assert (test.interactions.matrix() != again).nnz == 0 < (again != other).nnz
