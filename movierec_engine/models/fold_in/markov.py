"""New users of markov: the transitions from each item of a history, which count the more the newer it is.

    score(i) = sum_b (1 + b)^-decay P(i | j_b),    P(i | j) = W_ji + r_j q_i

j_b: the item of the history that b others follow. W, r, q: of `models/sequence/markov.py`. The item vectors are
[W^T, q], [n_items, n_items + 1], so that a score is the inner product with a query of the items' weights.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from movierec_engine.data.interactions import HistoryValues
from movierec_engine.models.fold_in.base import Basis, Floats, FoldInScorer, Indices
from movierec_engine.models.fold_in.linear import LinearFoldIn


@dataclass(frozen=True, eq=False)
class MarkovFoldIn(FoldInScorer):
    """rest: float32 [n_items], r above. decay: how much less older items count."""

    kind: ClassVar[str] = "markov"
    exact: ClassVar[bool] = True
    as_trained: ClassVar[bool] = True

    rest: Floats
    decay: float

    @property
    def history_values(self) -> HistoryValues:
        return "places"

    def scores(self, histories: sparse.csr_matrix) -> Floats:
        return self.sums.scores(by_recency(histories, self.decay))

    def contributions(
        self, history: sparse.csr_matrix, items: Indices, inputs: Floats | None = None
    ) -> NDArray[np.float64]:
        """(1 + b)^-decay W_ji of each item i and each j_b of the history; popularity is no reason, but the base."""
        return self.sums.contributions(by_recency(history, self.decay), items)

    def closeness(self, history: sparse.csr_matrix, items: Indices) -> NDArray[Any]:
        return self.contributions(history, items)

    def queries(self, histories: sparse.csr_matrix) -> sparse.csr_matrix:
        """Query vectors: recency weights of the items, and a weight of popularity. float32 CSR [n, n_items + 1]."""
        return self.sums.queries(by_recency(histories, self.decay))

    @cached_property
    def sums(self) -> LinearFoldIn:
        """The linear scorer that multiplies `queries` with the item vectors."""
        return LinearFoldIn(self.basis, rest=self.rest)

    def arrays(self) -> dict[str, NDArray[Any]]:
        return {"kind": np.array(self.kind), "rest": self.rest, "decay": np.array(self.decay)}

    @classmethod
    def from_arrays(cls, arrays: dict[str, NDArray[Any]], basis: Basis) -> Self:
        return cls(basis, arrays["rest"], float(arrays["decay"]))


def by_recency(histories: sparse.csr_matrix, decay: float) -> sparse.csr_matrix:
    """(1 + b)^-decay for an entry that b larger ones of its row follow: float32 CSR of the same entries.

    histories: CSR [n, n_items] of places. Of equal places the item of the higher index is the newer.
    """
    row = np.repeat(np.arange(histories.shape[0]), np.diff(histories.indptr))
    order = np.lexsort((-histories.indices, -histories.data, row))
    behind = np.empty(histories.nnz, dtype=np.int64)
    behind[order] = np.arange(histories.nnz) - histories.indptr[row]
    weights = ((1.0 + behind) ** -decay).astype(np.float32)
    return sparse.csr_matrix((weights, histories.indices, histories.indptr), histories.shape)
