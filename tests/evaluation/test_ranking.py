import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import sparse

from movierec_engine.evaluation.ranking import rank_block


def pessimistic_hits(scores: np.ndarray, relevant: np.ndarray, depth: int) -> np.ndarray:
    """Sort each row by score, relevant items last among equals; items at -inf are not recommended."""
    hits = np.zeros((len(scores), depth), dtype=bool)
    for row, (values, wanted) in enumerate(zip(scores, relevant, strict=True)):
        order = sorted(np.flatnonzero(np.isfinite(values)), key=lambda i: (-values[i], wanted[i]))
        for rank, item in enumerate(order[:depth]):
            hits[row, rank] = wanted[item]
    return hits


SCORES = hnp.arrays(
    np.float32,
    (4, 9),
    elements=st.sampled_from([-np.inf, -1.0, 0.0, 0.5, 1.0]),  # few values: many ties
)
RELEVANT = hnp.arrays(np.bool_, (4, 9))


@given(SCORES, RELEVANT, st.integers(1, 12))
def test_ties_count_against_the_model(scores: np.ndarray, relevant: np.ndarray, depth: int) -> None:
    hits, _ = rank_block(scores, sparse.csr_matrix(relevant.astype(np.float32)), depth)
    assert np.array_equal(hits, pessimistic_hits(scores, relevant, depth))


@given(SCORES, RELEVANT)
def test_lists_are_the_best_scores_and_end_with_minus_one(scores: np.ndarray, relevant: np.ndarray) -> None:
    _, lists = rank_block(scores, sparse.csr_matrix(relevant.astype(np.float32)), 5)
    for row, items in zip(scores, lists, strict=True):
        shown = items[items >= 0]
        assert len(shown) == min(5, np.isfinite(row).sum())
        assert (items[len(shown) :] == -1).all()
        assert sorted(row[shown], reverse=True) == sorted(row[np.isfinite(row)], reverse=True)[:5]


def test_a_constant_scorer_hits_nothing_that_the_irrelevant_items_can_fill() -> None:
    relevant = np.zeros((1, 30), dtype=np.float32)
    relevant[0, :3] = 1
    hits, _ = rank_block(np.ones((1, 30), dtype=np.float32), sparse.csr_matrix(relevant), 20)
    assert not hits.any()
