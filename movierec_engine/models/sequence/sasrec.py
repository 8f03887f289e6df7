"""SASRec (Kang and McAuley 2018, "Self-Attentive Sequential Recommendation"), with what was found to matter since.

    score(u, i) = <h, E_i>,    h: causal self-attention over the last `max_length` items of u's history (`network.py`)

Every item of a history is trained to tell the next one, by windows of at most `max_length` items, in:

    softmax           -log softmax_i(<h, .>) over the catalogue (Klenitskiy and Vasilev 2023)
    sampled_softmax   the same over a sample of it, each item by the inverse of its probability to be drawn
    gbce              binary cross-entropy, calibrated for a uniform sample (Petrov and Macdonald 2023, "gSASRec")

A list is that of the history, for trained and new users alike. Where there are times, attention goes by how long ago
each item was, too (`relative_time`).
"""

import math
from dataclasses import dataclass, replace
from typing import Any, Self

import torch
from numpy.typing import NDArray

from movierec_engine.data.dataset import Dataset
from movierec_engine.data.graph import InteractionGraph
from movierec_engine.data.interactions import Interactions
from movierec_engine.errors import ConfigError
from movierec_engine.models.base import Floats
from movierec_engine.models.cost import FLOPS, DataSize, ModelCost
from movierec_engine.models.fitting import Fitting, settings_of
from movierec_engine.models.fold_in.prior import check_popularity_weight
from movierec_engine.models.fold_in.sasrec import BLOCK, SASRecFoldIn
from movierec_engine.models.gradient import check_loss, check_ranges
from movierec_engine.models.history_network import HistoryNetworkRecommender
from movierec_engine.models.popularity_weight import PopularityWeighted
from movierec_engine.models.sequence.network import SASRecNetwork
from movierec_engine.models.vectors import with_column
from movierec_engine.training.config import TrainerConfig
from movierec_engine.training.objective import PIECE_FLOATS, loss_by_size
from movierec_engine.training.trainable import Network

LOSSES = ("auto", "softmax", "sampled_softmax", "gbce")
BLOCKS = ("plain", "gated")
RELATIVE_TIME = ("auto", "always", "never")


@dataclass(frozen=True)
class SASRecConfig:
    """Hyper-parameters of SASRec."""

    embedding_dim: int = 64
    """Length of an item's vector and width of the layers (the paper's 50)."""
    num_blocks: int = 2
    """Blocks of attention and feed-forward (the paper's 2)."""
    num_heads: int = 1
    """Heads of attention, which divide embedding_dim (the paper's 1)."""
    max_length: int = 200
    """Items of a history that are looked at, the newest (the paper's 200 for MovieLens 1M)."""
    block: str = "plain"
    """`plain`, the paper's feed-forward, or `gated`: LiGR's, four times as wide, with gates (eSASRec, 2025)."""
    relative_time: str = "auto"
    """Attention goes by the time between two items too, in 32 buckets: `auto` where the data has times, `always`, which
    refuses data without them, or `never`."""
    dropout: float = 0.2
    """Share of the inputs and of each layer's outputs that is left out in training (the paper's 0.2)."""
    loss_type: str = "auto"
    """`auto`: `softmax` over all items up to 20,000, `sampled_softmax` above; or `gbce`."""
    sampled_items: int = 512
    """Items drawn for a batch by `sampled_softmax` and `gbce`."""
    calibration: float = 0.75
    """Calibration of gbce: from 0, plain cross-entropy, to 1, calibrated (gSASRec's t, 0.75)."""
    popularity_weight: float | None = None
    """Weight of popularity beside what the model learns (`popularity_weight.py`), 1 for as much as that says; null:
    chosen on validation, 0 where it has none."""

    def __post_init__(self) -> None:
        check_loss("sasrec", self.loss_type, LOSSES, 1, self.sampled_items)
        check_ranges({}, {"dropout": self.dropout}, {})
        for name, choices in (("block", BLOCKS), ("relative_time", RELATIVE_TIME)):
            if getattr(self, name) not in choices:
                raise ConfigError(f"model.{name}={getattr(self, name)} is not known; choose {' or '.join(choices)}")
        for name in ("embedding_dim", "num_blocks", "num_heads", "max_length"):
            if getattr(self, name) < 1:
                raise ConfigError(f"model.{name}={getattr(self, name)} must be at least 1")
        if self.embedding_dim % self.num_heads:
            raise ConfigError(f"model.num_heads={self.num_heads} must divide model.embedding_dim={self.embedding_dim}")
        if not 0 <= self.calibration <= 1:
            raise ConfigError(f"model.calibration={self.calibration} must be from 0 to 1")
        check_popularity_weight(self.popularity_weight)


