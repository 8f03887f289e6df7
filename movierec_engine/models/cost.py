"""Costs of a model, estimated before any work starts: memory and time of its fit, its evaluation and its index.

The estimates are of this program's own arrays, in bytes, beside what the data takes by itself. Seconds are of two cores
of the machine that wrote benchmarks/results/size_ladder.md, where both stand beside what was measured.
"""

from dataclasses import dataclass

from movierec_engine.data.interactions import Interactions
from movierec_engine.errors import TooLargeError
from movierec_engine.models.memory import memory_left
from movierec_engine.reporting import numbers

FLOPS = 4e10
"""Floating-point operations a second of large matrix products."""
GATHERED = 4e9
"""The same of products with rows that are gathered one by one from a table beyond a processor's cache."""
RANDOM_READS = 2e8
"""Numbers a second that are gathered or scattered one by one."""
DENSE_ITEMS = 20_000
"""Up to so many items, weights between all pairs of them are held as a dense matrix, of 1.6 GB."""
DENSE_VECTOR_BYTES = 64e6
"""Item vectors of which most numbers are 0 are indexed as dense ones up to this size: weights between 4,000 items."""


@dataclass(frozen=True)
class DataSize:
    """Size of the data that a model is fitted to."""

    n_users: int
    n_items: int
    n_train: int
    """Train interactions."""

    @classmethod
    def of(cls, train: Interactions) -> "DataSize":
        return cls(train.n_users, train.n_items, len(train))

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
    similar_operations: float = 0.0
    """The same of one item's similarities to all, where these take more than that."""
    instead: str = ""
    """Remedy where that is too much: `train als instead`, `set model.loss_type=sampled_softmax`."""


def require_fit_memory(model: str, cost: ModelCost | None, size: DataSize) -> None:
    """Raises TooLargeError for a fit that needs more memory than this process may still take; None costs nothing."""
    left = memory_left()
    if cost and cost.fit_bytes > left:
        raise too_large(f"the fit of {model}", cost.fit_bytes, size, left, cost.instead)


def too_large(work: str, needed: float, size: DataSize, left: float, instead: str) -> TooLargeError:
    """The error that refuses work which needs so many bytes, of which fewer are left."""
    return TooLargeError(
        f"{work} needs about {numbers.size(needed)} for {size.n_users:,} users, {size.n_items:,} items and "
        f"{size.n_train:,} train interactions, and {numbers.size(left)} are left here; "
        f"{instead or 'set a smaller data.train_size'}"
    )


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
    size: DataSize, width: int, weights_bytes: float, per_user: float, fit_bytes: float, seconds: float, instead: str
) -> ModelCost:
    """The cost of a model whose scores are weights between items, or between users, times what people have.

    width: length of its item vectors, items or users. weights_bytes: of the weights, as many as the vectors where these
    are not indexed as dense ones. per_user: operations of one user's scores.
    """
    dense = 4.0 * size.n_items * width
    vectors = dense if dense <= DENSE_VECTOR_BYTES else weights_bytes
    return ModelCost(
        fit_bytes=fit_bytes,
        seconds=seconds,
        model_bytes=weights_bytes,
        index_bytes=2 * vectors + 4e3 * width,  # FAISS's and ours, and the queries of a thousand users at a time
        score_operations=per_user,
        instead=instead,
    )
