"""The trained users whose histories are most like a new user's: where ngcf, gmf, mlp and ncf start from."""

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from movierec_engine.models.fold_in.base import Basis

NEIGHBOURS = 20


def neighbour_weights(basis: Basis, histories: sparse.csr_matrix) -> NDArray[np.float32]:
    """float32 [n, n_users]: the cosines of the nearest users' histories, summing to 1; of all users if none overlap.

    histories: CSR [n, n_items], binary like the basis's own.
    """
    return _weights(basis, (histories @ basis.users_by_item).toarray())


def neighbour_weights_without(
    basis: Basis, history: sparse.csr_matrix, deleted: NDArray[np.int64]
) -> NDArray[np.float32]:
    """`neighbour_weights` of a history, CSR [1, n_items], and of it without each of the places `deleted` [m].

    float32 [1 + m, n_users]; a deletion takes from the overlap who has the item.
    """
    users = basis.users_by_item
    overlap = np.bincount(users[history.indices].indices, minlength=users.shape[1]).astype(np.float32)
    return _weights(basis, np.concatenate([overlap[None], overlap - users[history.indices[deleted]].toarray()]))


def _weights(basis: Basis, overlap: NDArray[np.float32]) -> NDArray[np.float32]:
    """overlap: float32 [n, n_users], how many items each user has in common with each history."""
    cosine = overlap / np.sqrt(np.maximum(basis.activity, 1)).astype(np.float32)
    if cosine.shape[1] > NEIGHBOURS:
        cosine[cosine < np.partition(cosine, -NEIGHBOURS, axis=1)[:, [-NEIGHBOURS]]] = 0
    cosine[~cosine.any(axis=1)] = 1
    return np.asarray(cosine / cosine.sum(axis=1, keepdims=True), dtype=np.float32)
