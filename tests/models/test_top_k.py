"""Exact top-k against a full sort, with ties by index."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from movierec_engine.errors import MovierecError
from movierec_engine.models.top_k import best, best_lists, check_scores, highest, largest

SCORES = st.sampled_from([-np.inf, -3.0, -0.0, 0.0, 0.5, 2.0]) | st.floats(-9, 9, width=32)


@settings(max_examples=200)
@given(
    scores=arrays(np.float32, array_shapes(min_dims=2, max_dims=2, max_side=60), elements=SCORES),
    k=st.integers(1, 60),
)
def test_the_largest_of_each_row_are_those_of_a_full_sort(scores: np.ndarray, k: int) -> None:
    k = min(k, scores.shape[1])
    expected = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    assert largest(scores, k).tolist() == expected.tolist()
    items, of_items = best_lists(scores, k)
    for row, (own, places) in enumerate(zip(scores, expected, strict=True)):
        assert items[row].tolist() == [place if own[place] > -np.inf else -1 for place in places]
        assert of_items[row].tolist() == own[places].tolist()
        assert highest(own, k).tolist() == [item for item in items[row].tolist() if item >= 0]


def test_of_equal_scores_the_first_items_are_best_and_what_is_never_recommended_is_none_of_them() -> None:
    scores = np.tile(np.array([1, 2, -np.inf], dtype=np.float32), 40)
    items, found = best(np.arange(120) + 7, scores, 60)
    assert items.tolist() == [*range(8, 127, 3), *range(7, 67, 3)]
    assert found.tolist() == [2.0] * 40 + [1.0] * 20
    assert best(np.arange(120), scores, 120)[0].tolist() == [*range(1, 120, 3), *range(0, 120, 3)]


@settings(max_examples=200)
@given(scores=st.lists(SCORES, max_size=300), k=st.integers(0, 40), dtype=st.sampled_from([np.float32, np.float64]))
def test_the_best_are_those_of_a_full_sort_with_ties_by_index_and_without_what_is_masked(
    scores: list[float], k: int, dtype: type[np.floating]
) -> None:
    items = np.arange(len(scores)) * 3
    found, their_scores = best(items, np.array(scores, dtype=dtype), k)
    by_score = sorted(range(len(scores)), key=lambda place: -scores[place])
    expected = [place for place in by_score[:k] if scores[place] > -np.inf]
    assert found.tolist() == [3 * place for place in expected]
    assert their_scores.tolist() == [scores[place] for place in expected]


def test_numbers_that_float32_cannot_tell_apart_are_told_apart_in_float64() -> None:
    assert highest(np.array([1, 1 + 1e-12, 1 - 1e-12] * 20), 21).tolist() == [*range(1, 60, 3), 0]


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_scores_of_a_diverged_model_are_refused(wrong: float) -> None:
    scores = np.zeros((3, 4), dtype=np.float32)
    check_scores(scores)
    scores[0, 0] = -np.inf
    check_scores(scores)
    scores[2, 1] = wrong
    with pytest.raises(MovierecError, match=r"ratings that are too large, .* lower trainer\.learning_rate or set"):
        check_scores(scores)
