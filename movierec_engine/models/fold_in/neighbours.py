"""The trained users whose histories are most like a new user's: where ngcf, gmf, mlp and ncf start from."""

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from movierec_engine.models.fold_in.base import Basis
from movierec_engine.models.top_k import largest

NEIGHBOURS = 20


_BLOCK_FLOATS = 2**21
"""Most overlaps of histories that are held at a time, 8 MB: there are as many as new users times trained ones."""


def neighbour_weights(basis: Basis, histories: sparse.csr_matrix) -> sparse.csr_matrix:
    """CSR [n, n_users]: the cosines of the nearest users' histories, summing to 1; of all users if none overlap.

    histories: CSR [n, n_items], binary like the basis's own.
    """
    users = basis.users_by_item
    rows = max(1, _BLOCK_FLOATS // users.shape[1])
    starts = range(0, histories.shape[0], rows)
    blocks = [_weights(basis, (histories[start : start + rows] @ users).toarray()) for start in starts]
    return sparse.vstack(blocks, format="csr") if len(blocks) > 1 else blocks[0]


def neighbour_weights_without(
    basis: Basis, history: sparse.csr_matrix, deleted: NDArray[np.int64]
) -> sparse.csr_matrix:
    """`neighbour_weights` of a history, CSR [1, n_items], and of it without each of the places `deleted` [m].

    CSR [1 + m, n_users]; a deletion takes from the overlap who has the item.
    """
    users = basis.users_by_item
    overlap = np.bincount(users[history.indices].indices, minlength=users.shape[1]).astype(np.float32)
    return _weights(basis, np.concatenate([overlap[None], overlap - users[history.indices[deleted]].toarray()]))


def _weights(basis: Basis, overlap: NDArray[np.float32]) -> sparse.csr_matrix:
    """overlap: float32 [n, n_users], how many items each user has in common with each history."""
    cosine = overlap / np.sqrt(np.maximum(basis.activity, 1)).astype(np.float32)
    if cosine.shape[1] > NEIGHBOURS:
        last = largest(cosine, NEIGHBOURS)[:, [-1]]
        cosine[cosine < np.take_along_axis(cosine, last, axis=1)] = 0
    cosine[~cosine.any(axis=1)] = 1
    cosine /= cosine.sum(axis=1, keepdims=True)
    return sparse.csr_matrix(cosine)
