"""GMF, generalised matrix factorisation (He et al. 2017, "Neural Collaborative Filtering", section 3.2).

    score(u, i) = <h, p_u * q_i> + c

A plain inner product once h is moved into the user's vector. Losses: `bce` with sampled negatives, as in the paper;
`bpr`; `sampled_softmax`; or `softmax` over the whole catalogue, which needs the fewest epochs and is the default.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from movierec_engine.errors import ConfigError
from movierec_engine.models.base import Floats, Indices
from movierec_engine.models.fold_in.neural import NeuralFoldIn
from movierec_engine.models.fold_in.prior import check_popularity_weight
from movierec_engine.models.gradient import check_loss, check_ranges
from movierec_engine.models.neural.base import LOSSES, NeuralCF
from movierec_engine.models.neural.network import NeuralCFNetwork
from movierec_engine.models.pair_scorer import PairScorer
from movierec_engine.models.penalty_by_rows import PenaltyByRows
from movierec_engine.models.popularity_weight import PRIOR, PopularityWeighted
from movierec_engine.models.vectors import with_column


@dataclass(frozen=True)
class GMFConfig:
    """Hyper-parameters of GMF."""

    mf_dim: int = 64
    """Length of an embedding."""
    loss_type: str = "auto"
    """`auto`: `softmax` over all items up to 20,000, `sampled_softmax` above; `bce` as in the paper, or `bpr`."""
    num_negatives: int = 4
    """Negatives drawn for each positive by `bce` and `bpr`."""
    sampled_items: int = 2048
    """Items drawn for a batch by `sampled_softmax`, beside the batch's own."""
    relative_l2: float = 1.3
    """The weight l2 of the squared norms of h * p_u and q_i, the mean over a batch, is this, divided by the square root
    of how many interactions a row has (the geometric mean of a user's and an item's)."""
    l2: float | None = None
    """That weight itself; by default it follows from `relative_l2` and the data."""
    init_std: float = 0.1
    """Standard deviation of the initial embeddings (the paper uses 0.01)."""
    popularity_weight: float | None = None
    """Weight of popularity beside what the model learns (`popularity_weight.py`), 1 for as much as that says; null:
    chosen on validation, 0 where it has none."""

    def __post_init__(self) -> None:
        check_loss("gmf", self.loss_type, LOSSES, self.num_negatives, self.sampled_items)
        check_ranges({"init_std": self.init_std}, {}, {"relative_l2": self.relative_l2, "l2": self.l2 or 0.0})
        if self.mf_dim < 1:
            raise ConfigError(f"model.mf_dim={self.mf_dim} must be at least 1")
        check_popularity_weight(self.popularity_weight)


class GMF(PopularityWeighted, PenaltyByRows, NeuralCF):
    """Its query vectors are h * p_u, its item vectors q_i."""

    name = "gmf"
    Config = GMFConfig

    def make_network(self, n_users: int, n_items: int) -> NeuralCFNetwork:
        config = self.config
        return NeuralCFNetwork(n_users, n_items, config.mf_dim, (), 0.0, self.l2, 0.0, config.init_std)

    def query_vectors(self, users: Indices) -> Floats:
        queries = (self.network.gmf_users[users] * self.network.output.weight[0]).detach().cpu().numpy()
        last = 1.0 if self.popularity_weight else self.network.output.bias.item()
        return with_column(queries, np.full(len(queries), last))

    def item_vectors(self) -> Floats:
        """q, and 1 for the constant of a query, or where there is a prior that with the constant."""
        vectors, prior = self.network.item_embeddings(), self.item_prior
        return vectors if prior is None else with_column(vectors[:, :-1], prior + self.network.output.bias.item())

    def score_known(self, users: Indices) -> Floats:
        return self.with_prior(super().score_known(users))

    def fold_in_scorer(self) -> NeuralFoldIn:
        return replace(super().fold_in_scorer(), prior_of_items=self.item_prior)

    def tensors(self) -> dict[str, NDArray[Any]]:
        return {**super().tensors(), **self.prior_tensors()}

    def restore(self, tensors: dict[str, NDArray[Any]]) -> None:
        super().restore({name: array for name, array in tensors.items() if name != PRIOR})
        self.restore_prior(tensors)

    def pair_scorer(self) -> PairScorer | None:
        return None
