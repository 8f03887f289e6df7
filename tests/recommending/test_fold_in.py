"""A new user gets fold-in once enough is known, else popularity, and nothing that is not allowed."""

import numpy as np
import pytest
from families import MAKERS, N_ITEMS, model_of, some_histories
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import sparse

from movierec_engine.data.dataset import Dataset
from movierec_engine.data.id_map import IdMap
from movierec_engine.models import EASE, Recommender
from movierec_engine.models.fold_in.base import union
from movierec_engine.recommending.fold_in import Taste, recommend, scores_of
from worlds import interactions_of

ITEMS = 12


def camps(fans: int = 0, **settings: float) -> EASE:
    """Twelve users in two camps: each has all items of the camp but one. fans: further users, of item 0 alone."""
    pairs = [(user, item) for user in range(12) for item in range(ITEMS) if (user + item) % 2 == 0 and user != item]
    pairs += [(12 + fan, 0) for fan in range(fans)]
    model = EASE(**settings)
    model.fit(Dataset(interactions_of(np.array(pairs), IdMap(np.arange(12 + fans)), IdMap(np.arange(ITEMS)))))
    return model


MODEL = camps()
NOTHING = sparse.csr_matrix((1, ITEMS), dtype=np.float32)


def history_of(*items: int) -> sparse.csr_matrix:
    return sparse.csr_matrix((np.ones(len(items), dtype=np.float32), items, [0, len(items)]), (1, ITEMS))


def without(items: set[int]) -> np.ndarray:
    return ~np.isin(np.arange(ITEMS), list(items))


@settings(max_examples=60)
@given(
    history=st.sets(st.integers(0, ITEMS - 1)),
    k=st.integers(1, ITEMS + 2),
    fold_in_min_items=st.none() | st.integers(0, ITEMS),
)
def test_the_source_follows_from_the_length_and_nothing_else_than_is_allowed_is_recommended(
    history: set[int], k: int, fold_in_min_items: int | None
) -> None:
    row = history_of(*sorted(history))

    items, scores, source = recommend(
        MODEL.fold_in_scorer(), MODEL.popularity, Taste(row, NOTHING), k, fold_in_min_items, without(history)
    )

    personal = fold_in_min_items is not None and len(history) >= max(fold_in_min_items, 1)
    assert source == ("fold-in" if personal else "popularity")
    expected = MODEL.fold_in(row)[0] if personal else MODEL.popularity
    assert scores.tolist() == expected[items].tolist()
    assert history.isdisjoint(items.tolist())
    assert len(set(items.tolist())) == len(items) == min(k, ITEMS - len(history))
    left_out = set(range(ITEMS)) - history - set(items.tolist())
    assert all(expected[other] <= scores[-1] for other in left_out)
    assert scores.tolist() == sorted(scores.tolist(), reverse=True)


def test_fold_in_finds_the_camp_and_popularity_does_not() -> None:
    items, _, _ = recommend(MODEL.fold_in_scorer(), MODEL.popularity, Taste(history_of(3), NOTHING), 5, 1, without({3}))
    assert set(items.tolist()) == {1, 5, 7, 9, 11}
    items, _, _ = recommend(MODEL.fold_in_scorer(), MODEL.popularity, Taste(history_of(3), NOTHING), 5, 2, without({3}))
    assert items.tolist() == [0, 1, 2, 4, 5]


def test_dislikes_lower_popularity_by_a_fifth_of_its_spread_for_each_of_theirs() -> None:
    """The formula, by hand: what the disliked ones would raise as likes, in standard deviations."""
    hated = history_of(2, 7)
    popularity = np.arange(ITEMS, dtype=np.float32) ** 2
    scores, source = scores_of(MODEL.fold_in_scorer(), popularity, Taste(NOTHING, hated), 1)
    raised = MODEL.fold_in(hated)[0] - MODEL.fold_in(NOTHING)[0] - MODEL.fold_in_scorer().prior(hated)[0]
    expected = popularity - 0.2 * popularity.std() * (raised - raised.mean()) / raised.std()
    assert np.abs(expected - popularity).max() > 1, "or this shows nothing"
    assert source == "popularity"
    assert scores == pytest.approx(expected, abs=0.01)


def test_dislikes_lower_nothing_by_the_prior_which_no_movie_is_a_reason_for() -> None:
    """The weights between items are the same with a prior and without, and so what dislikes lower."""
    hated, popularity = Taste(NOTHING, history_of(2, 7)), np.arange(ITEMS, dtype=np.float32) ** 2
    plain, drawn = (camps(fans=20, prior=prior) for prior in (0.0, 100.0))
    assert drawn.fold_in_scorer().prior(history_of(2, 7)).any(), "or this shows nothing"
    expected, found = (scores_of(one.fold_in_scorer(), popularity, hated, 1)[0] for one in (plain, drawn))
    assert found == pytest.approx(expected, abs=0.01)


def test_recommending_leaves_the_model_as_it_was() -> None:
    before = MODEL.popularity.copy()
    recommend(MODEL.fold_in_scorer(), MODEL.popularity, Taste(history_of(0, 1), NOTHING), 3, None, without({0, 1}))
    assert (MODEL.popularity == before).all()


