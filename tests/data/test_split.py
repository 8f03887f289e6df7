from dataclasses import replace
from pathlib import Path
from typing import get_args

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from movierec_engine.data.config import DataConfig, SplitStrategy
from movierec_engine.data.interactions import Interactions, positives
from movierec_engine.data.ratings import PRESPLIT_SCHEMA, RATINGS_SCHEMA, Ratings
from movierec_engine.data.split import LEAKY, Split, future_share, split, subsample, tied_share
from movierec_engine.data.split_strategies import STRATEGIES
from movierec_engine.errors import ConfigError, EmptyDataError

ROWS = st.dictionaries(
    st.tuples(st.integers(1, 8), st.integers(1, 12)), st.integers(0, 50), min_size=5
)  # (user, movie) -> time


def prepared(rows: dict[tuple[int, int], int], **settings: object) -> tuple[Interactions, DataConfig, Ratings]:
    table = pa.table(
        {
            "user_id": [u for u, _ in sorted(rows)],
            "movie_id": [i for _, i in sorted(rows)],
            "rating": [4.0] * len(rows),
            "timestamp": [rows[pair] for pair in sorted(rows)],
        },
        schema=RATINGS_SCHEMA,
    )
    ratings = Ratings(table)
    config = DataConfig(min_user_interactions=1, min_item_interactions=1, **settings)  # type: ignore[arg-type]
    return positives(ratings, config), config, ratings


def keys(part: Interactions) -> set[tuple[int, int]]:
    return set(zip(part.users.ids[part.user].tolist(), part.items.ids[part.item].tolist(), strict=True))


def pairs_of(part: Interactions) -> tuple[np.ndarray, np.ndarray]:
    """The public ids of each row."""
    return part.users.ids[part.user], part.items.ids[part.item]


@given(ROWS, st.sampled_from(["random", "global_time", "leave_one_out", "user_time"]))
def test_the_parts_are_disjoint_and_together_everything(rows: dict[tuple[int, int], int], strategy: str) -> None:
    try:
        parts = split(*prepared(rows, split=strategy))
    except (ConfigError, EmptyDataError):
        return
    train, validation, test = (keys(part) for part in parts.parts())
    assert train | validation | test == set(rows)
    assert len(train) + len(validation) + len(test) == len(rows)


@given(ROWS)
def test_no_train_interaction_is_later_than_a_test_interaction_in_global_time(
    rows: dict[tuple[int, int], int],
) -> None:
    try:
        parts = split(*prepared(rows, split="global_time"))
    except (ConfigError, EmptyDataError):
        return
    assert parts.train.timestamp.max() < parts.boundaries["validation_from"]
    assert parts.test.timestamp.min() >= parts.boundaries["test_from"]
    if len(parts.validation):
        assert parts.validation.timestamp.max() < parts.boundaries["test_from"]


def test_leave_one_out_tests_the_newest_and_validates_on_the_one_before() -> None:
    rows = {(1, 1): 30, (1, 2): 10, (1, 3): 20, (2, 1): 5, (2, 2): 6, (3, 9): 1}
    parts = split(*prepared(rows, split="leave_one_out"))
    assert keys(parts.test) == {(1, 1), (2, 2)}
    assert keys(parts.validation) == {(1, 3)}
    assert keys(parts.train) == {(1, 2), (2, 1), (3, 9)}, "a user with one rating stays in train"


@pytest.mark.parametrize("strategy", ["leave_one_out", "user_time"])
def test_which_of_equal_times_is_test_follows_from_the_seed_and_not_from_the_item(strategy: str) -> None:
    rows = {(user, item): int(item > 1) for user in range(1, 201) for item in range(1, 6)}
    found = [split(*prepared(rows, split=strategy, split_seed=seed)) for seed in (1, 1, 2)]
    tested = [sorted(keys(parts.test)) for parts in found]
    assert tested[0] == tested[1] != tested[2]
    items = [sum(item == wanted for _, item in tested[0]) for wanted in range(1, 6)]
    assert items[0] == 0, "the oldest is never test"
    assert min(items[1:]) > 30, f"of 200 users each of the four newest is test for about 50, not {items[1:]}"


