"""Linear item-item models: a score is the sum of the weights of a person's items.

    scores = X W

X: the binary user-item matrix of train [n_users, n_items]. W: weights [n_items, n_items], which the model finds.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from movierec_engine.models.base import ClosedFormRecommender, Floats, Indices
from movierec_engine.models.fold_in import Basis
from movierec_engine.models.fold_in.linear import LinearFoldIn


class LinearRecommender(ClosedFormRecommender):
    """A model whose `learn` only sets `weights`.

    weights: float32 [n_items, n_items], W above: in row j what having item j adds to the score of each item.
    """

    weights: Floats

    def score_known(self, users: Indices) -> Floats:
        return np.asarray(self.history[users] @ self.weights, dtype=np.float32)

    def fold_in_scorer(self) -> LinearFoldIn:
        return LinearFoldIn(Basis(self.weights.T, self.history))

    def query_vectors(self, users: Indices) -> Floats:
        return np.asarray(self.history[users].toarray(), dtype=np.float32)

    def item_vectors(self) -> Floats:
        return np.ascontiguousarray(self.weights.T)

    def similarity_vectors(self) -> Floats:
        return self.weights.T

    def tensors(self) -> dict[str, NDArray[Any]]:
        return {"weights": self.weights}

    def restore(self, tensors: dict[str, NDArray[Any]]) -> None:
        self.weights = tensors["weights"]
