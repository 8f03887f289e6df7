"""Neighbourhood models: item-based collaborative filtering (Sarwar et al. 2001), and its user-based counterpart.

    item-based:  score(u, i) = sum_{j in N(i)} s_ij r_uj + p_u q_i      N(i): the k items most similar to i
    user-based:  score(u, i) = sum_{v in N(u)} s_uv r_vi + p q_i        N(u): the k users most similar to u

r is the rating, 0 where there is none; on implicit feedback it is 1. The score is the sum over the neighbours and not
their weighted mean: the mean predicts a rating, and an item with a single liked neighbour ties with one that has
twenty; for the order of a list the evidence must add up (Deshpande and Karypis 2004, "Item-Based Top-N Recommendation
Algorithms"; Cremonesi et al. 2010 measured the same for ratings). Only similarities above 0 count. Ties for the last
place in N go to the lower index. `neighbourhood.py` has the similarities s. q is popularity, which orders the items of
which no neighbour says anything, and counts the more, the less train tells (`fold_in/prior.py`): by item, p_u sums the
strengths of the user's items, whose n_j is 20 / (20 + |U_j|), and by user p is the same for all.
"""

import logging
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from movierec_engine.data.interactions import HistoryValues, Interactions
from movierec_engine.models.base import ClosedFormRecommender, Floats, Indices
from movierec_engine.models.classic.feedback import learns_from
from movierec_engine.models.classic.linear import with_shares
from movierec_engine.models.classic.long_histories import rooted
from movierec_engine.models.classic.neighbourhood import (
    ItemCFConfig,
    compared,
    item_baselines,
    similarity_blocks,
    strongest,
)
from movierec_engine.models.classic.prior_strength import PriorStrength
from movierec_engine.models.cost import RANDOM_READS, DataSize, ModelCost, item_weights_cost
from movierec_engine.models.fold_in import Basis
from movierec_engine.models.fold_in.linear import LinearFoldIn
from movierec_engine.models.fold_in.prior import queries, shares, strength, strengths
from movierec_engine.models.fold_in.user_cf import UserCFFoldIn
from movierec_engine.training.config import TrainerConfig

log = logging.getLogger(__name__)

_KNOWN = 20.0
"""Users of an item at which popularity has half its weight there."""


