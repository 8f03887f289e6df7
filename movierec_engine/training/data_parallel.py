"""One training on several workers, as the loop sees it: a pass over the data, after which the state is that of one.

Each worker has the interactions of its own users and these users' rows of the parameters; whatever is common to users,
such as items' vectors and layers, every worker has and steps in the same way, by gradients summed over all. Batches are
those that one worker alone would take, each split by its users, so that a step is one worker's up to the order in which
floats are added. On CPUs that holds for the masks of dropout in models of order too; what other models draw for single
rows, dropout and negatives, differs.
"""

import logging
from collections.abc import Iterator
from typing import Any, Self

import numpy as np
import torch

from movierec_engine.data.interactions import Interactions
from movierec_engine.errors import ConfigError, MovierecError
from movierec_engine.training.config import TrainerConfig
from movierec_engine.training.share import owners, shares
from movierec_engine.training.state import TrainingState
from movierec_engine.training.trainable import SequenceNetwork, Trainable
from movierec_engine.training.worker import TrainingWorker
from movierec_engine.training.worker_state import WorkerState
from movierec_engine.workers.start import start_team
from movierec_engine.workers.team import Team, WorkerLost

log = logging.getLogger(__name__)

_ATTEMPTS = 3
"""Teams in which one epoch may lose a worker before the training gives up."""


class WorkerPasses:
    """Passes over the train interactions by a team of workers, whom a `with` ends.

    The state here is that after the last whole epoch. A worker that is lost, killed or with its host, costs the epoch
    in which that happened: a new team goes on from this state.
    """

    def __init__(
        self,
        model: Trainable,
        interactions: Interactions,
        config: TrainerConfig,
        state: TrainingState,
        device: str,
        seed: int,
    ) -> None:
        """state: of the whole network, on the CPU. device: of the workers."""
        self._model, self._interactions, self._config, self._state = model, interactions, config, state
        self._device, self._seed = device, seed
        owner = owners(np.bincount(interactions.user, minlength=interactions.n_users), config.workers)
        self._users = [np.flatnonzero(owner == number) for number in range(config.workers)]
        self._team: Team | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._team:
            self._team.close()

    def one_pass(self, number: int) -> float:
        """Train an epoch on all workers and take the state after it; the mean loss of its batches."""
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                losses, parts = zip(*self._ready().all("epoch", number), strict=True)
                break
            except WorkerLost as error:
                if self._team:
                    self._team.close()
                self._team = None
                if attempt == _ATTEMPTS:
                    raise MovierecError(
                        f"{self._model.name}: {error}, the {attempt}th time in epoch {number}; free memory or set "
                        "fewer trainer.workers, and go on by trainer.resume=true"
                    ) from error
                log.warning("%s: %s; epoch %d begins again on new workers", self._model.name, error, number)
        WorkerState.joined(parts, self._users, self._interactions.n_users).set_in(self._state)
        return float(losses[0])

    def _ready(self) -> Team:
        """The team; a new one goes on from the state here."""
        if self._team is None:
            config = self._config
            self._team = start_team(
                TrainingWorker,
                self._arguments(),
                config.workers,
                ray_address=config.ray_address,
                threads=config.worker_threads,
                gpus=int(self._device == "cuda"),
            )
            hosts = self._team.hosts
            port = self._team.all("open_store", hosts[0])[0]
            self._team.all("join", hosts, port)
            state, n_users = WorkerState.of(self._state), self._interactions.n_users
            self._team.call("load", [(state.of_users(users, n_users),) for users in self._users])
        return self._team

    def _arguments(self) -> Iterator[tuple[Any, ...]]:
        """The arguments of each TrainingWorker."""
        config, model = self._config, self._model.for_worker()
        by_order = isinstance(self._state.network, SequenceNetwork)
        for number, share in enumerate(shares(self._interactions, self._users, by_order)):
            yield number, model, share, config, self._device, self._seed


def check_workers(config: TrainerConfig, device: str, n_users: int) -> None:
    """Raises ConfigError for a device that several workers cannot train on, and for more workers than users."""
    if config.workers > n_users:
        raise ConfigError(
            f"trainer.workers={config.workers} are more than the {n_users} users; each worker needs some, so set fewer"
        )
    kind, _, number = device.partition(":")
    if kind == "mps" or number:
        raise ConfigError(
            f"trainer.workers={config.workers} needs device=cpu or device=cuda, of which each worker takes its own, "
            f"and this run is on {device}"
        )
    here = torch.cuda.device_count() if kind == "cuda" and not config.ray_address else config.workers
    if here < config.workers:
        raise ConfigError(
            f"trainer.workers={config.workers} needs as many GPUs, and this machine has {here}; set trainer.workers="
            f"{here}, or trainer.ray_address to a cluster that has them"
        )
