"""NGCF (Wang et al. 2019, "Neural Graph Collaborative Filtering").

    E^(k) = LeakyReLU((L + I) E^(k-1) W_1 + (L E^(k-1) * E^(k-1)) W_2),    e_v = [e_v^(0); ...; e_v^(K)]

    score(u, i) = <e_u, e_i> + b_i

b: a prior by popularity (`base.py`), which the paper does not have.
L = D^-1/2 A D^-1/2 over the bipartite train graph, * element by element. As in the authors' code each layer's output is
brought to unit length before it joins e_v, and message dropout acts on the output of a layer. Node dropout leaves out
all that some nodes send (section 3.4.2).

Losses: `bpr` with sampled negatives, as in the paper; `bce`; `sampled_softmax`; or `softmax` over the whole catalogue.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from movierec_engine.data.graph import InteractionGraph
from movierec_engine.data.interactions import Interactions
from movierec_engine.errors import ConfigError
from movierec_engine.models.base import Floats
from movierec_engine.models.cost import DataSize, ModelCost
from movierec_engine.models.dropout import dropout
from movierec_engine.models.fold_in.ngcf import SLOPE, NGCFFoldIn
from movierec_engine.models.fold_in.prior import check_popularity_weight
from movierec_engine.models.gradient import (
    check_loss,
    check_ranges,
    descent_cost,
)
from movierec_engine.models.graph.base import LOSSES, GraphNetwork, GraphRecommender, with_graph
from movierec_engine.models.penalty_by_rows import PenaltyByRows
from movierec_engine.training.config import TrainerConfig
from movierec_engine.training.trainable import Network


@dataclass(frozen=True)
class NGCFConfig:
    """Hyper-parameters of NGCF."""

    embedding_dim: int = 64
    """Length of an initial embedding (the paper's 64)."""
    hidden_dims: tuple[int, ...] = (64, 64, 64)
    """Length of each layer's output (the paper's three layers of 64)."""
    dropout: float = 0.0
    """Share of the nodes whose messages are left out in each training step (node dropout)."""
    message_dropout: float = 0.1
    """Share of each layer's outputs left out in training (the paper's 0.1)."""
    loss_type: str = "auto"
    """`auto`: `softmax` over all items up to 20,000, `sampled_softmax` above; `bce`, or `bpr` as in the paper."""
    num_negatives: int = 1
    """Negatives drawn for each positive by `bpr` and `bce` (the paper's 1)."""
    sampled_items: int = 2048
    """Items drawn for a batch by `sampled_softmax`, beside the batch's own."""
    temperature: float = 1.0
    """Divides the scores in training."""
    relative_l2: float = 1.2
    """The weight l2 of the squared norms of a batch's E^(0) is this, divided by the square root of how many
    interactions a row has (the geometric mean of a user's and an item's)."""
    l2: float | None = None
    """That weight itself, 1e-5 in the paper for bpr; by default it follows from `relative_l2` and the data."""
    init_std: float = 0.1
    """Standard deviation of the initial embeddings."""
    popularity_weight: float | None = None
    """Weight of popularity beside what the model learns (`popularity_weight.py`), 1 for as much as that says; null:
    chosen on validation, 0 where it has none."""

    def __post_init__(self) -> None:
        check_loss("ngcf", self.loss_type, LOSSES, self.num_negatives, self.sampled_items)
        check_ranges(
            {"temperature": self.temperature, "init_std": self.init_std},
            {"dropout": self.dropout, "message_dropout": self.message_dropout},
            {"relative_l2": self.relative_l2, "l2": self.l2 or 0.0},
        )
        if self.embedding_dim < 1:
            raise ConfigError(f"model.embedding_dim={self.embedding_dim} must be at least 1")
        if not self.hidden_dims or min(self.hidden_dims) < 1:
            raise ConfigError(f"model.hidden_dims={list(self.hidden_dims)} must be layers' widths such as [64,64,64]")
        check_popularity_weight(self.popularity_weight)


class NGCFNetwork(GraphNetwork):
    """linear, bilinear: W_1 and W_2 of each layer."""

    def __init__(self, graph: InteractionGraph, config: NGCFConfig, l2: float, device: torch.device) -> None:
        super().__init__(graph, config.embedding_dim, config.init_std, config.temperature, l2)
        self.config = config
        widths = (config.embedding_dim, *config.hidden_dims)
        self.linear, self.bilinear = (nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(widths)) for _ in range(2))
        for layer in (*self.linear, *self.bilinear):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)
        self.to(device)
        self.conv.prepare(self.adjacency, config.embedding_dim)

    def propagate(self) -> list[Tensor]:
        layers: list[Tensor] = [self.embeddings]
        for linear, bilinear in zip(self.linear, self.bilinear, strict=True):
            here = layers[-1]
            received = self.conv(self._sent(here), self.adjacency)
            output = functional.leaky_relu(linear(received + here) + bilinear(received * here), SLOPE)
            layers.append(dropout(output, self.config.message_dropout, self.training))
        return layers

    def joined(self, layers: list[Tensor]) -> Tensor:
        """One layer beside the other, the rows of every layer but the first at unit length."""
        return torch.cat([layers[0], *(functional.normalize(layer, dim=1) for layer in layers[1:])], dim=1)

    def floats_per_score(self, gathered: bool) -> int:
        return self.config.embedding_dim + sum(self.config.hidden_dims) + 1 if gathered else 1

    def _sent(self, vectors: Tensor) -> Tensor:
        """Messages of the nodes: of all of them, or with node dropout of those that are left, scaled up."""
        if not (self.training and self.config.dropout):
            return vectors
        kept = torch.rand(len(vectors), 1, device=vectors.device) >= self.config.dropout
        return vectors * kept / (1 - self.config.dropout)


