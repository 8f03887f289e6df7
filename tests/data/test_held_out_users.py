"""The split that holds out whole users, for strong generalization."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from movierec_engine.data.config import DataConfig
from movierec_engine.data.dataset import Dataset
from movierec_engine.data.ratings import RATINGS_SCHEMA, Ratings
from movierec_engine.data.split import Split, split, user_counts
from movierec_engine.errors import ConfigError, EmptyDataError
from movierec_engine.evaluation.fingerprint import fingerprint
from worlds import pairs

ROWS = st.dictionaries(st.tuples(st.integers(1, 12), st.integers(1, 9)), st.sampled_from([1.0, 5.0]), min_size=8)


def parted(rows: dict[tuple[int, int], float], threshold: float = 0.0, **settings: object) -> Split:
    user, item = np.array(list(rows)).T
    columns = {"user_id": user, "movie_id": item, "rating": list(rows.values()), "timestamp": np.zeros(len(rows))}
    ratings = Ratings(pa.table({name: pa.array(own) for name, own in columns.items()}).cast(RATINGS_SCHEMA))
    frame = ratings.table.to_pydict()
    data = Dataset.from_frame(frame, rating_threshold=threshold)
    return split(data.train, DataConfig("w", split="users", rating_threshold=threshold, **settings), ratings)  # type: ignore[arg-type]


def full(users: int, items: int) -> dict[tuple[int, int], float]:
    return {(user, item): 4.0 for user in range(users) for item in range(items)}


@given(ROWS, st.integers(0, 3))
def test_nobody_held_out_is_trained_on_and_each_has_something_to_fold_in_and_to_find(
    rows: dict[tuple[int, int], float], seed: int
) -> None:
    try:
        parts = parted(rows, train_ratio=0.5, val_ratio=0.25, split_seed=seed)
    except EmptyDataError:
        return
    named = {name: pairs(part) for name, part in parts.named().items()}
    assert set().union(*named.values()) == set(rows) and sum(map(len, named.values())) == len(rows)
    users = {name: {user for user, _ in own} for name, own in named.items()}
    assert not users["train"] & (users["fold_in"] | users["validation"] | users["test"])
    assert not users["validation"] & users["test"]
    assert users["validation"] | users["test"] <= users["fold_in"], "who has something to find has a history"
    trained = {item for _, item in named["train"]}
    assert {item for _, item in named["validation"] | named["test"]} <= trained, "no model could find another"
    counts = user_counts(parts)
    assert counts["left_out_users"] == len(users["fold_in"] - users["validation"] - users["test"])
    for user in users["fold_in"] - users["validation"] - users["test"]:
        assert len({item for own, item in rows if own == user} & trained) < 2


def test_the_shares_are_of_the_users_and_four_fifths_of_a_history_are_folded_in() -> None:
    parts = parted(full(50, 10))
    assert user_counts(parts) == {"train_users": 40, "validation_users": 5, "test_users": 5, "left_out_users": 0}
    assert parts.fold_in is not None
    for part in (parts.validation, parts.test):
        held = np.unique(part.user)
        assert np.bincount(part.user)[held].tolist() == [2] * 5
        assert np.bincount(parts.fold_in.user)[held].tolist() == [8] * 5
    half = parted(full(50, 10), fold_in_ratio=0.5)
    assert np.bincount(half.test.user)[np.unique(half.test.user)].tolist() == [5] * 5


def test_who_and_what_is_held_out_follows_from_the_seed() -> None:
    one, again, other = (parted(full(50, 10), split_seed=seed) for seed in (1, 1, 2))
    assert fingerprint(one) == fingerprint(again) != fingerprint(other)
    assert set(one.test.user.tolist()) != set(other.test.user.tolist())


def test_what_is_folded_in_is_in_the_fingerprint() -> None:
    parts = parted(full(50, 10))
    assert parts.fold_in is not None
    fewer = Split(*parts.parts(), "users", fold_in=parts.fold_in.select(np.arange(len(parts.fold_in) - 1)))
    assert fingerprint(fewer) != fingerprint(parts)


def test_users_with_one_item_are_trained_on_and_never_held_out() -> None:
    rows = full(20, 6) | {(100 + user, 3): 4.0 for user in range(30)}
    parts = parted(rows, train_ratio=0.5, val_ratio=0.25)
    assert {user for user, _ in pairs(parts.train)} >= set(range(100, 130))
    assert user_counts(parts)["test_users"] == 5, "a quarter of those with two or more"


def test_held_out_users_whose_items_train_lacks_are_left_out_and_counted() -> None:
    rows = full(40, 6) | {(100 + user, 1000 + 10 * user + item): 4.0 for user in range(40) for item in range(3)}
    parts = parted(rows, train_ratio=0.5, val_ratio=0.25)
    alone = {user for user, _ in pairs(parts.fold_in) if user >= 100}
    assert user_counts(parts)["left_out_users"] == len(alone) > 0
    assert not alone & {user for part in (parts.validation, parts.test) for user, _ in pairs(part)}


@pytest.mark.parametrize(("users", "ratio"), [(2, 0.8), (1, 0.8), (3, 0.05)])
def test_too_few_users_are_refused_in_one_sentence(users: int, ratio: float) -> None:
    with pytest.raises(EmptyDataError, match=r"^\d users have two interactions or more, too few to hold .* another"):
        parted(full(users, 6), train_ratio=ratio, val_ratio=0.1 if ratio > 0.5 else 0.5)


@pytest.mark.parametrize("ratio", [0.0, 1.0, -0.2, 1.5])
def test_a_history_of_nothing_and_one_of_everything_are_refused(ratio: float) -> None:
    with pytest.raises(ConfigError, match=rf"data\.fold_in_ratio={ratio} leaves nothing to fold in or nothing to find"):
        DataConfig(split="users", fold_in_ratio=ratio)


def test_data_that_come_with_their_parts_are_not_divided_by_users() -> None:
    with pytest.raises(ConfigError, match=r"^data\.split=users divides the users itself.*data\.ratings_file"):
        DataConfig(split="users", train_file="train.csv")


def test_each_part_is_ranked_without_what_is_folded_in_and_told_of_its_own_users_alone() -> None:
    parts = parted(full(50, 10))
    assert parts.fold_in is not None
    for heldout, part in ((parts.validation_heldout(), parts.validation), (parts.test_heldout(), parts.test)):
        assert heldout.fold_in is not None
        assert set(heldout.fold_in.user.tolist()) == set(part.user.tolist())
        assert pairs(heldout.fold_in) <= pairs(parts.fold_in)
        assert (heldout.seen != heldout.histories("ones")).nnz == 0
        assert heldout.histories("ratings").data.tolist() == [4.0] * 40
        assert heldout.activity[np.unique(part.user)].tolist() == [8] * 5
    assert parts.known_before_test().nnz == len(parts.train) + len(parts.fold_in)


def test_dislikes_to_find_are_of_held_out_users_and_about_a_fifth_of_theirs() -> None:
    rows = {(user, item): 1.0 + 3 * ((user + item) % 2) for user in range(50) for item in range(40)}
    parts = parted(rows, threshold=3.0)
    assert parts.dislikes is not None
    for name, part in (("validation", parts.validation), ("test", parts.test)):
        assert set(parts.dislikes[name].user.tolist()) <= set(part.user.tolist())
        assert 8 <= len(parts.dislikes[name]) <= 35, "of five users with 20 dislikes each"


def test_a_saved_split_is_the_same(tmp_path: Path) -> None:
    parts = parted(full(50, 10))
    parts.save(tmp_path)
    loaded = Split.load(tmp_path, "users", {})
    assert fingerprint(loaded) == fingerprint(parts)
    assert pairs(loaded.fold_in) == pairs(parts.fold_in)
    assert pairs(loaded.everything()) == set(full(50, 10))


def test_in_python_the_shares_of_a_split_by_users_are_of_the_users() -> None:
    train, test = Dataset.from_frame(parted(full(50, 10)).everything().to_table()).split(0.2, 0.4, strategy="users")
    assert [len(np.unique(part.user)) for part in (train.train, train.validation.interactions)] == [20, 10]
    assert len(np.unique(test.interactions.user)) == 20 and test.fold_in is not None