# --- dislikes, of every family ---

NO_ITEMS = sparse.csr_matrix((1, N_ITEMS), dtype=np.float32)
UNMOVED = {
    "popularity": "scores everybody the same",
    "user_cf": "a single rating correlates with nobody's",
    "user_cf baseline": "a single rating correlates with nobody's",
}
"""Families in which a single dislike and nothing else leaves popularity as it is."""
BY_ORDER = ("markov", "sasrec", "sasrec gated")
"""Families in whose order of likes a dislike has no place."""


def places(scores: NDArray[np.float32]) -> NDArray[np.int64]:
    """The place of each item in the list, from 0."""
    return np.argsort(np.argsort(-scores, kind="stable"), kind="stable")


def disliked(model: Recommender, *items: int) -> sparse.csr_matrix:
    values = np.full(len(items), 0.5 if model.uses_ratings else 1, dtype=np.float32)
    return sparse.csr_matrix((values, items, [0, len(items)]), (1, N_ITEMS))


def fallen(model: Recommender, likes: sparse.csr_matrix, fold_in_min_items: int | None) -> NDArray[np.float64]:
    """How many places five items fall on average when a movie is disliked that would raise them most as a like."""
    scorer = model.fold_in_scorer()
    others = sorted({*range(N_ITEMS)} - {*likes.indices.tolist()})[::2]
    hates = [disliked(model, item) for item in others]
    told = sparse.vstack([likes, *(union(likes, scorer.as_likes(hate)) for hate in hates)], format="csr")
    before, *after = map(places, scorer.scores(told))
    without = places(scores_of(scorer, model.popularity, Taste(likes, NO_ITEMS), fold_in_min_items)[0])
    moves = []
    for item, hate, then in zip(others, hates, after, strict=True):
        raised = then - before
        raised[[item, *likes.indices]] = 0
        near = np.argsort(raised, kind="stable")[:5]
        hated = places(scores_of(scorer, model.popularity, Taste(likes, hate), fold_in_min_items)[0])
        moves.append((hated[near] - without[near]).mean())
    return np.array(moves)


@pytest.mark.parametrize("name", list(MAKERS))
def test_what_is_like_a_hated_movie_falls(name: str) -> None:
    """Networks have random weights here, so that not every movie's neighbours are what it raises."""
    model = model_of(name)
    for fold_in_min_items in (2, None):
        moves = np.concatenate([fallen(model, history, fold_in_min_items) for history in some_histories(model)[:4]])
        if name == "popularity" or (fold_in_min_items is None and name in UNMOVED):
            assert not moves.any(), UNMOVED[name]
        elif name in BY_ORDER and fold_in_min_items is not None:
            assert not moves.any()
        else:
            assert moves.mean() > 0.4
            assert (moves > 0).mean() > 1.5 * (moves < 0).mean()


@pytest.mark.parametrize("name", [name for name in MAKERS if name not in ("popularity", "user_cf")])
def test_the_same_movies_hated_give_another_list_than_liked(name: str) -> None:
    """But for user_cf, to which likes of equal ratings here are like nobody's: popularity either way."""
    model = model_of(name)
    scorer, hated = model.fold_in_scorer(), disliked(model, 0, 2, 4, 7)
    liked = scores_of(scorer, model.popularity, Taste(scorer.as_likes(hated), NO_ITEMS), fold_in_min_items=2)[0]
    lists = [places(scores) for scores in (liked, scores_of(scorer, model.popularity, Taste(NO_ITEMS, hated), 2)[0])]
    assert not np.array_equal(*lists)


@pytest.mark.parametrize("name", [name for name in MAKERS if model_of(name).exact_contributions])
def test_the_terms_of_likes_and_dislikes_add_up_to_what_they_move_the_score_by(name: str) -> None:
    model = model_of(name)
    scorer, history = model.fold_in_scorer(), some_histories(model)[[0]]
    free = [item for item in range(N_ITEMS) if item not in history.indices]
    hated = disliked(model, *free[:3])
    item = free[5]
    score = float(scorer.taste_scores(history, hated)[0, item])
    why = scorer.taste_explanations(np.array([score]), history, hated, np.array([item]))[0]
    assert sorted(why.items.tolist()) == sorted([*history.indices.tolist(), *free[:3]])
    assert why.base + why.contributions.sum() == pytest.approx(score)
    if name in ("ease", "item_cf", "item_cf implicit", "als", "lightgcn"):
        popular = float((scorer.scores(NO_ITEMS) + scorer.prior(history))[0, item])
        assert why.base == pytest.approx(popular, abs=1e-5), "nothing but the history, and popularity"


def test_people_without_dislikes_get_the_plain_scores() -> None:
    for name in ("ease", "hybrid", "ncf"):
        model = model_of(name)
        histories = some_histories(model)
        tastes = model.fold_in_scorer().taste_scores(histories, sparse.csr_matrix(histories.shape, dtype=np.float32))
        assert np.array_equal(tastes, model.fold_in_scorer().scores(histories))
