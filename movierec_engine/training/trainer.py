"""The one training loop."""

import time
from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_

from movierec_engine.data.graph import InteractionGraph
from movierec_engine.data.heldout import HeldOut
from movierec_engine.data.interactions import Interactions
from movierec_engine.data.negatives import NegativeSampler
from movierec_engine.errors import ConfigError, MovierecError
from movierec_engine.evaluation.evaluator import Evaluator
from movierec_engine.models.gradient import GradientRecommender, Network
from movierec_engine.training import losses
from movierec_engine.training.config import EarlyStoppingConfig, TrainerConfig


@dataclass(frozen=True)
class Epoch:
    """What one pass over the train interactions did."""

    number: int
    """Counts from 1."""
    loss: float
    """Mean over the batches."""
    seconds: float
    metrics: dict[str, float]
    """Validation metrics, empty without a validation part."""


Callback = Callable[[Epoch], None]
"""Is told of each epoch as it ends; watches the loop, never changes it."""


@dataclass
class EarlyStopping:
    """Remembers the best epoch and its weights, and says when patience has run out."""

    config: EarlyStoppingConfig
    best_epoch: int = 0
    best_value: float | None = None
    best_weights: dict[str, Any] = field(default_factory=dict)

    def update(self, epoch: Epoch, network: Network) -> bool:
        """Take in an epoch; True when training should stop."""
        value = epoch.metrics[self.config.metric]
        sign = 1 if self.config.mode == "max" else -1
        if self.best_value is None or sign * (value - self.best_value) > self.config.min_delta:
            self.best_epoch, self.best_value = epoch.number, value
            self.best_weights = deepcopy(network.state_dict())
        return epoch.number - self.best_epoch >= self.config.patience


def train(
    model: GradientRecommender,
    interactions: Interactions,
    graph: InteractionGraph,
    validation: HeldOut,
    config: TrainerConfig,
    evaluator: Evaluator,
    *,
    device: str,
    seed: int,
    n_negatives: int,
    callbacks: Sequence[Callback] = (),
) -> list[Epoch]:
    """Fit a model and return its history, one entry an epoch.

    Negatives and the graph come from the train interactions alone. After each epoch the model is measured on
    validation; at the end the best epoch's weights are restored. Without a validation part it trains for
    `trainer.max_epochs`. The same seed, device and thread count give the same weights to the bit.
    """
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    network = model.build(interactions, graph, torch.device(device))
    optimizer = make_optimizer(network, config)
    sampler = NegativeSampler(interactions, rng)
    stopping = EarlyStopping(config.early_stopping) if config.early_stopping.enabled and len(validation) else None
    if stopping and stopping.config.metric not in evaluator.metric_names:
        raise ConfigError(
            f"trainer.early_stopping.metric={stopping.config.metric} is not measured; "
            f"choose one of {', '.join(evaluator.metric_names)}"
        )

    history = []
    for number in range(1, config.max_epochs + 1):
        started = time.perf_counter()
        network.train()
        batch_losses = []
        for users, positives in batches(interactions, config.batch_size, rng, device):
            loss = batch_loss(model, users, positives, sampler, n_negatives)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            if config.grad_clip:
                clip_grad_norm_(network.parameters(), config.grad_clip)
            optimizer.step()
            batch_losses.append(loss.detach())
        mean_loss = float(torch.stack(batch_losses).mean())
        if not np.isfinite(mean_loss):
            raise MovierecError(
                f"{model.name}: training diverged in epoch {number} (mean loss {mean_loss}); "
                "lower trainer.learning_rate or set trainer.grad_clip"
            )
        model.freeze()
        metrics = evaluator.evaluate(model, validation).metrics if len(validation) else {}
        epoch = Epoch(number, mean_loss, time.perf_counter() - started, metrics)
        history.append(epoch)
        for callback in callbacks:
            callback(epoch)
        if stopping and stopping.update(epoch, network):
            break
    if stopping:
        network.load_state_dict(stopping.best_weights)
        model.freeze()
    return history


def batches(
    interactions: Interactions, size: int, rng: np.random.Generator, device: str
) -> Iterator[tuple[Tensor, Tensor]]:
    """All interactions once in random order: users and items, int64 [<=size] each, on the device."""
    order = rng.permutation(len(interactions))
    users = torch.from_numpy(interactions.user[order].astype(np.int64)).to(device)
    items = torch.from_numpy(interactions.item[order].astype(np.int64)).to(device)
    yield from zip(torch.split(users, size), torch.split(items, size), strict=True)


def batch_loss(
    model: GradientRecommender, users: Tensor, positives: Tensor, sampler: NegativeSampler, n_negatives: int
) -> Tensor:
    """The loss of `model.loss_type` on a batch, with the model's own penalty."""
    network = model.network
    if model.config.loss_type == "softmax":
        return losses.softmax(network(users, None), positives) + network.penalty(users, positives[:, None])
    negatives = torch.from_numpy(sampler.sample(users.cpu().numpy(), n_negatives)).to(users.device)
    items = torch.cat([positives[:, None], negatives], dim=1)
    loss = losses.bpr if model.config.loss_type == "bpr" else losses.bce
    return loss(network(users, items)) + network.penalty(users, items)


def make_optimizer(network: Network, config: TrainerConfig) -> torch.optim.Optimizer:
    kind = torch.optim.Adam if config.optimizer.name == "adam" else torch.optim.AdamW
    return kind(
        network.parameters(),
        lr=config.learning_rate,
        betas=config.optimizer.betas,
        weight_decay=config.weight_decay,
    )
