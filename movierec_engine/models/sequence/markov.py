"""Markov: what people go on to after each of their last items, counted.

    n_ji = sum_{g = 1..window} g^-gap_decay (#[i is g places after j] + backward #[i is g places before j])

    P(i | j) = (n_ji c_i + shrinkage q_i) / (n_j + shrinkage),    c_i = (mean(M) / M_i)^exponent

    score(u, i) = sum_b (1 + b)^-decay P(i | j_b)

    shrinkage = relative_shrinkage (1 + s / m_u) (1 + s / m_i),    s = 20

#: in how many histories of train. n_j: the sum of n_ji over i. M_i: shrinkage and the sum of n_ji over j. m_u, m_i:
mean interactions of a user and of an item; where they are few, most of what is counted is chance. q: the popularity of
the items, of which an interaction counts half as much with each `half_life_days` before the end of train. j_b: the item
of the history that b others follow. Weights of several items and several steps back are those of Fossil (He and McAuley
2016, "Fusing Similarity Models with Markov Chains for Sparse Sequential Recommendation"), here without factors.

Of P what is counted, W_ji = n_ji c_i / (n_j + shrinkage), is sparse, and only the largest are kept of each item in
large catalogues; the rest, r_j q_i with r_j = shrinkage / (n_j + shrinkage), is a number for each item on either side.
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
from movierec_engine.models.classic.prior_strength import PriorStrength
from movierec_engine.models.cost import DENSE_ITEMS, RANDOM_READS, DataSize, ModelCost, item_weights_cost
from movierec_engine.models.fold_in import Basis
from movierec_engine.models.fold_in.markov import MarkovFoldIn
from movierec_engine.models.fold_in.prior import check_popularity_weight
from movierec_engine.reporting.progress import advance
from movierec_engine.training.config import TrainerConfig

_NEIGHBOURS = 500
"""Neighbours of an item, in catalogues above DENSE_ITEMS."""
_COMPARED = 100
"""Transitions to and from an item by which it is compared with others, at most."""
_BLOCK = 2**22
"""Pairs that are counted at a time, about."""
_FEW = 20.0
"""Mean interactions at which the shrinkage is twice what it is of many."""
_DAY = 86_400


@dataclass(frozen=True)
class MarkovConfig:
    """Hyper-parameters of the transitions; the defaults were chosen on validation of dense and of sparse data
    (benchmarks/markov.py)."""

    window: int = 10
    """Places that two items of a history may be apart, at most, to count as a transition."""
    gap_decay: float = 0.5
    """Exponent by which a transition counts less the further apart its items are; 0: all count the same."""
    backward: float = 0.1
    """Share of its weight that a transition counts against the order of time: where much is rated at the same moment,
    the order says little."""
    decay: float = 1.0
    """Exponent by which an item of a history counts less the more others follow it; 0: all count the same."""
    exponent: float = 0.2
    """Exponent c by which a transition counts less the more often its item is gone on to from any; 0: all count the
    same."""
    relative_shrinkage: float = 15.0
    """Strength of popularity: shrinkage = relative_shrinkage (1 + 20 / m_u) (1 + 20 / m_i), of the mean interactions of
    a user and of an item."""
    shrinkage: float | None = None
    """Transitions from each item that are added to those counted, to all items by their popularity; null: by
    relative_shrinkage."""
    half_life_days: float | None = None
    """Days before the end of train after which an interaction counts half as much for popularity; null: all count the
    same."""
    popularity_weight: float | None = None
    """How much stronger r is made, by 8 times this (`classic/prior_strength.py`); null: chosen on validation, 0 where
    it has none."""
    neighbours: int | None = None
    """Items that an item's transitions are kept to, at most, the most frequent; null: all up to 20,000 items in the
    catalogue, 500 above."""

    def __post_init__(self) -> None:
        for name in ("window", "neighbours"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ConfigError(f"model.{name}={value} must be at least 1")
        for name in ("gap_decay", "backward", "decay", "exponent"):
            if not 0 <= getattr(self, name) < np.inf:
                raise ConfigError(f"model.{name}={getattr(self, name)} must not be below 0")
        for name in ("relative_shrinkage", "shrinkage", "half_life_days"):
            value = getattr(self, name)
            if value is not None and not 0 < value < np.inf:
                raise ConfigError(f"model.{name}={value} must be above 0")
        check_popularity_weight(self.popularity_weight)

    def shrinkage_of(self, history: sparse.csr_matrix) -> float:
        """The shrinkage for train interactions, CSR [n_users, n_items]."""
        if self.shrinkage is not None:
            return self.shrinkage
        of_user, of_item = (max(history.nnz, 1) / max(n, 1) for n in history.shape)
        return float(self.relative_shrinkage * (1 + _FEW / of_user) * (1 + _FEW / of_item))

    def neighbours_of(self, n_items: int) -> int:
        """The transitions that are kept from each item in a catalogue, at most."""
        return min(self.neighbours or (n_items if n_items <= DENSE_ITEMS else _NEIGHBOURS), n_items)


class Markov(PriorStrength, ClosedFormRecommender):
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
        self.weights, self.rest = transition_weights(self.history, self.config)
        self._fold_in = self._make_fold_in()

    def cost(self, size: DataSize, trainer: TrainerConfig) -> ModelCost:
        """Every pair of items within the window, counted in blocks, of which a few are kept for each item."""
        n, config = float(size.n_items), self.config
        pairs = size.n_train * config.window * (2.0 if config.backward else 1.0)
        kept = 8 * min(n * config.neighbours_of(size.n_items), pairs)
        fit = 24.0 * size.n_train + 2 * kept + 40.0 * min(pairs, _BLOCK)
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
        """Vectors of each item's predecessors and successors, [W^T, W], the largest entries of either.

        Sparse, [n_items, 2 n_items].
        """
        either = (self.weights.T.tocsr(), self.weights.copy())
        return sparse.hstack([largest_entries(one, _COMPARED) for one in either], format="csr")

    def tensors(self) -> dict[str, NDArray[Any]]:
        weights = {part: getattr(self.weights, part) for part in ("data", "indices", "indptr")}
        return {"rest": self.rest, "prior": self.prior, **weights, **self.prior_tensors()}

    def restore(self, tensors: dict[str, NDArray[Any]]) -> None:
        self.restore_prior(tensors)
        self.rest, self.prior = tensors["rest"], tensors["prior"]
        parts = (tensors["data"], tensors["indices"], tensors["indptr"])
        self.weights = sparse.csr_matrix(parts, (len(self.items), len(self.items)))
        self._fold_in = self._make_fold_in()

    def _weigh(self, weight: float) -> None:
        super()._weigh(weight)
        self._fold_in = self._make_fold_in()

    def _make_fold_in(self) -> MarkovFoldIn:
        """Make the fold-in scorer, with the item vectors [W^T, q], CSC."""
        vectors = sparse.vstack([self.weights, self.prior[None]], format="csr", dtype=np.float32).T
        return MarkovFoldIn(Basis(vectors, self.history), self.rest, float(self.config.decay))


def recent_popularity(train: Interactions, half_life_days: float | None) -> Floats:
    """q above: float32 [n_items], which add up to 1. Interactions of the same moment count the same."""
    days = (train.timestamp.max(initial=0) - train.timestamp) / _DAY
    weights = np.ones(len(train)) if half_life_days is None else 0.5 ** (days / half_life_days)
    counted = np.bincount(train.item, weights, minlength=train.n_items)
    return np.asarray(counted / max(counted.sum(), 1e-12), dtype=np.float32)


def transition_weights(history: sparse.csr_matrix, config: MarkovConfig) -> tuple[sparse.csr_matrix, Floats]:
    """W above, the largest of each row, float32 CSR [n_items, n_items], and r above, float32 [n_items].

    history: CSR [n_users, n_items] of places. A block of items is counted at a time.
    """
    lengths, n_items, shrinkage = np.diff(history.indptr), history.shape[1], config.shrinkage_of(history)
    user = np.repeat(np.arange(history.shape[0]), lengths)
    item = history.indices[np.lexsort((history.data, user))]
    gaps = np.arange(1, config.window + 1)
    weight = gaps ** -float(config.gap_decay)
    before = np.arange(len(item)) - history.indptr[user]
    reached = np.append(0, np.cumsum(weight))
    back, ahead = (reached[np.minimum(n, config.window)] for n in (before, lengths[user] - 1 - before))
    leaving, arriving = (
        np.bincount(item, one + config.backward * other, minlength=n_items) + shrinkage
        for one, other in ((ahead, back), (back, ahead))
    )
    scale = (arriving.mean() / arriving) ** config.exponent
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
        block.data *= scale[block.indices]
        kept = largest_entries(block, config.neighbours_of(n_items))
        kept.data /= np.repeat(leaving[first:end], np.diff(kept.indptr))
        blocks.append(kept.astype(np.float32))
        first = end
    return sparse.vstack(blocks, format="csr"), np.asarray(shrinkage / leaving, dtype=np.float32)


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
