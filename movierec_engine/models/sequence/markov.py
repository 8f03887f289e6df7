"""Markov: what people go on to after each of their last items, counted.

    n_ji = sum_{g = 1..window} g^-gap_decay (#[i is g places after j] + backward #[i is g places before j])

    P(i | j) = (n_ji + shrinkage q_i) / (n_j + shrinkage),    n_j = sum_i n_ji

    score(u, i) = sum_b (1 + b)^-decay P(i | j_b)

#: in how many histories of train. q: the popularity of the items, of which an interaction counts half as much with each
`half_life_days` before the end of train. j_b: the item of the history that b others follow. Weights of several items
and several steps back are those of Fossil (He and McAuley 2016, "Fusing Similarity Models with Markov Chains for Sparse
Sequential Recommendation"), here without factors.

Of P what is counted, W_ji = n_ji / (n_j + shrinkage), is sparse, and only the largest are kept of each item in large
catalogues; the rest, r_j q_i with r_j = 1 - sum_i W_ji, is a number for each item on either side.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from movierec_engine.data.interactions import HistoryValues, Interactions
from movierec_engine.errors import ConfigError
from movierec_engine.models.base import ClosedFormRecommender, Floats, Indices
from movierec_engine.models.classic.gf_cf import largest_entries
from movierec_engine.models.classic.linear import dense
from movierec_engine.models.cost import DENSE_ITEMS, RANDOM_READS, DataSize, ModelCost, item_weights_cost
from movierec_engine.models.fold_in import Basis
from movierec_engine.models.fold_in.markov import MarkovFoldIn
from movierec_engine.reporting.progress import advance
from movierec_engine.training.config import TrainerConfig

_NEIGHBOURS = 500
"""Of an item, in catalogues above DENSE_ITEMS."""
_BLOCK = 2**22
"""Pairs that are counted at a time, about."""
_DAY = 86_400


@dataclass(frozen=True)
class MarkovConfig:
    """Hyper-parameters of the transitions; the defaults were chosen on validation of dense and of sparse data
    (benchmarks/results/markov.md)."""

    window: int = 10
    """Places that two items of a history may be apart, at most, to count as a transition."""
    gap_decay: float = 0.5
    """Exponent by which a transition counts less the further apart its items are; 0: all count the same."""
    backward: float = 0.2
    """Share of its weight that a transition counts against the order of time: where much is rated at the same moment,
    the order says little."""
    decay: float = 1.0
    """Exponent by which an item of a history counts less the more others follow it; 0: all count the same."""
    shrinkage: float = 30.0
    """Transitions from each item that are added to those counted, to all items by their popularity."""
    half_life_days: float | None = None
    """Days before the end of train after which an interaction counts half as much for popularity; null: all count the
    same."""
    neighbours: int | None = None
    """Items that an item's transitions are kept to, at most, the most frequent; null: all up to 20,000 items in the
    catalogue, 500 above."""

    def __post_init__(self) -> None:
        for name in ("window", "neighbours"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ConfigError(f"model.{name}={value} must be at least 1")
        for name in ("gap_decay", "backward", "decay"):
            if not 0 <= getattr(self, name) < np.inf:
                raise ConfigError(f"model.{name}={getattr(self, name)} must not be below 0")
        for name in ("shrinkage", "half_life_days"):
            value = getattr(self, name)
            if value is not None and not 0 < value < np.inf:
                raise ConfigError(f"model.{name}={value} must be above 0")

    def neighbours_of(self, n_items: int) -> int:
        """The transitions that are kept from each item in a catalogue, at most."""
        return min(self.neighbours or (n_items if n_items <= DENSE_ITEMS else _NEIGHBOURS), n_items)


class Markov(ClosedFormRecommender):
    """weights: float32 CSR [n_items, n_items], W above. rest, prior: float32 [n_items], r and q above."""

    name = "markov"
    Config = MarkovConfig

    weights: sparse.csr_matrix
    rest: Floats
    prior: Floats

    def learns_from(self, train: Interactions) -> HistoryValues:
        return "places"

    def learn(self, train: Interactions) -> None:
        self.prior = recent_popularity(train, self.config.half_life_days)
        self.weights = transition_weights(self.history, self.config)
        self._fold_in = self._make_fold_in()

    def cost(self, size: DataSize, trainer: TrainerConfig) -> ModelCost:
        """Every pair of items within the window, counted in blocks, of which a few are kept for each item."""
        n, config = float(size.n_items), self.config
        pairs = size.n_train * config.window * (2.0 if config.backward else 1.0)
        kept = 8 * min(n * config.neighbours_of(size.n_items), pairs)
        fit = 24.0 * size.n_train + 2 * kept + 40.0 * _BLOCK
        seconds = (50 * pairs + size.n_train * np.log2(size.n_train + 2)) / RANDOM_READS
        per_user = 2 * kept / 8 / max(n, 1) * size.per_user
        return item_weights_cost(size, size.n_items + 1, kept, per_user, fit, seconds, "set a smaller model.neighbours")

    def score_known(self, users: Indices) -> Floats:
        return self._fold_in.scores(self.history[users])

    def fold_in_scorer(self) -> MarkovFoldIn:
        return self._fold_in

    def query_vectors(self, users: Indices) -> Floats:
        return dense(self._fold_in.queries(self.history[users]))

    def item_vectors(self) -> Floats:
        return np.ascontiguousarray(dense(self._fold_in.basis.vectors))

    def sparse_item_vectors(self) -> sparse.csc_matrix:
        return self._fold_in.basis.vectors

    def similarity_vectors(self) -> sparse.csr_matrix:
        """What people come to each item from, and what they go on to after it: [W^T, W], [n_items, 2 n_items]."""
        return sparse.hstack([self.weights.T, self.weights], format="csr")

    def tensors(self) -> dict[str, NDArray[Any]]:
        weights = {part: getattr(self.weights, part) for part in ("data", "indices", "indptr")}
        return {"prior": self.prior, **weights}

    def restore(self, tensors: dict[str, NDArray[Any]]) -> None:
        self.prior = tensors["prior"]
        parts = (tensors["data"], tensors["indices"], tensors["indptr"])
        self.weights = sparse.csr_matrix(parts, (len(self.items), len(self.items)))
        self._fold_in = self._make_fold_in()

    def _make_fold_in(self) -> MarkovFoldIn:
        """Its item vectors are [W^T, q], CSC."""
        vectors = sparse.vstack([self.weights, self.prior[None]], format="csr", dtype=np.float32).T
        rest = 1 - np.asarray(self.weights.sum(axis=1, dtype=np.float64)).ravel()
        return MarkovFoldIn(Basis(vectors, self.history), rest.astype(np.float32), float(self.config.decay))


def recent_popularity(train: Interactions, half_life_days: float | None) -> Floats:
    """q above: float32 [n_items], which add up to 1. Interactions of the same moment count the same."""
    days = (train.timestamp.max(initial=0) - train.timestamp) / _DAY
    weights = np.ones(len(train)) if half_life_days is None else 0.5 ** (days / half_life_days)
    counted = np.bincount(train.item, weights, minlength=train.n_items)
    return np.asarray(counted / max(counted.sum(), 1e-12), dtype=np.float32)


def transition_weights(history: sparse.csr_matrix, config: MarkovConfig) -> sparse.csr_matrix:
    """W above, the largest of each row: float32 CSR [n_items, n_items].

    history: CSR [n_users, n_items] of places. A block of items is counted at a time.
    """
    row = np.repeat(np.arange(history.shape[0]), np.diff(history.indptr))
    order = np.lexsort((history.data, row))
    user, item, n_items = row[order], history.indices[order], history.shape[1]
    gaps = np.arange(1, config.window + 1)
    weight = gaps ** -float(config.gap_decay)
    steps = [*zip(gaps.tolist(), weight.tolist(), strict=True)]
    if config.backward:
        steps += [*zip((-gaps).tolist(), (config.backward * weight).tolist(), strict=True)]
    by_item = np.argsort(item, kind="stable")
    starts = np.append(0, np.cumsum(np.bincount(item, minlength=n_items)))
    blocks, first = [], 0
    while first < n_items:
        advance(first, n_items, "items counted")
        end = int(np.searchsorted(starts, starts[first] + _BLOCK // len(steps), side="right")) - 1
        end = min(max(end, first + 1), n_items)
        block = _counted(user, item, by_item[starts[first] : starts[end]], steps, (end - first, n_items), first)
        total = np.asarray(block.sum(axis=1)).ravel() + config.shrinkage
        kept = largest_entries(block, config.neighbours_of(n_items))
        kept.data /= np.repeat(total, np.diff(kept.indptr))
        blocks.append(kept.astype(np.float32))
        first = end
    return sparse.vstack(blocks, format="csr")


def _counted(
    user: Indices, item: Indices, places: Indices, steps: list[tuple[int, float]], shape: tuple[int, int], first: int
) -> sparse.csr_matrix:
    """n of the items from `first` on, CSR `shape`.

    user, item: int [n], of all histories one after the other. places: where those items stand. steps: gaps and their
    weights.
    """
    total = sparse.csr_matrix(shape)
    for gap, weight in steps:
        within = places[(places + gap >= 0) & (places + gap < len(user))]
        within = within[user[within] == user[within + gap]]
        pairs = item[within] - first, item[within + gap]
        total = total + sparse.csr_matrix((np.full(len(within), weight), pairs), shape)
    return total
