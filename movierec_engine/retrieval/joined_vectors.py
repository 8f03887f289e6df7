"""Exact inner products with an ensemble's item vectors, without reading all of those that members have of all pairs."""

from itertools import accumulate, pairwise

import numpy as np

from movierec_engine.models.fold_in.fused import FusedFoldIn
from movierec_engine.models.fold_in.linear import LinearFoldIn
from movierec_engine.models.fold_in.markov import MarkovFoldIn
from movierec_engine.retrieval.flat import Floats, inner_products


class JoinedVectors:
    """The item vectors of an ensemble: those of its members beside each other, then a column of ones.

    A member of sums over a history has n_items^2 numbers, of which a query of the history needs those of its items.
    The other members' are copied then, so that they lie beside each other.

    vectors: float32 [n_items, d], the ensemble's.
    """

    def __init__(self, vectors: Floats, fold_in: FusedFoldIn) -> None:
        ends = pairwise(accumulate(fold_in.widths, initial=0))
        self._sums: list[tuple[slice, LinearFoldIn]] = []
        in_no_sum = np.ones(vectors.shape[1], dtype=np.bool_)
        for (start, end), member in zip(ends, fold_in.members, strict=True):
            if isinstance(member, LinearFoldIn | MarkovFoldIn):
                self._sums.append((slice(start, end), member.sums if isinstance(member, MarkovFoldIn) else member))
                in_no_sum[start:end] = False
        self._others = np.flatnonzero(in_no_sum)
        self._vectors = np.ascontiguousarray(vectors[:, self._others]) if self._sums else vectors

    def products(self, query: Floats) -> Floats:
        """The inner products with a query [d]: float32 [n_items]."""
        products = inner_products(self._vectors, query[self._others])
        for columns, member in self._sums:
            products += member.products(query[columns])
        return products
