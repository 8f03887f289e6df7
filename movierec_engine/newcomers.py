"""What to recommend to a person who was not in training: fold-in where it is worth more than popularity."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from movierec_engine.models.newcomers import NewcomerScorer

FOLD_IN, POPULARITY = "fold-in", "popularity"

Floats = NDArray[np.float32]


def recommend(
    scorer: NewcomerScorer,
    popularity: Floats,
    history: sparse.csr_matrix,
    k: int,
    enough: int | None,
    allowed: NDArray[np.bool_],
) -> tuple[NDArray[np.int64], Floats, str]:
    """The best items for a newcomer: indices int64 [<=k], scores float32 [<=k], and their source.

    scorer: of a model, its `newcomers()`. popularity: float32 [n_items], train interactions. history: CSR [1, n_items]
    of ratings where the scorer `uses_ratings`, else of ones. enough: see `source_of`. allowed: bool [n_items], True for
    the items that may be recommended, which those of the history may be too. Equal scores go by item index.
    """
    source = source_of(history, enough)
    scores = scorer.scores(history)[0] if source == FOLD_IN else popularity
    items = np.flatnonzero(allowed)
    return *best(items, scores[items], k), source


def source_of(history: sparse.csr_matrix, enough: int | None) -> str:
    """Whether a history, CSR [1, n_items], is scored by fold-in, or by popularity.

    enough: the length from which on the model's fold-in is better than popularity, as `evaluation.fidelity.enough`
    finds it; None where none is. An empty history is always scored by popularity.
    """
    return FOLD_IN if enough is not None and history.nnz >= max(enough, 1) else POPULARITY


def best(items: NDArray[np.integer[Any]], scores: Floats, k: int) -> tuple[NDArray[np.int64], Floats]:
    """The k items of the highest scores above -inf, best first, equal ones by index, and their scores.

    items: [n], ascending. scores: float32 [n].
    """
    if k < len(scores):
        last = np.partition(scores, len(scores) - k)[len(scores) - k]
        kept = scores >= last
        items, scores = items[kept], scores[kept]
    order = np.argsort(-scores, kind="stable")[:k]
    order = order[scores[order] > -np.inf]
    return items[order].astype(np.int64), np.asarray(scores[order], dtype=np.float32)
