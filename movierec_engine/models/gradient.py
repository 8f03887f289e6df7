"""Models that the training loop fits by gradient descent."""

import math
import warnings
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar, Self

import numpy as np
import torch
from scipy import sparse
from torch import Tensor
from torch.nn import functional

from movierec_engine.data.dataset import Dataset
from movierec_engine.device import resolve_device
from movierec_engine.errors import ConfigError
from movierec_engine.models.base import Recommender
from movierec_engine.models.cost import FLOPS, DataSize, ModelCost, factor_cost, require_fit_memory
from movierec_engine.models.fitting import Fitting, settings_of
from movierec_engine.models.members import require_named, require_trained_on
from movierec_engine.training.config import TrainerConfig
from movierec_engine.training.objective import PIECE_FLOATS, loss_by_size
from movierec_engine.training.trainable import Trainable
from movierec_engine.training.trainer import train

_LOOP = 150e6
"""Bytes of what PyTorch loads for its optimizers, and of what an evaluation between two epochs keeps."""
_SCORES, _SCORE = 2.0**23, 8.0
"""Most scores of a block of that evaluation, and the bytes of one."""
_DRAWN = 100.0
"""Bytes of a train interaction while batches are drawn: its place in their order, its user and item in PyTorch."""


class GradientRecommender(Trainable):
    """A model whose parameters `training/trainer.py` fits.

    members: name of each model that training can start from, as `model.pretrained_<name>` says -> the settings that
        both must have in common.
    """

    on_torch = True
    members: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    _start: Mapping[str, Recommender] = {}

    def fit(self, data: Dataset, fitting: Fitting | None = None) -> Self:
        """Train on `data.train`, stop by `data.validation` where there is one, and keep the best epoch's weights."""
        how = settings_of(data, fitting)
        if how.trainer.workers == 1 or not how.trainer.ray_address:  # whose machines have devices of their own
            how = replace(how, device=resolve_device(how.device))
        self._require_members()
        if self._start:
            require_trained_on(data.train, self._start.values())
        self.require_workers(how.trainer.workers)
        if how.device == "cpu":  # the memory of others is their own
            size = DataSize.of(data.train)
            require_fit_memory(self.name, self.cost(size, how.trainer), size)
        self.epochs = tuple(train(self, data, how))
        return self

    def start_from(self, members: Mapping[str, Recommender]) -> Self:
        """Initialise the next `fit` from fitted models, which must have the settings of `self.members` in common."""
        if not members.keys() <= self.members.keys():
            return super().start_from(members)
        require_named(members)
        for name, member in members.items():
            for setting in self.members[name]:
                theirs, ours = (getattr(config, setting) for config in (member.config, self.config))
                if theirs != ours:
                    raise ConfigError(
                        f"model.pretrained_{name} has {setting}={theirs} and this {self.name} {ours}; train one of "
                        "them again"
                    )
        self._start = members
        return self

    def _require_members(self) -> None:
        """Raises ConfigError where the settings or `start_from` ask for models to start from, and one was not given."""
        for name in self.members:
            wanted = bool(self._start) or bool(getattr(self.config, f"pretrained_{name}", ""))
            if wanted and name not in self._start:
                raise ConfigError(
                    f"{self.name} is to start from a trained {name}; give it: {self.name}.start_from({{{name!r}: ...}})"
                )


