"""Weights of an ensemble: what they are learned from, that they are where the likelihood is highest, and never lose."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from families import camps_with_validation, fused, learned
from scipy.optimize import minimize

from movierec_engine.data.catalogue import activity_tier
from movierec_engine.data.dataset import Dataset
from movierec_engine.data.heldout import HeldOut
from movierec_engine.errors import ConfigError
from movierec_engine.evaluation import Evaluator
from movierec_engine.models.ensemble import fusion_weights
from movierec_engine.models.ensemble.fusion_weights import (
    FOLDS,
    RIDGE,
    SHRINKAGE,
    Candidates,
    candidates_of,
    cross_fitted,
    folds_of,
    learn_weights,
    shared_weights,
)
from movierec_engine.models.ensemble.hybrid import HybridEnsemble
from movierec_engine.models.ensemble.member_selection import select_members
from worlds import interactions_of


def data_beside(validation: HeldOut) -> Dataset:
    """What the members of `camps_with_validation` were trained on, with a validation part."""
    users, items = validation.interactions.users, validation.interactions.items
    return Dataset(interactions_of(np.argwhere(validation.seen.toarray()), users, items), validation)


@pytest.mark.parametrize("method", ["weighted_average", "rrf", "stacking"])
@pytest.mark.parametrize("normalization", ["z_score", "rank"])
def test_learned_weights_are_no_worse_on_validation_than_any_member(method: str, normalization: str) -> None:
    members, validation = camps_with_validation()
    model = fused(members, fusion_method=method, normalization=normalization)
    weights = learned(model, validation)
    assert weights.sum(axis=1) == pytest.approx(1)
    assert (weights >= 0).all()
    model.combine(members, weights)
    ndcg = {
        one.name: Evaluator([10], ("ndcg",)).evaluate(one, validation).metrics["ndcg@10"] for one in (*members, model)
    }
    assert ndcg["hybrid_ensemble"] >= max(ndcg[member.name] for member in members) - 1e-6
    assert weights[:, 2].max() < 0.5, "popularity knows neither camp"


def test_a_useless_member_gets_hardly_any_weight_and_a_copy_shares_it() -> None:
    members, validation = camps_with_validation()
    weights = learned(fused([members[0], members[2]]), validation)
    assert weights[:, 0].min() > 0.7


def test_candidates_are_measured_as_the_evaluator_measures() -> None:
    members, validation = camps_with_validation()
    model = fused(members)
    values = candidates_of(model, validation).values(model.weights[0], "ndcg", 10)
    evaluation = Evaluator([10], ("ndcg",)).evaluate(model, validation)
    assert values == pytest.approx(evaluation.per_user["ndcg@10"], abs=1e-6)


def test_weights_need_validation_and_a_metric_of_lists() -> None:
    members, validation = camps_with_validation()
    empty = replace(validation, interactions=validation.interactions.select(np.zeros(len(validation), dtype=bool)))
    with pytest.raises(ConfigError, match="learn_weights=false"):
        fused(members).start_from({one.name: one for one in members}).fit(data_beside(empty))
    with pytest.raises(ConfigError, match=r"model\.metric"):
        fused(members, metric="auc").start_from({one.name: one for one in members}).fit(data_beside(validation))


def test_a_metric_by_candidates_counts_ties_against_the_ensemble_and_relevant_items_that_are_none() -> None:
    """By hand, one feature. User 0: its relevant candidate scores 2 as one other does, below 3: rank 3. User 1: ranks
    1 and 2 of three relevant items, one of which is no candidate, and the 9 of no candidate counts for nothing."""
    candidates = Candidates(
        features=np.array([[[3], [2], [2], [0]], [[5], [4], [9], [9]]], dtype=np.float32),
        relevant=np.array([[False, True, False, False], [True, True, False, False]]),
        there=np.array([[True, True, True, True], [True, True, False, False]]),
        count=np.array([1, 3]),
        tier=np.array([0, 3]),
        fold=np.array([4, 1]),
    )
    recall = [candidates.values(np.array([1.0]), "recall", k).tolist() for k in (1, 2, 3)]
    assert recall == [[0, pytest.approx(1 / 3)], [0, pytest.approx(2 / 3)], [1, pytest.approx(2 / 3)]]
    assert candidates.values(np.array([[-1.0], [1.0]]), "recall", 3).tolist() == [1, pytest.approx(2 / 3)]
    assert candidates.values(np.array([[-1.0], [1.0]]), "recall", 2).tolist() == [0, pytest.approx(2 / 3)]
    alone = candidates.of(candidates.tier == 3)
    assert (alone.count.tolist(), alone.tier.tolist(), alone.features.shape) == ([3], [3], (1, 4, 1))


@pytest.mark.parametrize("block_bytes", [1, 64 * 2**20])
def test_candidates_are_the_best_unseen_items_of_each_member(monkeypatch: pytest.MonkeyPatch, block_bytes: int) -> None:
    """Whole rows at once, or a user at a time."""
    monkeypatch.setattr(fusion_weights, "CANDIDATES", 7)
    monkeypatch.setattr(fusion_weights, "_BLOCK_BYTES", block_bytes)
    members, validation = camps_with_validation()
    model = fused(members)
    found = candidates_of(model, validation)
    wanted, seen = validation.interactions.matrix().toarray() > 0, validation.seen.toarray() > 0
    users = [user for user in range(120) if wanted[user].any() and seen[user].any()]
    assert len(found.count) == len(users)
    for place, user in enumerate(users):
        scores = model.normalised_scores(np.array([user]))[:, 0]
        order = [sorted(np.flatnonzero(~seen[user]), key=lambda item: -own[item])[:7] for own in scores[:2]]
        items = sorted({int(item) for best in order for item in best})
        there = found.there[place]
        rows = [rounded(row) for row in found.features[place][there]]
        assert {rounded(scores[:, item]) for item in items} <= set(rows)
        assert len(items) <= there.sum() <= len(items) + 7, "those of popularity, whose ties may fall either way"
        assert not found.features[place][~there].any() and not found.relevant[place][~there].any()
        mine = {rounded(scores[:, item]): bool(wanted[user, item]) for item in items}
        told = dict(zip(rows, found.relevant[place][there].tolist(), strict=True))
        assert {row: told[row] for row in mine} == mine
    assert found.count.tolist() == [int(wanted[user].sum()) for user in users]
    assert found.tier.tolist() == [int(activity_tier(np.array([seen[user].sum()]))[0]) for user in users]


def rounded(features: np.ndarray) -> tuple[float, ...]:
    return tuple(np.round(features.astype(float), 3).tolist())


def likelihood(candidates: Candidates, weights: np.ndarray) -> float:
    """The mean over users of the mean log-probability of their relevant candidates, written out."""
    total = []
    for x, relevant, there in zip(candidates.features, candidates.relevant, candidates.there, strict=True):
        if relevant.any():
            scores = x[there].astype(float) @ weights
            total.append(np.mean(scores[relevant[there]] - np.log(np.exp(scores).sum())))
    return float(np.mean(total))


def highest(candidates: Candidates, prior: np.ndarray, penalty: float) -> np.ndarray:
    """Where a search without gradients finds the highest penalised likelihood of weights that are not negative."""

    def loss(weights: np.ndarray) -> float:
        return -likelihood(candidates, np.abs(weights)) + penalty * float(((np.abs(weights) - prior) ** 2).sum())

    options = {"xatol": 1e-7, "fatol": 1e-12, "maxiter": 4000}
    return np.abs(minimize(loss, np.ones(len(prior)), method="Nelder-Mead", options=options).x)


def test_the_weights_are_those_of_the_highest_penalised_likelihood_for_all_and_for_each_tier() -> None:
    members, validation = camps_with_validation()
    model = fused(members[:2])
    candidates = candidates_of(model, validation)
    shared = highest(candidates, np.zeros(2), RIDGE)
    found = learned(model, validation)
    tiers = sorted(set(candidates.tier.tolist()))
    assert len(tiers) > 1
    for tier in range(4):
        own = candidates.of(candidates.tier == tier)
        expected = highest(own, shared, SHRINKAGE / len(own.count)) if len(own.count) else shared
        assert found[tier] == pytest.approx(expected / expected.sum(), abs=2e-3)


class Reversed(HybridEnsemble):
    """What the first member says, and the opposite of it."""

    def member_scores(self, users: np.ndarray) -> np.ndarray:
        scores = super().member_scores(users)
        return np.stack([scores[0], -scores[0]])


def test_a_member_that_says_the_opposite_gets_no_weight_rather_than_a_negative_one() -> None:
    members, validation = camps_with_validation()
    model = Reversed(fused(members[:2]).config)
    model.combine(members[:2])
    weights = learned(model, validation)
    assert weights.min() >= 0
    assert weights[:, 0].min() > 0.7


def test_users_without_relevant_candidates_teach_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """With one candidate a member hardly any user has one that is relevant; those alone count."""
    monkeypatch.setattr(fusion_weights, "CANDIDATES", 1)
    members, validation = camps_with_validation()
    model = fused(members[:2])
    candidates = candidates_of(model, validation)
    having = np.flatnonzero(candidates.relevant.any(axis=1))
    assert 0 < len(having) < len(candidates.count)
    hopeless = worst_of(model, validation)
    assert learned(model, hopeless) == pytest.approx(0.5), "nothing to learn from: equal weights"


def worst_of(model: HybridEnsemble, validation: HeldOut) -> HeldOut:
    """Of the held-out interactions those that no member ranks first among the unseen."""
    matrix, seen = validation.interactions, validation.seen.toarray() > 0
    scores = np.where(seen[None], -np.inf, model.normalised_scores(np.arange(120)))
    first = scores.argmax(axis=2)
    kept = ~(first[:, matrix.user] == matrix.item).any(axis=0)
    return replace(validation, interactions=matrix.select(kept))


def test_a_history_is_in_the_same_fold_whoever_has_it_and_folds_are_about_as_large() -> None:
    _, validation = camps_with_validation()
    history = validation.seen
    folds = folds_of(history)
    assert np.bincount(folds, minlength=FOLDS).min() > 120 / FOLDS / 3
    turned = np.random.default_rng(1).permutation(120)
    assert folds_of(history[turned] * 4.5).tolist() == folds[turned].tolist()


def test_a_folds_weights_are_those_that_the_other_users_teach() -> None:
    members, validation = camps_with_validation()
    candidates = candidates_of(fused(members[:2]), validation)
    found = cross_fitted(candidates, shared_weights)
    assert found.shape == (FOLDS, 2)
    for fold in range(FOLDS):
        assert np.array_equal(found[fold], shared_weights(candidates.of(candidates.fold != fold)))
    alone = candidates.of(candidates.fold == 2)
    assert cross_fitted(alone, shared_weights)[2] == pytest.approx(shared_weights(alone)), "no others to learn from"


@pytest.mark.parametrize(("fold_in", "loaded"), [(False, False), (True, False), (False, True)])
def test_validation_measures_each_user_by_the_weights_of_the_others(
    fold_in: bool, loaded: bool, tmp_path: Path
) -> None:
    members, validation = camps_with_validation()
    model = fused(members).start_from({one.name: one for one in members}).fit(data_beside(validation))
    users = np.arange(0, 120, 7)
    histories = model.history[users]
    if loaded:
        model.save(tmp_path)
    stand_in = (HybridEnsemble.load(tmp_path) if loaded else model).as_validated()
    scores = stand_in.fold_in(histories) if fold_in else stand_in.score_users(users)
    candidates = candidates_of(model, validation)
    for place, user in enumerate(users):
        fold = int(folds_of(model.history[[user]])[0])
        model.combine(members, learn_weights(candidates.of(candidates.fold != fold), "ndcg", 10))
        expected = model.fold_in(histories[[place]]) if fold_in else model.score_users(np.array([user]))
        assert scores[[place]] == pytest.approx(expected, abs=1e-4)


def test_members_are_the_fewest_that_are_within_a_standard_error_of_the_best_on_the_path() -> None:
    """A good one, one that knows the rest, a copy of the first, and one that knows nothing."""
    rng = np.random.default_rng(0)
    users, items = 400, 30
    relevant = np.zeros((users, items), dtype=bool)
    relevant[:, 0] = True
    half = rng.random(users) < 0.5
    noise = rng.normal(size=(users, items, 4)) * 0.3
    noise[half, 0, 0] += 4
    noise[~half, 0, 1] += 3.5
    noise[:, :, 2] = noise[:, :, 0]
    candidates = Candidates(
        features=noise.astype(np.float32),
        relevant=relevant,
        there=np.ones((users, items), dtype=bool),
        count=np.ones(users, dtype=np.int64),
        tier=np.zeros(users, dtype=np.int64),
        fold=np.arange(users) % FOLDS,
    )
    chosen = select_members(candidates, ["good", "other", "copy", "noise"], "ndcg", 10)
    assert len(chosen) == 2 and 1 in chosen and 3 not in chosen
    stacked = replace(candidates, features=np.concatenate([candidates.features, candidates.features], axis=2))
    assert select_members(stacked, ["good", "other", "copy", "noise"], "ndcg", 10) == chosen
    nobody = candidates.of(np.zeros(users, dtype=bool))
    assert select_members(nobody, ["good", "other", "copy", "noise"], "ndcg", 10) == [0, 1, 2, 3]
