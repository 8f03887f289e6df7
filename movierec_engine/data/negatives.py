"""Items that a user has not: negatives for training, drawn uniformly, and candidates for sampled evaluation."""

import logging

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from movierec_engine.data.interactions import Interactions
from movierec_engine.errors import DataError

log = logging.getLogger(__name__)

BLOCK_BYTES = 64 * 2**20
"""Memory for the keys of a block of users in `sample_candidates`; what is drawn does not depend on it."""


class NegativeSampler:
    """Draws uniform negatives exactly, without rejection and without a loop over rows.

    The r-th item that is not among a user's sorted positives p_0 < p_1 < ... is r + |{j : p_j - j <= r}|, and one
    `searchsorted` over all users' p_j - j answers that count for every row at once. Only train is known here:
    leaving out positives of validation or test would leak them.

    drawable: bool [n_users], False for users who have every item, of whom there is no negative. Training leaves their
    interactions out: nothing is to be ranked below them.
    all_drawable: whether there are no such users.
    """

    def __init__(self, train: Interactions, rng: np.random.Generator) -> None:
        matrix = train.matrix()
        degree = np.diff(matrix.indptr).astype(np.int64)
        self.drawable = degree < train.n_items
        self.all_drawable = bool(self.drawable.all())
        if not self.all_drawable:
            others = len(degree) - int(self.drawable.sum()) - 1
            log.warning(
                "user %s%s: has an interaction with every item, so no negative can be drawn and training leaves these "
                "interactions out",
                *(train.users.ids[int(np.argmax(degree))], f" and {others:,} more" if others else ""),
            )
        self._start = matrix.indptr.astype(np.int64)
        self._free = train.n_items - degree
        self._stride = train.n_items + 1
        user = np.repeat(np.arange(train.n_users, dtype=np.int64), degree)
        gap = matrix.indices - (np.arange(matrix.nnz) - self._start[user])
        self._keys = user * self._stride + gap
        self._rng = rng

    def sample(self, users: NDArray[np.integer], count: int) -> NDArray[np.int64]:
        """int64 [len(users), count]: for each row, items that its user, who is `drawable`, has no interaction with."""
        user = np.repeat(np.asarray(users, dtype=np.int64), count)
        rank = self._rng.integers(0, self._free[user])
        wanted = user * self._stride + rank
        order = wanted.argsort()  # so that each search begins near the last one's end, in memory that is in the cache
        passed = np.empty_like(wanted)
        passed[order] = np.searchsorted(self._keys, wanted[order], side="right")
        return np.asarray(rank + passed - self._start[user], dtype=np.int64).reshape(len(users), count)


def sample_candidates(
    excluded: sparse.csr_matrix, weights: NDArray[np.floating], count: int, seed: int
) -> sparse.csr_matrix:
    """`count` distinct items for each user, none of them stored in the user's row of `excluded`.

    excluded: CSR [n_users, n_items]; for test candidates everything seen and everything relevant.
    weights: float [n_items], at least 0; ones draw uniformly, train counts by popularity, and 0 draws an item never.
    Returns binary float32 CSR [n_users, n_items] with sorted indices; a user with fewer than `count` items left gets
    all of those.

    Without replacement: each draw is proportional to the weights of the items not drawn yet. Those are the `count`
    smallest of the keys E_i / w_i with E_i ~ Exp(1) (Efraimidis and Spirakis 2006, "Weighted random sampling with a
    reservoir"; the Gumbel-top-k trick without the logarithm). Every user takes n_items numbers from one stream, so a
    user's candidates depend on the seed, the weights and that user's own row alone.
    """
    n_users, n_items = excluded.shape
    if count < 1 or weights.shape != (n_items,) or not (np.isfinite(weights) & (weights >= 0)).all():
        raise DataError(
            f"cannot draw {count} of {n_items} items by weights of shape {weights.shape}; "
            "give a count of at least 1 and one finite weight of at least 0 for each item"
        )
    rng = np.random.default_rng(seed)
    mean = np.divide(1.0, weights, out=np.full(n_items, np.inf), where=weights > 0)
    rows = max(1, BLOCK_BYTES // (n_items * 16))  # a key and its index
    items, counts = [np.empty(0, dtype=np.int64)], [np.zeros(1, dtype=np.int64)]
    for start in range(0, n_users, rows):
        block = excluded[start : start + rows]
        keys = rng.standard_exponential((block.shape[0], n_items))
        keys *= mean
        keys[np.repeat(np.arange(block.shape[0]), np.diff(block.indptr)), block.indices] = np.inf
        smallest = np.sort(np.argpartition(keys, min(count, n_items) - 1, axis=1)[:, :count], axis=1)
        drawn = np.isfinite(np.take_along_axis(keys, smallest, axis=1))
        items.append(smallest[drawn])
        counts.append(drawn.sum(axis=1))
    indices, indptr = np.concatenate(items), np.cumsum(np.concatenate(counts))
    return sparse.csr_matrix((np.ones(len(indices), dtype=np.float32), indices, indptr), shape=excluded.shape)
