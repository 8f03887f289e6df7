"""The one training loop."""

import logging
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch.nn.utils import clip_grad_norm_
from torch.optim.lr_scheduler import LambdaLR

from movierec_engine.data.graph import InteractionGraph
from movierec_engine.data.heldout import HeldOut
from movierec_engine.data.interactions import Interactions
from movierec_engine.errors import ConfigError, MovierecError
from movierec_engine.models.fitting import Epoch, Measures, StopTraining
from movierec_engine.reporting.progress import advance
from movierec_engine.training.batches import B, Loss, grouped
from movierec_engine.training.checkpoint import Checkpoints
from movierec_engine.training.config import TrainerConfig
from movierec_engine.training.next_item_objective import NextItemObjective
from movierec_engine.training.objective import Objective
from movierec_engine.training.state import EarlyStopping, TrainingState
from movierec_engine.training.trainable import Network, SequenceNetwork, Trainable

log = logging.getLogger(__name__)

Callback = Callable[[Epoch], None]
"""Is told of each epoch as it ends; may raise StopTraining, and changes nothing else of the loop."""


def train(
    model: Trainable,
    interactions: Interactions,
    graph: InteractionGraph,
    validation: HeldOut,
    config: TrainerConfig,
    evaluator: Measures,
    *,
    device: str,
    seed: int,
    callbacks: Sequence[Callback] = (),
    checkpoints: Checkpoints | None = None,
    epochs: int | None = None,
) -> list[Epoch]:
    """Fit a model and return its history, one entry an epoch.

    epochs: how many of `trainer.max_epochs` are trained at most, all of them unless given; the learning rate's way
    stays that of `trainer.max_epochs`.

    Negatives and the graph come from the train interactions alone. After each epoch the model is measured on
    validation, or on a sample of its users where they are many; at the end the best epoch's weights are restored.
    Without a validation part it trains for `trainer.max_epochs`. The same seed, device and thread count give the same
    weights to the bit, with or without an interruption between two checkpoints.

    Raises ConfigError for settings that do not go with the machine or the metrics, and MovierecError when the loss
    diverges or memory runs out.
    """
    config = config.of_model(model.learning_rate)
    check_settings(config, evaluator, validation, device)
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    network = model.build(interactions, graph, torch.device(device))
    validation = validation_sample(model.name, validation, config, seed)
    kind = NextItemObjective if isinstance(network, SequenceNetwork) else Objective
    objective: Loss[Any] = kind(model, interactions, rng)
    state = start(network, config, rng, validation, device, steps_per_epoch(len(interactions), config))
    if checkpoints:
        checkpoints.restore(state)

    with explained_out_of_memory(config, len(interactions)):
        for number in range(len(state.history) + 1, min(epochs or config.max_epochs, config.max_epochs) + 1):
            if state.stopped:
                break
            started = time.perf_counter()
            network.train()
            network.start_epoch(number)
            mean_loss = train_epoch(objective, interactions, config, state)
            if not math.isfinite(mean_loss):
                raise MovierecError(
                    f"{model.name}: training diverged in epoch {number} (mean loss {mean_loss}); "
                    "lower trainer.learning_rate or set trainer.grad_clip"
                )
            model.export()
            metrics = evaluator.evaluate(model, validation, deep=False).metrics if len(validation) else {}
            epoch = Epoch(number, mean_loss, time.perf_counter() - started, metrics)
            state.history.append(epoch)
            improved = state.stopping is None or state.stopping.update(epoch, network)
            if checkpoints:
                checkpoints.epoch_ended(model, state, improved)
            try:
                for callback in callbacks:
                    callback(epoch)
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


def train_epoch(
    objective: Loss[B],
    interactions: Interactions,
    config: TrainerConfig,
    state: TrainingState,
) -> float:
    """One pass over the train interactions; the mean loss of its batches."""
    size = config.batch_of(len(interactions))
    piece_losses, done = [], 0
    for group in grouped(objective.batches(interactions, size), config.accumulate_grad_batches):
        state.optimizer.zero_grad()
        total = sum(len(batch[0]) for batch in group)
        for piece in (piece for batch in group for piece in objective.pieces(batch, size)):
            with torch.autocast(state.device.type, torch.bfloat16, enabled=config.mixed_precision):
                loss = objective.loss(piece, state.device)
            (loss * (len(piece[0]) / total)).backward()  # type: ignore[no-untyped-call]
            piece_losses.append(loss.detach())
        if config.grad_clip:
            clip_grad_norm_(state.network.parameters(), config.grad_clip)
        state.optimizer.step()
        state.scheduler.step()
        done += total
        advance(done, len(interactions), f"interactions of epoch {len(state.history) + 1}")
    return float(torch.stack(piece_losses).mean())


def start(
    network: Network,
    config: TrainerConfig,
    rng: np.random.Generator,
    validation: HeldOut,
    device: str,
    steps: int,
) -> TrainingState:
    """The state before the first epoch of so many steps; config: with a learning rate."""
    kind = torch.optim.Adam if config.optimizer.name == "adam" else torch.optim.AdamW
    optimizer = kind(
        network.parameters(),
        lr=config.learning_rate,
        betas=config.optimizer.betas,
        weight_decay=config.weight_decay,
        fused=True,  # one pass over the parameters instead of a dozen
    )
    scheduler = LambdaLR(optimizer, lambda step: learning_rate_factor(step, steps, config))
    stopping = EarlyStopping(config.early_stopping) if config.early_stopping.enabled and len(validation) else None
    return TrainingState(network, optimizer, scheduler, rng, stopping, torch.device(device))


def steps_per_epoch(interactions: int, config: TrainerConfig) -> int:
    """Optimizer steps in an epoch; about, where batches take whole users."""
    batches = math.ceil(interactions / config.batch_of(interactions))
    return math.ceil(batches / config.accumulate_grad_batches)


def learning_rate_factor(step: int, steps_per_epoch: int, config: TrainerConfig) -> float:
    """The factor of the learning rate in a step, counted from 0."""
    warmup = config.scheduler.warmup_epochs * steps_per_epoch
    if step < warmup:
        return (step + 1) / (warmup + 1)
    if config.scheduler.name == "none":
        return 1.0
    done = min(1.0, (step - warmup) / (config.max_epochs * steps_per_epoch - warmup))
    return 1 - done if config.scheduler.name == "linear" else (1 + math.cos(math.pi * done)) / 2


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


def check_settings(config: TrainerConfig, evaluator: Measures, validation: HeldOut, device: str) -> None:
    """Raises ConfigError for settings that do not go with the machine or the metrics."""
    metric = config.early_stopping.metric
    if config.early_stopping.enabled and len(validation) and metric not in evaluator.metric_names:
        raise ConfigError(
            f"trainer.early_stopping.metric={metric} is not measured; choose one of {', '.join(evaluator.metric_names)}"
        )
    if config.mixed_precision and torch.device(device).type != "cuda":
        raise ConfigError(f"trainer.mixed_precision=true needs device=cuda, and this run is on {device}")


@contextmanager
def explained_out_of_memory(config: TrainerConfig, interactions: int) -> Iterator[None]:
    """Raises MovierecError that says which settings to lower when an accelerator's memory runs out."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise MovierecError(
            f"the device ran out of memory; halve trainer.batch_size (now {config.batch_of(interactions)}) and double "
            f"trainer.accumulate_grad_batches (now {config.accumulate_grad_batches}) to keep the same steps, "
            "or lower the model's dimensions"
        ) from error
