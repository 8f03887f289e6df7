"""New users of als and svd: a person's vector is the solution of a ridge regression on the items' vectors.

    score(i) = base_i + <x_i, w>,    w = M^-1 t,    M = sum_j c_j x_j x_j^T + strength E,    t = sum_j c_j y_j x_j

als and svd say in their modules what c, y and the strength are: sums over the catalogue are computed once, and those
over the history for each person, in float64.
"""

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from movierec_engine.data.interactions import HistoryValues
from movierec_engine.models.fold_in.base import Basis, Floats, FoldInScorer, Indices, union

Doubles = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class RidgeFoldIn(FoldInScorer):
    """Base of ALS and SVD fold-in, which differ in the matrix M and the target t of the ridge system."""

    exact: ClassVar[bool] = True

    @abstractmethod
    def features(self, items: NDArray[np.integer[Any]]) -> Doubles:
        """x of items [n]: float64 [n, d]."""

    @abstractmethod
    def left(self, items: NDArray[np.integer[Any]], values: Floats) -> Doubles:
        """y of a history's items [h] with their values: float64 [h]."""

    @abstractmethod
    def system(self, items: NDArray[np.integer[Any]], own: Doubles, left: Doubles) -> tuple[Doubles, Doubles]:
        """M [d, d] and t [d] of a history with the items [h], their x [h, d] and their y [h]."""

    @abstractmethod
    def of_solutions(self, solved: Doubles) -> Floats:
        """Scores float32 [n, n_items] of the solutions w, [n, d]."""

    def scores(self, histories: sparse.csr_matrix) -> Floats:
        return self.of_solutions(self.solutions(histories))

    def solutions(self, histories: sparse.csr_matrix) -> Doubles:
        """w of each history, [n, d]; 0 of an empty one."""
        solved = [
            np.linalg.solve(*self._system(items, values)) if len(items) else np.zeros(self.width)
            for items, values in _rows(histories)
        ]
        return np.array(solved).reshape(len(solved), self.width)

    def contributions(
        self, history: sparse.csr_matrix, items: Indices, inputs: Floats | None = None
    ) -> NDArray[np.float64]:
        """x_i^T M^-1 x_j y_j of each i and each j in the history.

        The base is what is left: biases, the pull of items outside the history, and for a trained user what training
        made of their vector beyond this solution.
        """
        system, _ = self._system(history.indices, history.data)
        pull = np.linalg.solve(system, self.features(items).T)
        return np.asarray((self.features(history.indices) @ pull).T * self.left(history.indices, history.data))

    def closeness(self, history: sparse.csr_matrix, items: Indices) -> NDArray[Any]:
        return self.contributions(history, items)

    @property
    @abstractmethod
    def width(self) -> int:
        """d."""

    def _system(self, items: NDArray[np.integer[Any]], values: Floats) -> tuple[Doubles, Doubles]:
        return self.system(items, self.features(items), self.left(items, values))


@dataclass(frozen=True, eq=False)
class ALSFoldIn(RidgeFoldIn):
    """The item vectors are h of `classic/als.py`, where alpha0, l2 and nu are explained.

    with_prior: whether they have one number more, which is added to the scores (`popularity_weight.py`).
    """

    kind: ClassVar[str] = "als"

    alpha0: float
    l2: float
    nu: float
    with_prior: bool = False

    @property
    def width(self) -> int:
        return int(self.basis.vectors.shape[1]) - self.with_prior

    @cached_property
    def _gram(self) -> Doubles:
        vectors = self._vectors.astype(np.float64)
        return np.asarray(self.alpha0 * vectors.T @ vectors)

    def features(self, items: NDArray[np.integer[Any]]) -> Doubles:
        return np.asarray(self._vectors[items], dtype=np.float64)

    def left(self, items: NDArray[np.integer[Any]], values: Floats) -> Doubles:
        return np.ones(len(items))

    def system(self, items: NDArray[np.integer[Any]], own: Doubles, left: Doubles) -> tuple[Doubles, Doubles]:
        matrix = self._gram + own.T @ own
        strength = self.l2 * (len(items) + self.alpha0 * len(self.basis.vectors)) ** self.nu
        matrix.flat[:: len(matrix) + 1] += strength
        return matrix, own.sum(axis=0)

    def of_solutions(self, solved: Doubles) -> Floats:
        scores = solved.astype(np.float32) @ self._vectors.T
        if self.with_prior:
            scores += self.basis.vectors[:, -1]
        return np.asarray(scores, dtype=np.float32)

    @property
    def _vectors(self) -> Floats:
        """h, float32 [n_items, d]."""
        return np.asarray(self.basis.vectors[:, : self.width])

    def arrays(self) -> dict[str, NDArray[Any]]:
        settings = [self.alpha0, self.l2, self.nu, self.with_prior]
        return {"kind": np.array(self.kind), "settings": np.array(settings, dtype=np.float64)}

    @classmethod
    def from_arrays(cls, arrays: dict[str, NDArray[Any]], basis: Basis) -> Self:
        alpha0, l2, nu, *prior = arrays["settings"].tolist()  # of older models there is none
        return cls(basis, alpha0, l2, nu, bool(prior and prior[0]))


