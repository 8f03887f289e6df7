import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from movierec_engine.data import negatives
from movierec_engine.data.id_map import IdMap
from movierec_engine.data.negatives import NegativeSampler, sample_candidates
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


def test_users_who_have_everything_are_named_and_the_others_are_drawn_for(caplog: pytest.LogCaptureFixture) -> None:
    pairs = np.array([(0, 0), (1, 0), (1, 1), (2, 0), (2, 1)])
    sampler = NegativeSampler(
        interactions_of(pairs, IdMap(np.array([5, 77, 99])), IdMap(np.arange(2))), np.random.default_rng(0)
    )
    assert (sampler.drawable.tolist(), sampler.all_drawable) == ([True, False, False], False)
    assert "user 77 and 1 more: has an interaction with every item" in caplog.text
    assert sampler.sample(np.array([0, 0]), 2).tolist() == [[1, 1], [1, 1]]


@given(
    st.sets(st.tuples(st.integers(0, 4), st.integers(0, 6))),
    st.lists(st.sampled_from([0.0, 0.5, 1.0, 100.0]), min_size=7, max_size=7),
    st.integers(1, 9),
    st.integers(0, 2**32),
)
def test_candidates_are_distinct_allowed_and_as_many_as_asked_or_left(
    pairs: set[tuple[int, int]], weights: list[float], count: int, seed: int
) -> None:
    excluded = np.zeros((5, 7), dtype=bool)
    for user, item in pairs:
        excluded[user, item] = True
    drawn = sample_candidates(sparse.csr_matrix(excluded), np.array(weights), count, seed)
    allowed = ~excluded & (np.array(weights) > 0)
    assert drawn.shape == (5, 7)
    assert drawn.dtype == np.float32
    assert drawn.has_canonical_format, "sorted and distinct"
    assert (drawn.data == 1).all()
    assert not (drawn.toarray() > allowed).any()
    assert np.diff(drawn.indptr).tolist() == np.minimum(allowed.sum(axis=1), count).tolist()


def test_a_stored_zero_excludes_too() -> None:
    excluded = sparse.csr_matrix((np.zeros(2), ([0, 0], [0, 2])), shape=(1, 4))
    assert sample_candidates(excluded, np.ones(4), 4, seed=0).indices.tolist() == [1, 3]


@pytest.mark.parametrize("weights", [[1, 2, 0, 3, 4, 6], [1, 1, 1, 1, 1, 1]], ids=["popularity", "uniform"])
def test_one_candidate_is_drawn_as_often_as_its_weight_says(weights: list[int]) -> None:
    users = 60_000
    excluded = sparse.csr_matrix(np.tile([0, 0, 0, 0, 0, 1], (users, 1)))  # never the heaviest
    drawn = sample_candidates(excluded, np.array(weights, dtype=np.float64), 1, seed=0)
    observed = np.bincount(drawn.indices, minlength=6)
    expected = users * np.array([*weights[:5], 0]) / sum(weights[:5])
    assert observed[expected == 0].sum() == 0
    chi_square = ((observed - expected) ** 2)[expected > 0] / expected[expected > 0]
    assert chi_square.sum() < 18.5, "the 99.9 % quantile of chi-square with four degrees of freedom"


def test_the_second_candidate_is_drawn_by_the_weights_that_are_left() -> None:
    """With weights 1, 1, 2 the pair without the heavy item comes up in 2 * 1/4 * 1/3 = 1/6 of the draws."""
    users = 60_000
    drawn = sample_candidates(sparse.csr_matrix((users, 3)), np.array([1.0, 1.0, 2.0]), 2, seed=0)
    without_heavy = users - drawn.toarray()[:, 2].sum()
    assert abs(without_heavy / users - 1 / 6) < 0.006, "four standard deviations"


def test_candidates_depend_on_the_seed_but_not_on_the_block_size(monkeypatch: pytest.MonkeyPatch) -> None:
    excluded = sparse.random(50, 30, density=0.3, format="csr", random_state=1)
    weights = np.arange(30, dtype=np.float64)
    whole = sample_candidates(excluded, weights, 5, seed=1).toarray()
    assert not np.array_equal(whole, sample_candidates(excluded, weights, 5, seed=2).toarray())
    for users in (1, 7):
        monkeypatch.setattr(negatives, "BLOCK_BYTES", users * 30 * 16)
        assert np.array_equal(whole, sample_candidates(excluded, weights, 5, seed=1).toarray())


@pytest.mark.parametrize(("weights", "count"), [([1.0, -1.0], 1), ([1.0, np.nan], 1), ([1.0], 1), ([1.0, 1.0], 0)])
def test_weights_or_a_count_that_make_no_sense_are_refused(weights: list[float], count: int) -> None:
    with pytest.raises(DataError, match="cannot draw"):
        sample_candidates(sparse.csr_matrix((3, 2)), np.array(weights), count, seed=0)
