"""New users of gf_cf: the response of its filter to a history.

score(i) = sum_{j in history} W_ji + <d_j v_j diag(h), v_i> + r_j q_i

W: weights. v: the directions' rows. d: scale. h: response. r, q: of `prior.py`. The item vectors are [v, q], or v.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from movierec_engine.models.fold_in.base import Basis, Floats, FoldInScorer, Indices


@dataclass(frozen=True, eq=False)
class GraphFilterFoldIn(FoldInScorer):
    """weights: float32 CSR [n_items, n_items], a row an item of the history. scale: float32 [n_items].

    response: float32 [d], of the directions that the item vectors are in. rest: r; None where these have no q.
    """

    kind: ClassVar[str] = "graph_filter"
    exact: ClassVar[bool] = True
    as_trained: ClassVar[bool] = True

    weights: sparse.csr_matrix
    scale: Floats
    response: Floats
    rest: Floats | None = None

    @property
    def directions(self) -> Floats:
        """float32 [n_items, d], the item vectors without q."""
        return np.asarray(self.basis.vectors[:, : len(self.response)])

    @cached_property
    def steps(self) -> Floats:
        """Each item's contribution to the query vector of a person who has it, r at its end, float32 [n_items, d]."""
        steps = np.asarray(self.directions * self.scale[:, None] * self.response, dtype=np.float32)
        return steps if self.rest is None else np.column_stack([steps, self.rest])

    def scores(self, histories: sparse.csr_matrix) -> Floats:
        scores = np.asarray(histories @ self.steps, dtype=np.float32) @ self.basis.vectors.T
        scores += (histories @ self.weights).toarray()
        return np.asarray(scores, dtype=np.float32)

    def prior(self, histories: sparse.csr_matrix) -> Floats:
        if self.rest is None:
            return super().prior(histories)
        return np.outer(histories @ self.rest, self.basis.vectors[:, -1]).astype(np.float32)

    def contributions(
        self, history: sparse.csr_matrix, items: Indices, inputs: Floats | None = None
    ) -> NDArray[np.float64]:
        """The terms of the score of each item i, one for each j in the history; popularity is in none, but the base."""
        near = self.weights[history.indices][:, items].toarray().T
        far = self.directions[items] @ self.steps[history.indices, : len(self.response)].T
        return np.asarray(history.data * (near + far), dtype=np.float64)

    def closeness(self, history: sparse.csr_matrix, items: Indices) -> NDArray[Any]:
        return self.contributions(history, items)

    def arrays(self) -> dict[str, NDArray[Any]]:
        weights = {f"weights_{part}": getattr(self.weights, part) for part in ("data", "indices", "indptr")}
        given = {} if self.rest is None else {"rest": self.rest}
        return {"kind": np.array(self.kind), "scale": self.scale, "response": self.response, **weights, **given}

    @classmethod
    def from_arrays(cls, arrays: dict[str, NDArray[Any]], basis: Basis) -> Self:
        parts = tuple(arrays[f"weights_{part}"] for part in ("data", "indices", "indptr"))
        n = len(arrays["scale"])
        weights = sparse.csr_matrix(parts, (n, n))
        return cls(basis, weights, arrays["scale"], arrays["response"], arrays.get("rest"))
