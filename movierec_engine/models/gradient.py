"""The contract of models that the training loop fits by gradient descent."""

import warnings
from abc import abstractmethod
from collections.abc import Mapping
from typing import ClassVar

import numpy as np
import torch
from scipy import sparse
from torch import Tensor, nn

from movierec_engine.data.graph import InteractionGraph
from movierec_engine.data.interactions import Interactions
from movierec_engine.errors import ConfigError
from movierec_engine.models.base import Recommender


class Network(nn.Module):
    """What is trained: scores of user-item pairs as a differentiable function."""

    def forward(self, users: Tensor, items: Tensor | None) -> Tensor:
        """Scores float32 [b, m] of users int64 [b] with items int64 [b, m], or with all items where `items` is None."""
        raise TypeError(f"{type(self).__name__} does not score pairs")

    def penalty(self, users: Tensor, items: Tensor) -> Tensor:
        """The regularisation term of a batch, a scalar already weighted; users int64 [b], items int64 [b, m]."""
        return users.new_zeros((), dtype=torch.float32)


class GradientRecommender(Recommender):
    """A model whose parameters the training loop fits.

    Its config has `loss_type`, one of `losses`, and `num_negatives`, drawn for each positive by the losses that sample.

    losses: the values that `model.loss_type` may take.
    members: name of each model that training can start from, as `model.pretrained_<name>` says -> the settings that
        both must have in common.
    network: the module in training.
    """

    losses: ClassVar[tuple[str, ...]]
    members: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    network: Network

    @abstractmethod
    def build(self, train: Interactions, graph: InteractionGraph, device: torch.device) -> Network:
        """A freshly initialised network on a device; also remembers the train interactions."""

    @abstractmethod
    def export(self) -> None:
        """Make the network, as it is now, what scoring, fold-in and saving see."""

    def start_from(self, members: dict[str, Recommender]) -> None:
        """Take trained models to initialise the next `build` from, by their names in `members`."""
        raise ConfigError(f"{self.name} cannot start from trained models")


def check_loss(name: str, loss_type: str, losses: tuple[str, ...], num_negatives: int) -> None:
    """Raises ConfigError when a model does not know a loss, or a loss that samples has nothing to sample."""
    if loss_type not in losses:
        raise ConfigError(f"model.loss_type={loss_type} is not a loss of {name}; choose one of {', '.join(losses)}")
    if num_negatives < 1:
        raise ConfigError(f"model.num_negatives={num_negatives} must be at least 1")


def check_ranges(positive: dict[str, float], shares: dict[str, float], at_least_0: dict[str, float]) -> None:
    """Raises ConfigError naming the first `model.` setting that is out of its range; a share is in [0, 1)."""
    for name, value in positive.items():
        if not value > 0:
            raise ConfigError(f"model.{name}={value} must be above 0")
    for name, value in shares.items():
        if not 0 <= value < 1:
            raise ConfigError(f"model.{name}={value} must be at least 0 and below 1")
    for name, value in at_least_0.items():
        if not value >= 0:
            raise ConfigError(f"model.{name}={value} must be at least 0")


def to_csr_tensor(matrix: sparse.csr_matrix) -> Tensor:
    """A torch CSR tensor of the same matrix, float32."""
    crow, column = (torch.from_numpy(part.astype(np.int64)) for part in (matrix.indptr, matrix.indices))
    return csr_tensor(crow, column, torch.from_numpy(matrix.data.astype(np.float32)), matrix.shape)


def csr_tensor(crow: Tensor, column: Tensor, values: Tensor, shape: tuple[int, int] | torch.Size) -> Tensor:
    """A CSR tensor, without PyTorch's remark that these are in beta."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta")
        return torch.sparse_csr_tensor(crow, column, values, shape, check_invariants=False)
