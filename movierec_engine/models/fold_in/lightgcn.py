"""New users of lightgcn: one more hop of the propagation.

The new user joins the trained graph as a node with no E^(0) of its own, so that

    e = 1/(K+1) sum_{k=1..K} sum_{i in history} e_i^(k-1) / sqrt(|history| deg(i)),    score(i) = <e, e_i> + b_i
"""

from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from movierec_engine.models.fold_in.base import Basis, Floats, FoldInScorer, Indices
from movierec_engine.models.vectors import unit_rows


@dataclass(frozen=True, eq=False)
class LightGCNFoldIn(FoldInScorer):
    """The item vectors are (e_i, b_i), of older models e_i.

    steps: float32 [n_items, d]; what an interaction with an item adds to a new user's embedding, up to the 1 / sqrt(h).
    cosine: whether e is brought to unit length; then the length of a trained user's is the input of explanations.
    """

    kind: ClassVar[str] = "lightgcn"
    exact: ClassVar[bool] = True

    steps: Floats
    cosine: bool = False

    @property
    def n_explanation_inputs(self) -> int:
        return int(self.cosine)

    def scores(self, histories: sparse.csr_matrix) -> Floats:
        size = np.maximum(np.diff(histories.indptr), 1)
        queries = (histories @ self.steps) / np.sqrt(size)[:, None]
        if self.cosine:
            queries = unit_rows(queries)
        return scores_of(queries.astype(np.float32), self.basis.vectors)

    def contributions(
        self, history: sparse.csr_matrix, items: Indices, inputs: Floats | None = None
    ) -> NDArray[np.float64]:
        """<f_j, e_i> / sqrt(h) of each item i and each of the h items j in the history, f being `steps`.

        It is the last hop of the propagation: e_u = 1/(K+1) e_u^(0) + sum_j f_j / sqrt(h), for a trained user too,
        whose own e_u^(0) and b_i are the base. Cosines are divided by the length of e_u, which is taken as given.
        """
        shares = history.data[:, None] * self.steps[history.indices] / np.sqrt(history.nnz)
        embeddings = self.basis.vectors[items, : shares.shape[1]]
        contributions = np.asarray(embeddings @ shares.T, dtype=np.float64)
        if not self.cosine:
            return contributions
        length = np.linalg.norm(shares.sum(axis=0)) if inputs is None else inputs[0]
        return np.asarray(contributions / np.maximum(length, 1e-12), dtype=np.float64)

    def closeness(self, history: sparse.csr_matrix, items: Indices) -> NDArray[Any]:
        return self.contributions(history, items)

    def arrays(self) -> dict[str, NDArray[Any]]:
        return {"kind": np.array(self.kind), "steps": self.steps, "cosine": np.array(self.cosine)}

    @classmethod
    def from_arrays(cls, arrays: dict[str, NDArray[Any]], basis: Basis) -> Self:
        return cls(basis, arrays["steps"], bool(arrays["cosine"]))


def scores_of(queries: Floats, item_vectors: Floats) -> Floats:
    """<e, e_i> + b_i, float32 [n, n_items], of queries e [n, d] and item vectors (e_i, b_i), or e_i without biases."""
    width = queries.shape[1]
    return np.asarray(queries @ item_vectors[:, :width].T + item_vectors[:, width:].sum(axis=1), dtype=np.float32)
