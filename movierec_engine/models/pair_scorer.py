"""Exact scores of single pairs for models whose score is no inner product; numpy alone, for servers without torch."""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


class Scorer(Protocol):
    """A scorer of single pairs for models whose score is no inner product."""

    def scores(self, user: int, items: NDArray[np.integer[Any]]) -> Floats:
        """Scores float32 [n] of items int [n] for one user."""
        ...

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The parts by name, to be saved."""
        ...


@dataclass(frozen=True, eq=False)
class PairScorer:
    """score(u, i) = <gmf_users_u, gmf_items_i> + w_L relu(W_L-1 ... relu(mlp_users_u + mlp_items_i) + b_L-1 ...).

    gmf_users, gmf_items: float32 [n_users, a] and [n_items, a]; a = 0 where there is no such part.
    mlp_users, mlp_items: float32 [n_users, h] and [n_items, h], the two summands of the first hidden layer.
    weights, biases: of the hidden layers after the first, float32 [out, in] and [out].
    output: float32 [last hidden].
    """

    gmf_users: Floats
    gmf_items: Floats
    mlp_users: Floats
    mlp_items: Floats
    weights: tuple[Floats, ...]
    biases: tuple[Floats, ...]
    output: Floats

    def scores(self, user: int, items: NDArray[np.integer[Any]]) -> Floats:
        """Scores float32 [n] of items int [n] for one user."""
        hidden = np.maximum(self.mlp_users[user] + self.mlp_items[items], 0)
        for weight, bias in zip(self.weights, self.biases, strict=True):
            hidden = np.maximum(hidden @ weight.T + bias, 0)
        return np.asarray(self.gmf_items[items] @ self.gmf_users[user] + hidden @ self.output, dtype=np.float32)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The parts by name, as `from_arrays` takes them."""
        layers = {f"weight{n}": weight for n, weight in enumerate(self.weights)}
        layers |= {f"bias{n}": bias for n, bias in enumerate(self.biases)}
        whole = ("gmf_users", "gmf_items", "mlp_users", "mlp_items", "output")
        return {name: getattr(self, name) for name in whole} | layers

    @classmethod
    def from_arrays(cls, arrays: dict[str, NDArray[Any]]) -> "PairScorer":
        """The scorer whose `arrays` these are. Raises KeyError where one is missing."""
        layers = sum(name.startswith("weight") for name in arrays)
        return cls(
            **{name: arrays[name] for name in ("gmf_users", "gmf_items", "mlp_users", "mlp_items", "output")},
            weights=tuple(arrays[f"weight{n}"] for n in range(layers)),
            biases=tuple(arrays[f"bias{n}"] for n in range(layers)),
        )
