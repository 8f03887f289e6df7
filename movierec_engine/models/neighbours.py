"""The trained users whose histories are most like a newcomer's: where a fold-in starts from."""

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

NEIGHBOURS = 20


def neighbour_weights(trained: sparse.csr_matrix, histories: sparse.csr_matrix) -> NDArray[np.float32]:
    """float32 [n, n_users]: the cosines of the nearest users' histories, summing to 1; of all users if none overlap.

    trained: CSR [n_users, n_items] and histories: CSR [n, n_items], binary.
    """
    overlap = (histories @ trained.T).toarray()
    cosine = overlap / np.sqrt(np.maximum(np.diff(trained.indptr), 1)).astype(np.float32)
    if cosine.shape[1] > NEIGHBOURS:
        cosine[cosine < np.partition(cosine, -NEIGHBOURS, axis=1)[:, [-NEIGHBOURS]]] = 0
    cosine[~cosine.any(axis=1)] = 1
    return np.asarray(cosine / cosine.sum(axis=1, keepdims=True), dtype=np.float32)
