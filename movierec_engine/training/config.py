"""Settings of the trainer group."""

from dataclasses import dataclass, field, replace
from typing import Literal, get_args

from movierec_engine.errors import ConfigError

Mode = Literal["max", "min"]
LARGEST_LEARNING_RATE = 1000
USUAL_BATCH, LEAST_BATCH = 8192, 256
LEAST_STEPS, MOST_STEPS = 20, 100
"""Steps of an epoch whose batches go by the data's size, at least and at most."""


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
class SchedulerConfig:
    """Settings of the learning rate's schedule."""

    name: str = "none"
    """`none`, or from trainer.learning_rate down to 0 at trainer.max_epochs: `linear`, or `cosine` (half a wave)."""
    warmup_epochs: int = 0
    """Epochs in which the rate first rises from 0, step by step."""

    def __post_init__(self) -> None:
        if self.name not in ("none", "linear", "cosine"):
            raise ConfigError(f"trainer.scheduler.name={self.name} is not known; choose none, linear or cosine")
        if self.warmup_epochs < 0:
            raise ConfigError(f"trainer.scheduler.warmup_epochs={self.warmup_epochs} must be at least 0")


@dataclass(frozen=True)
class EarlyStoppingConfig:
    """Settings of early stopping, and of the epoch whose weights are kept."""

    enabled: bool = True
    """Whether to stop early, and to keep the best epoch's weights; else all of trainer.max_epochs are trained."""
    patience: int = 10
    """Epochs without an improvement before training stops."""
    metric: str = "ndcg@10"
    """A validation metric; the best epoch's weights are restored at the end."""
    users: int = 10_000
    """Users of validation who are measured after an epoch, the same sample each time; all where there are no more."""
    mode: str = "max"
    """Whether `max` or `min` of the metric is best."""
    min_delta: float = 0.0
    """An improvement smaller than this does not count."""

    def __post_init__(self) -> None:
        if self.mode not in get_args(Mode):
            raise ConfigError(f"trainer.early_stopping.mode={self.mode} is not known; choose max or min")
        if self.patience < 1:
            raise ConfigError(f"trainer.early_stopping.patience={self.patience} must be at least 1")
        if self.users < 1:
            raise ConfigError(f"trainer.early_stopping.users={self.users} must be at least 1")
        if self.min_delta < 0:
            raise ConfigError(f"trainer.early_stopping.min_delta={self.min_delta} must be at least 0")

    def improves(self, value: float, best: float | None) -> bool:
        """True if a value of the metric is better than the best so far, None before the first."""
        sign = 1 if self.mode == "max" else -1
        return best is None or sign * (value - best) > self.min_delta


@dataclass(frozen=True)
class TrainerConfig:
    """The training loop's settings."""

    max_epochs: int = 100
    """Most passes over the train interactions; early stopping may end sooner."""
    learning_rate: float = 0.0
    """Step size of the optimizer, before a scheduler lowers it; 0: the model's own, 0.01, of sasrec 0.005
    and of recvae 0.003. For lightgcn with batch_size=0 it is for batches of up to 8,192, and grows with the root of
    larger ones."""
    batch_size: int = 0
    """Train interactions in a batch; 0: 8,192, but at most a twentieth of all (at least 256 though) and no less than a
    hundredth, so that an epoch has 20 to 100 steps: with fewer of them early stopping ends a training that has only
    begun. The losses `softmax` and `sampled_softmax` take whole users at a time, until there are this many."""
    accumulate_grad_batches: int = 1
    """Batches whose gradients make one step: the step of a batch that is so much larger, in less memory."""
    weight_decay: float = 0.0
    """The optimizer's own penalty of all weights, beside the model's `l2`; 0 for none."""
    grad_clip: float = 0.0
    """Largest norm of a step's gradient; 0 leaves it as it is."""
    mixed_precision: bool = False
    """Forward passes in bfloat16 where that is safe; on CUDA only."""
    resume: bool = False
    """Go on from the last checkpoint of this model, to the same weights as without the interruption."""
    checkpoint_seconds: float = 10.0
    """Least time between two checkpoints; what lies between is computed again when a run is resumed."""
    workers: int = 1
    """Processes that share one training, each with a part of the users, and for `als` of the items too; models in other
    closed forms, and ngcf, take one. The result is that of one worker, up to the order in which floats are added."""
    worker_threads: int = 0
    """Threads of each worker; 0: the machine's cores divided among them, and on Ray one, the CPUs that it asks for."""
    ray_address: str = ""
    """A Ray cluster whose nodes the workers run on, `auto` or such as `10.0.0.1:6379`; without one on this machine."""
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    scheduler: SchedulerConfig = field(default_factory=SchedulerConfig)
    early_stopping: EarlyStoppingConfig = field(default_factory=EarlyStoppingConfig)

    def __post_init__(self) -> None:
        if self.batch_size < 0:
            raise ConfigError(f"trainer.batch_size={self.batch_size} must be at least 1, or 0 to go by the data's size")
        for name in ("max_epochs", "accumulate_grad_batches", "workers"):
            if getattr(self, name) < 1:
                raise ConfigError(f"trainer.{name}={getattr(self, name)} must be at least 1")
        if self.worker_threads < 0:
            raise ConfigError(f"trainer.worker_threads={self.worker_threads} must be at least 1, or 0 for its share")
        if not 0 <= self.learning_rate <= LARGEST_LEARNING_RATE:
            raise ConfigError(
                f"trainer.learning_rate={self.learning_rate} must be above 0 and at most {LARGEST_LEARNING_RATE}, or 0 "
                "for the model's own"
            )
        for name in ("weight_decay", "grad_clip", "checkpoint_seconds"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise ConfigError(f"trainer.{name}={getattr(self, name)} must be at least 0 and finite")
        if self.scheduler.name != "none" and self.scheduler.warmup_epochs >= self.max_epochs:
            raise ConfigError(
                f"trainer.scheduler.warmup_epochs={self.scheduler.warmup_epochs} must be below "
                f"trainer.max_epochs={self.max_epochs}, or nothing is left to decay in"
            )

    def for_model(self, several_workers: bool) -> "TrainerConfig":
        """The same settings, on one worker for a model that several cannot fit."""
        return self if several_workers else replace(self, workers=1)

    def of_model(self, learning_rate: float) -> "TrainerConfig":
        """The same settings with a model's own learning rate, unless one is given."""
        return self if self.learning_rate else replace(self, learning_rate=learning_rate)

    def with_larger_steps(self, interactions: int) -> "TrainerConfig":
        """The same settings with a learning rate that grows with the root of batches that follow the data's size.

        Adam makes about the same way so in fewer, larger batches (Malladi et al. 2022, "On the SDEs and Scaling Rules
        for Adaptive Gradient Algorithms").
        """
        larger = 1.0 if self.batch_size else max(1.0, self.batch_of(interactions) / USUAL_BATCH)
        return replace(self, learning_rate=min(self.learning_rate * larger**0.5, LARGEST_LEARNING_RATE))

    def batch_of(self, interactions: int) -> int:
        """Interactions in a batch of so many train interactions."""
        few, many = -(-interactions // MOST_STEPS), -(-interactions // LEAST_STEPS)
        return self.batch_size or max(few, min(USUAL_BATCH, max(LEAST_BATCH, many)))
