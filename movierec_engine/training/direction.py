"""The direction of early stopping's metric: what is best must be what the metric calls better."""

from movierec_engine.errors import ConfigError
from movierec_engine.evaluation.metrics import less_is_better, metric_of
from movierec_engine.training.config import EarlyStoppingConfig


def check_direction(stopping: EarlyStoppingConfig) -> None:
    """Raises ConfigError where `trainer.early_stopping.mode` asks for the worst value of a registered metric."""
    better = "min" if less_is_better(stopping.metric) else "max"
    if metric_of(stopping.metric) is not None and stopping.mode != better:
        raise ConfigError(
            f"trainer.early_stopping.mode={stopping.mode}, but {'less' if better == 'min' else 'more'} of "
            f"{stopping.metric} is better; set trainer.early_stopping.mode={better}"
        )