@pytest.mark.parametrize("strategy", ["leave_one_out", "user_time", "global_time"])
def test_a_split_by_time_without_times_is_refused_in_one_sentence(strategy: str) -> None:
    rows = {(user, item): 0 for user in range(1, 4) for item in range(1, 6)}
    with pytest.raises(ConfigError, match=rf"data\.split={strategy} goes by time.*data\.columns\.timestamp"):
        split(*prepared(rows, split=strategy))
    of_users = {(user, item): user for user, item in rows}
    if strategy != "global_time":
        with pytest.raises(ConfigError, match="each user's ratings are all of one time"):
            split(*prepared(of_users, split=strategy))
    assert len(split(*prepared(rows, split="random")).test) == 3


def test_the_tied_share_counts_the_test_that_the_seed_chose_from_equal_times() -> None:
    tied = {(1, 1): 1, (1, 2): 5, (1, 3): 5}
    clear = {(2, 1): 1, (2, 2): 5, (2, 3): 6} | {(3, 1): 7, (3, 2): 6, (3, 3): 6}
    assert tied_share(split(*prepared(tied | clear, split="leave_one_out"))) == pytest.approx(1 / 3)
    given = replace(split(*prepared(tied, split="leave_one_out")), strategy="given")
    assert tied_share(given) == 0, "a test that somebody else chose"
    assert tied_share(split(*prepared(clear, split="leave_one_out"))) == 0, "two before test may be equal"
    for strategy in ("random", "global_time"):
        assert tied_share(split(*prepared(tied | clear, split=strategy))) == 0


def test_the_random_split_gives_each_user_the_rounded_shares() -> None:
    rows = {(user, item): 0 for user, count in ((1, 20), (2, 3), (3, 2)) for item in range(1, count + 1)}
    parts = split(*prepared(rows, train_ratio=0.8, val_ratio=0.1))
    sizes = [[int((part.users.ids[part.user] == user).sum()) for part in parts.parts()] for user in (1, 2, 3)]
    assert sizes == [[16, 2, 2], [1, 1, 1], [2, 0, 0]]


@pytest.mark.parametrize(
    ("count", "ratios", "sizes"),
    [
        (15, (0.8, 0.1), [11, 2, 2]),  # 1.5 each, halves to the even number
        (25, (0.8, 0.1), [21, 2, 2]),
        (35, (0.8, 0.1), [27, 4, 4]),
        (5, (0.8, 0.1), [3, 1, 1]),
        (10, (0.7, 0.15), [6, 2, 2]),  # 1.5 each again; .15 * 10 and 1 - .7 - .15 differ in floats
        (150, (0.86, 0.07), [130, 10, 10]),  # 10.5, where .07 * 150 is 10.500000000000002
        (200, (0.6, 0.3), [120, 60, 20]),
        (3, (0.1, 0.1), [1, 1, 1]),
        (3, (0.1, 0.8), [1, 1, 1]),
    ],
)
@pytest.mark.parametrize("strategy", ["random", "user_time"])
def test_shares_are_exact(count: int, ratios: tuple[float, float], sizes: list[int], strategy: str) -> None:
    rows = {(1, item): item for item in range(1, count + 1)}
    parts = split(*prepared(rows, split=strategy, train_ratio=ratios[0], val_ratio=ratios[1]))
    assert [len(part) for part in parts.parts()] == sizes


@given(st.integers(3, 500), st.integers(1, 25))
def test_validation_and_test_of_equal_shares_are_of_equal_size(count: int, percent: int) -> None:
    rows = {(1, item): item for item in range(1, count + 1)}
    parts = split(*prepared(rows, train_ratio=(100 - 2 * percent) / 100, val_ratio=percent / 100))
    assert len(parts.validation) == len(parts.test)


def test_global_time_cuts_at_the_exact_shares() -> None:
    rows = {(1, item): item for item in range(1, 11)}
    parts = split(*prepared(rows, split="global_time", train_ratio=0.7, val_ratio=0.1))
    assert [len(part) for part in parts.parts()] == [7, 1, 2], ".7 + .1 is below .8 in floats"


