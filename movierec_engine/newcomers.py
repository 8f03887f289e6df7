"""What to recommend to a person who was not in training: fold-in where it is worth more than popularity."""

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from movierec_engine.models.base import Floats, Recommender

FOLD_IN, POPULARITY = "fold-in", "popularity"


def recommend(
    model: Recommender, history: sparse.csr_matrix, k: int, enough: int | None
) -> tuple[NDArray[np.int64], Floats, str]:
    """The best items outside a newcomer's history: indices int64 [<=k], scores float32 [<=k], and their source.

    history: CSR [1, n_items], with values as `Recommender.fold_in` wants them. enough: the length from which on the
    model's fold-in is better than popularity, as `evaluation.fidelity.enough` finds it; None where none is. The source
    is `popularity` for a shorter history, and always for an empty one. Equal scores go by item index.
    """
    source = FOLD_IN if enough is not None and history.nnz >= max(enough, 1) else POPULARITY
    scores = model.fold_in(history)[0] if source == FOLD_IN else model.popularity.copy()
    scores[history.indices] = -np.inf
    best = np.argsort(-scores, kind="stable")[:k]
    best = best[scores[best] > -np.inf]
    return best.astype(np.int64), scores[best], source
