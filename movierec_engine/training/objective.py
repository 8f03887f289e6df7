"""The objective of a training step: a model's loss on a batch, with the items that it samples."""

import logging
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from movierec_engine.data.interactions import Interactions
from movierec_engine.data.negatives import NegativeSampler
from movierec_engine.training import losses
from movierec_engine.training.batches import Batch, batches, pieces
from movierec_engine.training.sampled_items import ItemSampler
from movierec_engine.training.trainable import Trainable

log = logging.getLogger(__name__)

PIECE_FLOATS = 2**27
"""Most floats of scores and hidden layers that a piece of a batch keeps for its backward pass: 512 MB."""
LARGEST_FULL_SOFTMAX = 20_000
"""Items up to which `loss_type=auto` takes the full softmax, whose step then costs up to five times a sampled one's.

A choice for accuracy: sampled steps are cheaper from 10,000 items on (benchmarks/results/sampled_softmax.md).
"""
LARGEST_WITH_LAYERS = 10_000
"""The same for models with layers above each pair, of which a full step is seconds: 3 for ncf at 10,000 items."""

PAIRWISE = {"bpr": losses.bpr, "bce": losses.bce}
"""Losses of an interaction against negatives of its user."""


class Objective:
    """The loss of `model.loss_type`, with the model's own penalty.

    loss_type: what `auto` stands for on these interactions, or the model's own.
    whole_users: whether a batch has to hold a user's interactions together.
    items: the sampler of `sampled_softmax`.
    """

    def __init__(self, model: Trainable, interactions: Interactions, rng: np.random.Generator) -> None:
        self._model, self._n_items = model, interactions.n_items
        self._rng = rng
        layers = model.network.floats_per_score(gathered=False) > 1
        self.loss_type = resolved(model, self._n_items, layers)
        self.whole_users = self.loss_type not in PAIRWISE
        if self.loss_type == "sampled_softmax":
            popularity = np.bincount(interactions.item, minlength=self._n_items)
            self.items = ItemSampler(popularity, model.config.sampled_items, rng)
        elif not self.whole_users:
            self._negatives = NegativeSampler(interactions, rng)

    def batches(self, interactions: Interactions, size: int) -> Iterator[Batch]:
        """Interactions once in random order, `size` of them at a time or a few more."""
        return batches(interactions, size, self._rng, self.whole_users)

    def pieces(self, batch: Batch, size: int) -> list[Batch]:
        """A batch of about `size` interactions in the parts that PIECE_FLOATS allow at a time."""
        return pieces(batch, self.rows(size), self.whole_users)

    def rows(self, batch_size: int) -> int:
        """Number of users (whole ones) or interactions of a batch that PIECE_FLOATS allow at a time, at least 1."""
        config = self._model.config
        if self.loss_type == "softmax":
            columns = self._n_items
        elif self.loss_type == "sampled_softmax":
            columns = min(self._n_items, config.sampled_items + batch_size)
        else:
            columns = 2 + config.num_negatives  # the user, the positive and its negatives
        return max(1, PIECE_FLOATS // (columns * self._model.network.floats_per_score(gathered=not self.whole_users)))

    def loss(self, batch: Batch, device: torch.device) -> Tensor:
        """Mean over the interactions of a batch, which is on the CPU, 0 where there is none to learn from.

        Everything is drawn and sorted on the CPU and nothing is read back, so that an accelerator works on one batch
        while the next is prepared.
        """
        users, positives = batch
        if self.loss_type == "softmax":
            return self._softmax(users, positives, device)
        if self.loss_type == "sampled_softmax":
            return self._sampled_softmax(users, positives, device)
        if not self._negatives.all_drawable:
            drawable = torch.from_numpy(self._negatives.drawable)[users]
            users, positives = users[drawable], positives[drawable]
        negatives = torch.from_numpy(self._negatives.sample(users.numpy(), self._model.config.num_negatives))
        users, items = moved(users, device), moved(torch.cat([positives[:, None], negatives], dim=1), device)
        network = self._model.network
        scores: Tensor = network(users, items)
        if not len(users):
            return scores.sum()
        return PAIRWISE[self.loss_type](scores) + network.penalty(users, items)

    def _softmax(self, users: Tensor, positives: Tensor, device: torch.device) -> Tensor:
        distinct, rows = torch.unique(users, return_inverse=True)
        distinct, rows, users, positives = (moved(part, device) for part in (distinct, rows, users, positives))
        loss = self._over_items(distinct, None, None, rows, positives)
        return loss + self._model.network.penalty(users, positives[:, None])

    def _sampled_softmax(self, users: Tensor, positives: Tensor, device: torch.device) -> Tensor:
        distinct, rows = torch.unique(users, return_inverse=True)
        drawn, log_inclusion = (torch.from_numpy(part) for part in self.items.sample(positives.numpy()))
        places = torch.searchsorted(drawn, positives)
        parts = (distinct, rows, users, positives, drawn, log_inclusion, places)
        distinct, rows, users, positives, drawn, log_inclusion, places = (moved(part, device) for part in parts)
        loss = self._over_items(distinct, drawn, log_inclusion, rows, places)
        return loss + self._model.network.penalty(users, positives[:, None])

    def _over_items(
        self, users: Tensor, items: Tensor | None, log_inclusion: Tensor | None, rows: Tensor, positives: Tensor
    ) -> Tensor:
        """The softmax of users' scores over items, all unless given.

        On a CPU a matrix of scores that is larger than the cache takes about twice as long as one that is never kept:
        benchmarks/results/users_softmax.md.
        """
        network, n_items = self._model.network, self._n_items if items is None else len(items)
        large = users.device.type == "cpu" and len(users) * n_items > losses.CACHED_FLOATS
        if large and (factors := network.factors(users, items)):
            return losses.users_softmax(*factors, log_inclusion, rows, positives)
        scores = network(users, items)
        if log_inclusion is None:
            return losses.softmax(scores, rows, positives)
        return losses.sampled_softmax(scores, log_inclusion, rows, positives)


def loss_by_size(n_items: int, layers: bool = False) -> str:
    """The loss that `auto` stands for with n_items; layers: whether the model scores each user-item pair by layers."""
    return "softmax" if n_items <= (LARGEST_WITH_LAYERS if layers else LARGEST_FULL_SOFTMAX) else "sampled_softmax"


def resolved(model: Trainable, n_items: int, layers: bool = False) -> str:
    """The loss that a model trains by on so many items: its own, or what `auto` stands for."""
    loss_type: str = model.config.loss_type
    if loss_type == "auto":
        loss_type = loss_by_size(n_items, layers)
        log.info("%s: loss_type=auto is %s over %s items", model.name, loss_type, f"{n_items:,}")
    return loss_type


def moved(tensor: Tensor, device: torch.device) -> Tensor:
    """A tensor of the CPU on a device; to CUDA from pinned memory, which waits for nothing that is queued there."""
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)
