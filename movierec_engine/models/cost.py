"""Costs of a model, estimated before any work starts: memory and time of its fit, its evaluation and its index.

The estimates are of this program's own arrays, in bytes, beside what the data takes by itself. Seconds are of two cores
of the machine that wrote benchmarks/results/size_ladder.md, where both stand beside what was measured.
"""

import math
from dataclasses import dataclass

from movierec_engine.training.config import TrainerConfig

FLOPS = 4e10
"""Floating-point operations a second of large matrix products."""
RANDOM_READS = 2e8
"""Numbers a second that are gathered or scattered one by one."""


@dataclass(frozen=True)
class DataSize:
    """Size of the data that a model is fitted to."""

    n_users: int
    n_items: int
    n_train: int
    """Train interactions."""

    @property
    def per_user(self) -> float:
        """Mean train interactions of a user."""
        return self.n_train / max(self.n_users, 1)


@dataclass(frozen=True)
class ModelCost:
    """Cost of one model on data of one size."""

    fit_bytes: float
    """Memory of `fit` at its peak, beside the data and the history."""
    seconds: float
    """Time of `fit`, all epochs of it."""
    model_bytes: float
    """Memory of the fitted model, beside its history."""
    index_bytes: float
    """Memory of building its index, beside the model."""
    score_operations: float
    """Floating-point operations of one user's scores of all items."""
    instead: str = ""
    """What to do where that is too much: `train als instead`, `set model.loss_type=sampled_softmax`."""


def factor_cost(size: DataSize, width: int, fit_bytes: float, seconds: float, instead: str = "") -> ModelCost:
    """The cost of a model whose scores are inner products of vectors [n_users, width] and [n_items, width]."""
    users, items = 4.0 * size.n_users * width, 4.0 * size.n_items * width
    return ModelCost(
        fit_bytes=fit_bytes,
        seconds=seconds,
        model_bytes=users + items,
        index_bytes=2 * items + 4 * users,  # FAISS's vectors and ours; the queries as CSR, in blocks and as a whole
        score_operations=2.0 * size.n_items * width,
        instead=instead,
    )


def item_weights_cost(
    size: DataSize, weights_bytes: float, per_user: float, fit_bytes: float, seconds: float, instead: str
) -> ModelCost:
    """The cost of a model whose scores are a person's items times weights between items.

    weights_bytes: of the weights. per_user: operations of one user's scores. Its item vectors are the dense weights.
    """
    square = 4.0 * size.n_items**2
    return ModelCost(
        fit_bytes=fit_bytes,
        seconds=seconds,
        model_bytes=weights_bytes,
        index_bytes=2 * square,
        score_operations=per_user,
        instead=instead,
    )


def descent_cost(
    size: DataSize,
    trainer: TrainerConfig,
    *,
    loss_type: str,
    negatives: int,
    width: int,
    pair_floats: float = 0,
    pair_operations: float = 0,
    step_floats: float = 0,
    step_operations: float = 0,
) -> ModelCost:
    """The cost of a model of embeddings [n_users + n_items, width] that the training loop fits, all epochs of it.

    pair_floats, pair_operations: of the layers above the embeddings, for one user with one item.
    step_floats, step_operations: of what each step computes beside its pairs, such as propagation over the graph.
    """
    parameters = float(size.n_users + size.n_items) * width
    whole_users = min(size.n_users, math.ceil(trainer.batch_size / max(size.per_user, 1)))
    sampled = loss_type != "softmax"
    pairs = trainer.batch_size * (1.0 + negatives) if sampled else float(whole_users) * size.n_items
    pair_floats += 3 * width if sampled else 3  # gathered vectors, or scores, their softmax and its gradient
    operations = 3 * (pairs * (2 * width + pair_operations) + step_operations) + 20 * parameters
    steps = trainer.max_epochs * math.ceil(size.n_train / trainer.batch_size)
    fit = 4 * (6 * parameters + pairs * pair_floats + step_floats)  # gradient, two moments, the best epoch's, a copy
    instead = "set a smaller trainer.batch_size" if sampled else "set model.loss_type=sampled_softmax"
    return factor_cost(size, width, fit, steps * operations / FLOPS, instead)
