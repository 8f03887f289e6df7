"""Steps of gradient descent: what one pass over the train interactions does, on one worker or in step with others."""

import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Protocol

import torch
from torch.nn.utils import clip_grad_norm_
from torch.optim.lr_scheduler import LambdaLR

from movierec_engine.data.interactions import Interactions
from movierec_engine.errors import MovierecError
from movierec_engine.reporting.progress import advance
from movierec_engine.training.batches import B, Loss, Piece, grouped
from movierec_engine.training.config import TrainerConfig
from movierec_engine.training.state import TrainingState
from movierec_engine.training.trainable import Network


class Others(Protocol):
    """The other workers of a training, as a step needs them."""

    def step_gradients(self, network: Network, largest: float) -> None:
        """Sum the gradients of what is common to all, and clip the norm of all together; 0 leaves it as it is."""
        ...

    def total(self, value: torch.Tensor) -> torch.Tensor:
        """The sum of a value over the workers."""
        ...


def train_epoch(
    objective: Loss[B],
    interactions: Interactions,
    config: TrainerConfig,
    state: TrainingState,
) -> float:
    """One pass over the train interactions; the mean loss of its batches."""
    return descend(
        steps(objective, interactions, config), objective, config, state, len(interactions), len(state.history) + 1
    )


def steps(objective: Loss[B], interactions: Interactions, config: TrainerConfig) -> Iterator[list[Piece[B]]]:
    """The pieces of each step of a pass."""
    size = config.batch_of(len(interactions))
    for group in grouped(objective.batches(interactions, size), config.accumulate_grad_batches):
        yield [Piece(own, len(own[0])) for batch in group for own in objective.pieces(batch, size)]


def descend(
    pieces_of_steps: Iterable[list[Piece[B]]],
    objective: Loss[B],
    config: TrainerConfig,
    state: TrainingState,
    interactions: int,
    epoch: int,
    others: Others | None = None,
) -> float:
    """Take the steps of a pass over so many interactions; the mean loss of their pieces.

    epoch: its number. others: the other workers that take the same steps, on their rows of the same pieces.
    """
    losses, done = [], 0
    mixed = torch.autocast(state.device.type, torch.bfloat16, enabled=config.mixed_precision)
    for pieces in pieces_of_steps:
        state.optimizer.zero_grad()
        total = sum(piece.whole for piece in pieces)
        with mixed:
            state.network.begin_step()
        for own, whole in pieces:
            with mixed:
                loss = objective.loss(own, state.device)
            (loss * (len(own[0]) / total)).backward()  # type: ignore[no-untyped-call]
            # of a piece without rows of this worker a mean is NaN, and its gradient 0
            losses.append(loss.detach() * (len(own[0]) / whole) if len(own[0]) else loss.new_zeros(()))
        state.network.end_step()
        if others:
            others.step_gradients(state.network, config.grad_clip)
        elif config.grad_clip:
            clip_grad_norm_(state.network.parameters(), config.grad_clip)
        state.optimizer.step()
        state.scheduler.step()
        done += total
        advance(done, interactions, f"interactions of epoch {epoch}")
    mean = torch.stack(losses).mean()
    return float(others.total(mean) if others else mean)


def optimizer_of(
    network: Network, config: TrainerConfig, steps_of_epoch: int
) -> tuple[torch.optim.Optimizer, LambdaLR]:
    """The optimizer of a network, and the schedule of its learning rate; config: with a learning rate."""
    kind = torch.optim.Adam if config.optimizer.name == "adam" else torch.optim.AdamW
    optimizer = kind(
        network.parameters(),
        lr=config.learning_rate,
        betas=config.optimizer.betas,
        weight_decay=config.weight_decay,
        fused=True,  # one pass over the parameters instead of a dozen
    )
    return optimizer, LambdaLR(optimizer, lambda step: learning_rate_factor(step, steps_of_epoch, config))


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
