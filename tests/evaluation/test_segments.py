"""Segments against counting user by user."""

import numpy as np
import pyarrow as pa
import pytest

from movierec_engine.data.catalogue import Catalogue, activity_tier, popularity_tier
from movierec_engine.data.heldout import HeldOut
from movierec_engine.data.id_map import IdMap
from movierec_engine.data.ratings import MOVIES_SCHEMA, Movies
from movierec_engine.evaluation.rankings import Rankings
from movierec_engine.evaluation.segments import segment_table, segments
from worlds import interactions_of

USERS, ITEMS = IdMap(np.array([1, 2, 3, 4])), IdMap(np.array([10, 20, 30, 40]))
TRAIN = interactions_of(np.array([(0, 0), (1, 0), (2, 0), (3, 0), (0, 1), (1, 1), (0, 2)]), USERS, ITEMS)
TEST = interactions_of(np.array([(1, 2), (1, 3), (2, 1), (3, 2)]), USERS, ITEMS)
MOVIES = Movies(
    pa.table(
        {
            "movie_id": [10, 20, 30, 40, 99],
            "title": ["a", "b", "c", "d", "not rated"],
            "year": [1994, 1999, 2001, None, 2020],
            "genres": [["Drama"], ["Drama", "War"], ["War"], [], ["Other"]],
        },
        schema=MOVIES_SCHEMA,
    )
)


def rankings() -> Rankings:
    """User 2 is shown c, d; user 3 is shown c, b; user 4 is shown nothing."""
    heldout = HeldOut(TEST, TRAIN.matrix(), "train", Catalogue.of(TRAIN, MOVIES))
    return Rankings(
        users=np.array([1, 2, 3]),
        lists=np.array([[2, 3], [2, 1], [-1, -1]], dtype=np.int32),
        row=np.array([0, 0, 1, 2]),
        item=np.array([2, 3, 1, 2], dtype=np.int32),
        rank=np.array([1, 2, 2, 0], dtype=np.int32),
        tied=np.zeros(4, dtype=np.int32),
        heldout=heldout,
    )


def row(kind: str, segment: str, metric: str) -> dict[str, float]:
    rows = segment_table(rankings(), (1, 2)).to_pylist()
    (found,) = [one for one in rows if (one["kind"], one["segment"], one["metric"]) == (kind, segment, metric)]
    return found


def test_the_catalogue_knows_genres_and_years_of_rated_movies_alone() -> None:
    catalogue = Catalogue.of(TRAIN, MOVIES)
    assert catalogue.genre_names == ("Drama", "War")
    assert catalogue.genres.tolist() == [[1, 0], [1, 1], [0, 1], [0, 0]]
    assert catalogue.year.tolist() == [1994, 1999, 2001, 0]


def test_users_are_cold_limited_moderate_or_rich_by_train_interactions() -> None:
    assert activity_tier(np.array([0, 4, 5, 19, 20, 99, 100, 5000])).tolist() == [0, 0, 1, 1, 2, 2, 3, 3]


def test_items_are_head_until_half_of_the_interactions_then_mid_until_four_fifths() -> None:
    assert Catalogue.of(TRAIN, MOVIES).popularity.tolist() == [4, 2, 1, 0]
    assert popularity_tier(Catalogue.of(TRAIN, MOVIES)).tolist() == [0, 1, 2, 2]


def test_a_genre_counts_its_own_items_alone_over_the_users_who_have_any() -> None:
    war = row("genre", "War", "recall@2")
    assert (war["users"], war["test_items"]) == (3, 3)
    assert war["value"] == pytest.approx((1 + 1 + 0) / 3)
    assert row("genre", "War", "recall@1")["value"] == pytest.approx(1 / 3)
    assert row("genre", "War", "precision@2")["value"] == pytest.approx((1 / 2 + 1 / 2 + 0) / 3)
    assert row("genre", "War", "list_share@2")["value"] == pytest.approx((1 / 2 + 1 + 0) / 3)
    drama = row("genre", "Drama", "mrr@2")
    assert (drama["users"], drama["value"]) == (1, 1 / 2)


def test_decades_and_popularity_tiers_are_segments_of_items() -> None:
    assert row("decade", "1990s", "hit_rate@2")["value"] == 1
    assert row("decade", "2000s", "ndcg@1")["users"] == 2
    tail = row("popularity", "tail", "recall@2")
    assert (tail["users"], tail["test_items"], tail["value"]) == (2, 3, 1 / 2)


def test_every_user_is_in_one_segment_by_activity_and_the_whole_is_their_mean() -> None:
    own = [segment for segment in segments(rankings()) if segment.kind == "activity"]
    assert sum(segment.users.sum() for segment in own) == 3
    values = np.concatenate([segment.values(rankings(), (2,))["recall@2"] for segment in own])
    assert values.mean() == pytest.approx((1 + 1 + 0) / 3)


def test_segments_without_users_are_left_out_and_intervals_hold_the_value() -> None:
    rows = segment_table(rankings(), (1, 2)).to_pylist()
    assert {one["segment"] for one in rows if one["kind"] == "activity"} == {"cold"}
    assert "1980s" not in {one["segment"] for one in rows}
    assert all(one["low"] <= one["value"] + 1e-12 and one["value"] <= one["high"] + 1e-12 for one in rows)
