"""Settings of the trainer group."""

from dataclasses import dataclass, field
from typing import Literal, get_args

from movierec_engine.errors import ConfigError

Mode = Literal["max", "min"]


@dataclass(frozen=True)
class OptimizerConfig:
    """Adam's settings."""

    name: str = "adam"
    """`adam`, or `adamw` with decoupled weight decay."""
    betas: tuple[float, float] = (0.9, 0.999)
    """Decay rates of the two moment estimates."""

    def __post_init__(self) -> None:
        if self.name not in ("adam", "adamw"):
            raise ConfigError(f"trainer.optimizer.name={self.name} is not known; choose adam or adamw")


@dataclass(frozen=True)
class EarlyStoppingConfig:
    """When to stop, and which epoch's weights to keep."""

    enabled: bool = True
    patience: int = 10
    """Epochs without an improvement before training stops."""
    metric: str = "ndcg@10"
    """A validation metric; the best epoch's weights are restored at the end."""
    mode: str = "max"
    """Whether `max` or `min` of the metric is best."""
    min_delta: float = 0.0
    """An improvement smaller than this does not count."""

    def __post_init__(self) -> None:
        if self.mode not in get_args(Mode):
            raise ConfigError(f"trainer.early_stopping.mode={self.mode} is not known; choose max or min")
        if self.patience < 1:
            raise ConfigError(f"trainer.early_stopping.patience={self.patience} must be at least 1")
        if self.min_delta < 0:
            raise ConfigError(f"trainer.early_stopping.min_delta={self.min_delta} must be at least 0")


@dataclass(frozen=True)
class TrainerConfig:
    """The training loop's settings."""

    max_epochs: int = 100
    learning_rate: float = 0.001
    batch_size: int = 2048
    """Train interactions in a step."""
    weight_decay: float = 0.0
    grad_clip: float = 0.0
    """Largest norm of a step's gradient; 0 leaves it as it is."""
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    early_stopping: EarlyStoppingConfig = field(default_factory=EarlyStoppingConfig)

    def __post_init__(self) -> None:
        for name in ("max_epochs", "batch_size"):
            if getattr(self, name) < 1:
                raise ConfigError(f"trainer.{name}={getattr(self, name)} must be at least 1")
        if not self.learning_rate > 0:
            raise ConfigError(f"trainer.learning_rate={self.learning_rate} must be above 0")
        for name in ("weight_decay", "grad_clip"):
            if getattr(self, name) < 0:
                raise ConfigError(f"trainer.{name}={getattr(self, name)} must be at least 0")