def test_user_time_tests_the_newest_share_of_each_user_and_validates_on_the_one_before() -> None:
    rows = {(1, item): 100 - item for item in range(1, 11)} | {(2, 1): 1, (2, 2): 3, (2, 3): 2, (3, 1): 8, (3, 2): 9}
    parts = split(*prepared(rows, split="user_time", train_ratio=0.6, val_ratio=0.2))
    assert parts.strategy == "user_time"
    assert parts.boundaries == {}
    assert keys(parts.test) == {(1, 1), (1, 2), (2, 2)}
    assert keys(parts.validation) == {(1, 3), (1, 4), (2, 3)}
    assert keys(parts.train) == {(1, item) for item in range(5, 11)} | {(2, 1), (3, 1), (3, 2)}


@given(ROWS, st.sampled_from([(0.8, 0.1), (0.5, 0.2), (0.7, 0.0), (0.1, 0.1)]))
def test_user_time_follows_each_users_time_with_the_sizes_of_the_random_split(
    rows: dict[tuple[int, int], int], ratios: tuple[float, float]
) -> None:
    settings = {"train_ratio": ratios[0], "val_ratio": ratios[1]}
    try:
        parts = split(*prepared(rows, split="user_time", **settings))
    except (ConfigError, EmptyDataError):
        return
    shuffled = split(*prepared(rows, split="random", **settings))
    for user in {user for user, _ in rows}:
        own = [sorted(rows[pair] for pair in keys(part) if pair[0] == user) for part in parts.parts()]
        assert [moment for part in own for moment in part] == sorted(moment for part in own for moment in part)
        sizes = [sum(pair[0] == user for pair in keys(part)) for part in shuffled.parts()]
        assert [len(part) for part in own] == sizes


def test_the_future_share_counts_the_test_before_the_newest_train_interaction() -> None:
    rows = {(1, 1): 1, (1, 2): 2, (1, 3): 3, (2, 1): 4, (2, 2): 5, (2, 3): 6, (3, 1): 5, (3, 2): 4, (3, 3): 0}
    parts = split(*prepared(rows, split="user_time"))
    assert keys(parts.test) == {(1, 3), (2, 3), (3, 1)}
    assert parts.train.timestamp.max() == 4
    assert future_share(parts) == pytest.approx(1 / 3), "of the tests at 3, 6 and 5 only the first is before 4"
    assert "user_time" in LEAKY


def test_the_future_share_is_near_one_for_random_and_nothing_where_all_times_are_equal() -> None:
    rows = {(user, item): 20 * user + item for user in range(1, 41) for item in range(1, 21)}
    assert future_share(split(*prepared(rows))) > 0.95
    assert future_share(split(*prepared(dict.fromkeys(rows, 0)))) == 0


@given(ROWS)
def test_the_future_share_is_the_counted_one_and_nothing_in_global_time(rows: dict[tuple[int, int], int]) -> None:
    for strategy in ("global_time", "user_time", "random"):
        try:
            parts = split(*prepared(rows, split=strategy))
        except (ConfigError, EmptyDataError):
            continue
        newest = max(rows[pair] for pair in keys(parts.train))
        before = [rows[pair] < newest for pair in keys(parts.test)]
        assert future_share(parts) == pytest.approx(sum(before) / len(before))
        assert strategy != "global_time" or not any(before)


def test_the_random_split_depends_on_its_seed_alone() -> None:
    rows = {(user, item): 0 for user in range(1, 6) for item in range(1, 21)}
    first, same = (split(*prepared(rows, split_seed=1)) for _ in range(2))
    other = split(*prepared(rows, split_seed=2))
    assert keys(first.test) == keys(same.test) != keys(other.test)


def test_a_split_without_test_says_which_setting_to_change() -> None:
    with pytest.raises(EmptyDataError, match="leaves test empty"):
        split(*prepared({(1, 1): 0, (2, 1): 0}, split="random"))


