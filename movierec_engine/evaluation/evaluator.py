"""Measures a model on a held-out part, streaming over blocks of users."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from scipy import sparse

from movierec_engine.data.heldout import HeldOut
from movierec_engine.errors import MovierecError
from movierec_engine.evaluation.config import EvaluationConfig
from movierec_engine.evaluation.metrics import METRICS, PER_USER, coverage
from movierec_engine.evaluation.tables import metrics_table
from movierec_engine.models.base import Recommender

_BLOCK_BYTES = 64 * 2**20
"""Budget for one block of scores."""


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What a model reached on a held-out part.

    metrics: name such as `ndcg@10` -> mean over the evaluated users (coverage: over the catalogue).
    users: int64 [n], indices of the evaluated users. relevant: int64 [n], their numbers of relevant items.
    per_user: name -> float64 [n]; coverage has no value of a single user.
    users_without_test_items, users_without_history: how many were left out, and how many were answered by popularity.
    """

    metrics: dict[str, float]
    users: NDArray[np.int64]
    relevant: NDArray[np.int64]
    per_user: dict[str, NDArray[np.float64]]
    users_without_test_items: int
    users_without_history: int


class Evaluator:
    """Ranks items for every user of a held-out part and averages the metrics over users."""

    def __init__(self, k_values: tuple[int, ...] | list[int] = (5, 10, 20), metrics: tuple[str, ...] = METRICS) -> None:
        self.config = EvaluationConfig(tuple(k_values), tuple(metrics))

    @property
    def metric_names(self) -> list[str]:
        """The reported names, such as `ndcg@10`."""
        return [f"{metric}@{k}" for metric in self.config.metrics for k in self.config.k_values]

    def evaluate(self, model: Recommender, heldout: HeldOut) -> Evaluation:
        """Full ranking of the catalogue, or of the given candidates, without what the user has seen.

        Users without relevant items are left out and counted; users whom the model recommends nothing count 0.
        Scores are computed in blocks of users that fit 64 MB.

        Raises MovierecError when the model was trained on other vocabularies, or returns NaN or +inf.
        """
        if model.users != heldout.interactions.users or model.items != heldout.interactions.items:
            raise MovierecError(
                f"{model.name} was trained on other users or items than it is evaluated on; train it on this data"
            )
        from movierec_engine.evaluation.ranking import rank_block  # brings torch, which reading a report needs not

        relevant = heldout.interactions.matrix()
        candidates = None if heldout.candidates is None else heldout.candidates.matrix() + relevant
        users = np.flatnonzero(np.diff(relevant.indptr)).astype(np.int64)
        if not len(users):
            raise MovierecError(
                "the held-out part is empty, so there is nothing to measure; choose other data.* ratios"
            )
        depth = min(max(self.config.k_values), relevant.shape[1])
        rows = max(1, _BLOCK_BYTES // (4 * relevant.shape[1]))
        blocks = []
        for start in range(0, len(users), rows):
            block = users[start : start + rows]
            scores = _checked(model.score(block), model.name)
            if candidates is not None:
                scores = np.where(candidates[block].toarray() > 0, scores, -np.inf).astype(np.float32)
            scores[heldout.seen[block].nonzero()] = -np.inf
            blocks.append(rank_block(scores, relevant[block], depth))
        hits = np.concatenate([hits for hits, _ in blocks])
        lists = np.concatenate([lists for _, lists in blocks])
        return self._summary(model, users, relevant, hits, lists)

    def _summary(
        self,
        model: Recommender,
        users: NDArray[np.int64],
        relevant: sparse.csr_matrix,
        hits: NDArray[np.bool_],
        lists: NDArray[np.int32],
    ) -> Evaluation:
        n_relevant = np.diff(relevant.indptr)[users].astype(np.int64)
        per_user = {
            f"{metric}@{k}": PER_USER[metric](hits, n_relevant, k)
            for metric in self.config.metrics
            if metric in PER_USER
            for k in self.config.k_values
        }
        means = {name: float(values.mean()) for name, values in per_user.items()}
        if "coverage" in self.config.metrics:
            means |= {f"coverage@{k}": coverage(lists, relevant.shape[1], k) for k in self.config.k_values}
        history = np.diff(model.history.indptr)
        return Evaluation(
            metrics={name: means[name] for name in self.metric_names},
            users=users,
            relevant=n_relevant,
            per_user=per_user,
            users_without_test_items=relevant.shape[0] - len(users),
            users_without_history=int((history[users] == 0).sum()),
        )

    def print_results(self, evaluation: Evaluation, console: Console | None = None) -> None:
        """A table for people: metrics in rows, depths in columns."""
        (console or Console()).print(metrics_table(f"{len(evaluation.users):,} users", evaluation.metrics))


def _checked(scores: NDArray[np.float32], name: str) -> NDArray[np.float32]:
    if np.isnan(scores).any() or np.isposinf(scores).any():
        raise MovierecError(
            f"{name} returned NaN or infinite scores: its training diverged; lower trainer.learning_rate "
            "or set trainer.grad_clip, and train it again"
        )
    return scores
