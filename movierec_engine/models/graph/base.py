"""Base of lightgcn and ngcf: after propagation a score is the inner product of two final embeddings."""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from movierec_engine.models.base import Floats, Indices
from movierec_engine.models.cost import DataSize, ModelCost
from movierec_engine.models.gradient import GradientRecommender

LOSSES = ("auto", "softmax", "sampled_softmax", "bpr", "bce")
_EDGE = 120.0
"""Bytes of a train interaction in the graph: both directions, once more by blocks, and what they are made from."""


class GraphRecommender(GradientRecommender):
    """user_embeddings [n_users, d], item_embeddings [n_items, d]: final embeddings, float32."""

    losses = LOSSES

    user_embeddings: Floats
    item_embeddings: Floats

    def score_known(self, users: Indices) -> Floats:
        return np.asarray(self.user_embeddings[users] @ self.item_embeddings.T, dtype=np.float32)

    def query_vectors(self, users: Indices) -> Floats:
        return self.user_embeddings[users]

    def item_vectors(self) -> Floats:
        return self.item_embeddings

    def tensors(self) -> dict[str, NDArray[Any]]:
        return {"user_embeddings": self.user_embeddings, "item_embeddings": self.item_embeddings}

    def restore(self, tensors: dict[str, NDArray[Any]]) -> None:
        self.user_embeddings, self.item_embeddings = tensors["user_embeddings"], tensors["item_embeddings"]


def with_graph(training: ModelCost, size: DataSize) -> ModelCost:
    """The cost of a training with that of the graph."""
    return replace(training, fit_bytes=training.fit_bytes + _EDGE * size.n_train)
