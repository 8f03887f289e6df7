"""Popularity as the prior of models whose scores are sums over a history: what they go by where they know little.

    score(u, i) = sum_{j in history} x_j (W_ji + r_j q_i)
    r_j = prior s / (m (s + m)) n_j        s = 10

x_j: 1, or the rating. W: what the model says item j adds to item i. q_i: the share of train interactions that are of i.
m: mean interactions of a user. n_j, from 0 to 1: how little train tells of item j, in the model's own terms. So the
items of a mean user, of which nothing is known, weigh prior s / (s + m) together: the less is told of people, the more
counts what is popular, and where a model says nothing of an item, that alone orders the list. It is the base of a
score, and no reason for it. `models/sequence/markov.py` has a q and an r of its own.

The item vectors of such a model have q as their last column, and the queries r_j x_j, added up, as their last entry.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from movierec_engine.errors import ConfigError

_FEW = 10.0
"""Mean interactions of a user at which popularity has half its weight."""

Floats = NDArray[np.float32]


def check_prior(prior: float) -> None:
    """Raises ConfigError for a strength below 0."""
    if not 0 <= prior < np.inf:
        raise ConfigError(f"model.prior={prior} must not be below 0")


def check_popularity_weight(weight: float | None) -> None:
    """Raises ConfigError for a weight below 0."""
    if weight is not None and not 0 <= weight < np.inf:
        raise ConfigError(f"model.popularity_weight={weight} must not be below 0")


def strength(prior: float, history: sparse.csr_matrix) -> float:
    """prior s / (s + m) of train interactions, CSR [n_users, n_items]."""
    return prior * _FEW / (_FEW + mean_interactions(history))


def strengths(prior: float, history: sparse.csr_matrix, unknown: NDArray[np.floating[Any]]) -> Floats | None:
    """r, float32 [n_items]; None where there is no prior. unknown: n above, [n_items]."""
    if not prior:
        return None
    return np.asarray(strength(prior, history) / mean_interactions(history) * unknown, dtype=np.float32)


def shares(popularity: Floats) -> Floats:
    """q, float32 [n_items], of train interactions [n_items]."""
    return np.asarray(popularity / max(float(popularity.sum()), 1.0), dtype=np.float32)


def mean_interactions(history: sparse.csr_matrix) -> float:
    """m, of train interactions, CSR [n_users, n_items]; above 0."""
    return float(max(history.nnz, 1) / max(history.shape[0], 1))


def queries(histories: sparse.csr_matrix, r: Floats | None) -> sparse.csr_matrix:
    """Query vectors: CSR [n, n_items + 1]; without a prior the histories, CSR [n, n_items]."""
    if r is None:
        return histories
    ends, (n, n_items) = histories.indptr[1:], histories.shape
    data = np.insert(histories.data, ends, histories @ r)
    indices = np.insert(histories.indices, ends, n_items)
    return sparse.csr_matrix((data, indices, histories.indptr + np.arange(n + 1)), (n, n_items + 1))
