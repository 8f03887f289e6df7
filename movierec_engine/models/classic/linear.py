"""Linear item-item models: a score is the sum of the weights of a person's items.

    scores = X W

X: the binary user-item matrix of train [n_users, n_items]. W: weights [n_items, n_items], which the model finds.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from movierec_engine.models.base import ClosedFormRecommender, Floats, Indices
from movierec_engine.models.fold_in import Basis
from movierec_engine.models.fold_in.linear import LinearFoldIn


class LinearRecommender(ClosedFormRecommender):
    """A model whose `learn` only sets `weights`.

    weights: float32 [n_items, n_items], dense or CSR, W above: in row j what having item j adds to the score of each
    item.
    symmetry: float32 [n_items], f for which W_ij f_j = W_ji f_i, where W is such: the index answers faster.
    """

    weights: Any
    symmetry: Floats | None = None

    def score_known(self, users: Indices) -> Floats:
        return dense(self.history[users] @ self.weights)

    def fold_in_scorer(self) -> LinearFoldIn:
        return LinearFoldIn(Basis(self.weights.T, self.history), symmetry=self.symmetry)

    def query_vectors(self, users: Indices) -> Floats:
        return np.asarray(self.history[users].toarray(), dtype=np.float32)

    def item_vectors(self) -> Floats:
        return np.ascontiguousarray(dense(self.weights.T))

    def sparse_item_vectors(self) -> sparse.csc_matrix | None:
        return self.weights.T if sparse.issparse(self.weights) else None

    def similarity_vectors(self) -> Any:
        return self.weights.T.tocsr() if sparse.issparse(self.weights) else self.weights.T

    def tensors(self) -> dict[str, NDArray[Any]]:
        weights = self.weights
        if sparse.issparse(weights):
            return {"data": weights.data, "indices": weights.indices, "indptr": weights.indptr}
        return {"weights": weights} if self.symmetry is None else {"weights": weights, "symmetry": self.symmetry}

    def restore(self, tensors: dict[str, NDArray[Any]]) -> None:
        if "weights" in tensors:
            self.weights, self.symmetry = tensors["weights"], tensors.get("symmetry")
        else:
            n = len(self.items)
            self.weights = sparse.csr_matrix((tensors["data"], tensors["indices"], tensors["indptr"]), (n, n))


def dense(matrix: Any) -> Floats:
    """A matrix, dense or sparse, as float32."""
    return np.asarray(matrix.toarray() if sparse.issparse(matrix) else matrix, dtype=np.float32)
