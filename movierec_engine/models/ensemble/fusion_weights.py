"""The weights of a hybrid ensemble, learned on validation by a conditional logit (McFadden 1974).

    p(i | u) = exp(<b, x_ui>) / sum_j exp(<b, x_uj>)

x_ui: the members' normalised scores of candidate i. The mean over users of the mean log-likelihood of their relevant
candidates is raised; it is concave. First one b for all users, drawn to 0 by a small ridge penalty, then one for each
kind of users by activity, drawn to that of all the more the fewer users there are of that kind. Weights are not
negative. Where a member alone is better on validation by the chosen metric, it gets all the weight.

What validation says of an ensemble is cross-fitted (Stone 1974): each of FOLDS groups of users is scored by weights
that were learned on the others, so that no number flatters the ensemble for users whom its weights saw.

Searching for the weights that raise ndcg@10 itself, coordinate by coordinate, overfits: with half of the bundled data's
validation users to learn from and the other half to measure on, it reached .217 where equal weights reached .2175, this
.219, and the best member .214.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from movierec_engine.data.catalogue import ACTIVITY_FROM, activity_tier
from movierec_engine.data.heldout import HeldOut
from movierec_engine.data.id_map import IdMap
from movierec_engine.data.interactions import HistoryValues
from movierec_engine.errors import ConfigError
from movierec_engine.evaluation.metrics import hit_metrics
from movierec_engine.models.lists import rows_in

LEARNED_FROM = 5_000
"""Users of validation that weights are learned from at most; more would hardly move so few numbers."""
FOLDS = 5
CANDIDATES = 100
"""Best items of each member that a user's ensemble list is looked for among."""
RIDGE = 1e-3
SHRINKAGE = 4.0
"""Penalty on a kind's distance from the weights of all, over its number of users."""
_BLOCK_BYTES = 64 * 2**20
"""Budget for the scores of all members for one block of users."""

Weights = NDArray[np.float64]


class Ensemble(Protocol):
    """The ensemble whose weights are learned: a `HybridEnsemble` whose members are set."""

    config: Any
    items: IdMap
    history: sparse.csr_matrix
    history_values: HistoryValues
    members: Sequence[Any]

    @property
    def n_features(self) -> int: ...

    def normalised_scores(self, users: NDArray[np.integer[Any]]) -> NDArray[np.float32]: ...

    def normalised_fold_in(self, histories: sparse.csr_matrix) -> NDArray[np.float32]: ...


@dataclass(frozen=True, eq=False)
class Candidates:
    """Examples for learning weights: n users who have relevant items, and up to c candidates of each.

    features: float32 [n, c, f], what the ensemble adds; relevant: bool [n, c]; there: bool [n, c], False where a user
    has fewer candidates. count: int64 [n], relevant items, also those that are no candidates. tier: int64 [n], by
    activity. fold: int64 [n], as `folds_of`.
    """

    features: NDArray[np.float32]
    relevant: NDArray[np.bool_]
    there: NDArray[np.bool_]
    count: NDArray[np.int64]
    tier: NDArray[np.int64]
    fold: NDArray[np.int64]

    def values(self, weights: Weights, metric: str, k: int) -> NDArray[np.float64]:
        """The metric of every user float64 [n] with weights [f], or [n, f]; ties count against the ensemble."""
        shared = np.broadcast_to(np.asarray(weights, dtype=np.float32), (len(self.count), self.features.shape[2]))
        scores = np.where(self.there, np.einsum("ncf,nf->nc", self.features, shared), -np.inf)
        row, column = np.nonzero(self.relevant)
        own = scores[row, column]
        rank = (scores[row] >= own[:, None]).sum(axis=1)
        hits = np.zeros((len(scores), k), dtype=np.bool_)
        hits[row[rank <= k], rank[rank <= k] - 1] = True
        return np.asarray(hit_metrics()[metric](hits=hits, relevant=self.count, k=k))

    def of(self, users: NDArray[np.bool_]) -> "Candidates":
        """The candidates of the users where `users`, bool [n], is True."""
        return Candidates(*(getattr(self, part.name)[users] for part in fields(self)))

    def of_features(self, columns: Sequence[int]) -> "Candidates":
        """The same with some of the features alone, in this order."""
        return replace(self, features=self.features[:, :, list(columns)])


def learn_weights(candidates: Candidates, metric: str, k: int) -> Weights:
    """Weights float64 [tiers, f] of the features; rows sum to 1."""
    n_features = candidates.features.shape[2]
    shared = shared_weights(candidates)
    weights = np.tile(shared, (len(ACTIVITY_FROM), 1))
    for tier in range(len(ACTIVITY_FROM)):
        own = candidates.of(candidates.tier == tier)
        if len(own.count):
            weights[tier] = _conditional_logit(own, shared, SHRINKAGE / len(own.count))
    best = max(np.eye(n_features), key=lambda alone: candidates.values(alone, metric, k).mean())
    learned = candidates.values(weights[candidates.tier], metric, k).mean()
    if candidates.values(best, metric, k).mean() > learned:
        weights = np.tile(best, (len(ACTIVITY_FROM), 1))
    return np.asarray(weights / np.maximum(weights.sum(axis=1, keepdims=True), 1e-12))


