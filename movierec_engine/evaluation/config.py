"""Settings of the evaluation group."""

from dataclasses import dataclass

from movierec_engine.errors import ConfigError
from movierec_engine.evaluation.metrics import metrics


@dataclass(frozen=True)
class EvaluationConfig:
    """Settings of evaluation: the metrics that are reported, and their depths."""

    k_values: tuple[int, ...] = (5, 10, 20)
    """Depths of the recommendation list."""
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

    def while_training(self) -> tuple[str, ...]:
        """The metrics to measure on validation: those of the first ranks alone, where any is asked for.

        Never those of dislikes, which are not known of validation; ndcg where nothing else is asked for.
        """
        known = [metrics()[name] for name in self.metrics]
        cheap = [metric.name for metric in known if metric.of_first_ranks]
        return tuple(cheap or [metric.name for metric in known if not metric.of_dislikes] or ["ndcg"])
