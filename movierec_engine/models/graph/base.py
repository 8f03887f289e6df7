"""Base of lightgcn and ngcf: after propagation a score is the inner product of two final embeddings, and a prior.

    score(u, i) = <e_u, e_i> + b_i,    b_i = log( (1 + n_i) / (1 + n) )

n_i: the users of item i in train; n: the mean of that over the items. The prior b alone ranks by popularity, so that
embeddings have to learn only what differs from it. It is not trained, and the papers have none.
"""

from abc import abstractmethod
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from movierec_engine.data.graph import InteractionGraph
from movierec_engine.models.base import Floats, Indices
from movierec_engine.models.cost import DataSize, ModelCost
from movierec_engine.models.gradient import GradientRecommender, rows_of, squares_of_rows, to_csr_tensor
from movierec_engine.models.graph.propagation import SymmetricLGConv
from movierec_engine.models.popularity_weight import PopularityWeighted
from movierec_engine.models.vectors import with_column
from movierec_engine.training.trainable import Network

LOSSES = ("auto", "softmax", "sampled_softmax", "bpr", "bce")
_EDGE = 32.0
"""Bytes of a train interaction in the graph: both directions, and once more by blocks."""


class GraphNetwork(Network):
    """embeddings: float32 [n_users + n_items, d], E^(0), users first. l2: weight of their squared norms.

    item_bias: float32 [n_items], the prior above; 0 without.
    """

    user_tables = ("embeddings",)

    adjacency: Tensor
    item_bias: Tensor

    def __init__(
        self, graph: InteractionGraph, width: int, init_std: float, temperature: float, l2: float, prior: bool = True
    ) -> None:
        super().__init__()
        self.n_users, self.n_items, self.l2, self._temperature = graph.n_users, graph.n_items, l2, temperature
        self.embeddings = nn.Parameter(torch.randn(self.n_users + self.n_items, width).mul_(init_std))
        self.register_buffer("adjacency", to_csr_tensor(graph.adjacency), persistent=False)
        bias = torch.from_numpy(_log_popularity(graph.item_degrees)) * prior
        self.register_buffer("item_bias", bias, persistent=False)
        self.conv = SymmetricLGConv(graph.n_users)
        self._propagated: tuple[Tensor, Tensor] | None = None
        self._of_step: tuple[Tensor, ...] = ()

    @abstractmethod
    def propagate(self) -> list[Tensor]:
        """[E^(0), ..., E^(K)]."""

    @abstractmethod
    def joined(self, layers: list[Tensor]) -> Tensor:
        """Final embeddings of propagated ones, of users and then items."""

    def final(self) -> tuple[Tensor, Tensor]:
        """Final user and item embeddings, float32 [n_users, d] and [n_items, d]."""
        users, items = torch.split(self.joined(self.propagate()), [self.n_users, self.n_items])
        return users, items

    def begin_step(self) -> None:
        """Propagate: the pieces of a step then have final embeddings in common, and their gradients."""
        self._propagated = self.final()
        self._of_step = tuple(part.detach().requires_grad_() for part in self._propagated)

    def end_step(self) -> None:
        assert self._propagated is not None
        torch.autograd.backward(self._propagated, [part.grad for part in self._of_step])
        self._propagated, self._of_step = None, ()

    def factors(self, users: Tensor, items: Tensor | None) -> tuple[Tensor, Tensor]:
        user_vectors, item_vectors = self._of_step or self.final()
        queries = rows_of(user_vectors, users)
        vectors = item_vectors if items is None else rows_of(item_vectors, items)
        bias = self.item_bias if items is None else self.item_bias[items]
        queries = torch.cat([queries, queries.new_ones(len(queries), 1)], dim=1) / self._temperature
        return queries, torch.cat([vectors, bias[..., None]], dim=-1)

    def forward(self, users: Tensor, items: Tensor | None) -> Tensor:
        queries, item_vectors = self.factors(users, items)
        if item_vectors.dim() == 2:
            return queries @ item_vectors.T
        return (queries[:, None] * item_vectors).sum(dim=2)

    def penalty(self, users: Tensor, items: Tensor) -> Tensor:
        nodes = torch.cat([users, (items + self.n_users).flatten()])
        return self.l2 / 2 * squares_of_rows(self.embeddings, nodes) / len(users)


class GraphRecommender(PopularityWeighted, GradientRecommender):
    """user_embeddings [n_users, d], item_embeddings [n_items, d]: final embeddings; item_bias [n_items]; float32."""

    losses = LOSSES

    user_embeddings: Floats
    item_embeddings: Floats
    item_bias: Floats

    def score_known(self, users: Indices) -> Floats:
        scores = self.user_embeddings[users] @ self.item_embeddings.T + self.item_bias
        return self.with_prior(np.asarray(scores, dtype=np.float32))

    def query_vectors(self, users: Indices) -> Floats:
        """Embeddings and a column of ones, for the items' biases."""
        return with_column(self.user_embeddings[users], np.ones(len(users)))

    def item_vectors(self) -> Floats:
        """Embeddings and a column of the biases."""
        return with_column(self.item_embeddings, self.with_prior(self.item_bias))

    def similarity_vectors(self) -> Floats:
        """The embeddings without the biases."""
        return self.item_embeddings

    def tensors(self) -> dict[str, NDArray[Any]]:
        return {
            "user_embeddings": self.user_embeddings,
            "item_embeddings": self.item_embeddings,
            "item_bias": self.item_bias,
            **self.prior_tensors(),
        }

    def restore(self, tensors: dict[str, NDArray[Any]]) -> None:
        self.restore_prior(tensors)
        self.user_embeddings, self.item_embeddings = tensors["user_embeddings"], tensors["item_embeddings"]
        none = np.zeros(len(self.item_embeddings), dtype=np.float32)
        self.item_bias = tensors.get("item_bias", none)  # older models have none


def _log_popularity(item_degrees: NDArray[np.integer[Any]]) -> Floats:
    """b above, float32 [n_items]."""
    counts = 1.0 + item_degrees
    return np.asarray(np.log(counts / counts.mean()), dtype=np.float32)


def with_graph(training: ModelCost, size: DataSize) -> ModelCost:
    """The cost of a training with that of the graph."""
    return replace(training, fit_bytes=training.fit_bytes + _EDGE * size.n_train)
