"""Shares of the users, on which settings are tried first."""

import numpy as np
import pytest

from movierec_engine.data.catalogue import Catalogue
from movierec_engine.data.dataset import Dataset
from movierec_engine.data.heldout import HeldOut
from movierec_engine.data.id_map import IdMap
from movierec_engine.tuning.users import growth, share_of, shares, words
from worlds import interactions_of


@pytest.fixture(scope="module")
def data() -> Dataset:
    """300 users with 6 of 40 items each in train and one in validation; the ids are ten times the indices."""
    rng = np.random.default_rng(3)
    weight = 1.0 / np.arange(1, 41)
    chosen = [rng.choice(40, 7, replace=False, p=weight / weight.sum()) for _ in range(300)]
    users, items = IdMap(10 * np.arange(300)), IdMap(10 * np.arange(40))
    train = interactions_of(np.array([(u, i) for u, own in enumerate(chosen) for i in own[:6]]), users, items)
    held = interactions_of(np.array([(u, own[6]) for u, own in enumerate(chosen)]), users, items)
    catalogue = Catalogue.of(train)
    return Dataset(train, HeldOut(held, catalogue.train, "train", catalogue))


def pairs(part: object) -> set[tuple[int, int]]:
    table = part.to_table()  # type: ignore[attr-defined]
    return set(zip(table["user_id"].to_pylist(), table["movie_id"].to_pylist(), strict=True))


@pytest.mark.parametrize(
    ("users", "expected"), [(670, [1]), (5999, [1]), (6000, [1 / 3, 1]), (162_500, [1 / 81, 1 / 27, 1 / 9, 1 / 3, 1])]
)
def test_no_share_has_fewer_than_two_thousand_users(users: int, expected: list[float]) -> None:
    assert shares(users) == pytest.approx(tuple(expected))
    assert words(1 / 9) == "1/9 of the users"


def test_a_share_keeps_its_users_whole_and_leaves_out_items_that_they_lack(data: Dataset) -> None:
    some = share_of(data, 1 / 9, seed=1)
    ids = set(some.train.users.ids.tolist())
    assert len(ids) == 33
    assert pairs(some.train) == {pair for pair in pairs(data.train) if pair[0] in ids}
    known = set(some.train.items.ids.tolist())
    assert known == {item for _, item in pairs(some.train)}
    expected = {pair for pair in pairs(data.validation.interactions) if pair[0] in ids and pair[1] in known}
    assert pairs(some.validation.interactions) == expected
    assert (some.validation.seen != some.train.matrix()).nnz == 0


def test_a_larger_share_holds_the_smaller_one(data: Dataset) -> None:
    small, large = (share_of(data, share, seed=1) for share in (1 / 9, 1 / 3))
    assert pairs(small.train) < pairs(large.train) < pairs(data.train)
    assert share_of(data, 1.0, seed=1) is data
    assert pairs(share_of(data, 1 / 9, seed=2).train) != pairs(small.train)
    assert share_of(data, 0.0055, seed=1).train.n_users == 2, "1.65 of 300"


def test_a_fit_is_expected_to_grow_as_the_interactions_or_the_cube_of_the_items(data: Dataset) -> None:
    small = share_of(data, 1 / 3, seed=1)
    assert growth(small, data) == pytest.approx(max(3, (40 / small.train.n_items) ** 3))
    two, four = (
        Dataset(interactions_of(np.array([(0, i) for i in range(n)]), IdMap(np.arange(1)), IdMap(np.arange(n))))
        for n in (2, 4)
    )
    assert growth(two, four) == 8, "of twice the items"
