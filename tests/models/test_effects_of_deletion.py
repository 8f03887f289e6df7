"""Explanations by deletion, against deletions done one by one."""

import numpy as np
import pytest
from scipy import sparse

from movierec_engine.models import explanation
from movierec_engine.models.explanation import Explanation, effects_of_deletion, with_deletions

RNG = np.random.default_rng(4)
WEIGHTS = RNG.normal(size=(6, 6))


def fold_in(histories: sparse.csr_matrix) -> np.ndarray:
    """Scores that are no sum over the history; their level, alike for all items, depends on it most."""
    level = 100 * np.diff(histories.indptr)[:, None]
    scores = np.tanh(histories @ WEIGHTS) + level
    scores[np.diff(histories.indptr) == 0] = 1e6
    return scores.astype(np.float64)


def leads(history: sparse.csr_matrix, deleted: np.ndarray, items: np.ndarray) -> np.ndarray:
    scores = fold_in(with_deletions(history, deleted))
    return np.asarray(scores[:, items] - scores.mean(axis=1, keepdims=True))


def effects_on(item: int, history: sparse.csr_matrix) -> np.ndarray:
    return effects_of_deletion(leads, history, np.array([item]), np.zeros((1, history.nnz)))[0]


def history_of(*items: int) -> sparse.csr_matrix:
    return sparse.csr_matrix((np.ones(len(items)), items, [0, len(items)]), (1, 6))


def lead(items: list[int], item: int) -> float:
    """Of the formula above without its level."""
    scores = np.tanh(WEIGHTS[items].sum(axis=0))
    return float(scores[item] - scores.mean())


def test_effects_are_what_the_item_loses_against_all_without_each() -> None:
    effects = effects_on(4, history_of(0, 2, 5))
    expected = [lead([0, 2, 5], 4) - lead(rest, 4) for rest in ([2, 5], [0, 5], [0, 2])]
    assert effects == pytest.approx(expected)


def test_ratings_stay_with_their_items() -> None:
    history = history_of(0, 2, 5)
    history.data[:] = [3, 1, 2]
    without_0 = np.tanh(WEIGHTS[2] + 2 * WEIGHTS[5])
    whole = np.tanh(3 * WEIGHTS[0] + WEIGHTS[2] + 2 * WEIGHTS[5])
    effects = effects_on(4, history)
    assert effects[0] == pytest.approx(whole[4] - whole.mean() - without_0[4] + without_0.mean())


def test_the_only_item_of_a_history_has_the_whole_lead() -> None:
    """The score without it is one by popularity, which says nothing of the difference."""
    assert effects_on(4, history_of(2)) == pytest.approx([lead([2], 4)])


def test_of_a_long_history_the_closest_items_are_deleted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(explanation, "MOST_DELETIONS", 2)
    asked = []

    def spied(history: sparse.csr_matrix, deleted: np.ndarray, items: np.ndarray) -> np.ndarray:
        asked.append(len(deleted))
        return leads(history, deleted, items)

    closeness = np.array([[0.1, 0.9, 0.2, 0.8]])
    (effects,) = effects_of_deletion(spied, history_of(0, 1, 2, 3), np.array([4]), closeness)
    assert asked == [2], "both deletions in one call"
    assert np.flatnonzero(effects).tolist() == [1, 3]
    assert effects[1] == pytest.approx(lead([0, 1, 2, 3], 4) - lead([0, 2, 3], 4))


def test_of_a_long_history_the_closest_to_each_item_in_turn_are_deleted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(explanation, "MOST_DELETIONS", 3)
    closeness = np.array([[0.9, 0.8, 0.7, 0.1, 0.0], [0.9, 0.1, 0.2, 0.3, 0.4]])
    effects = effects_of_deletion(leads, history_of(0, 1, 2, 3, 5), np.array([4, 1]), closeness)
    assert np.flatnonzero(effects.any(axis=0)).tolist() == [0, 1, 4]


def test_contributions_go_by_size_and_leave_the_base() -> None:
    why = Explanation.of(2.0, np.array([7, 3, 9, 1]), np.array([0.5, 1.0, -0.25, 0.5]), exact=True)
    assert why.items.tolist() == [3, 7, 1, 9]
    assert why.contributions.tolist() == [1.0, 0.5, 0.5, -0.25]
    assert why.base == 0.25