def descent_cost(
    size: DataSize,
    trainer: TrainerConfig,
    config: Any,
    *,
    width: int,
    pair_floats: float = 0,
    pair_operations: float = 0,
    user_floats: float = 0,
    user_operations: float = 0,
    step_floats: float = 0,
    step_operations: float = 0,
    parameters: float | None = None,
    keeps_scores: bool = True,
) -> ModelCost:
    """The cost of a model with vectors [n_users, width] and [n_items, width] that the training loop fits, all epochs.

    config: the model's own. pair_floats, pair_operations: of the layers above the vectors, for one user with one item.
    user_floats, user_operations: of the layers that each user of a batch goes through, such as an encoder of histories.
    step_floats, step_operations: of what each step computes beside its pairs, such as propagation over the graph.
    parameters: how many are trained; the vectors' own, unless given. keeps_scores: of a softmax, for its backward pass;
    not where they are inner products of vectors alone (`losses.users_softmax`).
    """
    if parameters is None:
        parameters = float(size.n_users + size.n_items) * width
    batch = min(trainer.batch_of(size.n_train), size.n_train)
    loss = config.loss_type
    if loss == "auto":
        loss = loss_by_size(size.n_items, layers=pair_floats > 0)
    users = min(size.n_users, math.ceil(batch / max(size.per_user, 1)))
    if loss == "softmax":
        pairs, each = float(users) * size.n_items, 3 + pair_floats
    elif loss == "sampled_softmax":
        pairs, each = float(users) * min(size.n_items, config.sampled_items + batch), 3 + pair_floats
    else:
        pairs, each = batch * (1.0 + config.num_negatives), 3 * width + pair_floats
    operations = 3 * (pairs * (2 * width + pair_operations) + users * user_operations + step_operations)
    steps = trainer.max_epochs * math.ceil(size.n_train / max(batch, 1))
    kept = min(pairs * each, PIECE_FLOATS) if keeps_scores or "softmax" not in loss else 0.0
    kept += users * user_floats + step_floats
    scores = min(float(size.n_users) * size.n_items, _SCORES)
    fit = _LOOP + _SCORE * scores + _DRAWN * size.n_train
    fit += 4 * (6 * parameters + kept)  # gradient, two moments, best, a copy
    return factor_cost(size, width, fit, steps * (operations + 20 * parameters) / FLOPS, "train als instead")


def check_loss(name: str, loss_type: str, losses: tuple[str, ...], num_negatives: int, sampled_items: int) -> None:
    """Raises ConfigError when a model does not know a loss, or a loss that samples has nothing to sample."""
    if loss_type not in losses:
        raise ConfigError(f"model.loss_type={loss_type} is not a loss of {name}; choose one of {', '.join(losses)}")
    if num_negatives < 1:
        raise ConfigError(f"model.num_negatives={num_negatives} must be at least 1")
    if sampled_items < 1:
        raise ConfigError(f"model.sampled_items={sampled_items} must be at least 1")


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


def rows_of(table: Tensor, index: Tensor) -> Tensor:
    """Rows of a table [n, d] by index int64 [...]: [..., d], with a gradient that adds in a fixed order.

    On a CPU that of `index_select` takes half as long as that of an embedding; on CUDA only the latter has that order.
    """
    if table.device.type != "cpu":
        return functional.embedding(index, table)
    return table.index_select(0, index.flatten()).view(*index.shape, table.shape[1])


def squares_of_rows(table: Tensor, index: Tensor) -> Tensor:
    """The sum of the squares of a table's rows [n, d], each as often as index int64 [m] names it.

    A row is read once however often it is named, so that m may be large; one that is not named is not read.
    """
    times = torch.bincount(index, minlength=len(table))
    named = times.nonzero()[:, 0]
    return times[named].to(table.dtype) @ rows_of(table, named).square().sum(dim=1)


def to_csr_tensor(matrix: sparse.csr_matrix) -> Tensor:
    """A torch CSR tensor of the same matrix, float32, with indices of 32 bits where they are enough."""
    kind = np.int32 if max(matrix.nnz, *matrix.shape) < 2**31 else np.int64
    crow, column = (torch.from_numpy(part.astype(kind)) for part in (matrix.indptr, matrix.indices))
    return csr_tensor(crow, column, torch.from_numpy(matrix.data.astype(np.float32)), matrix.shape)


def csr_tensor(crow: Tensor, column: Tensor, values: Tensor, shape: tuple[int, int] | torch.Size) -> Tensor:
    """A CSR tensor, without PyTorch's remark that these are in beta."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta")
        return torch.sparse_csr_tensor(crow, column, values, shape, check_invariants=False)
