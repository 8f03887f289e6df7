"""Exact scores of an ensemble whose fusion is no inner product; numpy alone, for servers without torch."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from movierec_engine.models.ensemble.fusion import fuse
from movierec_engine.models.pair_scorer import Floats, PairScorer, Scorer


@dataclass(frozen=True, eq=False)
class InnerProducts:
    """Scores that are inner products. queries: CSR [n_users, d]. items: float32 [n_items, d]."""

    queries: sparse.csr_matrix
    items: Floats

    def scores(self, user: int, items: NDArray[np.integer[Any]]) -> Floats:
        """Scores float32 [n] of items int [n] for one user."""
        query = self.queries[[user]]
        return np.asarray(self.items[items][:, query.indices] @ query.data, dtype=np.float32)

    def arrays(self) -> dict[str, NDArray[Any]]:
        queries = {f"queries_{part}": getattr(self.queries, part) for part in ("indptr", "indices", "data")}
        return {**queries, "items": self.items}

    @classmethod
    def from_arrays(cls, arrays: dict[str, NDArray[Any]]) -> "InnerProducts":
        parts = tuple(arrays[f"queries_{part}"] for part in ("data", "indices", "indptr"))
        shape = (len(parts[2]) - 1, arrays["items"].shape[1])
        return cls(sparse.csr_matrix(parts, shape=shape), arrays["items"])


@dataclass(frozen=True, eq=False)
class FusedScorer:
    """weights: float32 [n_users, n_features]. normalization: of `fusion.py`. members: what scores for each of them.

    A user's scores are normalised over the whole catalogue, so that all of it is scored whatever is asked.
    """

    weights: Floats
    normalization: str
    members: tuple[Scorer, ...]
    n_items: int

    def scores(self, user: int, items: NDArray[np.integer[Any]]) -> Floats:
        """Scores float32 [n] of items int [n] for one user."""
        every = np.arange(self.n_items)
        each = np.stack([member.scores(user, every) for member in self.members])[:, None]
        return np.asarray(fuse(each, self.weights[[user]], self.normalization)[0, items])

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The parts by name, as `from_arrays` takes them."""
        members = {
            f"{number}.{name}": array
            for number, member in enumerate(self.members)
            for name, array in member.arrays().items()
        }
        return {
            "weights": self.weights,
            "normalization": np.array(self.normalization),
            "n_items": np.array(self.n_items),
            **members,
        }

    @classmethod
    def from_arrays(cls, arrays: dict[str, NDArray[Any]]) -> "FusedScorer":
        """The scorer whose `arrays` these are. Raises KeyError where one is missing."""
        members: list[Scorer] = []
        numbers = {int(name.split(".")[0]) for name in arrays if name[0].isdigit()}
        for number in sorted(numbers):
            prefix = f"{number}."
            own = {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
            members.append(InnerProducts.from_arrays(own) if "items" in own else PairScorer.from_arrays(own))
        return cls(arrays["weights"], str(arrays["normalization"]), tuple(members), int(arrays["n_items"]))


def scorer_from_arrays(arrays: dict[str, NDArray[Any]]) -> Scorer:
    """The scorer whose `arrays` these are, of either kind."""
    return FusedScorer.from_arrays(arrays) if "normalization" in arrays else PairScorer.from_arrays(arrays)
