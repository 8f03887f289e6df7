"""New users of models whose scores are a sum over the history: ease, and item_cf by items.

score(i) = sum_{j in history} x_j (V_ij + r_j q_i)        [V, q]: the item vectors [n_items, n_items + 1]

x_j: 1, or the rating. r, q: of `prior.py`; without them the item vectors are V.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from movierec_engine.data.interactions import HistoryValues
from movierec_engine.models.fold_in.base import Basis, Floats, FoldInScorer, Indices
from movierec_engine.models.fold_in.prior import queries

_COPIED_BYTES = 64e6
"""Size of V up to which an index's is kept by columns too, for answers in a tenth of the time: 4,000 items."""
_WHOLE_ROWS = 32
"""A number read on its own takes about as long as this many in a row."""
_COPIED_ROWS = 4
"""A row that is gathered, and then used, takes about as long as this many that are multiplied where they lie."""


@dataclass(frozen=True, eq=False)
class LinearFoldIn(FoldInScorer):
    """Fold-in of linear models.

    rest: float32 [n_items], r; None where the item vectors have no q.
    symmetry: float32 [n_items], f for which f_i V_ij = f_j V_ji, where V is such, as that of ease: then V's own rows
        say what a history's items add, and an index reads as many of them as the history has items.
    """

    kind: ClassVar[str] = "linear"
    exact: ClassVar[bool] = True
    as_trained: ClassVar[bool] = True

    ratings: bool = False
    symmetry: Floats | None = None
    rest: Floats | None = None

    @property
    def history_values(self) -> HistoryValues:
        return "ratings" if self.ratings else "ones"

    def scores(self, histories: sparse.csr_matrix) -> Floats:
        return self._sums(self.queries(histories))

    def queries(self, histories: sparse.csr_matrix) -> sparse.csr_matrix:
        """Query vectors, CSR [n, n_items + 1]: histories, and a weight of popularity unless there is no q."""
        return queries(histories, self.rest)

    def prior(self, histories: sparse.csr_matrix) -> Floats:
        if self.rest is None:
            return super().prior(histories)
        q = self.basis.vectors[:, [-1]]
        return np.outer(histories @ self.rest, q.toarray() if sparse.issparse(q) else q).astype(np.float32)

    def _sums(self, queries: sparse.csr_matrix) -> Floats:
        """Inner products of the item vectors with queries, CSR [n, d]: float32 [n, n_items].

        A model has V by columns, where a sparse product is fast. An index has it by rows: of the items in histories
        it reads these where V is symmetric by factors, else the columns, or a copy by columns of a small V.
        """
        vectors = self.basis.vectors
        if sparse.issparse(vectors):
            return np.asarray((queries @ vectors.T).toarray(), dtype=np.float32)
        copied = self.symmetry is None and vectors.nbytes <= _COPIED_BYTES
        if vectors.flags.f_contiguous or copied:
            return np.asarray(queries @ self._by_history, dtype=np.float32)
        held = np.unique(queries.indices)
        if len(held) * (_WHOLE_ROWS if self.symmetry is None else _COPIED_ROWS) > len(vectors):
            return np.asarray(queries.toarray() @ vectors.T, dtype=np.float32)
        if self.symmetry is None:
            columns = np.take(vectors, held, axis=1, mode="clip")  # clip: numpy checks indices at twice the time
            return np.asarray(queries[:, held].toarray() @ columns.T, dtype=np.float32)
        n = len(vectors)
        histories = queries[:, :n]
        values = histories.data * self.symmetry[histories.indices]
        rows, places = vectors, histories.indices
        if not vectors.flags.c_contiguous:  # those of an ensemble, which a product would copy as a whole
            held = held[held < n]
            rows, places = vectors[held], np.searchsorted(held, places)
        scaled = sparse.csr_matrix((values, places, histories.indptr), (histories.shape[0], len(rows)))
        scores = (scaled @ rows)[:, :n] / self.symmetry
        if vectors.shape[1] > n:
            scores += queries[:, [n]].toarray() * vectors[:, n]
        return np.asarray(scores, dtype=np.float32)

    def products(self, query: Floats) -> Floats:
        """Inner products float32 [n_items] of the item vectors with a query [d], as of a history of its values."""
        places = np.flatnonzero(query)
        one = sparse.csr_matrix((query[places], places, [0, len(places)]), (1, len(query)))
        return np.asarray(self._sums(one)[0])

    @cached_property
    def _by_history(self) -> Floats:
        """[V, q]^T with one row for each item, so that a person's sum reads one contiguous row for each of the history.

        A view where V is by columns, else a copy.
        """
        return np.ascontiguousarray(self.basis.vectors.T)

    def contributions(
        self, history: sparse.csr_matrix, items: Indices, inputs: Floats | None = None
    ) -> NDArray[np.float64]:
        """x_j V_ij of each i and each j in the history; popularity is no reason, but the base."""
        vectors = self.basis.vectors
        if sparse.issparse(vectors):  # by columns
            weights = vectors.T[history.indices][:, items].T.toarray()
        else:
            weights = vectors[np.ix_(items, history.indices)]
        return np.asarray(history.data * weights, dtype=np.float64)

    def closeness(self, history: sparse.csr_matrix, items: Indices) -> NDArray[Any]:
        return self.contributions(history, items)

    def arrays(self) -> dict[str, NDArray[Any]]:
        given = {name: getattr(self, name) for name in ("symmetry", "rest") if getattr(self, name) is not None}
        return {"kind": np.array(self.kind), "ratings": np.array(self.ratings), **given}

    @classmethod
    def from_arrays(cls, arrays: dict[str, NDArray[Any]], basis: Basis) -> Self:
        return cls(basis, bool(arrays["ratings"]), arrays.get("symmetry"), arrays.get("rest"))
