"""Settings of the evaluation group."""

from dataclasses import dataclass

from movierec_engine.errors import ConfigError
from movierec_engine.evaluation.metrics import METRICS, WHILE_TRAINING


@dataclass(frozen=True)
class EvaluationConfig:
    """Which metrics are reported, and at which depths."""

    k_values: tuple[int, ...] = (5, 10, 20)
    """Depths of the recommendation list."""
    metrics: tuple[str, ...] = tuple(METRICS)
    """Any of precision, recall, ndcg, hit_rate, map, mrr, auc, serendipity, novelty, average_popularity,
    genre_diversity, embedding_diversity, coverage and gini."""

    def __post_init__(self) -> None:
        if not self.k_values or min(self.k_values) < 1:
            raise ConfigError(f"evaluation.k_values={list(self.k_values)} must be one or more numbers of at least 1")
        unknown = set(self.metrics) - set(METRICS)
        if unknown or not self.metrics:
            raise ConfigError(
                f"evaluation.metrics={list(self.metrics)} has unknown or no names; choose from {', '.join(METRICS)}"
            )

    def while_training(self) -> tuple[str, ...]:
        """The metrics to measure on validation: those of the first ranks alone, where any is asked for."""
        return tuple(metric for metric in self.metrics if metric in WHILE_TRAINING) or self.metrics