class ItemCF(PriorStrength, ClosedFormRecommender):
    """weights: float32 CSR [n_items, n_items], row i holds s_ij of the neighbours j of i.

    user_based: weights: float32 CSR [n_users, n_users], row u holds s_uv.
    rest: float32 [n_items], the strengths of popularity, or [1], p; empty without a prior.
    item_baseline: float64 [n_items], mu + b_i of pearson_baseline, from which a new user's baseline follows; else 0.
    """

    name = "item_cf"
    Config = ItemCFConfig

    weights: sparse.csr_matrix
    rest: Floats
    item_baseline: NDArray[np.float64]

    def cost(self, size: DataSize, trainer: TrainerConfig) -> ModelCost:
        """The kept weights, and the pairs of two items of a user (user-based: two users of an item), each met once."""
        rows, others = (size.n_users, size.n_items) if self.config.user_based else (size.n_items, size.n_users)
        neighbours = self.config.neighbours(False, size.n_train / max(size.n_users * size.n_items, 1))
        weights = 8.0 * rows * min(neighbours, rows)
        fit = 2 * weights + 40.0 * size.n_train + 5e7
        seconds = (float(size.n_train) ** 2 / max(others, 1) * 3 + float(rows) ** 2) / RANDOM_READS
        per_user = 2 * size.per_user * neighbours
        return item_weights_cost(size, rows, weights, per_user, fit, seconds, "train als instead")

    def learn(self, train: Interactions) -> None:
        """Compare all pairs in blocks, so that the peak is the kept weights and about 100 MB for a million ratings."""
        rows = self.comparable()
        n, density = rows.shape[0], self.history.nnz / max(np.prod(self.history.shape), 1)
        kept = min(self.config.neighbours(self.uses_ratings, density), n)
        what = "users" if self.config.user_based else "items"
        log.info("item_cf: %d %s need up to %.2f GB for %d neighbours each", n, what, 8e-9 * n * kept, kept)
        blocks = []
        for start, similar in similarity_blocks(rows, rows, self.config.of_history(self.history), self.uses_ratings):
            similar[np.arange(len(similar)), start + np.arange(len(similar))] = 0
            blocks.append(strongest(similar, kept))
        self._set_weights(sparse.vstack(blocks, format="csr"), self._strengths())

    def _strengths(self) -> Floats:
        if self.config.user_based:
            p = strength(self.config.prior, self.history)
            return np.array([p] if p else [], dtype=np.float32)
        of_items = strengths(self.config.prior, self.history, _KNOWN / (_KNOWN + self.popularity))
        return np.empty(0, dtype=np.float32) if of_items is None else of_items

    def learns_from(self, train: Interactions) -> HistoryValues:
        values = learns_from(self.config.feedback, train, needs_ratings=self.config.compares_ratings)
        self.config.require_ratings(values == "ratings")
        return values

    def comparable(self) -> sparse.csr_matrix:
        """The history whose rows are compared: items, or users if they are the neighbours; float64 CSR."""
        config = self.config
        self.item_baseline = np.zeros(len(self.items))
        if config.similarity == "pearson_baseline":
            self.item_baseline = item_baselines(self.history)
        if config.user_based:
            return compared(self.history, config, self.item_baseline)
        history = self.history if self.uses_ratings else rooted(self.history)
        return compared(history, config, self.item_baseline).T.tocsr()

    def score_known(self, users: Indices) -> Floats:
        if not self.config.user_based:
            return self.fold_in_scorer().scores(self.history[users])
        scores = _dense(self.weights[users] @ self.history)
        return scores + self.rest * shares(self.popularity) if len(self.rest) else scores

    def fold_in_scorer(self) -> LinearFoldIn | UserCFFoldIn:
        if not self.config.user_based:
            rest = self.rest if len(self.rest) else None
            return LinearFoldIn(Basis(self.sparse_item_vectors(), self.history), self.uses_ratings, rest=rest)
        basis, config = Basis(self.sparse_item_vectors(), self.history), self.config.of_history(self.history)
        return UserCFFoldIn(basis, config, self.item_baseline, self.uses_ratings, float(self.rest.sum()))

    def explanation_inputs(self, users: Indices) -> Floats:
        """User-based: the similarities to the neighbours, [n, n_users]."""
        return _dense(self.weights[users]) if self.config.user_based else super().explanation_inputs(users)

    def query_vectors(self, users: Indices) -> Floats:
        """The history of each user, or the similarities to the neighbours, [n, n_users]; then popularity's strength."""
        if not self.config.user_based:
            return _dense(queries(self.history[users], self.rest if len(self.rest) else None))
        return np.column_stack([_dense(self.weights[users]), *np.tile(self.rest[:, None], len(users))])

    def item_vectors(self) -> Floats:
        """The weights, or the history of each item, [n_items, n_users]; then popularity."""
        vectors = self.sparse_item_vectors()
        log.info("item_cf: item vectors [%d, %d] take %.2f GB", *vectors.shape, 4e-9 * np.prod(vectors.shape))
        return np.ascontiguousarray(_dense(vectors))

    def sparse_item_vectors(self) -> sparse.csc_matrix:
        return self._by_history.T

    def similarity_vectors(self) -> sparse.csr_matrix:
        """The users of each item, [n_items, n_users]: the neighbours' weights are few, and favour the popular ones."""
        return self.users_by_item()

    def tensors(self) -> dict[str, NDArray[Any]]:
        weights = self.weights
        return {
            "data": weights.data,
            "indices": weights.indices,
            "indptr": weights.indptr,
            "item_baseline": self.item_baseline,
            "rest": self.rest,
            **self.prior_tensors(),
        }

    def restore(self, tensors: dict[str, NDArray[Any]]) -> None:
        self.restore_prior(tensors)
        n = len(self.users) if self.config.user_based else len(self.items)
        weights = sparse.csr_matrix((tensors["data"], tensors["indices"], tensors["indptr"]), (n, n))
        self._set_weights(weights, tensors.get("rest", np.empty(0, dtype=np.float32)))
        self.item_baseline = tensors["item_baseline"]

    def _set_weights(self, weights: sparse.csr_matrix, rest: Floats) -> None:
        self.weights, self.rest = weights, rest
        by_history = self.history if self.config.user_based else weights.T.tocsr()
        self._by_history = with_shares(by_history, self.popularity) if len(rest) else by_history


def _dense(matrix: sparse.csr_matrix) -> Floats:
    return np.asarray(matrix.toarray(), dtype=np.float32)
