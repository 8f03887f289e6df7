"""Rankings of a whole held-out part, and what follows from them, against counting by hand."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from movierec_engine.data.catalogue import Catalogue
from movierec_engine.data.dataset import Dataset
from movierec_engine.data.heldout import HeldOut
from movierec_engine.data.id_map import IdMap
from movierec_engine.errors import MovierecError
from movierec_engine.evaluation import Evaluator
from movierec_engine.evaluation.metrics import metrics
from movierec_engine.evaluation.rankings import rank_users
from movierec_engine.models import Popularity
from worlds import interactions_of

N_USERS, N_ITEMS = 5, 9
USERS, ITEMS = IdMap(np.arange(N_USERS)), IdMap(np.arange(N_ITEMS))


class Fixed(Popularity):
    """Returns the scores that it is given, float32 [n_users, n_items]."""

    def __init__(self, scores: np.ndarray, train: np.ndarray) -> None:
        super().__init__()
        self.fit(Dataset(interactions_of(np.argwhere(train), USERS, ITEMS)))
        self.fixed = scores.astype(np.float32)

    def score_users(self, users: np.ndarray) -> np.ndarray:
        return self.fixed[users].copy()


@st.composite
def worlds(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray | None]:
    """Scores with ties, train, test (both bool, disjoint), and candidates or None."""
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    part = rng.integers(0, 3, size=(N_USERS, N_ITEMS))
    part[0, :2] = 0, 1  # both parts hold something
    scores = rng.integers(0, 4, size=(N_USERS, N_ITEMS)).astype(float)
    scores[rng.random(scores.shape) < 0.1] = -np.inf
    candidates = rng.random(scores.shape) < 0.5 if draw(st.booleans()) else None
    return scores, part == 0, part == 1, candidates


def heldout(train: np.ndarray, test: np.ndarray, candidates: np.ndarray | None = None) -> HeldOut:
    known = interactions_of(np.argwhere(train), USERS, ITEMS)
    return HeldOut(
        interactions_of(np.argwhere(test), USERS, ITEMS),
        known.matrix(),
        "train",
        Catalogue.of(known),
        None if candidates is None else sparse.csr_matrix(candidates.astype(np.float32)),
    )


@given(worlds())
def test_everything_is_what_counting_says(world: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray | None]) -> None:
    scores, train, test, candidates = world
    rankings = rank_users(Fixed(scores, train), heldout(train, test, candidates), depth=4, deep=True)
    assert rankings.users.tolist() == np.flatnonzero(test.any(axis=1)).tolist()
    assert rankings.relevant.tolist() == test.sum(axis=1)[rankings.users].tolist()
    popularity = train.sum(axis=0)
    places = sorted(range(N_ITEMS), key=lambda item: (-popularity[item], item))
    ranked = ~train if candidates is None else (candidates | test) & ~train
    for row, user in enumerate(rankings.users):
        allowed = np.flatnonzero(ranked[user])
        assert rankings.irrelevant[row] == len(set(allowed) - set(np.flatnonzero(test[user])))
        shown = [item for item in allowed if np.isfinite(scores[user, item])]
        best = sorted(shown, key=lambda item: (-scores[user, item], item))[:4]
        assert [item for item in rankings.lists[row] if item >= 0] == best
        pessimistic = sorted(shown, key=lambda item: (-scores[user, item], test[user, item], item))
        for entry in np.flatnonzero(rankings.row == row):
            item = rankings.item[entry]
            assert rankings.rank[entry] == (pessimistic.index(item) + 1 if item in shown else 0)
            ahead = [other for other in allowed if places.index(other) < places.index(item)]
            in_list = 0 < rankings.rank[entry] <= 4
            assert rankings.more_popular[entry] == (len(ahead) if in_list else -1)


def test_an_item_that_is_seen_and_relevant_is_one_that_is_not_irrelevant() -> None:
    train, test = (np.zeros((N_USERS, N_ITEMS), dtype=bool) for _ in range(2))
    train[0, [0, 1]] = test[0, [1, 2]] = True
    rankings = rank_users(Fixed(np.ones((N_USERS, N_ITEMS)), train), heldout(train, test), depth=4, deep=True)
    assert rankings.irrelevant.tolist() == [N_ITEMS - 3]


@settings(max_examples=30)
@given(worlds(), st.permutations(range(N_USERS)))
def test_no_metric_depends_on_the_order_of_users(
    world: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray | None], order: list[int]
) -> None:
    scores, train, test, _ = world
    # embeddings are cut off among equal singular values here, where any choice is as good
    evaluate = Evaluator([2, 4], tuple(metric for metric in metrics() if metric != "embedding_diversity")).evaluate
    there = evaluate(Fixed(scores, train), heldout(train, test)).metrics
    back = evaluate(Fixed(scores[order], train[order]), heldout(train[order], test[order])).metrics
    assert back == pytest.approx(there, abs=1e-12)


def test_a_perfect_model_has_every_accuracy_metric_at_its_highest_and_the_reverse_at_its_lowest() -> None:
    test = np.eye(N_USERS, N_ITEMS, dtype=bool)
    train = np.roll(test, 1, axis=1)
    best = Evaluator([1]).evaluate(Fixed(test.astype(float), train), heldout(train, test)).metrics
    worst = Evaluator([1]).evaluate(Fixed(-test.astype(float), train), heldout(train, test)).metrics
    for name in ("precision@1", "recall@1", "ndcg@1", "hit_rate@1", "map@1", "mrr@1", "auc"):
        assert (best[name], worst[name]) == (1, 0), name


def test_a_constant_scorer_has_an_auc_of_a_half() -> None:
    test = np.eye(N_USERS, N_ITEMS, dtype=bool)
    train = np.roll(test, 1, axis=1)
    evaluation = Evaluator([3]).evaluate(Fixed(np.ones((N_USERS, N_ITEMS)), train), heldout(train, test))
    assert (evaluation.metrics["auc"], evaluation.metrics["hit_rate@3"]) == (0.5, 0), (
        "only in the first ranks ties count against"
    )


def test_a_model_that_scores_too_few_items_is_an_error() -> None:
    test = np.eye(N_USERS, N_ITEMS, dtype=bool)
    train = np.roll(test, 1, axis=1)
    with pytest.raises(MovierecError, match=r"shape \(5, 8\)"):
        Evaluator([3]).evaluate(Fixed(np.ones((N_USERS, N_ITEMS - 1)), train), heldout(train, test))


def test_a_test_item_that_is_also_seen_is_never_found() -> None:
    test = np.eye(N_USERS, N_ITEMS, dtype=bool)
    rankings = rank_users(Fixed(test.astype(float), test), heldout(test, test), depth=3, deep=True)
    assert not rankings.rank.any()


def test_genre_diversity_is_left_out_where_no_genres_are_known() -> None:
    test = np.eye(N_USERS, N_ITEMS, dtype=bool)
    train = np.roll(test, 1, axis=1)
    without = heldout(train, test)
    known = replace(
        without.catalogue, genres=np.eye(N_ITEMS, dtype=np.float32), genre_names=tuple(map(str, range(N_ITEMS)))
    )
    model = Fixed(test.astype(float), train)
    assert "genre_diversity@3" not in Evaluator([3]).evaluate(model, without).metrics
    assert Evaluator([3]).evaluate(model, replace(without, catalogue=known)).metrics["genre_diversity@3"] == 1
