"""How much users of very many interactions say of which items go together: less, and none outweighs all the others.

    w_u = min(1, most m / n_u)^2        most = 5

n_u: interactions of a user; m: their mean. Somebody with n items has n^2 pairs of them, so that a crawler, or an
account that a whole shop shares, would make all items alike. With w_u the pairs of nobody count for more than those of
somebody with five times the mean: inverse user frequency (Breese, Heckerman and Kadie 1998, "Empirical Analysis of
Predictive Algorithms for Collaborative Filtering") for those alone who need it.
"""

import numpy as np
from scipy import sparse

_MOST = 5.0


def rooted(history: sparse.csr_matrix) -> sparse.csr_matrix:
    """sqrt(w_u) for each interaction, so that products of two columns weigh users by w_u: float32 CSR.

    history: CSR [n_users, n_items], whose indices are shared.
    """
    lengths = np.diff(history.indptr)
    most = _MOST * history.nnz / max(len(lengths), 1)
    roots = np.minimum(1, most / np.maximum(lengths, 1)).astype(np.float32)
    return sparse.csr_matrix((np.repeat(roots, lengths), history.indices, history.indptr), history.shape)
