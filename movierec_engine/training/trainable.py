"""Trainable models: a network, and the recommender that it belongs to."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar, Self

import torch
from torch import Tensor, nn

from movierec_engine.data.graph import InteractionGraph
from movierec_engine.data.interactions import Interactions
from movierec_engine.models.base import Recommender
from movierec_engine.models.dropout import Draws

BeginAdding = Callable[[Tensor], Callable[[], None]]
"""Begins to replace a contiguous tensor by its sum over all parts of a network; what it returns waits until it is."""


class Network(nn.Module):
    """A network in training: scores of user-item pairs as a differentiable function.

    user_tables: names of the parameters that begin with a row for each user; what is in other rows and parameters is
        common to all users.
    """

    user_tables: ClassVar[tuple[str, ...]] = ()

    def share(self, begin_adding: BeginAdding) -> None:
        """Go on as the part of a larger network that knows some of its users; every part must add equally often."""

    def start_epoch(self, number: int) -> None:
        """Make ready for an epoch, counted from 1: a network may train its parts in turn, by `requires_grad`.

        What it does follows from the number and the weights alone, so that a resumed run goes on in the same way.
        """

    def begin_step(self) -> None:
        """Compute at once what all pieces of a training step have in common, until `end_step`."""

    def end_step(self) -> None:
        """Backpropagate the gradients of the pieces' common part into the parameters."""

    def forward(self, users: Tensor, items: Tensor | None) -> Tensor:
        """Scores float32 [b, m] of users int64 [b] with items.

        items: int64 [b, m], each user's own; int64 [m], the same for all; or None, all of the catalogue.
        """
        raise TypeError(f"{type(self).__name__} does not score pairs")

    def factors(self, users: Tensor, items: Tensor | None) -> tuple[Tensor, Tensor] | None:
        """Vectors float32 [b, d] and [m, d] whose inner products are the scores of `forward`, up to a constant.

        items: int64 [m], the same for all, or None. None where scores are no such products.
        """
        return None

    def penalty(self, users: Tensor, items: Tensor) -> Tensor:
        """The regularisation term of a batch, a scalar already weighted; users int64 [b], items int64 [b, m].

        The batch is the one whose scores `forward` has just given, and whose draws the term may be of.
        """
        return users.new_zeros((), dtype=torch.float32)

    def floats_per_score(self, gathered: bool) -> int:
        """Floats that training keeps for one score, about: of own items whose vectors are gathered, or of shared ones.

        The trainer computes a large batch in pieces by it.
        """
        return 1


class SequenceNetwork(Network, ABC):
    """A network of order in training: what it makes of each item of a sequence and those before it.

    items: float32 [n_items, d]; its inner product with `hidden` is the score of an item to come next.
    """

    items: nn.Parameter

    @abstractmethod
    def hidden(self, inputs: Tensor, lengths: Tensor, seconds: Tensor, draws: Draws | None = None) -> Tensor:
        """float32 [t, d], after each item of sequences that are packed one after another.

        inputs: int64 [t], items. lengths: int64 [w], of the sequences, on the CPU. seconds: int64 [t], on the CPU, the
        times of the items where the model's `history_values` are times, else [0]. draws: of dropout.
        """

    @abstractmethod
    def vectors(self, items: Tensor) -> Tensor:
        """Rows of `items`, float32 [n, d], with a gradient that adds in a fixed order; items: int64 [n]."""

    @abstractmethod
    def floats_per_item(self) -> int:
        """Floats that training keeps of one item of a sequence, about; the trainer takes a batch in pieces by it."""


class Trainable(Recommender):
    """A recommender whose parameters the training loop fits.

    Its config has `loss_type`, one of `losses`; `sampled_items`, drawn for a batch by `sampled_softmax`; and where
    `bpr` or `bce` are among its losses `num_negatives`, which they draw for each positive.

    losses: the values that `model.loss_type` may take.
    network: the module in training.
    """

    losses: ClassVar[tuple[str, ...]]
    network: Network

    @abstractmethod
    def build(self, train: Interactions, graph: InteractionGraph, device: torch.device) -> Network:
        """A freshly initialised network on a device; also keeps the train interactions as `history`."""

    @abstractmethod
    def export(self) -> None:
        """Export the network's present state, which scoring, fold-in and saving use."""

    def for_worker(self) -> Self:
        """A model of the same settings, to be trained on a share of the data that this one was built for."""
        return type(self)(self.config)
