"""The live taste of a trained user: newer ratings folded in on top of what was trained."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from movierec_engine.models.fold_in import FoldInScorer
from movierec_engine.recommending.fold_in import lowered_popularity

Floats = NDArray[np.float32]


class LiveTaste(NamedTuple):
    """New likes and dislikes of a trained user: pairs of an item index and a value of the scorer's `history_values`.

    Places and times go on from those of the train history.
    """

    liked: tuple[tuple[int, float], ...] = ()
    disliked: tuple[tuple[int, float], ...] = ()

    @property
    def ratings(self) -> int:
        """Number of new ratings."""
        return len(self.liked) + len(self.disliked)


def live_scores(
    scorer: FoldInScorer, trained: Callable[[], Floats], history: sparse.csr_matrix, live: LiveTaste
) -> Floats:
    """Scores float32 [n_items] of a trained user who has rated since.

        trained + f(h', D) - f(h)        h' = (h without D) and L

    f is the fold-in scorer, h the train history, L and D what is liked and disliked since. Where trained users score as
    new people do, that is the score of the joint taste; for the others, what training made of the user beyond the
    fold-in of h stays. What the dislikes would raise as likes goes down (`taste_scores`). Where no like is left, f says
    nothing, and the scores are those of a new user of the same dislikes: popularity, lowered by them.

    trained: gives the trained score of all items, float32 [n_items], where it is needed. history: CSR [1, n_items].
    """
    joint, disliked = joint_history(history, live), dislikes(history, live)
    if not joint.nnz:
        return lowered_popularity(scorer, scorer.basis.popularity, disliked) if disliked.nnz else trained()
    now: Floats = scorer.taste_scores(joint, disliked)[0]
    if scorer.as_trained:
        return now
    return np.asarray(trained() + (now - scorer.scores(history)[0]), dtype=np.float32)


def joint_history(history: sparse.csr_matrix, live: LiveTaste) -> sparse.csr_matrix:
    """The train history without what is liked or disliked since, and then what is liked: CSR [1, n_items]."""
    kept = ~np.isin(history.indices, [item for item, _ in (*live.liked, *live.disliked)])
    items = np.array([*history.indices[kept], *(item for item, _ in live.liked)], dtype=np.int32)
    values = np.array([*history.data[kept], *(value for _, value in live.liked)], dtype=history.dtype)
    order = np.argsort(items, kind="stable")
    return sparse.csr_matrix((values[order], items[order], [0, len(items)]), shape=history.shape)


def dislikes(history: sparse.csr_matrix, live: LiveTaste) -> sparse.csr_matrix:
    """Dislikes since the training: CSR [1, n_items], of the train history's shape."""
    items = np.array([item for item, _ in live.disliked], dtype=np.int32)
    values = np.array([value for _, value in live.disliked], dtype=np.float32)
    return sparse.csr_matrix((values, items, [0, len(items)]), shape=history.shape)