def shared_weights(candidates: Candidates) -> Weights:
    """Weights float64 [f] that are the same for all users, in no unit."""
    return _conditional_logit(candidates, np.zeros(candidates.features.shape[2]), RIDGE)


def cross_fitted(candidates: Candidates, learn: Callable[[Candidates], Weights]) -> NDArray[np.float64]:
    """The weights for each fold's users, learned on the users of all other folds: [FOLDS, ...], as `learn` gives them.

    Where there are no others, the fold learns from what there is: a handful of users can't be told from their weights.
    """
    others = [candidates.of(candidates.fold != fold) for fold in range(FOLDS)]
    return np.stack([learn(own if len(own.count) else candidates) for own in others])


def folds_of(histories: sparse.csr_matrix) -> NDArray[np.int64]:
    """The fold of each history, int64 [n], from 0 to FOLDS - 1, by the items in it: whoever asks, and in any order."""
    drawn = np.random.default_rng(0).integers(FOLDS, size=histories.shape[1])
    ones = np.ones(len(histories.indices), dtype=np.int64)
    return np.asarray(
        sparse.csr_matrix((ones, histories.indices, histories.indptr), shape=histories.shape) @ drawn % FOLDS
    )


def candidates_of(model: Ensemble, validation: HeldOut) -> Candidates:
    """The best unseen items of each member, for users of validation with a history; folded in where it is to be.

    Of more than LEARNED_FROM users a sample is taken. Raises ConfigError without a validation part.

    Relevant items beyond those are left out: no ensemble of these members would put them at the top, and beside
    candidates that all stand high they would teach that low scores are good.
    """
    if not len(validation):
        raise ConfigError("the weights are learned on validation, and the data has none; set model.learn_weights=false")
    validation = validation.sampled(LEARNED_FROM, 0)
    relevant = validation.interactions.matrix()
    histories = model.history if validation.fold_in is None else validation.histories(model.history_values)
    activity = np.diff(histories.indptr)
    users = np.flatnonzero((np.diff(relevant.indptr) > 0) & (activity > 0)).astype(np.int64)
    m, n_items = len(model.members), len(model.items)
    best = min(CANDIDATES, n_items)
    features = np.zeros((len(users), m * best, model.n_features), dtype=np.float32)
    is_relevant, there = (np.zeros((len(users), m * best), dtype=np.bool_) for _ in range(2))
    rows = rows_in(_BLOCK_BYTES, m * n_items)
    for start in range(0, len(users), rows):
        block = users[start : start + rows]
        scores = (
            model.normalised_scores(block) if validation.fold_in is None else model.normalised_fold_in(histories[block])
        )
        wanted = relevant[block].toarray() > 0
        seen = validation.seen[block].toarray() > 0
        hidden = np.where(seen, -np.inf, scores)
        top = np.argpartition(-hidden, best - 1, axis=2)[:, :, :best]
        chosen = np.zeros_like(wanted)
        for own in top:
            np.put_along_axis(chosen, own, True, axis=1)
        chosen &= ~seen
        row, item = np.nonzero(chosen)
        place = np.arange(len(row)) - np.searchsorted(row, row)
        features[start + row, place] = scores[:, row, item].T
        is_relevant[start + row, place] = wanted[row, item]
        there[start + row, place] = True
    count, tier = np.diff(relevant.indptr)[users].astype(np.int64), activity_tier(activity[users])
    return Candidates(features, is_relevant, there, count, tier, folds_of(histories[users]))


def _conditional_logit(candidates: Candidates, prior: Weights, penalty: float) -> Weights:
    """Coefficients [f], none below 0, with a ridge penalty on their distance from the prior [f]."""
    from scipy.optimize import minimize  # slow to load

    having = candidates.relevant.any(axis=1)
    if not having.any():
        return prior if prior.any() else np.ones(len(prior))
    x, there = candidates.features[having].astype(np.float64), candidates.there[having]
    wanted = candidates.relevant[having] / candidates.relevant[having].sum(axis=1, keepdims=True)

    def loss(coefficients: Weights) -> tuple[float, Weights]:
        z = np.where(there, x @ coefficients, -np.inf)
        z -= z.max(axis=1, keepdims=True)
        total = np.exp(z).sum(axis=1, keepdims=True)
        likely = np.where(there, z - np.log(total), 0)
        slope = np.einsum("ncf,nc->f", x, np.exp(z) / total - wanted) / len(x)
        away = coefficients - prior
        return float(-(wanted * likely).sum() / len(x) + penalty * away @ away), slope + 2 * penalty * away

    start = prior if prior.any() else np.full(len(prior), 0.5)
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=[(0, None)] * len(prior))
    return np.asarray(found.x) if found.x.any() else np.ones(len(prior))
