"""liked_ndcg and disliked against their definitions, a user and an item at a time."""

import math
from dataclasses import replace

import numpy as np
import pytest
from evaluation.test_rankings import N_ITEMS, N_USERS, Fixed, heldout
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from movierec_engine.evaluation import Evaluator
from movierec_engine.evaluation.comparison import compare_all_pairs
from movierec_engine.evaluation.config import EvaluationConfig

K = 4


@st.composite
def worlds(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Scores without ties, and train, test and dislikes, bool [n_users, n_items]; some dislikes are in test."""
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    part = rng.integers(0, 3, size=(N_USERS, N_ITEMS))
    part[0, :2] = 0, 1
    scores = rng.permuted(np.tile(np.arange(float(N_ITEMS)), (N_USERS, 1)), axis=1)
    return scores, part == 0, part == 1, (rng.random(part.shape) < 0.3) & (part != 0)


@given(worlds())
def test_both_are_their_definition(world: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]) -> None:
    scores, train, test, low = world
    part = replace(heldout(train, test), disliked=sparse.csr_matrix(low.astype(np.float32)))
    found = Evaluator([K], ["liked_ndcg", "disliked", "ndcg"]).evaluate(Fixed(scores, train), part)
    liked, disliked = [], []
    for user in np.flatnonzero(test.any(axis=1)):
        shown = [item for item in np.argsort(-scores[user]) if not train[user, item]][:K]
        wanted = test[user] & ~low[user]
        gain = sum(1 / math.log2(rank + 1) for rank, item in enumerate(shown, 1) if wanted[item])
        ideal = sum(1 / math.log2(rank + 1) for rank in range(1, min(K, wanted.sum()) + 1))
        liked.append(gain / ideal if ideal else math.nan)
        disliked.append(sum(low[user, item] for item in shown) / K if low[user].any() else math.nan)
    for name, expected in ((f"liked_ndcg@{K}", liked), (f"disliked@{K}", disliked)):
        if np.isnan(expected).all():
            assert name not in found.metrics
            continue
        assert found.per_user[name] == pytest.approx(np.array(expected), nan_ok=True)
        assert found.metrics[name] == pytest.approx(np.nanmean(expected))


def test_they_are_left_out_where_dislikes_are_not_known_and_change_no_other_value() -> None:
    rng = np.random.default_rng(0)
    part = rng.integers(0, 3, size=(N_USERS, N_ITEMS))
    scores, train = rng.random(part.shape), part == 0
    without = heldout(train, part == 1)
    known = replace(without, disliked=sparse.csr_matrix((part == 2).astype(np.float32)))
    names = [name for name in EvaluationConfig().metrics if name != "embedding_diversity"]
    plain, told = (Evaluator([2, 4], names).evaluate(Fixed(scores, train), one).metrics for one in (without, known))
    assert set(told) - set(plain) == {f"{name}@{k}" for name in ("liked_ndcg", "disliked") for k in (2, 4)}
    assert {name: told[name] for name in plain} == plain
    assert told["liked_ndcg@2"] == plain["ndcg@2"], "all relevant items are liked"


def test_neither_is_measured_where_models_are_chosen() -> None:
    assert {"liked_ndcg", "disliked"} <= set(EvaluationConfig().metrics)
    assert not {"liked_ndcg", "disliked"} & set(EvaluationConfig().while_training())
    assert EvaluationConfig(metrics=("liked_ndcg", "auc")).while_training() == ("auc",)
    assert EvaluationConfig(metrics=("disliked",)).while_training() == ("ndcg",)


def test_users_of_whom_a_metric_says_nothing_are_left_out_of_a_comparison_and_less_can_be_better() -> None:
    rng = np.random.default_rng(1)
    many = np.round(rng.random(300), 1)
    values = {"more": many, "less": np.maximum(many - 0.1 - rng.random(300) / 100, 0)}
    holes = {name: np.insert(value, [3, 70], np.nan) for name, value in values.items()}
    (plain,) = compare_all_pairs(values, less_is_better=True)
    assert compare_all_pairs(holes, less_is_better=True) == (plain,)
    assert (plain.better, plain.worse, plain.significant) == ("less", "more", True)
    assert plain.comparison.mean_a == pytest.approx(values["less"].mean())
    assert plain.comparison.difference == pytest.approx(many.mean() - values["less"].mean())
    (higher,) = compare_all_pairs(values)
    assert (higher.better, higher.p_bootstrap, higher.p_wilcoxon) == ("more", plain.p_bootstrap, plain.p_wilcoxon)
