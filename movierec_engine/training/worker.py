"""One worker of a training: it trains the model's network on its own share, in step with the others."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from movierec_engine.data.graph import build_graph
from movierec_engine.training import objective
from movierec_engine.training.batches import Piece, grouped
from movierec_engine.training.config import TrainerConfig
from movierec_engine.training.descent import descend, explained_out_of_memory, optimizer_of, steps_per_epoch
from movierec_engine.training.exchange import Exchange, open_store
from movierec_engine.training.next_item_objective import NextItemObjective
from movierec_engine.training.objective import Objective
from movierec_engine.training.sampled_items import ItemSampler
from movierec_engine.training.share import Share
from movierec_engine.training.shared_batches import batches_of_pairs, batches_of_users, batches_of_windows
from movierec_engine.training.state import TrainingState
from movierec_engine.training.trainable import SequenceNetwork, Trainable
from movierec_engine.training.worker_state import WorkerState


class TrainingWorker:
    """Trains on a share: a network over the share's own users, whose other parameters are common to all workers."""

    def __init__(
        self, number: int, model: Trainable, share: Share, config: TrainerConfig, device: str, seed: int
    ) -> None:
        """number: from 0. model: not fitted. config: with a learning rate. device: `cpu`, or `cuda`, one of its own."""
        self._number, self._seed, self._config, self._share, self._model = number, seed, config, share, model
        if device == "cuda":
            device = f"cuda:{number % torch.cuda.device_count()}"  # of a cluster's GPUs a worker sees its own alone
        self._device = torch.device(device)
        network = model.build(share.interactions, build_graph(share.interactions, share.item_degrees), self._device)
        optimizer, scheduler = optimizer_of(network, config, steps_per_epoch(share.total, config))
        self._draws = np.random.default_rng()
        self._state = TrainingState(network, optimizer, scheduler, np.random.default_rng(), None, self._device)

    def open_store(self, host: str) -> int:
        """Open the store by which workers find worker 0; returns its port, on other workers 0."""
        if self._number:
            return 0
        self._store = open_store(host)
        return int(self._store.port)

    def join(self, hosts: Sequence[str], port: int) -> None:
        """Meet the others at the store of worker 0; hosts: address of each."""
        network, share = self._state.network, self._share
        store = open_store(hosts[0], port) if self._number else self._store
        self._exchange = Exchange(self._number, hosts, store, self._device, share.interactions.n_users)
        network.share(self._exchange.begin_adding)
        if isinstance(network, SequenceNetwork):
            self._objective: Any = NextItemObjective(
                self._model, share.interactions, self._state.rng, share.item_counts
            )
        else:
            self._objective = Objective(self._model, share.interactions, self._draws)
            if self._objective.loss_type == "sampled_softmax":
                count = self._model.config.sampled_items
                self._objective.items = SharedItemSampler(share.item_counts, count, self._state.rng, self._exchange)

    def load(self, state: WorkerState) -> None:
        """Take this worker's part of a state between two epochs."""
        state.set_in(self._state)

    def epoch(self, number: int) -> tuple[float, WorkerState]:
        """Train an epoch; the mean loss of its batches over all workers, and this worker's part of the state after it.

        What a worker draws for its rows alone, such as negatives, follows from the seed, the epoch and the worker,
        so that a resumed run draws the same. What is common comes from worker 0 alone.
        """
        seeds = np.random.SeedSequence([self._seed, number, self._number])
        torch.manual_seed(int(seeds.generate_state(1)[0]))
        self._draws.bit_generator.state = np.random.default_rng(seeds).bit_generator.state
        state, config = self._state, self._config
        state.network.train()
        state.network.start_epoch(number)
        batches = grouped(self._batches(), config.accumulate_grad_batches)
        steps = ([piece for batch in group for piece in batch] for group in batches)
        with explained_out_of_memory(config, self._share.total):
            loss = descend(steps, self._objective, config, state, self._share.total, number, self._exchange)
        part = WorkerState.of(state)
        return loss, part if self._number == 0 else part.rows_alone()

    def _batches(self) -> Iterator[list[Piece[Any]]]:
        """This worker's rows of an epoch's batches."""
        share, what, rng = self._share, self._objective, self._state.rng
        size = self._config.batch_of(share.total)
        if isinstance(what, NextItemObjective):
            most = objective.PIECE_FLOATS / what.floats_per_item()
            return batches_of_windows(share, what.sequences, size, most, self._model.config.max_length, rng)
        plan = batches_of_users if what.whole_users else batches_of_pairs
        return plan(share, size, what.rows(size), rng)


class SharedItemSampler(ItemSampler):
    """Draws for the batch of all workers together, the same for each."""

    def __init__(
        self, popularity: NDArray[np.integer], count: int, rng: np.random.Generator, exchange: Exchange
    ) -> None:
        super().__init__(popularity, count, rng)
        self._exchange, self._n_items = exchange, len(popularity)

    def sample(self, own: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        return super().sample(self._exchange.union(own, self._n_items))
