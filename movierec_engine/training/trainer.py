"""The one training loop."""

import logging
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from movierec_engine.data.dataset import Dataset
from movierec_engine.data.heldout import HeldOut
from movierec_engine.data.interactions import Interactions
from movierec_engine.errors import ConfigError, EmptyDataError, MovierecError
from movierec_engine.evaluation.evaluator import Evaluator
from movierec_engine.models.fitting import Epoch, Fitting, Measures, StopTraining
from movierec_engine.training.batches import Loss
from movierec_engine.training.checkpoint import Checkpoints
from movierec_engine.training.config import TrainerConfig
from movierec_engine.training.data_parallel import WorkerPasses, check_workers
from movierec_engine.training.descent import explained_out_of_memory, optimizer_of, steps_per_epoch, train_epoch
from movierec_engine.training.direction import check_direction
from movierec_engine.training.next_item_objective import NextItemObjective
from movierec_engine.training.objective import PAIRWISE, Objective
from movierec_engine.training.state import EarlyStopping, TrainingState
from movierec_engine.training.trainable import Network, SequenceNetwork, Trainable

log = logging.getLogger(__name__)


def train(model: Trainable, data: Dataset, fitting: Fitting) -> list[Epoch]:
    """Fit a model to `data.train` and return its history, one entry an epoch.

    Negatives and the graph come from the train interactions alone. After each epoch the model is measured on
    validation, or on a sample of its users where they are many; at the end the best epoch's weights are restored.
    Without a validation part it trains for `trainer.max_epochs`. The same seed, device and thread count give the same
    weights to the bit, with or without an interruption between two checkpoints.

    Raises ConfigError for settings that do not go with the machine or the metrics, EmptyDataError for interactions that
    the loss learns nothing from, and MovierecError when it diverges or memory runs out.
    """
    device, seed, evaluator = fitting.device, fitting.seed, fitting.evaluator or Evaluator()
    config = fitting.trainer.of_model(model.learning_rate)
    if model.larger_steps and (larger := config.with_larger_steps(len(data.train))) != config:
        config, batch = larger, larger.batch_of(len(data.train))
        log.info("%s: learning rate %.3g for batches of %s", model.name, config.learning_rate, f"{batch:,}")
    check_settings(config, evaluator, data.validation, device)
    if config.workers > 1:
        check_workers(config, device, data.train.n_users)
    checkpoints = Checkpoints.of(fitting, model.name)
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    here = device if config.workers == 1 else "cpu"
    network = model.build(data.train, data.graph, torch.device(here))
    check_targets(model, network)
    if config.early_stopping.enabled and not len(data.validation) and fitting.epochs is None:
        log.warning(
            "%s: without a validation part it trains all %d epochs (trainer.max_epochs), however much worse the later "
            "ones rank; data.val_ratio=0.1 holds a tenth of each user out",
            *(model.name, config.max_epochs),
        )
    validation = validation_sample(model.name, data.validation, config, seed)
    state = start(network, config, rng, validation, here, steps_per_epoch(len(data.train), config))
    if checkpoints:
        checkpoints.restore(state)

    last = config.max_epochs if fitting.epochs is None else min(fitting.epochs, config.max_epochs)
    with passes(model, data.train, config, state, device, seed) as one_pass:
        for number in range(len(state.history) + 1, last + 1):
            if state.stopped:
                break
            epoch = _epoch(model, number, one_pass, evaluator, validation)
            state.history.append(epoch)
            improved = state.stopping is None or state.stopping.update(epoch, network)
            if checkpoints:
                checkpoints.epoch_ended(model, state, improved)
            try:
                if fitting.on_epoch:
                    fitting.on_epoch(epoch)
            except StopTraining:
                break

    if checkpoints:
        model.export()
        checkpoints.write_last(model, state)
    if state.stopping:
        network.load_state_dict(state.stopping.best_weights)
    network.cpu()  # where models are scored from here on, so that a loaded one scores equally to the bit
    model.export()
    if checkpoints:
        checkpoints.write_best(model)
    return state.history


