"""Fold-in of networks that encode a history: its scores are inner products of what comes out with the item vectors."""

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from movierec_engine.models.explanation import with_deletions
from movierec_engine.models.fold_in.base import Basis, Floats, FoldInScorer, Indices

_PREFIX = "weights."


def named_weights(weights: Mapping[str, Floats]) -> dict[str, NDArray[Any]]:
    """The weights of a network under the names that they have among a model's arrays."""
    return {_PREFIX + name: array for name, array in weights.items()}


def weights_among(arrays: Mapping[str, NDArray[Any]]) -> dict[str, Floats]:
    """The weights that `named_weights` has put among a model's arrays."""
    return {name.removeprefix(_PREFIX): array for name, array in arrays.items() if name.startswith(_PREFIX)}


@dataclass(frozen=True, eq=False)
class EncoderFoldIn(FoldInScorer):
    """score(i) = <q, V_i>,    q: `queries`; V: the item vectors

    weights: those of the encoder by name; each subclass says which.
    """

    as_trained: ClassVar[bool] = True

    weights: dict[str, Floats]

    @abstractmethod
    def queries(self, histories: sparse.csr_matrix) -> Floats:
        """float32 [n, d], of histories, CSR [n, n_items]."""

    def scores(self, histories: sparse.csr_matrix) -> Floats:
        return np.asarray(self.queries(histories) @ self.basis.vectors.T, dtype=np.float32)

    def leads(self, history: sparse.csr_matrix, deleted: NDArray[np.int64], items: Indices) -> NDArray[np.float64]:
        return self.leads_of(self.queries(with_deletions(history, deleted)), items)

    def leads_of(self, queries: Floats, items: Indices) -> NDArray[np.float64]:
        """Scores of items [n] above their mean over the catalogue, the score of the mean item: float64 [m, n]."""
        return np.asarray(queries.astype(np.float64) @ (self.basis.vectors[items] - self._mean_item).T)

    def arrays(self) -> dict[str, NDArray[Any]]:
        return {"kind": np.array(self.kind), **named_weights(self.weights)}

    @classmethod
    def from_arrays(cls, arrays: dict[str, NDArray[Any]], basis: Basis) -> Self:
        return cls(basis, weights_among(arrays))

    @cached_property
    def _mean_item(self) -> NDArray[np.float64]:
        """The mean of V over the catalogue, [d]."""
        return np.asarray(self.basis.vectors.mean(axis=0, dtype=np.float64))
