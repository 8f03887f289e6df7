"""The ranks and lists of a block against sorting by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import sparse

from movierec_engine.errors import MovierecError
from movierec_engine.evaluation.rank_block import rank_block


def pessimistic_ranks(scores: np.ndarray, relevant: np.ndarray) -> np.ndarray:
    """Rank of every relevant item, row by row: sort by score, relevant last among equals; 0 where not recommended."""
    ranks = []
    for values, wanted in zip(scores, relevant, strict=True):
        order = sorted(np.flatnonzero(np.isfinite(values)), key=lambda i: (-values[i], wanted[i], i))
        ranks += [order.index(item) + 1 if item in order else 0 for item in np.flatnonzero(wanted)]
    return np.array(ranks, dtype=int)


SCORES = hnp.arrays(
    np.float32,
    (4, 12),
    elements=st.sampled_from([-np.inf, -1.0, -0.0, 0.0, 0.5, 1.0]),  # few values: many ties
)
RELEVANT = hnp.arrays(np.bool_, (4, 12))
"""Often more than three relevant items a user, often fewer: both ways of counting are taken."""


def csr(relevant: np.ndarray) -> sparse.csr_matrix:
    return sparse.csr_matrix(relevant.astype(np.float32))


@given(SCORES, RELEVANT, st.integers(1, 15))
def test_ties_count_against_the_model(scores: np.ndarray, relevant: np.ndarray, depth: int) -> None:
    expected = pessimistic_ranks(scores, relevant)
    assert rank_block(scores, csr(relevant), depth)[0].tolist() == expected.tolist()
    shallow = rank_block(scores, csr(relevant), depth, deep=False)[0]
    assert shallow.tolist() == np.where(expected <= depth, expected, 0).tolist()


@given(
    hnp.arrays(np.float32, (5, 9), elements=st.floats(width=32, allow_nan=False).filter(lambda score: score < np.inf)),
    hnp.arrays(np.bool_, (5, 9)),
    st.integers(1, 4),
)
def test_ranks_of_any_scores_are_those_of_sorting(scores: np.ndarray, relevant: np.ndarray, repeated: int) -> None:
    scores[:, :repeated] = scores[:1, :1]  # equal ones, within users and across them
    assert rank_block(scores, csr(relevant), 9)[0].tolist() == pessimistic_ranks(scores, relevant).tolist()


@given(SCORES, RELEVANT)
def test_the_irrelevant_items_of_an_equal_score_are_counted(scores: np.ndarray, relevant: np.ndarray) -> None:
    expected = [
        sum(not wanted[other] and values[other] == values[item] for other in range(len(values)))
        if np.isfinite(values[item])
        else 0
        for values, wanted in zip(scores, relevant, strict=True)
        for item in np.flatnonzero(wanted)
    ]
    assert rank_block(scores, csr(relevant), 3).tied.tolist() == expected


@given(SCORES, st.integers(1, 15))
def test_lists_are_the_best_scores_with_equal_ones_by_index_and_end_with_minus_one(
    scores: np.ndarray, depth: int
) -> None:
    lists = rank_block(scores, csr(np.zeros(scores.shape)), depth).lists
    for row, items in zip(scores, lists, strict=True):
        best = [item for item in np.argsort(-row, kind="stable") if np.isfinite(row[item])][:depth]
        assert items.tolist() == best + [-1] * (depth - len(best))


@given(SCORES, RELEVANT, st.permutations(range(4)))
def test_users_do_not_influence_each_other(scores: np.ndarray, relevant: np.ndarray, order: list[int]) -> None:
    ranks, tied, lists = rank_block(scores, csr(relevant), 5)
    moved_ranks, moved_tied, moved_lists = rank_block(scores[order], csr(relevant[order]), 5)
    start = np.concatenate([[0], np.cumsum(relevant.sum(axis=1))])
    assert moved_ranks.tolist() == [int(rank) for row in order for rank in ranks[start[row] : start[row + 1]]]
    assert moved_tied.tolist() == [int(one) for row in order for one in tied[start[row] : start[row + 1]]]
    assert np.array_equal(moved_lists, lists[order])


def test_a_constant_scorer_finds_nothing_before_all_irrelevant_items() -> None:
    relevant = np.zeros((1, 30))
    relevant[0, :3] = 1
    ranks, tied, lists = rank_block(np.ones((1, 30), dtype=np.float32), csr(relevant), 20)
    assert ranks.tolist() == [28, 29, 30]
    assert tied.tolist() == [27] * 3
    assert lists.tolist() == [list(range(20))]


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_scores_that_cannot_be_ranked_are_an_error(bad: float) -> None:
    scores = np.zeros((2, 5), dtype=np.float32)
    scores[1, 3] = bad
    with pytest.raises(MovierecError, match="NaN or infinite"):
        rank_block(scores, csr(np.zeros((2, 5))), 2)


def test_the_lowest_number_is_recommended_last_and_minus_infinity_never() -> None:
    scores = np.array([[np.finfo(np.float32).min, -np.inf, 1]], dtype=np.float32)
    for deep in (False, True):
        ranks, _, lists = rank_block(scores.copy(), csr(np.array([[1.0, 1.0, 0.0]])), 3, deep)
        assert (ranks.tolist(), lists.tolist()) == ([2, 0], [[2, 0, -1]])