def _epoch(
    model: Trainable, number: int, one_pass: Callable[[int], float], evaluator: Measures, validation: HeldOut
) -> Epoch:
    """Train one epoch, which `one_pass` does, and measure the model on validation.

    Raises MovierecError where the loss is not finite.
    """
    started = time.perf_counter()
    mean_loss = one_pass(number)
    if not math.isfinite(mean_loss):
        raise MovierecError(
            f"{model.name}: training diverged in epoch {number} (mean loss {mean_loss}); "
            "lower trainer.learning_rate or set trainer.grad_clip"
        )
    model.export()
    metrics = evaluator.evaluate(model, validation, deep=False).metrics if len(validation) else {}
    return Epoch(number, mean_loss, time.perf_counter() - started, metrics)


@contextmanager
def passes(
    model: Trainable, interactions: Interactions, config: TrainerConfig, state: TrainingState, device: str, seed: int
) -> Iterator[Callable[[int], float]]:
    """A function that trains the epoch of a number and gives its mean loss: in this process, or by several workers."""
    if config.workers > 1:
        with WorkerPasses(model, interactions, config, state, device, seed) as workers:
            yield workers.one_pass
        return
    kind = NextItemObjective if isinstance(state.network, SequenceNetwork) else Objective
    objective: Loss[Any] = kind(model, interactions, state.rng)

    def one_pass(number: int) -> float:
        state.network.train()
        state.network.start_epoch(number)
        return train_epoch(objective, interactions, config, state)

    with explained_out_of_memory(config, len(interactions)):
        yield one_pass


def start(
    network: Network,
    config: TrainerConfig,
    rng: np.random.Generator,
    validation: HeldOut,
    device: str,
    steps: int,
) -> TrainingState:
    """The state before the first epoch of so many steps; config: with a learning rate."""
    optimizer, scheduler = optimizer_of(network, config, steps)
    stopping = EarlyStopping(config.early_stopping) if config.early_stopping.enabled and len(validation) else None
    return TrainingState(network, optimizer, scheduler, rng, stopping, torch.device(device))


def validation_sample(model: str, validation: HeldOut, config: TrainerConfig, seed: int) -> HeldOut:
    """The part of validation that is measured after each epoch; says so where it is a sample."""
    sample = validation.sampled(config.early_stopping.users, seed)
    if len(sample) < len(validation):
        log.info(
            "%s: after each epoch a fixed sample of %s of the validation users is measured "
            "(trainer.early_stopping.users)",
            model,
            f"{config.early_stopping.users:,}",
        )
    return sample


def check_targets(model: Trainable, network: Network) -> None:
    """Raises EmptyDataError where a model's loss has nothing to learn from in its history."""
    lengths = np.diff(model.history.indptr)
    if isinstance(network, SequenceNetwork) and not (lengths > 1).any():
        raise EmptyDataError(
            f"{model.name} learns which item comes next, and no user has two items in train; "
            "give it more interactions of each user, or train ease instead"
        )
    if model.config.loss_type in PAIRWISE and not ((lengths > 0) & (lengths < len(model.items))).any():
        raise EmptyDataError(
            f"{model.name}: every user of train has an interaction with every item, so no negative can be drawn for "
            f"model.loss_type={model.config.loss_type}; set model.loss_type=softmax, or give it more items"
        )


def check_settings(config: TrainerConfig, evaluator: Measures, validation: HeldOut, device: str) -> None:
    """Raises ConfigError for settings that do not go with the machine or the metrics."""
    metric = config.early_stopping.metric
    if config.early_stopping.enabled and len(validation):
        if metric not in evaluator.metric_names:
            raise ConfigError(
                f"trainer.early_stopping.metric={metric} is not measured; choose one of "
                f"{', '.join(evaluator.metric_names)}"
            )
        check_direction(config.early_stopping)
    if config.mixed_precision and torch.device(device).type != "cuda":
        raise ConfigError(f"trainer.mixed_precision=true needs device=cuda, and this run is on {device}")
