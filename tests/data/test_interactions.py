from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from movierec_engine.data.config import DataConfig
from movierec_engine.data.id_map import IdMap
from movierec_engine.data.interactions import Interactions, k_core, positives
from movierec_engine.data.ratings import PRESPLIT_SCHEMA, RATINGS_SCHEMA, Ratings
from movierec_engine.errors import EmptyDataError
from worlds import pairs


def ratings_of(rows: list[tuple[int, int, float, int]]) -> Ratings:
    columns = list(zip(*sorted(rows), strict=True))
    return Ratings(pa.table(dict(zip(RATINGS_SCHEMA.names, columns, strict=True)), schema=RATINGS_SCHEMA))


def k_core_by_hand(rows: set[tuple[int, int]], min_user: int, min_item: int) -> set[tuple[int, int]]:
    while True:
        kept = {
            (u, i)
            for u, i in rows
            if sum(u == v for v, _ in rows) >= min_user and sum(i == j for _, j in rows) >= min_item
        }
        if kept == rows:
            return rows
        rows = kept


def test_the_threshold_keeps_ratings_of_at_least_its_value() -> None:
    ratings = ratings_of([(1, 10, 3.5, 0), (1, 11, 4.0, 0), (2, 10, 4.5, 0)])
    config = DataConfig(rating_threshold=4.0, min_user_interactions=1, min_item_interactions=1)
    assert pairs(positives(ratings, config)) == {(1, 11), (2, 10)}


@given(st.sets(st.tuples(st.integers(1, 6), st.integers(1, 6)), min_size=1), st.integers(1, 3), st.integers(1, 3))
def test_k_core_is_the_brute_force_fixed_point(rows: set[tuple[int, int]], min_user: int, min_item: int) -> None:
    ratings = ratings_of([(u, i, 5.0, 0) for u, i in rows])
    config = DataConfig(min_user_interactions=min_user, min_item_interactions=min_item)
    expected = k_core_by_hand(rows, min_user, min_item)
    if not expected:
        with pytest.raises(EmptyDataError, match=f"{min_user} interactions with items that have {min_item}"):
            positives(ratings, config)
        return
    kept = positives(ratings, config)
    assert pairs(kept) == expected
    assert len(kept.users) == len({u for u, _ in expected})
    assert len(kept.items) == len({i for _, i in expected})


def test_a_threshold_that_no_rating_reaches_is_named() -> None:
    with pytest.raises(EmptyDataError, match="rating_threshold=5"):
        positives(ratings_of([(1, 1, 3.0, 0)]), DataConfig(rating_threshold=5.0))


def test_presplit_data_is_not_filtered_and_its_negatives_join_the_vocabulary() -> None:
    table = pa.table(
        {"user_id": [1, 2], "movie_id": [7, 8], "rating": [1.0, 1.0], "timestamp": [0, 0], "part": ["train", "test"]},
        schema=PRESPLIT_SCHEMA,
    )
    negatives = pa.table({"user_id": [2], "movie_id": [99]})
    kept = positives(Ratings(table, negatives=negatives), DataConfig(rating_threshold=4.0))
    assert pairs(kept) == {(1, 7), (2, 8)}
    assert kept.items.ids.tolist() == [7, 8, 99]
    assert pairs(positives(Ratings(table), DataConfig(rating_threshold=4.0))) == {(1, 7), (2, 8)}


def test_saved_interactions_come_back(tmp_path: Path) -> None:
    interactions = positives(
        ratings_of([(1, 2**62, 3.5, 11), (5, 2**62, 0.5, 12)]),
        DataConfig(min_user_interactions=1, min_item_interactions=1),
    )
    interactions.save(tmp_path)
    loaded = Interactions.load(tmp_path)
    assert loaded.to_table().equals(interactions.to_table())
    assert loaded.users == interactions.users


def test_a_repeated_pair_counts_once_in_the_matrix() -> None:
    one = np.zeros(2, dtype=np.int32)
    id_map = IdMap(np.array([4]))
    doubled = Interactions(one, one, np.ones(2, np.float32), np.zeros(2, np.int64), id_map, id_map)
    assert doubled.matrix().toarray().tolist() == [[1.0]]


def test_of_a_repeated_pair_the_last_rating_counts() -> None:
    user, item = (np.array(index, dtype=np.int32) for index in ([1, 0, 1, 1], [1, 2, 1, 0]))
    users, items = IdMap(np.arange(2)), IdMap(np.arange(3))
    rated = Interactions(user, item, np.array([2, 3, 4, 5], np.float32), np.zeros(4, np.int64), users, items)
    assert rated.ratings_matrix().toarray().tolist() == [[0, 0, 3], [5, 4, 0]]


def test_k_core_of_an_already_dense_block_changes_nothing() -> None:
    block = positives(
        ratings_of([(u, i, 4.0, 0) for u in range(3) for i in range(3)]),
        DataConfig(min_user_interactions=1, min_item_interactions=1),
    )
    assert pairs(k_core(block, 3, 3)) == pairs(block)


def timed(rows: list[tuple[int, int, int]]) -> Interactions:
    """Rows of user, item and time."""
    user, item, time = np.array(rows).T
    return Interactions(
        user=user.astype(np.int32),
        item=item.astype(np.int32),
        rating=np.ones(len(rows), dtype=np.float32),
        timestamp=time.astype(np.int64),
        users=IdMap(np.arange(user.max() + 1)),
        items=IdMap(np.arange(item.max() + 1)),
    )


def test_places_count_each_users_items_from_the_oldest() -> None:
    history = timed([(0, 2, 30), (2, 0, 7), (0, 1, 10), (0, 0, 20), (2, 2, 5)]).history("places")
    assert history.toarray().tolist() == [[2, 1, 3], [0, 0, 0], [2, 0, 1]]
    assert history.has_sorted_indices


def test_an_item_that_is_met_again_moves_to_its_last_place() -> None:
    history = timed([(0, 0, 1), (0, 1, 2), (0, 0, 3)]).history("places")
    assert history.toarray().tolist() == [[3, 2]]


def test_equal_times_are_ordered_without_regard_to_the_order_in_the_file() -> None:
    rows = [(0, item, 5) for item in range(50)]
    one, other = timed(rows), timed(rows[::-1])
    assert (one.history("places") != other.history("places")).nnz == 0
    order = one.item[one.by_time()]
    assert sorted(order.tolist()) == list(range(50))
    assert abs(np.corrcoef(order, np.arange(50))[0, 1]) < 0.4


def test_exact_times_are_the_seconds_and_order_what_happened_in_one() -> None:
    rows = [(0, 4, 2_000_000_000), *((user, item, 1_500_000_000) for user in range(2) for item in range(40))]
    world = timed(rows)
    exact = world.exact_times()
    assert np.floor(exact).tolist() == [time for *_, time in rows]
    assert np.array_equal(np.lexsort((exact, world.user)), world.by_time())
    history = world.history("times")
    assert history.dtype == np.float64
    row = np.repeat(np.arange(2), np.diff(history.indptr))
    assert np.array_equal(np.lexsort((history.data, row)), np.lexsort((world.history("places").data, row)))
    assert history[0, 4] == 2_000_000_000, "of a repeated pair the last"
    share = replace(world, timestamp=exact)  # over users of other indices, whose ties would fall otherwise
    assert np.array_equal(share.exact_times(), exact)


@pytest.mark.parametrize(("times", "found"), [([0, 0], False), ([3, 1_000], False), ([0, 1_400_000_000], True)])
def test_places_are_no_times(times: list[int], found: bool) -> None:
    assert timed([(0, item, time) for item, time in enumerate(times)]).has_times == found
