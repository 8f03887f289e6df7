import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from movierec_engine.data.id_map import IdMap
from movierec_engine.data.negatives import NegativeSampler
from movierec_engine.errors import DataError
from worlds import interactions_of


@given(st.sets(st.tuples(st.integers(0, 4), st.integers(0, 6)), min_size=1, max_size=25), st.integers(0, 2**32))
def test_a_negative_is_never_a_train_positive(positives: set[tuple[int, int]], seed: int) -> None:
    positives = {(u, i) for u, i in positives if i != u}  # nobody has everything
    if not positives:
        return
    train = interactions_of(np.array(sorted(positives)), IdMap(np.arange(5)), IdMap(np.arange(7)))
    users = np.arange(5)
    drawn = NegativeSampler(train, np.random.default_rng(seed)).sample(users, 20)
    assert drawn.shape == (5, 20)
    assert ((drawn >= 0) & (drawn < 7)).all()
    assert not {(u, i) for u in users.tolist() for i in drawn[u].tolist()} & positives


def test_every_item_that_is_not_a_positive_is_drawn_equally_often() -> None:
    train = interactions_of(np.array([(0, 0), (0, 2), (0, 3)]), IdMap(np.arange(1)), IdMap(np.arange(6)))
    drawn = NegativeSampler(train, np.random.default_rng(0)).sample(np.zeros(30_000, dtype=np.int64), 1)
    items, counts = np.unique(drawn, return_counts=True)
    assert items.tolist() == [1, 4, 5]
    assert np.abs(counts / 10_000 - 1).max() < 0.05, "a deviation of 5 % is 6 standard deviations"


def test_a_user_who_has_everything_is_named() -> None:
    train = interactions_of(np.array([(0, 0), (0, 1)]), IdMap(np.array([77])), IdMap(np.arange(2)))
    with pytest.raises(DataError, match="user 77"):
        NegativeSampler(train, np.random.default_rng(0))
