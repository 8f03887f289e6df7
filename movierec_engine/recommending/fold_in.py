"""Recommendations for a person who was not in training: by fold-in where it beats popularity, else by popularity."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from movierec_engine.models.fold_in import FoldInScorer
from movierec_engine.models.top_k import best

FOLD_IN, POPULARITY = "fold-in", "popularity"

AGAINST_POPULAR = 0.2
"""How much dislikes lower what is popular: benchmarks/results/rating_values.md."""

Floats = NDArray[np.float32]


class Taste(NamedTuple):
    """Likes and dislikes of a new user: CSR [1, n_items] each, without common entries.

    With the scorer's `history_values`.
    """

    liked: sparse.csr_matrix
    disliked: sparse.csr_matrix

    @property
    def items(self) -> NDArray[np.integer[Any]]:
        """All of them, int [h]."""
        return np.concatenate([self.liked.indices, self.disliked.indices])


def recommend(
    scorer: FoldInScorer,
    popularity: Floats,
    taste: Taste,
    k: int,
    fold_in_min_items: int | None,
    allowed: NDArray[np.bool_],
) -> tuple[NDArray[np.int64], Floats, str]:
    """The best items for a new user: indices int64 [<=k], scores float32 [<=k], and their source.

    scorer: of a model, its `fold_in_scorer`. popularity, fold_in_min_items: see `scores_of`. allowed: bool [n_items],
    True for the items that may be recommended, which those of the history may be too. Equal scores go by item index.
    """
    scores, source = scores_of(scorer, popularity, taste, fold_in_min_items)
    items = np.flatnonzero(allowed)
    return *best(items, scores[items], k), source


def scores_of(
    scorer: FoldInScorer, popularity: Floats, taste: Taste, fold_in_min_items: int | None
) -> tuple[Floats, str]:
    """The scores of all items for a new user, float32 [n_items], and their source.

    popularity: float32 [n_items], train interactions. fold_in_min_items: see `source_of`.
    """
    source = source_of(taste.liked, fold_in_min_items)
    if source == FOLD_IN:
        return scorer.taste_scores(taste.liked, taste.disliked)[0], source
    return lowered_popularity(scorer, popularity, taste.disliked), source


def lowered_popularity(scorer: FoldInScorer, popularity: Floats, disliked: sparse.csr_matrix) -> Floats:
    """Popularity, less what the disliked items would raise as likes: float32 [n_items].

        p - AGAINST_POPULAR std(p) (g - mean(g)) / std(g)        g = f(D) - f(nothing) - prior(D), D as likes

    which is in train interactions, as p is. A model that gives everybody the same scores lowers nothing.
    """
    if not disliked.nnz:
        return popularity
    likes, nothing = scorer.as_likes(disliked), sparse.csr_matrix(disliked.shape, dtype=np.float32)
    as_likes, base = scorer.scores(sparse.vstack([likes, nothing], format="csr")).astype(np.float64)
    raised = as_likes - base - scorer.prior(likes)[0]
    lowered = popularity - AGAINST_POPULAR * popularity.std() * (raised - raised.mean()) / max(raised.std(), 1e-12)
    return np.asarray(lowered, dtype=np.float32)


def source_of(liked: sparse.csr_matrix, fold_in_min_items: int | None) -> str:
    """The source of somebody's scores, fold-in or popularity, by their likes, CSR [1, n_items].

    fold_in_min_items: the number from which on the model's fold-in is better than popularity; None where none is. Who
    liked nothing is always scored by popularity.
    """
    folded_in = fold_in_min_items is not None and liked.nnz >= max(fold_in_min_items, 1)
    return FOLD_IN if folded_in else POPULARITY
