"""Costs of a model, estimated before any work starts: memory and time of its fit, its evaluation and its index.

The estimates are of this program's own arrays, in bytes, beside what the data takes by itself. Seconds are of two cores
of the machine that wrote benchmarks/results/size_ladder.md, where both stand beside what was measured.
"""

from dataclasses import dataclass

FLOPS = 4e10
"""Floating-point operations a second of large matrix products."""
RANDOM_READS = 2e8
"""Numbers a second that are gathered or scattered one by one."""
DENSE_ITEMS = 20_000
"""Up to so many items, weights between all pairs of them are held and searched as a dense matrix, of 1.6 GB."""


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

    weights_bytes: of the weights. per_user: operations of one user's scores. Its item vectors are the dense weights, up
    to DENSE_ITEMS.
    """
    vectors = 4.0 * size.n_items**2 if size.n_items <= DENSE_ITEMS else weights_bytes
    return ModelCost(
        fit_bytes=fit_bytes,
        seconds=seconds,
        model_bytes=weights_bytes,
        index_bytes=2 * vectors,
        score_operations=per_user,
        instead=instead,
    )
