"""Measures a model on a held-out part."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from movierec_engine.data.heldout import HeldOut
from movierec_engine.evaluation import beyond_accuracy as beyond
from movierec_engine.evaluation.config import EvaluationConfig
from movierec_engine.evaluation.metrics import ACCURACY, AUC, METRICS, auc
from movierec_engine.evaluation.rankings import Rankings, rank_users
from movierec_engine.evaluation.tables import metrics_table
from movierec_engine.models.base import Recommender


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What a model reached on a held-out part.

    metrics: name such as `ndcg@10` -> mean over the evaluated users; coverage and gini are over all of them together.
    per_user: name -> float64 [n], for the users of `rankings`; coverage and gini have no value of a single user.
    rankings: the lists and the ranks that all of it follows from.
    users_without_test_items, users_without_history: how many were left out, and how many were answered by popularity.
    """

    metrics: dict[str, float]
    per_user: dict[str, NDArray[np.float64]]
    rankings: Rankings
    users_without_test_items: int
    users_without_history: int

    @property
    def users(self) -> NDArray[np.int64]:
        """int64 [n], indices of the evaluated users."""
        return self.rankings.users


class Evaluator:
    """Ranks items for every user of a held-out part and averages the metrics over users."""

    def __init__(self, k_values: tuple[int, ...] | list[int] = (5, 10, 20), metrics: tuple[str, ...] = METRICS) -> None:
        self.config = EvaluationConfig(tuple(k_values), tuple(metrics))

    @property
    def metric_names(self) -> list[str]:
        """The reported names, such as `ndcg@10`; `auc`, which is of the whole ranking, has no depth."""
        return [
            name
            for metric in self.config.metrics
            for name in ([AUC] if metric == AUC else [f"{metric}@{k}" for k in self.config.k_values])
        ]

    def evaluate(self, model: Recommender, heldout: HeldOut, deep: bool = True) -> Evaluation:
        """Full ranking of the catalogue, or of the candidates, without what the user has seen.

        Users without relevant items are left out and counted; users whom the model recommends nothing count 0. A depth
        beyond the catalogue keeps its denominator. Genre diversity is left out where no genres are known.
        deep: whether the rankings are to hold every relevant item's rank, which metrics but AUC do not need.

        Raises MovierecError when the part is empty, and for a model that was trained on other vocabularies, scores too
        few items, or returns NaN or +inf.
        """
        rankings = rank_users(model, heldout, max(self.config.k_values), deep or AUC in self.config.metrics)
        per_user: dict[str, NDArray[np.float64]] = {}
        overall: dict[str, float] = {}
        for name in self.metric_names:
            metric, _, depth = name.partition("@")
            if metric == AUC:
                per_user[name] = auc(rankings.row, rankings.rank, rankings.tied, rankings.relevant, rankings.irrelevant)
            elif metric in _OVERALL:
                overall[name] = _OVERALL[metric](rankings.lists, len(model.items), int(depth))
            elif (values := _of_users(metric, rankings, int(depth))) is not None:
                per_user[name] = values
        means = overall | {name: float(values.mean()) for name, values in per_user.items()}
        history = np.diff(model.history.indptr)
        return Evaluation(
            metrics={name: means[name] for name in self.metric_names if name in means},
            per_user=per_user,
            rankings=rankings,
            users_without_test_items=heldout.interactions.n_users - len(rankings.users),
            users_without_history=int((history[rankings.users] == 0).sum()),
        )

    def print_results(self, evaluation: Evaluation, console: Console | None = None) -> None:
        """A table for people: metrics in rows, depths in columns."""
        (console or Console()).print(metrics_table(f"{len(evaluation.users):,} users", evaluation.metrics))


_OVERALL = {"coverage": beyond.coverage, "gini": beyond.gini}


def _of_users(metric: str, rankings: Rankings, k: int) -> NDArray[np.float64] | None:
    """A metric at k of every user, float64 [n]; None where the catalogue lacks what it needs."""
    lists, catalogue = rankings.lists, rankings.heldout.catalogue
    if metric in ACCURACY:
        return ACCURACY[metric](rankings.hits, rankings.relevant, k)
    if metric == "novelty":
        return beyond.novelty(lists, catalogue, k)
    if metric == "average_popularity":
        return beyond.average_popularity(lists, catalogue, k)
    if metric == "genre_diversity":
        return beyond.intra_list_diversity(lists, catalogue.genres, k) if catalogue.genre_names else None
    if metric == "embedding_diversity":
        return beyond.intra_list_diversity(lists, catalogue.embeddings, k)
    found = (rankings.rank > 0) & (rankings.rank <= k)
    return beyond.serendipity(rankings.row[found], rankings.more_popular[found], len(rankings.users), k)
