"""A trained user's newer ratings, folded in on top of what was trained."""

import numpy as np
import pytest
from families import MAKERS, TRAIN, model_of
from scipy import sparse

from movierec_engine.data.dataset import Dataset
from movierec_engine.data.interactions import OF_ORDER
from movierec_engine.models import EASE, ItemCF
from movierec_engine.models.fold_in.base import FoldInScorer
from movierec_engine.recommending.fold_in import Taste, scores_of
from movierec_engine.recommending.live_taste import LiveTaste, dislikes, joint_history, live_scores


def value_of(scorer: FoldInScorer) -> float:
    return 5.0 if scorer.uses_ratings else 1.0


BY_ORDER = ("markov", "sasrec", "sasrec gated")
"""Models in whose order a dislike has no place."""


def test_what_is_rated_since_takes_the_place_of_what_was_trained() -> None:
    history = sparse.csr_matrix((np.array([3.0, 4, 4.5], np.float32), [1, 4, 6], [0, 3]), (1, 9))
    live = LiveTaste(((4, 5.0), (2, 3.5)), ((6, 1.0),))
    joint, hated = joint_history(history, live), dislikes(history, live)
    assert (joint.indices.tolist(), joint.data.tolist(), joint.shape) == ([1, 2, 4], [3.0, 3.5, 5.0], (1, 9))
    assert (hated.indices.tolist(), hated.data.tolist(), hated.shape) == ([6], [1.0], (1, 9))
    assert (live.ratings, history.indices.tolist()) == (3, [1, 4, 6])


@pytest.mark.parametrize("name", list(MAKERS))
def test_nothing_newer_leaves_the_scores_as_trained(name: str) -> None:
    model = model_of(name)
    trained, history = model.score_users(np.array([3]))[0], model.history[[3]]
    scorer = model.fold_in_scorer()
    assert live_scores(scorer, lambda: trained, history, LiveTaste()) == pytest.approx(trained, abs=1e-4)
    if scorer.as_trained:
        assert live_scores(scorer, pytest.fail, history, LiveTaste()) == pytest.approx(trained, abs=1e-4)


@pytest.mark.parametrize("name", [name for name in MAKERS if name != "popularity"])
def test_newer_likes_change_the_scores_and_stay_finite(name: str) -> None:
    model = model_of(name)
    history = model.history[[3]]
    new = np.setdiff1d(np.arange(history.shape[1]), history.indices)[:4]
    scorer = model.fold_in_scorer()
    newer = history.data.max() + np.arange(1, 5)
    values = newer if scorer.history_values in OF_ORDER else [value_of(scorer)] * 4
    live = LiveTaste(tuple(zip(new.tolist(), values, strict=True)))
    trained = model.score_users(np.array([3]))[0]
    scores = live_scores(scorer, lambda: trained, history, live)
    assert np.isfinite(scores).all() and not np.allclose(scores, trained)


@pytest.mark.parametrize("model", [EASE(), ItemCF()])
def test_of_a_linear_model_it_is_the_score_of_the_joint_history(model: EASE | ItemCF) -> None:
    model.fit(Dataset(TRAIN))
    history = model.history[[7]]
    new = np.setdiff1d(np.arange(history.shape[1]), history.indices)[:1]  # as many as are taken away
    one = value_of(model.fold_in_scorer())
    hated = int(history.indices[0])
    live = LiveTaste(tuple((int(item), one) for item in new), ((hated, one),))
    joint = joint_history(history, live)
    assert set(joint.indices) == (set(history.indices) | set(new)) - {history.indices[0]}
    scores = live_scores(model.fold_in_scorer(), lambda: model.score_users(np.array([7]))[0], history, live)
    taste = model.fold_in_scorer().taste_scores(joint, dislikes(history, live))[0]
    assert scores == pytest.approx(taste, abs=1e-3)


@pytest.mark.parametrize("name", [name for name in MAKERS if name not in ("popularity", "mlp", "ncf", *BY_ORDER)])
def test_what_is_like_a_newly_hated_item_stands_lower_than_without_that_rating(name: str) -> None:
    """mlp and ncf have random weights here, whose layers know no likeness."""
    model = model_of(name)
    scorer, history = model.fold_in_scorer(), model.history[[3]]
    trained = model.score_users(np.array([3]))[0]
    hated = int(np.setdiff1d(np.arange(history.shape[1]), history.indices)[0])
    one = value_of(scorer)
    as_like = live_scores(scorer, lambda: trained, history, LiveTaste(((hated, one),))) - trained
    dislike = LiveTaste((), ((hated, 0.5 if scorer.uses_ratings else 1.0),))
    as_dislike = live_scores(scorer, lambda: trained, history, dislike)
    raised = np.argsort(-as_like)[:5]
    assert (as_dislike - trained)[raised].mean() < 0


@pytest.mark.parametrize("name", list(MAKERS))
def test_whose_likes_are_all_hated_since_has_the_scores_of_a_new_user_of_these_dislikes(name: str) -> None:
    model = model_of(name)
    scorer, history = model.fold_in_scorer(), model.history[[3]]
    live = LiveTaste((), tuple((int(item), 0.5 if scorer.uses_ratings else 1.0) for item in history.indices))
    hated = dislikes(history, live)
    as_new, _ = scores_of(scorer, model.popularity, Taste(joint_history(history, live), hated), 1)
    scores = live_scores(scorer, pytest.fail, history, live)
    assert scores == pytest.approx(as_new)
    if name not in ("popularity", "user_cf"):  # which likes of equal ratings tell nothing
        assert not np.allclose(scores, model.popularity)