class NGCF(PenaltyByRows, GraphRecommender):
    """item_layers: float32 [n_items, d + sum of all hidden_dims but the last], what items send in each layer.

    weights: of the layers, by name, for the fold-in of new users.
    """

    name = "ngcf"
    Config = NGCFConfig

    network: NGCFNetwork
    item_layers: Floats
    weights: dict[str, Floats]

    def cost(self, size: DataSize, trainer: TrainerConfig) -> ModelCost:
        """Each step propagates the layers of all nodes over both directions of every edge, and through two matrices."""
        config = self.config
        nodes = float(size.n_users + size.n_items)
        widths = (config.embedding_dim, *config.hidden_dims)
        training = descent_cost(
            size,
            trainer,
            config,
            width=sum(widths),
            step_floats=8 * nodes * sum(widths) + 12.0 * size.n_train,
            step_operations=sum(7.0 * size.n_train * a + 4 * nodes * a * b for a, b in pairwise(widths)),
            keeps_scores=False,
        )
        return with_graph(training, size)

    def build(self, train: Interactions, graph: InteractionGraph, device: torch.device) -> Network:
        self.set_history(train)
        self.network = NGCFNetwork(graph, self.config, self.l2, device)
        return self.network

    @torch.no_grad()
    def export(self) -> None:
        network = self.network
        network.eval()
        layers = network.propagate()
        joined = network.joined(layers).cpu().numpy()
        self.user_embeddings, self.item_embeddings = joined[: network.n_users], joined[network.n_users :]
        self.item_bias = network.item_bias.cpu().numpy()
        self.item_layers = torch.cat([layer[network.n_users :] for layer in layers[:-1]], dim=1).cpu().numpy()
        state = network.state_dict()
        self.weights = {name: state[name].cpu().numpy().copy() for name in state if name != "embeddings"}

    def fold_in_scorer(self) -> NGCFFoldIn:
        initial = self.user_embeddings[:, : self.config.embedding_dim]
        return NGCFFoldIn(self.basis(), initial, self.item_layers, self.weights)

    def tensors(self) -> dict[str, NDArray[Any]]:
        weights = {f"weights.{name}": array for name, array in self.weights.items()}
        return {**super().tensors(), "item_layers": self.item_layers, **weights}

    def restore(self, tensors: dict[str, NDArray[Any]]) -> None:
        super().restore(tensors)
        self.item_layers = tensors["item_layers"]
        prefix = "weights."
        self.weights = {name.removeprefix(prefix): array for name, array in tensors.items() if name.startswith(prefix)}
