"""Exact scores of an ensemble whose fusion is no inner product; numpy alone, for servers without torch."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from movierec_engine.models.ensemble.fusion import fuse
from movierec_engine.models.fold_in.base import FoldInScorer
from movierec_engine.models.fold_in.fused import FusedFoldIn
from movierec_engine.models.pair_scorer import Floats, HistoryScorer, PairScorer, Scorer


@dataclass(frozen=True, eq=False)
class InnerProducts:
    """Scores that are inner products. queries: CSR [n_users, d].

    items: float32 [n_items, d], of the item vectors that an index holds in any case, so that they are not saved twice.
    """

    whole: ClassVar[bool] = True

    queries: sparse.csr_matrix
    items: Floats

    def scores(self, user: int, items: NDArray[np.integer[Any]]) -> Floats:
        """Scores float32 [n] of items int [n] for one user."""
        query = self.queries[[user]].toarray()[0].astype(np.float32)
        return np.asarray((self.items @ query)[items], dtype=np.float32)

    def arrays(self) -> dict[str, NDArray[Any]]:
        return {f"queries_{part}": getattr(self.queries, part) for part in ("indptr", "indices", "data")}

    @classmethod
    def from_arrays(cls, arrays: dict[str, NDArray[Any]], items: Floats) -> "InnerProducts":
        parts = tuple(arrays[f"queries_{part}"] for part in ("data", "indices", "indptr"))
        return cls(sparse.csr_matrix(parts, shape=(len(parts[2]) - 1, items.shape[1])), items)


@dataclass(frozen=True, eq=False)
class FusedScorer:
    """weights: float32 [n_users, n_features]. normalization: of `fusion.py`. members: what scores for each of them.

    widths: the lengths of the members' item vectors, which stand beside each other in the ensemble's.

    A user's scores are normalised over the whole catalogue, so that all of it is scored whatever is asked.
    """

    whole: ClassVar[bool] = True

    weights: Floats
    normalization: str
    members: tuple[Scorer, ...]
    widths: tuple[int, ...]
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
            "widths": np.array(self.widths),
            "n_items": np.array(self.n_items),
            **members,
        }

    @classmethod
    def from_arrays(cls, arrays: dict[str, NDArray[Any]], vectors: Floats, fold_in: FusedFoldIn) -> "FusedScorer":
        """The scorer whose `arrays` these are, with the ensemble's item vectors, float32 [n_items, d], and fold-in.

        Raises KeyError where one is missing.
        """
        members: list[Scorer] = []
        ends = np.cumsum(arrays["widths"]).tolist()
        for number, (start, end) in enumerate(pairwise([0, *ends])):
            prefix = f"{number}."
            own = {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
            if "queries_data" in own:
                members.append(InnerProducts.from_arrays(own, vectors[:, start:end]))
            else:
                members.append(scorer_from_arrays(own, vectors[:, start:end], fold_in.members[number]))
        normalization, n_items = str(arrays["normalization"]), int(arrays["n_items"])
        return cls(arrays["weights"], normalization, tuple(members), (*arrays["widths"].tolist(),), n_items)


def scorer_from_arrays(arrays: dict[str, NDArray[Any]], vectors: Floats, fold_in: FoldInScorer) -> Scorer:
    """The scorer whose `arrays` these are, of any kind.

    vectors: float32 [n_items, d], the model's item vectors. fold_in: its fold-in scorer.
    """
    if isinstance(fold_in, FusedFoldIn):
        return FusedScorer.from_arrays(arrays, vectors, fold_in)
    return HistoryScorer(fold_in) if "by_history" in arrays else PairScorer.from_arrays(arrays)