class SASRec(PopularityWeighted, HistoryNetworkRecommender):
    """vectors: float32 [n_items, d], E. weights: those of `SASRecFoldIn`."""

    name = "sasrec"
    several_workers = True
    Config = SASRecConfig
    losses = LOSSES
    learning_rate = 0.005  # chosen by the first epochs on validation of MovieLens 1M

    network: SASRecNetwork

    def fit(self, data: Dataset, fitting: Fitting | None = None) -> Self:
        fitting = settings_of(data, fitting)
        if self.config.relative_time == "always" and not data.train.has_times:
            raise ConfigError(
                "model.relative_time=always needs times, and the data has none, or places in an order in their stead; "
                "name the column of times by data.columns.timestamp, or leave model.relative_time out"
            )
        return super().fit(data, fitting)

    def cost(self, size: DataSize, trainer: TrainerConfig) -> ModelCost:
        """A table of the items; the layers of each item of a batch, and its scores of the items that it is against."""
        config, d = self.config, self.config.embedding_dim
        length = min(size.per_user, config.max_length)
        layer = d * d * (4 + (14.0 if config.block == "gated" else 2))
        parameters = size.n_items * d + config.max_length * d + config.num_blocks * layer
        of_times = 0 if config.relative_time == "never" else length * config.num_heads
        # of one item, whose attention is to half of a window
        forward = 2.0 * config.num_blocks * (layer + length * d + of_times)
        full = config.loss_type == "softmax" or (config.loss_type == "auto" and loss_by_size(size.n_items) == "softmax")
        columns = size.n_items if full else min(config.sampled_items, size.n_items)
        batch = min(trainer.batch_of(size.n_train), size.n_train)
        kept = batch * (config.num_blocks * (24.0 * d + 3 * of_times) + of_times + (0 if full else 3 * columns))
        steps = math.ceil(size.n_train / max(batch, 1))
        seconds = 3 * (size.n_train * (forward + 2.0 * columns * d) + steps * 20 / 3 * parameters) / FLOPS
        return ModelCost(
            fit_bytes=150e6 + 4 * (6 * parameters + min(kept, PIECE_FLOATS)),
            seconds=trainer.max_epochs * seconds,
            model_bytes=4 * (parameters + 24.0 * BLOCK * d),  # with the layers of histories encoded at a time
            index_bytes=8.0 * size.n_items * d + 16.0 * size.n_users * d,  # FAISS's vectors and ours; the queries
            score_operations=2.0 * size.n_items * d + length * forward,
            instead="set a smaller model.embedding_dim",
        )

    def build(self, train: Interactions, graph: InteractionGraph, device: torch.device) -> Network:
        config = self.config
        timed = train.has_times if config.relative_time == "auto" else config.relative_time == "always"
        self.set_history(train, "times" if timed else "places")
        self.network = SASRecNetwork(
            train.n_items,
            config.embedding_dim,
            config.max_length,
            config.num_blocks,
            config.num_heads,
            config.block == "gated",
            config.dropout,
            timed,
        ).to(device)
        return self.network

    def for_worker(self) -> Self:
        timed = self.history_values == "times"
        return type(self)(replace(self.config, relative_time="always" if timed else "never"))

    def export(self) -> None:
        state = {name: tensor.cpu().numpy().copy() for name, tensor in self.network.state_dict().items()}
        self.vectors = state.pop("items")
        self.weights = state

    def fold_in_scorer(self) -> SASRecFoldIn:
        return SASRecFoldIn(self.basis(), self.weights, self.config.num_heads)

    def item_vectors(self) -> Floats:
        """E, and the prior where there is one."""
        prior = self.item_prior
        return self.vectors if prior is None else with_column(self.vectors, prior)

    def similarity_vectors(self) -> Floats:
        return self.vectors

    def tensors(self) -> dict[str, NDArray[Any]]:
        return {**super().tensors(), **self.prior_tensors()}

    def restore(self, tensors: dict[str, NDArray[Any]]) -> None:
        super().restore(tensors)
        self.restore_prior(tensors)
