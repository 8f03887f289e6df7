"""LightGCN (He et al. 2020, "LightGCN: Simplifying and Powering Graph Convolution Network for Recommendation").

    E^(k+1) = D^-1/2 A D^-1/2 E^(k),    e_v = 1/(K+1) sum_{k=0..K} e_v^(k)

    score(u, i) = <e_u, e_i> + b_i

E^(0): the trained embeddings of users and items; A: the bipartite train graph; K: `num_layers`; b: a prior by
popularity (`base.py`), which the paper does not have and cosines do not get.

Losses: `bpr` with sampled negatives, as in the paper; `bce`; `sampled_softmax`; or `softmax` over the whole catalogue,
which needs fewer epochs (Wu et al. 2024, "On the Effectiveness of Sampled Softmax Loss for Item Recommendation"). With
`cosine=true` final embeddings are of unit length and scores are divided by `temperature`.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse
from torch import Tensor
from torch.nn import functional

from movierec_engine.data.graph import InteractionGraph
from movierec_engine.data.interactions import Interactions
from movierec_engine.errors import ConfigError
from movierec_engine.models.base import Floats, Indices
from movierec_engine.models.cost import DataSize, ModelCost
from movierec_engine.models.fold_in.lightgcn import LightGCNFoldIn
from movierec_engine.models.fold_in.prior import check_popularity_weight
from movierec_engine.models.gradient import (
    check_loss,
    check_ranges,
    csr_tensor,
    descent_cost,
)
from movierec_engine.models.graph.base import LOSSES, GraphNetwork, GraphRecommender, with_graph
from movierec_engine.models.penalty_by_rows import PenaltyByRows
from movierec_engine.training.config import TrainerConfig
from movierec_engine.training.trainable import BeginAdding, Network


@dataclass(frozen=True)
class LightGCNConfig:
    """Hyper-parameters of LightGCN."""

    embedding_dim: int = 64
    """Length of an embedding (the paper's 64)."""
    num_layers: int = 3
    """Propagation steps K (the paper's 3)."""
    dropout: float = 0.0
    """Share of the edges left out in each training step (the paper uses none)."""
    loss_type: str = "auto"
    """`auto`: `softmax` over all items up to 20,000, `sampled_softmax` above; `bce`, or `bpr` as in the paper."""
    num_negatives: int = 1
    """Negatives drawn for each positive by `bpr` and `bce` (the paper's 1)."""
    sampled_items: int = 2048
    """Items drawn for a batch by `sampled_softmax`, beside the batch's own."""
    cosine: bool = False
    """Score by the cosine of the final embeddings instead of their inner product (the paper's)."""
    temperature: float = 1.0
    """Divides the scores in training; with cosine, 0.1 to 0.3 is usual."""
    relative_l2: float = 0.13
    """The weight l2 of the squared norms of a batch's E^(0) is this, divided by the square root of how many
    interactions a row has (the geometric mean of a user's and an item's)."""
    l2: float | None = None
    """That weight itself, 1e-4 in the paper for bpr; by default it follows from `relative_l2` and the data."""
    init_std: float = 0.1
    """Standard deviation of the initial embeddings (the authors' code)."""
    popularity_weight: float | None = None
    """Weight of popularity beside what the model learns (`popularity_weight.py`), 1 for as much as that says; null:
    chosen on validation, 0 where it has none."""

    def __post_init__(self) -> None:
        check_loss("lightgcn", self.loss_type, LOSSES, self.num_negatives, self.sampled_items)
        check_ranges(
            {"temperature": self.temperature, "init_std": self.init_std},
            {"dropout": self.dropout},
            {"relative_l2": self.relative_l2, "l2": self.l2 or 0.0},
        )
        if self.embedding_dim < 1 or self.num_layers < 0:
            raise ConfigError(
                f"model.embedding_dim={self.embedding_dim} must be at least 1 and "
                f"model.num_layers={self.num_layers} at least 0"
            )
        check_popularity_weight(self.popularity_weight)


class LightGCNNetwork(GraphNetwork):
    """edge: int64 [nnz], the undirected edge of each entry of the adjacency, where edges are dropped."""

    edge: Tensor

    def __init__(self, graph: InteractionGraph, config: LightGCNConfig, l2: float, device: torch.device) -> None:
        super().__init__(graph, config.embedding_dim, config.init_std, config.temperature, l2, not config.cosine)
        self.config = config
        edge = undirected_edge(graph.adjacency) if config.dropout else np.zeros(0, dtype=np.int64)
        self.register_buffer("edge", torch.from_numpy(edge), persistent=False)
        self.to(device)
        self.conv.prepare(self.adjacency, config.embedding_dim)

    def share(self, begin_adding: BeginAdding) -> None:
        self.conv.share(begin_adding)

    def propagate(self) -> list[Tensor]:
        adjacency = self.adjacency if not (self.training and self.config.dropout) else self._thinned()
        layers: list[Tensor] = [self.embeddings]
        for _ in range(self.config.num_layers):
            layers.append(self.conv(layers[-1], adjacency))
        return layers

    def joined(self, layers: list[Tensor]) -> Tensor:
        """Their mean; of unit length where scores are cosines."""
        mean = sum(layers[1:], layers[0]) / len(layers)  # no copy of all layers, as a stack of them would be
        return functional.normalize(mean, dim=1) if self.config.cosine else mean

    def floats_per_score(self, gathered: bool) -> int:
        return self.config.embedding_dim + 1 if gathered else 1

    def _thinned(self) -> Tensor:
        """The adjacency with both directions of some edges left out and the others scaled up."""
        kept = torch.rand(self.adjacency.values().shape[0] // 2, device=self.edge.device) >= self.config.dropout
        values = self.adjacency.values() * kept[self.edge] / (1 - self.config.dropout)
        adjacency = self.adjacency
        return csr_tensor(adjacency.crow_indices(), adjacency.col_indices(), values, adjacency.shape)


class LightGCN(PenaltyByRows, GraphRecommender):
    """fold_in_vectors: float32 [n_items, d]; the `steps` of `fold_in/lightgcn.py`.

    user_lengths: float32 [n_users]; where scores are cosines, the lengths that the users' final embeddings had.
    """

    name = "lightgcn"
    several_workers = True
    larger_steps = True  # gmf and recvae learn less by them (benchmarks/results/time_to_als.md)
    Config = LightGCNConfig

    network: LightGCNNetwork
    fold_in_vectors: Floats
    user_lengths: Floats

    def cost(self, size: DataSize, trainer: TrainerConfig) -> ModelCost:
        """Each step propagates the embeddings of all nodes over both directions of every edge, forward and back."""
        config = self.config
        nodes = float(size.n_users + size.n_items) * config.embedding_dim
        training = descent_cost(
            size,
            trainer,
            config,
            width=config.embedding_dim,
            step_floats=(config.num_layers + 3) * nodes + 12.0 * size.n_train,
            step_operations=7.0 * config.num_layers * size.n_train * config.embedding_dim,
            keeps_scores=False,
        )
        return with_graph(training, size)

    def build(self, train: Interactions, graph: InteractionGraph, device: torch.device) -> Network:
        self.set_history(train)
        self.network = LightGCNNetwork(graph, self.config, self.l2, device)
        return self.network

    @torch.no_grad()
    def export(self) -> None:
        self.network.eval()
        propagated = self.network.propagate()
        joined, n_users = self.network.joined(propagated).cpu().numpy(), self.network.n_users
        self.user_embeddings, self.item_embeddings = joined[:n_users], joined[n_users:]
        self.item_bias = self.network.item_bias.cpu().numpy()
        of_users = torch.stack([layer[: self.network.n_users] for layer in propagated])
        self.user_lengths = of_users.mean(dim=0).norm(dim=1).cpu().numpy()
        layers = [layer[self.network.n_users :].cpu().numpy() for layer in propagated]
        scale = 1 / np.sqrt(np.maximum(self.popularity, 1)) / len(layers)
        total = np.sum(layers[:-1], axis=0) if len(layers) > 1 else np.zeros_like(layers[0])
        self.fold_in_vectors = (total * scale[:, None]).astype(np.float32)

    def fold_in_scorer(self) -> LightGCNFoldIn:
        return LightGCNFoldIn(self.basis(), self.fold_in_vectors, self.config.cosine)

    def explanation_inputs(self, users: Indices) -> Floats:
        """The lengths [n, 1] that the final embeddings had, for scores that are cosines."""
        return self.user_lengths[users][:, None] if self.config.cosine else super().explanation_inputs(users)

    def tensors(self) -> dict[str, NDArray[Any]]:
        lengths = {"user_lengths": self.user_lengths} if self.config.cosine else {}
        return {**super().tensors(), "fold_in_vectors": self.fold_in_vectors, **lengths}

    def restore(self, tensors: dict[str, NDArray[Any]]) -> None:
        super().restore(tensors)
        self.fold_in_vectors = tensors["fold_in_vectors"]
        if self.config.cosine:
            self.user_lengths = tensors["user_lengths"]


def undirected_edge(adjacency: sparse.csr_matrix) -> NDArray[np.int64]:
    """For each stored entry of a symmetric matrix the number of its undirected edge, int64 [nnz] in 0..nnz/2-1."""
    n = adjacency.shape[0]
    row = np.repeat(np.arange(n, dtype=np.int64), np.diff(adjacency.indptr))
    column = adjacency.indices.astype(np.int64)
    key = np.minimum(row, column) * n + np.maximum(row, column)
    return np.unique(key, return_inverse=True)[1].astype(np.int64)