@dataclass(frozen=True, eq=False)
class SVDFoldIn(RidgeFoldIn):
    """The item vectors are (q_i, 1, b_i) of `classic/svd.py`, whose terms these are.

    negatives: m on implicit feedback, 0 on ratings.
    prior_of_items: float32 [n_items], a part of b_i that is no term of the regression (`popularity_weight.py`); None
        for nothing.
    """

    kind: ClassVar[str] = "svd"

    mean: float
    biased: bool
    reg_all: float
    negatives: int
    prior_of_items: Floats | None = None

    @property
    def history_values(self) -> HistoryValues:
        return "ones" if self.negatives else "ratings"

    def taste_scores(self, liked: sparse.csr_matrix, disliked: sparse.csr_matrix) -> Floats:
        """Scores from likes and dislikes; on ratings from one fit to both, since the fit uses the ratings' values."""
        if self.negatives:
            return super().taste_scores(liked, disliked)
        return self.scores(union(liked, disliked))

    def taste_contributions(
        self, liked: sparse.csr_matrix, disliked: sparse.csr_matrix, items: Indices
    ) -> NDArray[np.float64]:
        if self.negatives:
            return super().taste_contributions(liked, disliked, items)
        return self.contributions(union(liked, disliked), items)

    @property
    def width(self) -> int:
        return int(self.basis.vectors.shape[1]) - 2 + self.biased

    @cached_property
    def _catalogue(self) -> tuple[Doubles, Doubles]:
        """sum x_i x_i^T and sum base_i x_i over all items."""
        x = self.features(np.arange(len(self.basis.vectors)))
        return x.T @ x, x.T @ self._base(np.arange(len(x)))

    def features(self, items: NDArray[np.integer[Any]]) -> Doubles:
        return np.asarray(self.basis.vectors[items, : self.width], dtype=np.float64)

    def left(self, items: NDArray[np.integer[Any]], values: Floats) -> Doubles:
        return np.asarray(values - self._base(items))

    def system(self, items: NDArray[np.integer[Any]], own: Doubles, left: Doubles) -> tuple[Doubles, Doubles]:
        n = len(items)
        matrix, target = own.T @ own, own.T @ left
        if self.negatives:
            gram, pull = self._catalogue
            weight = self.negatives * n / max(1, len(self.basis.vectors) - n)
            matrix += weight * (gram - matrix)
            target -= weight * (pull - own.T @ self._base(items))
        matrix.flat[:: len(matrix) + 1] += n * (1 + self.negatives) * self.reg_all
        return matrix, target

    def of_solutions(self, solved: Doubles) -> Floats:
        return np.asarray(self.queries(solved) @ self.basis.vectors.T, dtype=np.float32)

    def queries(self, solved: Doubles) -> Floats:
        """(p_u, mu + b_u, 1) of the solutions (p_u, b_u), float32 [n, d + 2]."""
        d = self.width - self.biased
        bias = solved[:, d] if self.biased else np.zeros(len(solved))
        return np.column_stack([solved[:, :d], self.mean + bias, np.ones(len(solved))]).astype(np.float32)

    def _base(self, items: NDArray[np.integer[Any]]) -> Doubles:
        """mu + b_i of items, without their prior."""
        base = self.mean + self.basis.vectors[items, -1].astype(np.float64)
        return np.asarray(base if self.prior_of_items is None else base - self.prior_of_items[items])

    def arrays(self) -> dict[str, NDArray[Any]]:
        settings = np.array([self.mean, self.biased, self.reg_all, self.negatives], dtype=np.float64)
        given = {} if self.prior_of_items is None else {"prior_of_items": self.prior_of_items}
        return {"kind": np.array(self.kind), "settings": settings, **given}

    @classmethod
    def from_arrays(cls, arrays: dict[str, NDArray[Any]], basis: Basis) -> Self:
        mean, biased, reg_all, negatives = arrays["settings"].tolist()
        return cls(basis, mean, bool(biased), reg_all, int(negatives), arrays.get("prior_of_items"))


def _rows(histories: sparse.csr_matrix) -> Iterator[tuple[NDArray[np.integer[Any]], Floats]]:
    """Items and values of each row."""
    for start, end in zip(histories.indptr[:-1], histories.indptr[1:], strict=True):
        yield histories.indices[start:end], histories.data[start:end]
