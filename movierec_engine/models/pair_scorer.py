"""Exact scores for models whose score is no inner product; numpy and scipy alone, for servers without torch."""

from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from movierec_engine.models.fold_in.base import FoldInScorer

Floats = NDArray[np.float32]


class Scorer(Protocol):
    """A scorer for models whose score is no inner product.

    whole: whether one item costs as much as all, so that a list may as well be the best of all items; where not, only
        candidates are scored.
    """

    whole: ClassVar[bool]

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

    whole: ClassVar[bool] = False

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


@dataclass(frozen=True, eq=False)
class HistoryScorer:
    """Scores of models whose trained users score as new people of the same histories do.

    fold_in: the model's, whose basis has the histories; an index holds it in any case, so that it is not saved twice.
    """

    whole: ClassVar[bool] = True

    fold_in: FoldInScorer

    def scores(self, user: int, items: NDArray[np.integer[Any]]) -> Floats:
        """Scores float32 [n] of items int [n] for one user."""
        return np.asarray(self.fold_in.scores(self.fold_in.basis.history[[user]])[0, items])

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Only which kind it is."""
        return {"by_history": np.array(True)}
