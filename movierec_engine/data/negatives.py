"""Negative sampling: items that a user has no train interaction with, drawn uniformly."""

import numpy as np
from numpy.typing import NDArray

from movierec_engine.data.interactions import Interactions
from movierec_engine.errors import DataError


class NegativeSampler:
    """Draws uniform negatives exactly, without rejection and without a loop over rows.

    The r-th item that is not among a user's sorted positives p_0 < p_1 < ... is r + |{j : p_j - j <= r}|, and one
    `searchsorted` over all users' p_j - j answers that count for every row at once. Only train is known here:
    leaving out positives of validation or test would leak them.
    """

    def __init__(self, train: Interactions, rng: np.random.Generator) -> None:
        matrix = train.matrix()
        degree = np.diff(matrix.indptr).astype(np.int64)
        if (degree >= train.n_items).any():
            user = train.users.ids[int(np.argmax(degree))]
            raise DataError(
                f"user {user} has an interaction with every item, so no negative can be drawn; drop that user"
            )
        self._start = matrix.indptr.astype(np.int64)
        self._free = train.n_items - degree
        self._stride = train.n_items + 1
        user = np.repeat(np.arange(train.n_users, dtype=np.int64), degree)
        gap = matrix.indices - (np.arange(matrix.nnz) - self._start[user])
        self._keys = user * self._stride + gap
        self._rng = rng

    def sample(self, users: NDArray[np.integer], count: int) -> NDArray[np.int64]:
        """int64 [len(users), count]: for each row, items that its user has no train interaction with."""
        user = np.repeat(np.asarray(users, dtype=np.int64), count)
        rank = self._rng.integers(0, self._free[user])
        passed = np.searchsorted(self._keys, user * self._stride + rank, side="right") - self._start[user]
        return np.asarray(rank + passed, dtype=np.int64).reshape(len(users), count)
