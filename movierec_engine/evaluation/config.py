"""Settings of the evaluation group."""

from dataclasses import dataclass

from movierec_engine.errors import ConfigError
from movierec_engine.evaluation.metrics import METRICS


@dataclass(frozen=True)
class EvaluationConfig:
    """Which metrics are reported, and at which depths."""

    k_values: tuple[int, ...] = (5, 10, 20)
    """Depths of the recommendation list."""
    metrics: tuple[str, ...] = tuple(METRICS)
    """Any of precision, recall, ndcg, hit_rate, map, mrr, coverage."""

    def __post_init__(self) -> None:
        if not self.k_values or min(self.k_values) < 1:
            raise ConfigError(f"evaluation.k_values={list(self.k_values)} must be one or more numbers of at least 1")
        unknown = set(self.metrics) - set(METRICS)
        if unknown or not self.metrics:
            raise ConfigError(
                f"evaluation.metrics={list(self.metrics)} has unknown or no names; choose from {', '.join(METRICS)}"
            )
