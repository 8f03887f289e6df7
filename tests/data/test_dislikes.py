"""Held-out dislikes: low ratings of the held-out periods, beside a split that stays as it is."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from movierec_engine.data.config import DataConfig
from movierec_engine.data.interactions import Interactions, positives
from movierec_engine.data.likes import held_out_dislikes
from movierec_engine.data.ratings import RATINGS_SCHEMA, Ratings
from movierec_engine.data.split import Split, split
from movierec_engine.errors import ConfigError, EmptyDataError
from movierec_engine.evaluation.fingerprint import fingerprint

STRATEGIES = ["random", "global_time", "leave_one_out", "user_time"]
ROWS = st.dictionaries(
    st.tuples(st.integers(1, 8), st.integers(1, 12)),
    st.tuples(st.sampled_from([1.0, 2.5, 3.0, 5.0]), st.integers(0, 50)),
    min_size=12,
)  # (user, movie) -> rating, time


def ratings_of(rows: dict[tuple[int, int], tuple[float, int]]) -> Ratings:
    pairs = sorted(rows)
    columns = {
        "user_id": [user for user, _ in pairs],
        "movie_id": [movie for _, movie in pairs],
        "rating": [rows[pair][0] for pair in pairs],
        "timestamp": [rows[pair][1] for pair in pairs],
    }
    return Ratings(pa.table(columns, schema=RATINGS_SCHEMA))


def split_of(rows: dict[tuple[int, int], tuple[float, int]], strategy: str, threshold: float = 3.0) -> Split:
    config = DataConfig(
        split=strategy,
        rating_threshold=threshold,
        min_user_interactions=1,
        min_item_interactions=1,
        val_ratio=0.2,
        train_ratio=0.5,
    )
    ratings = ratings_of(rows)
    return split(positives(ratings, config), config, ratings)


def pairs_of(part: Interactions) -> set[tuple[int, int]]:
    return set(zip(part.users.ids[part.user].tolist(), part.items.ids[part.item].tolist(), strict=True))


@given(ROWS, st.sampled_from(STRATEGIES))
def test_dislikes_are_low_ratings_of_known_users_and_items_no_two_parts_share_and_no_interaction_is(
    rows: dict[tuple[int, int], tuple[float, int]], strategy: str
) -> None:
    try:
        parts = split_of(rows, strategy)
    except (ConfigError, EmptyDataError):
        return
    assert parts.dislikes is not None
    validation, test = (pairs_of(parts.dislikes[name]) for name in ("validation", "test"))
    users, movies = set(parts.train.users.ids.tolist()), set(parts.train.items.ids.tolist())
    low = {pair for pair, (rating, _) in rows.items() if rating < 3 and pair[0] in users and pair[1] in movies}
    assert validation | test <= low and not validation & test


@given(ROWS, st.sampled_from(["global_time", "leave_one_out", "user_time"]))
def test_a_dislike_is_held_out_from_the_moment_on_that_its_users_likes_are(
    rows: dict[tuple[int, int], tuple[float, int]], strategy: str
) -> None:
    try:
        parts = split_of(rows, strategy)
    except (ConfigError, EmptyDataError):
        return
    assert parts.dislikes is not None
    for (user, movie), (rating, time) in rows.items():
        if rating >= 3 or user not in parts.train.users.ids or movie not in parts.train.items.ids:
            continue
        validation_from, test_from = (
            parts.boundaries.get(f"{name}_from")
            or min(part.timestamp[part.users.ids[part.user] == user].tolist(), default=10**9)
            for name, part in (("validation", parts.validation), ("test", parts.test))
        )
        assert ((user, movie) in pairs_of(parts.dislikes["test"])) == (time >= test_from)
        assert ((user, movie) in pairs_of(parts.dislikes["validation"])) == (validation_from <= time < test_from)


def test_what_stands_for_no_rating_is_no_dislike() -> None:
    rows = {(user, movie): (float(1 + (user + movie) % 5), user + movie) for user in range(6) for movie in range(12)}
    unrated = {pair: (-1.0, time) for pair, (rating, time) in rows.items() if rating == 1}
    assert len(split_of(rows, "random", threshold=2.0).dislikes["validation"])
    assert not any(len(part) for part in split_of({**rows, **unrated}, "random", threshold=2.0).dislikes.values())


def test_a_threshold_that_32_bits_round_divides_likes_from_dislikes() -> None:
    rows = {(user, movie): (0.7, user + movie) for user in range(6) for movie in range(12)}
    assert not any(len(part) for part in split_of(rows, "random", threshold=0.7).dislikes.values())


def test_in_a_random_split_dislikes_are_drawn_by_the_ratios_and_always_the_same() -> None:
    rng = np.random.default_rng(5)
    rows = {(u, m): (float(rng.integers(1, 6)), 0) for u in range(1, 61) for m in range(1, 61)}
    parts, again = split_of(rows, "random"), split_of(rows, "random")
    assert parts.dislikes is not None and again.dislikes is not None
    low = sum(rating < 3 for rating, _ in rows.values())
    assert len(parts.dislikes["validation"]) / low == pytest.approx(0.2, abs=0.05)
    assert len(parts.dislikes["test"]) / low == pytest.approx(0.3, abs=0.05)
    assert all(pairs_of(parts.dislikes[name]) == pairs_of(again.dislikes[name]) for name in parts.dislikes)
    config = DataConfig(rating_threshold=3.0, train_ratio=0.5, val_ratio=0.2, split_seed=43)
    other = held_out_dislikes(ratings_of(rows), parts.parts(), "random", {}, config)
    assert pairs_of(other["test"]) != pairs_of(parts.dislikes["test"]), "data.split_seed draws them"


def test_dislikes_after_a_window_of_the_past_are_in_none_of_its_parts() -> None:
    rows = {(1, m): (5.0 if m % 2 else 1.0, m) for m in range(1, 11)} | {(2, m): (5.0, 1) for m in range(2, 11, 2)}
    parts = split_of(rows, "random")
    boundaries = {"validation_from": 3, "test_from": 5, "test_until": 8}
    found = held_out_dislikes(ratings_of(rows), parts.parts(), "rolling_origin", boundaries, DataConfig())
    assert [pairs_of(found[name]) for name in ("validation", "test")] == [{(1, 4)}, {(1, 6)}]


@given(ROWS, st.sampled_from(STRATEGIES))
def test_parts_fingerprint_and_validation_are_as_if_dislikes_were_unknown(
    rows: dict[tuple[int, int], tuple[float, int]], strategy: str
) -> None:
    liked = {pair: value for pair, value in rows.items() if value[0] >= 3}
    try:
        parts, without = split_of(rows, strategy), split_of(liked, strategy)
    except (ConfigError, EmptyDataError):
        return
    assert fingerprint(parts) == fingerprint(without)
    for one, other in zip(parts.parts(), without.parts(), strict=True):
        assert pairs_of(one) == pairs_of(other)
    assert parts.validation_heldout().disliked is None, "nothing can be chosen by them"


def test_where_low_ratings_are_interactions_the_held_out_ones_among_them_are_the_dislikes() -> None:
    rows = {(u, m): (float(1 + (u + m) % 5), 10 * m) for u in range(1, 9) for m in range(1, 13)}
    parts = split_of(rows, "user_time", threshold=0)
    assert parts.liked_from == 3 and parts.dislikes is not None
    assert not len(parts.dislikes["test"]) and not len(parts.dislikes["validation"])
    disliked = parts.test_heldout().disliked
    assert disliked is not None
    assert disliked.nnz == (parts.test.rating < 3).sum() > 0
    assert (np.asarray(disliked[parts.test.user, parts.test.item]).ravel() > 0).tolist() == (
        parts.test.rating < 3
    ).tolist()


def test_dislikes_are_kept_with_the_split_and_a_split_without_them_is_read(tmp_path: Path) -> None:
    rows = {(u, m): (float(1 + (u * m) % 5), 10 * m) for u in range(1, 9) for m in range(1, 13)}
    parts = split_of(rows, "user_time")
    for name, kept in (("with", parts), ("without", replace(parts, dislikes=None))):
        (tmp_path / name).mkdir()
        kept.save(tmp_path / name)
    found = Split.load(tmp_path / "with", parts.strategy, parts.boundaries, parts.liked_from)
    assert parts.dislikes is not None and found.dislikes is not None and len(parts.dislikes["test"])
    for name, part in parts.dislikes.items():
        assert found.dislikes[name].to_table() == part.to_table()
    assert Split.load(tmp_path / "without", parts.strategy, parts.boundaries).test_heldout().disliked is None
