"""The state of a training between two epochs as arrays, and its parts that the workers have."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray

from movierec_engine.training.state import TrainingState

Users = NDArray[np.int64]
"""Indices of a worker's own users, ascending."""


@dataclass(frozen=True)
class WorkerState:
    """Weights, the optimizer's moments, its schedule, and the generator of batches.

    arrays: by `weights` or the moment's name, and the parameter's name.
    tables: names of the parameters whose rows are users at first, as of `Network.user_tables`.
    """

    arrays: dict[tuple[str, str], NDArray[Any]]
    tables: tuple[str, ...]
    param_groups: list[dict[str, Any]]
    scheduler: dict[str, Any]
    rng: Any

    @classmethod
    def of(cls, state: TrainingState) -> Self:
        names = [name for name, _ in state.network.named_parameters()]
        tensors = {("weights", name): tensor for name, tensor in state.network.state_dict().items()}
        optimizer = state.optimizer.state_dict()
        for number, moments in optimizer["state"].items():
            tensors |= {(moment, names[number]): tensor for moment, tensor in moments.items()}
        return cls(
            {key: tensor.detach().cpu().numpy() for key, tensor in tensors.items()},
            state.network.user_tables,
            optimizer["param_groups"],
            state.scheduler.state_dict(),
            state.rng.bit_generator.state,
        )

    def set_in(self, state: TrainingState) -> None:
        """Make a state of the same network this one."""
        numbers = {name: number for number, (name, _) in enumerate(state.network.named_parameters())}
        tensors = {key: torch.from_numpy(np.array(array)) for key, array in self.arrays.items()}
        state.network.load_state_dict({name: one for (kind, name), one in tensors.items() if kind == "weights"})
        moments: dict[int, dict[str, torch.Tensor]] = {}
        for (kind, name), one in tensors.items():
            if kind != "weights":
                moments.setdefault(numbers[name], {})[kind] = one
        state.optimizer.load_state_dict({"state": moments, "param_groups": self.param_groups})
        state.scheduler.load_state_dict(self.scheduler)
        state.rng.bit_generator.state = self.rng

    def of_users(self, users: Users, n_users: int) -> "WorkerState":
        """The part of a worker with some of the n_users users: their rows, and all that is common."""

        def rows(array: NDArray[Any]) -> NDArray[Any]:
            return np.concatenate([array[users], array[n_users:]])

        return replace(
            self, arrays={key: rows(one) if self._has_users(key) else one for key, one in self.arrays.items()}
        )

    def rows_alone(self) -> "WorkerState":
        """The arrays with a worker's own users, which no other worker has."""
        return replace(self, arrays={key: one for key, one in self.arrays.items() if self._has_users(key)})

    @classmethod
    def joined(cls, parts: Sequence["WorkerState"], users: Sequence[Users], n_users: int) -> "WorkerState":
        """The reverse of `of_users` for all workers; what is common is that of the first."""
        first = parts[0]
        arrays = dict(first.arrays)
        for key, array in first.arrays.items():
            if first._has_users(key):
                common = array[len(users[0]) :]
                arrays[key] = np.empty((n_users + len(common), *array.shape[1:]), dtype=array.dtype)
                arrays[key][n_users:] = common
                for own, part in zip(users, parts, strict=True):
                    arrays[key][own] = part.arrays[key][: len(own)]
        return replace(first, arrays=arrays)

    def _has_users(self, key: tuple[str, str]) -> bool:
        return key[1] in self.tables and self.arrays[key].ndim > 0  # Adam counts its steps by parameter
