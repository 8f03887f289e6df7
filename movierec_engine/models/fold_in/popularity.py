"""New users of popularity: everybody gets the same scores, and no history has a say in them."""

from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from movierec_engine.models.explanation import Explanation
from movierec_engine.models.fold_in.base import Basis, Floats, FoldInScorer, Indices


@dataclass(frozen=True, eq=False)
class PopularityFoldIn(FoldInScorer):
    """score(i) = the train interactions of i."""

    kind: ClassVar[str] = "popularity"
    exact: ClassVar[bool] = True
    personal: ClassVar[bool] = False

    def scores(self, histories: sparse.csr_matrix) -> Floats:
        return np.tile(self.basis.popularity, (histories.shape[0], 1))

    def contributions(
        self, history: sparse.csr_matrix, items: Indices, inputs: Floats | None = None
    ) -> NDArray[np.float64]:
        return np.zeros((len(items), history.nnz))

    def explanations(
        self,
        scores: NDArray[np.floating[Any]],
        history: sparse.csr_matrix,
        items: Indices,
        inputs: Floats | None = None,
    ) -> list[Explanation]:
        return [Explanation.without_history(float(score)) for score in scores]

    def arrays(self) -> dict[str, NDArray[Any]]:
        return {"kind": np.array(self.kind)}

    @classmethod
    def from_arrays(cls, arrays: dict[str, NDArray[Any]], basis: Basis) -> Self:
        return cls(basis)
