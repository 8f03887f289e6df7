"""Linear item-item models: a score is the sum of the weights of a person's items.

    scores = X (W + r q^T)

X: the binary user-item matrix of train [n_users, n_items]. W: weights [n_items, n_items], which the model finds. r, q:
popularity, which counts where the weights say little (`fold_in/prior.py`).
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from movierec_engine.models.base import ClosedFormRecommender, Floats, Indices
from movierec_engine.models.fold_in import Basis
from movierec_engine.models.fold_in.linear import LinearFoldIn
from movierec_engine.models.fold_in.prior import shares


class LinearRecommender(ClosedFormRecommender):
    """A model whose `learn` only sets `weights`; or `rows` and `rest`, if they have q.

    rows: float32 [n_items, n_items], dense or CSR, W above: in row j what having item j adds to the score of each item.
    With q as one row more below, [n_items + 1, n_items].
    rest: float32 [n_items], r; None without q.
    symmetry: float32 [n_items], f for which W_ij f_j = W_ji f_i, where W is such: the index answers faster.
    """

    rows: Any
    rest: Floats | None = None
    symmetry: Floats | None = None

    @property
    def weights(self) -> Any:
        """W, float32 [n_items, n_items]; a view where it is dense."""
        return self.rows[: len(self.items)]

    @weights.setter
    def weights(self, weights: Any) -> None:
        self.rows = weights

    def score_known(self, users: Indices) -> Floats:
        return self.fold_in_scorer().scores(self.history[users])

    def fold_in_scorer(self) -> LinearFoldIn:
        return LinearFoldIn(Basis(self.rows.T, self.history), symmetry=self.symmetry, rest=self.rest)

    def query_vectors(self, users: Indices) -> Floats:
        return dense(self.fold_in_scorer().queries(self.history[users]))

    def item_vectors(self) -> Floats:
        return np.ascontiguousarray(dense(self.rows.T))

    def sparse_item_vectors(self) -> sparse.csc_matrix | None:
        return self.rows.T if sparse.issparse(self.rows) else None

    def similarity_vectors(self) -> Any:
        return self.weights.T.tocsr() if sparse.issparse(self.weights) else self.weights.T

    def tensors(self) -> dict[str, NDArray[Any]]:
        rows, given = self.rows, {"symmetry": self.symmetry, "rest": self.rest}
        if sparse.issparse(rows):
            given |= {"data": rows.data, "indices": rows.indices, "indptr": rows.indptr}
        else:
            given |= {"weights": rows}
        return {name: array for name, array in given.items() if array is not None}

    def restore(self, tensors: dict[str, NDArray[Any]]) -> None:
        self.rest, self.symmetry = tensors.get("rest"), tensors.get("symmetry")
        if "weights" in tensors:
            self.rows = tensors["weights"]
        else:
            shape = len(tensors["indptr"]) - 1, len(self.items)
            self.rows = sparse.csr_matrix((tensors["data"], tensors["indices"], tensors["indptr"]), shape)


def with_shares(weights: sparse.csr_matrix, popularity: Floats) -> sparse.csr_matrix:
    """A matrix, CSR [n, n_items], with q of train interactions [n_items] below: float32 CSR [n + 1, n_items]."""
    return sparse.vstack([weights, shares(popularity)[None]], format="csr", dtype=np.float32)


def dense(matrix: Any) -> Floats:
    """A matrix, dense or sparse, as float32."""
    return np.asarray(matrix.toarray() if sparse.issparse(matrix) else matrix, dtype=np.float32)
