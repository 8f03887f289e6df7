"""The objective of models of order: at each item of a sequence, the next one."""

import logging
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from movierec_engine.data.interactions import Interactions
from movierec_engine.data.sequences import Sequences, ranges
from movierec_engine.models.dropout import Draws
from movierec_engine.training import objective
from movierec_engine.training.losses import gbce, linear_softmax, sampled_next_softmax
from movierec_engine.training.sampled_items import ItemSampler
from movierec_engine.training.trainable import SequenceNetwork, Trainable

log = logging.getLogger(__name__)


class Windows(NamedTuple):
    """Windows of sequences, packed one after another: items int64 [t], and the next of each; lengths int64 [w].

    seconds: int64 [t], the times of the items where the model goes by them, else [0].
    own: int64 [t], of one worker of several, places of its items among those of all workers. whole: how many these are.
    """

    inputs: Tensor
    targets: Tensor
    lengths: Tensor
    seconds: Tensor
    own: Tensor | None = None
    whole: int | None = None


class NextItemObjective:
    """The loss of `model.loss_type` over windows of at most `model.max_length` items.

    loss_type: what `auto` stands for on these interactions, or the model's own.
    sequences: of the interactions' users.
    """

    def __init__(
        self,
        model: Trainable,
        interactions: Interactions,
        rng: np.random.Generator,
        item_counts: NDArray[np.integer] | None = None,
    ) -> None:
        """item_counts: [n_items], of all interactions, where these are a share of them."""
        assert isinstance(model.network, SequenceNetwork)
        self._network, self._config, self._rng = model.network, model.config, rng
        self.loss_type = objective.resolved(model, interactions.n_items)
        self._n_items = interactions.n_items
        self._values = model.history_values
        self._interactions, self.sequences = interactions, self._sequences_of(interactions)
        if self.loss_type != "softmax":
            popularity = np.bincount(interactions.item, minlength=self._n_items) if item_counts is None else item_counts
            uniform = np.zeros_like(popularity)
            self._items = ItemSampler(
                popularity if self.loss_type == "sampled_softmax" else uniform, self._config.sampled_items, rng
            )

    def batches(self, interactions: Interactions, size: int) -> Iterator[Windows]:
        """Windows of all histories in random order, each in the batch of `size` items that its first one falls into."""
        if interactions is not self._interactions:
            self._interactions, self.sequences = interactions, self._sequences_of(interactions)
        sequences = self.sequences
        begins, lengths = sequences.windows(self._config.max_length, self._rng)
        order = self._rng.permutation(len(begins))
        begins, lengths = begins[order], lengths[order]
        number = (np.cumsum(lengths) - lengths) // size
        for cut in np.split(np.arange(len(order)), np.flatnonzero(np.diff(number)) + 1):
            if len(cut):
                yield windows_at(sequences, begins[cut], lengths[cut])

    def pieces(self, batch: Windows, size: int) -> list[Windows]:
        """A batch in parts of whole windows that PIECE_FLOATS allow at a time, at least one window each."""
        number = (batch.lengths.cumsum(0) * self.floats_per_item() - 1) // objective.PIECE_FLOATS
        sizes = torch.unique_consecutive(number, return_counts=True)[1].tolist()
        found, start = [], 0
        for lengths in torch.split(batch.lengths, sizes):
            end = start + int(lengths.sum())
            own = slice(start, end)
            found.append(Windows(batch.inputs[own], batch.targets[own], lengths, batch.seconds[own]))
            start = end
        return found

    def floats_per_item(self) -> int:
        """Floats that training keeps of one item of a window, about, its scores included."""
        columns = 0 if self.loss_type == "softmax" else 3 * self._config.sampled_items
        return columns + self._network.floats_per_item()

    def loss(self, piece: Windows, device: torch.device) -> Tensor:
        """Mean over the items of a piece, which is on the CPU; 0 of the empty piece of one worker of several."""
        network = self._network
        generator = torch.Generator().manual_seed(int(self._rng.integers(2**63)))  # the same on all workers
        sample = None if self.loss_type == "softmax" else self._items.sample(np.empty(0, dtype=np.int64))
        if not len(piece.inputs):
            return 0 * network.items.sum()
        draws = Draws(generator, piece.own, len(piece.inputs) if piece.whole is None else piece.whole)
        hidden = network.hidden(objective.moved(piece.inputs, device), piece.lengths, piece.seconds, draws)
        targets = objective.moved(piece.targets, device)
        if sample is None:
            return linear_softmax(hidden, network.items, targets)
        drawn, log_inclusion = (objective.moved(torch.from_numpy(part), device) for part in sample)
        own = (hidden * network.vectors(targets)).sum(dim=1)
        others = hidden @ network.vectors(drawn).T
        hit = targets[:, None] == drawn
        if self.loss_type == "sampled_softmax":
            return sampled_next_softmax(own, others - log_inclusion, hit)
        share = len(drawn) / max(self._n_items - 1, 1)
        return gbce(own, others, hit, share, self._config.calibration)

    def _sequences_of(self, interactions: Interactions) -> Sequences:
        return Sequences.of(interactions.history(self._values), timed=self._values == "times")


def windows_at(sequences: Sequences, begins: NDArray[np.int64], lengths: NDArray[np.int64]) -> Windows:
    """Windows of sequences by the places where they begin and how many items they have, at least one window."""
    items, seconds, places = sequences.items, sequences.seconds, ranges(begins, lengths)
    times = seconds[places] if len(seconds) else seconds
    inputs, targets, sizes, when = map(torch.from_numpy, (items[places], items[places + 1], lengths, times))
    return Windows(inputs, targets, sizes, when)
