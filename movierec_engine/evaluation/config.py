"""Settings of the evaluation group."""

from dataclasses import dataclass, replace
from typing import Self

from movierec_engine.data.config import USERS
from movierec_engine.errors import ConfigError
from movierec_engine.evaluation.metrics import metrics

DEPTHS_OF_USERS = (20, 50, 100)
"""Depths at which people never seen are measured in any case: Recall@20, Recall@50, NDCG@100 (Liang et al. 2018)."""


@dataclass(frozen=True)
class EvaluationConfig:
    """Settings of evaluation: the metrics that are reported, and their depths."""

    k_values: tuple[int, ...] = (5, 10, 20)
    """Depths of the recommendation list; with `data.split=users` 20, 50 and 100 are added."""
    metrics: tuple[str, ...] = ()
    """Names of registered metrics, such as ndcg; empty: every one that is registered."""

    def __post_init__(self) -> None:
        if not self.k_values or min(self.k_values) < 1:
            raise ConfigError(f"evaluation.k_values={list(self.k_values)} must be one or more numbers of at least 1")
        known = metrics()
        if unknown := [name for name in self.metrics if name not in known]:
            raise ConfigError(
                f"evaluation.metrics={list(self.metrics)}: there is no metric {unknown[0]!r}; "
                f"choose from {', '.join(known)}"
            )
        if not self.metrics:
            object.__setattr__(self, "metrics", tuple(known))

    def of_split(self, strategy: str) -> Self:
        """The same with the depths that a strategy of `data.split` adds."""
        if strategy != USERS:
            return self
        return replace(self, k_values=tuple(sorted({*self.k_values, *DEPTHS_OF_USERS})))

    def while_training(self) -> tuple[str, ...]:
        """The metrics to measure on validation: those of the first ranks alone, where any is asked for.

        Never those of dislikes, which are not known of validation; ndcg where nothing else is asked for.
        """
        known = [metrics()[name] for name in self.metrics]
        cheap = [metric.name for metric in known if metric.of_first_ranks]
        return tuple(cheap or [metric.name for metric in known if not metric.of_dislikes] or ["ndcg"])