def test_given_parts_are_taken_as_they_are_with_their_negatives() -> None:
    table = pa.table(
        {
            "user_id": [1, 1, 2],
            "movie_id": [1, 2, 1],
            "rating": [1.0] * 3,
            "timestamp": [0] * 3,
            "part": ["train", "test", "train"],
        },
        schema=PRESPLIT_SCHEMA,
    )
    ratings = Ratings(table, negatives=pa.table({"user_id": [1], "movie_id": [3]}))
    config = DataConfig(layout="presplit")
    parts = split(positives(ratings, config), config, ratings)
    assert parts.strategy == "given"
    assert keys(parts.train) == {(1, 1), (2, 1)}
    assert keys(parts.test) == {(1, 2)}
    assert parts.negatives is not None
    assert keys(parts.negatives) == {(1, 3)}
    heldout = parts.test_heldout()
    assert heldout.protocol == "sampled_given" and heldout.candidates is not None
    assert (heldout.candidates != parts.negatives.matrix()).nnz == 0


def test_given_parts_without_validation_take_a_share_of_each_users_train() -> None:
    rows = [(user, item, "test" if item == 0 else "train") for user in range(3) for item in range(1 + 20 * user)]
    columns = zip(*((user, item, 1.0, 0, part) for user, item, part in rows), strict=True)
    ratings = Ratings(pa.table([list(column) for column in columns], schema=PRESPLIT_SCHEMA))

    def parts_of(table: Ratings, ratio: float) -> Split:
        config = DataConfig(layout="presplit", val_ratio=ratio)
        return split(positives(table, config), config, table)

    whole, drawn = parts_of(ratings, 0.0), parts_of(ratings, 0.1)
    assert len(whole.validation) == 0
    assert np.bincount(drawn.validation.user, minlength=3).tolist() == [0, 2, 4]
    assert keys(drawn.train) | keys(drawn.validation) == keys(whole.train)
    assert keys(drawn.test) == keys(whole.test)
    named = ["validation" if (user, item) == (2, 1) else part for user, item, part in rows]
    with_validation = Ratings(ratings.table.set_column(4, "part", pa.array(named)))
    assert keys(parts_of(with_validation, 0.1).validation) == {(2, 1)}


def test_a_saved_split_comes_back(tmp_path: Path) -> None:
    rows = {(user, item): item for user in range(1, 5) for item in range(1, 11)}
    parts = split(*prepared(rows, split="global_time"))
    parts.save(tmp_path)
    loaded = Split.load(tmp_path, parts.strategy, parts.boundaries)
    assert [keys(part) for part in loaded.parts()] == [keys(part) for part in parts.parts()]
    assert loaded.train.users == parts.train.users
    for part, other in zip(loaded.parts(), parts.parts(), strict=True):
        for column in ("rating", "timestamp"):
            assert getattr(part, column).tolist() == getattr(other, column).tolist()
    assert (loaded.strategy, loaded.boundaries, loaded.negatives) == ("global_time", parts.boundaries, None)
    everything = parts.everything()
    assert len(everything) == 40
    assert keys(everything) == set(rows)
    assert [rows[pair] for pair in zip(*(ids.tolist() for ids in pairs_of(everything)), strict=True)] == (
        everything.timestamp.tolist()
    )


def test_the_mask_of_the_test_is_train_and_validation_and_that_of_validation_is_train() -> None:
    rows = {(user, item): item for user in range(1, 5) for item in range(1, 11)}
    parts = split(*prepared(rows))
    train, validation = parts.train.matrix().toarray(), parts.validation.matrix().toarray()
    assert np.array_equal(parts.validation_heldout().seen.toarray(), train)
    assert np.array_equal(parts.test_heldout().seen.toarray(), train + validation)


def test_a_subsample_is_of_the_asked_size_and_from_train() -> None:
    rows = {(user, item): item for user in range(1, 5) for item in range(1, 11)}
    train = split(*prepared(rows)).train
    half = subsample(train, 0.5, seed=3)
    assert len(half) == len(keys(half)) == len(train) // 2
    assert keys(half) < keys(train)
    assert len(subsample(train, 0.3, seed=3)) == 10, "9.6 of 32"
    assert subsample(train, 1, seed=3) is train
    assert len(subsample(train, 1e-9, seed=3)) == 1, "never none"
    assert keys(subsample(train, 0.5, seed=4)) != keys(half) == keys(subsample(train, 0.5, seed=3))


def test_every_strategy_of_the_setting_has_its_rule() -> None:
    assert set(STRATEGIES) == set(get_args(SplitStrategy))
