"""Settings of a fit beside the data and the model's own config: device, seed, and those of the training loop."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from movierec_engine.data.dataset import Dataset
from movierec_engine.data.heldout import HeldOut
from movierec_engine.errors import ConfigError, DataError
from movierec_engine.store.storage import Location
from movierec_engine.training.config import TrainerConfig


@dataclass(frozen=True)
class Epoch:
    """Results of one pass over the train interactions."""

    number: int
    """Counts from 1."""
    loss: float
    """Mean over the batches."""
    seconds: float
    """Time of training and validation together."""
    metrics: dict[str, float]
    """Validation metrics, empty without a validation part."""


class StopTraining(Exception):
    """Raised by `Fitting.on_epoch` to end the training with this epoch, as if patience had run out."""


class Measures(Protocol):
    """The part of an `evaluation.Evaluator` that measures a model on validation after each epoch."""

    @property
    def metric_names(self) -> list[str]: ...

    def evaluate(self, model: Any, heldout: HeldOut, deep: bool = True) -> Any:
        """Has `metrics`, name -> mean over the users."""
        ...


@dataclass(frozen=True)
class CheckpointPlace:
    """Where a training loop's checkpoints are, and the run that they belong to."""

    place: Location
    """A folder, or the URL of an object store."""
    run: str
    """Hash of everything that decides the weights after an epoch; a checkpoint of another run is refused."""
    resume_own: bool = False
    """Go on from a checkpoint of this run, and pass by one of another, or a damaged one."""


@dataclass(frozen=True, eq=False)
class Fitting:
    """Settings of a fit. Models in closed form, whose seed is in their config, read none of it."""

    trainer: TrainerConfig = field(default_factory=TrainerConfig)
    """Settings of the training loop."""
    device: str = "cpu"
    """Where networks train: `cpu`, `cuda`, `cuda:N`, `mps`, or `auto`, the best of these here. A fitted model is on the
    CPU."""
    seed: int = 42
    """Seed of initialisation, batches and negatives."""
    epochs: int | None = None
    """Passes at most, all of `trainer.max_epochs` unless given; the learning rate's way stays that of all."""
    evaluator: Measures | None = None
    """Measures the model on validation after each epoch; an `Evaluator` with its defaults unless given."""
    on_epoch: Callable[[Epoch], None] | None = None
    """Is told of each epoch as it ends; may raise StopTraining."""
    checkpoints: CheckpointPlace | None = None
    """None: no checkpoints are written."""

    def __post_init__(self) -> None:
        if not isinstance(self.trainer, TrainerConfig):
            raise ConfigError(
                f"trainer={self.trainer!r} is no TrainerConfig; give one, such as TrainerConfig(max_epochs=20)"
            )
        if self.epochs is not None and self.epochs < 1:
            raise ConfigError(f"epochs={self.epochs} must be at least 1")


def settings_of(data: Dataset, fitting: Fitting | None) -> Fitting:
    """The settings of a fit to a data set: the defaults unless given; every `fit` begins with it.

    Raises DataError for what is no data set, and ConfigError for what is no Fitting.
    """
    if not isinstance(data, Dataset):
        raise DataError(
            f"a model is fitted to a Dataset, and this is a {type(data).__name__}; Dataset.from_frame(frame) makes "
            "one, whose split() gives two: train, test = data.split()"
        )
    if not isinstance(fitting, Fitting | None):
        raise ConfigError(
            f"the settings of a fit are a Fitting, and this is a {type(fitting).__name__}; give one, such as "
            "Fitting(TrainerConfig(max_epochs=20))"
        )
    return fitting or Fitting()
