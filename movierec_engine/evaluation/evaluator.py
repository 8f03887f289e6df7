"""Measures a model on a held-out part."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from movierec_engine.data.heldout import HeldOut
from movierec_engine.errors import ConfigError
from movierec_engine.evaluation.config import EvaluationConfig
from movierec_engine.evaluation.given_lists import GivenLists
from movierec_engine.evaluation.metrics import metrics as registered
from movierec_engine.evaluation.rankings import Ranked, Rankings, rank_users, require_unseen
from movierec_engine.evaluation.shared_ranking import ranked_by_workers
from movierec_engine.models.base import Recommender
from movierec_engine.reporting import numbers
from movierec_engine.training.config import TrainerConfig

_ONE_PROCESS = TrainerConfig()


@dataclass(frozen=True, eq=False)
class Evaluation:
    """A model's metrics on a held-out part.

    metrics: name such as `ndcg@10` -> mean over the evaluated users; coverage and gini are over all of them together.
    per_user: name -> float64 [n], for the users of `rankings`; coverage and gini have no value of a single user. NaN
        for a user of whom a metric says nothing; the mean is over the others.
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

    def __init__(
        self, k_values: tuple[int, ...] | list[int] = (5, 10, 20), metrics: tuple[str, ...] | list[str] = ()
    ) -> None:
        self.config = EvaluationConfig(_tuple("k_values", k_values, "[10]"), _tuple("metrics", metrics, '["ndcg"]'))

    @property
    def metric_names(self) -> list[str]:
        """The reported names, such as `ndcg@10`; `auc`, which is of the whole ranking, has no depth."""
        known = registered()
        return [name for metric in self.config.metrics for name in known[metric].at(self.config.k_values)]

    def evaluate(
        self, model: Recommender, heldout: HeldOut, deep: bool = True, trainer: TrainerConfig = _ONE_PROCESS
    ) -> Evaluation:
        """Full ranking of the catalogue, or of the candidates, without what the user has seen.

        Users without relevant items are left out and counted; users whom the model recommends nothing count 0. A depth
        beyond the catalogue keeps its denominator. A metric is left out where the data lacks what it needs.
        deep: whether the rankings are to hold every relevant item's rank, even if no metric needs it.
        trainer: whose workers rank the users, a part each, where it has several.

        Raises MovierecError when the part is empty, and for a model that was trained on other vocabularies, scores too
        few items, or returns NaN or +inf; LeakError for one that was trained on what it is to find.
        """
        require_unseen(model, heldout)
        deep = deep or any(registered()[name].deep for name in self.config.metrics)
        rank = ranked_by_workers(trainer) if trainer.workers > 1 else None
        return self._measured(rank_users(model, heldout, max(self.config.k_values), deep, rank), model)

    def evaluate_lists(self, lists: Any, heldout: HeldOut) -> Evaluation:
        """The same of lists that another system made, such as

            train, test = data.split()
            Evaluator().evaluate_lists("lists.csv", test)

        lists: `GivenLists`, or a frame or the path of a CSV or Parquet file, as those of `GivenLists` are. What a list
        holds of the mask is left out, and the rest moves up; users without a list count 0. Metrics that need ranks
        beyond the lists, such as auc, are left out. Raises DataError for lists that cannot be used.
        """
        if not isinstance(lists, GivenLists):
            read = GivenLists.read if isinstance(lists, str | Path) else GivenLists.of
            lists = read(lists, heldout)
        return self._measured(rank_users(lists, heldout, max(self.config.k_values), deep=False), lists)

    def _measured(self, rankings: Rankings, model: Ranked) -> Evaluation:
        """Every metric of rankings; one is left out where they or the data lack what it needs."""
        per_user: dict[str, NDArray[np.float64]] = {}
        means: dict[str, float] = {}
        for metric in (registered()[name] for name in self.config.metrics):
            for name, k in zip(metric.at(self.config.k_values), self.config.k_values, strict=False):
                value = metric.of(rankings, k)
                if isinstance(value, float):
                    means[name] = value
                elif value is not None and len(having := value[~np.isnan(value)]):
                    per_user[name], means[name] = value, float(having.mean())
        history = np.diff(model.history.indptr) if rankings.heldout.fold_in is None else rankings.heldout.activity
        return Evaluation(
            metrics=means,
            per_user=per_user,
            rankings=rankings,
            users_without_test_items=rankings.heldout.interactions.n_users - len(rankings.users),
            users_without_history=int((history[rankings.users] == 0).sum()),
        )

    def print_results(self, evaluation: Evaluation) -> None:
        """Print the metrics, one a line."""
        print(f"{len(evaluation.users):,} users")
        width = max(map(len, evaluation.metrics), default=0)
        for name, value in evaluation.metrics.items():
            print(f"{name:{width}}  {numbers.score(value)}")


def _tuple(name: str, values: Any, example: str) -> tuple[Any, ...]:
    """Several values as a tuple. Raises ConfigError for a single one."""
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise ConfigError(f"evaluation.{name}={values!r} must be a list, such as {example}")
    return tuple(values)
