"""The state of a training run between two epochs: everything that the next epoch depends on."""

from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch.optim.lr_scheduler import LambdaLR

from movierec_engine.models.fitting import Epoch
from movierec_engine.training.config import EarlyStoppingConfig
from movierec_engine.training.trainable import Network


@dataclass
class EarlyStopping:
    """Remembers the best epoch and its weights, and says when patience has run out."""

    config: EarlyStoppingConfig
    best_epoch: int = 0
    best_value: float | None = None
    best_weights: dict[str, Any] = field(default_factory=dict)

    def update(self, epoch: Epoch, network: Network) -> bool:
        """Take in an epoch; True when it is the best so far."""
        value = epoch.metrics[self.config.metric]
        improved = self.config.improves(value, self.best_value)
        if improved:
            self.best_epoch, self.best_value = epoch.number, value
            self.best_weights = deepcopy(network.state_dict())
        return improved

    def exhausted(self, epochs: int) -> bool:
        """True if patience has run out after so many epochs."""
        return epochs - self.best_epoch >= self.config.patience


@dataclass
class TrainingState:
    """rng: of batches and negatives; torch's own generator serves initialisation and dropout.

    stopping: None where there is nothing to stop by.
    """

    network: Network
    optimizer: torch.optim.Optimizer
    scheduler: LambdaLR
    rng: np.random.Generator
    stopping: EarlyStopping | None
    device: torch.device
    history: list[Epoch] = field(default_factory=list)

    @property
    def stopped(self) -> bool:
        return self.stopping is not None and self.stopping.exhausted(len(self.history))
