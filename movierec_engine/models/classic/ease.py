"""EASE: a linear item-item model in closed form (Steck 2019, "Embarrassingly Shallow Autoencoders for Sparse Data").

    min_B |X - X B|^2 + l2 |B|^2   subject to diag(B) = 0

    P = (X^T X + l2 I)^-1,    B_ij = -P_ij / P_jj for i != j,    scores = X (B + r q^T)

X: the binary user-item matrix of train [n_users, n_items], where users of very many interactions count for less
(`long_histories.py`).

Drawn to 0, B says nothing on sparse data. Drawn instead to what everybody likes, by a penalty l2 |B - 1 q^T|^2, it
would be B + l2 P 1 q^T, up to the diagonal: l2 P 1 is 1 for items that train tells little of, and next to 0 for those
that it tells much of. So that is n_j of r, found by conjugate gradients, and q is popularity (`fold_in/prior.py`).

The penalty has to follow the data: by default l2 = relative_l2 * sqrt(|X| / n_items), of the mean interactions of an
item. The Cholesky factorisation takes n_items^2 memory and n_items^3 time, so the columns of B for large catalogues are
each solved for over the item's nearest neighbours alone (`neighbour_regression.py`).
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import linalg, sparse
from scipy.sparse.linalg import LinearOperator, cg

from movierec_engine.data.interactions import Interactions
from movierec_engine.errors import ConfigError
from movierec_engine.models.base import Floats
from movierec_engine.models.classic.linear import LinearRecommender, with_shares
from movierec_engine.models.classic.long_histories import rooted
from movierec_engine.models.classic.neighbour_regression import neighbour_weights, neighbours_cost
from movierec_engine.models.classic.prior_strength import PriorStrength
from movierec_engine.models.cost import DENSE_ITEMS, FLOPS, DataSize, ModelCost, item_weights_cost
from movierec_engine.models.fold_in.prior import check_popularity_weight, check_prior, shares, strengths
from movierec_engine.training.config import TrainerConfig

_BLOCK = 256
_STEPS = 200
"""Steps of conjugate gradients, at most."""
_NEIGHBOURS = 200
"""Neighbours of an item, in catalogues above DENSE_ITEMS."""


@dataclass(frozen=True)
class EASEConfig:
    """Hyper-parameters of EASE."""

    relative_l2: float = 40.0
    """Strength of the ridge penalty: l2 = relative_l2 * sqrt(mean interactions of an item); chosen on validation of
    data of several densities (benchmarks/results/defaults.md)."""
    l2: float | None = None
    """Strength of the ridge penalty, in interactions, whatever the data (the paper uses 200 to 1000); null: by
    relative_l2."""
    prior: float = 6.0
    """Strength of popularity where train tells little of items or of people; 0 leaves it out. Chosen as relative_l2
    was."""
    popularity_weight: float | None = None
    """How much stronger the prior is made, by 8 times this (`classic/prior_strength.py`); null: chosen on validation,
    0 where it has none."""
    neighbours: int | None = None
    """Items that an item's weights are of, at most, those most similar to it; null: all of them up to 20,000 items in
    the catalogue, 200 above."""

    def __post_init__(self) -> None:
        for name in ("relative_l2", "l2"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ConfigError(f"model.{name}={value} must be above 0")
        check_prior(self.prior)
        check_popularity_weight(self.popularity_weight)
        if self.neighbours is not None and self.neighbours < 2:
            raise ConfigError(f"model.neighbours={self.neighbours} must be at least 2")

    def neighbours_of(self, n_items: int) -> int | None:
        """The neighbours that each item has in a catalogue; None where they are all the others."""
        neighbours = self.neighbours or (n_items if n_items <= DENSE_ITEMS else _NEIGHBOURS)
        return neighbours if neighbours < n_items - 1 else None


class EASE(PriorStrength, LinearRecommender):
    """weights: B, float32 [n_items, n_items], of each item on each other; CSR where items have neighbours."""

    name = "ease"
    Config = EASEConfig

    def cost(self, size: DataSize, trainer: TrainerConfig) -> ModelCost:
        """The square of the items in double precision beside a single one, and n^3 operations; or their neighbours."""
        n, k, width = float(size.n_items), self.config.neighbours_of(size.n_items), size.n_items + 1
        if k is None:
            fit, seconds, instead = 12 * n**2, n**3 / FLOPS, f"set model.neighbours={_NEIGHBOURS}"
            cost = item_weights_cost(size, width, 4 * n**2, 2 * size.per_user * n, fit, seconds, instead)
            return replace(cost, similar_operations=n**2)  # of dense weights, in single precision
        fit, seconds = neighbours_cost(size, k)
        return item_weights_cost(size, width, 8 * n * k, 2 * size.per_user * k, fit, seconds, "train als instead")

    @property
    def l2(self) -> float:
        """Strength of the penalty: the config's, or what relative_l2 is for train of this density."""
        if self.config.l2 is not None:
            return float(self.config.l2)
        return float(self.config.relative_l2 * np.sqrt(self.history.nnz / self.history.shape[1]))

    def learn(self, train: Interactions) -> None:
        k, x = self.config.neighbours_of(train.n_items), rooted(self.history)
        self.rest = strengths(self.config.prior, self.history, unknown_shares(x, self.l2))
        if k is None:
            self.rows = self._dense_rows(x)
        else:
            weights = neighbour_weights(x, self.l2, k)
            self.rows = weights if self.rest is None else with_shares(weights, self.popularity)

    def tensors(self) -> dict[str, NDArray[Any]]:
        return {**super().tensors(), **self.prior_tensors()}

    def restore(self, tensors: dict[str, NDArray[Any]]) -> None:
        super().restore(tensors)
        self.restore_prior(tensors)

    def _dense_rows(self, x: sparse.csr_matrix) -> Floats:
        """B by one Cholesky factorisation, and q below it; needs about 12 n_items^2 bytes at its peak."""
        gram = (x.T @ x).toarray().astype(np.float64, order="F")
        gram[np.diag_indices_from(gram)] += self.l2
        factor, _ = linalg.lapack.dpotrf(gram, lower=True, overwrite_a=True)
        precision, _ = linalg.lapack.dpotri(factor, lower=True, overwrite_c=True)
        n = x.shape[1]
        rows = np.empty((n if self.rest is None else n + 1, n), dtype=np.float32)
        rows[n:] = shares(self.popularity)
        weights = rows[:n]
        weights[:] = precision.T  # whose upper triangle is that of P
        mirror_upper(weights)
        self.symmetry = np.diag(precision).astype(np.float32)
        weights /= -self.symmetry
        np.fill_diagonal(weights, 0)
        return rows


def unknown_shares(x: sparse.csr_matrix, l2: float) -> NDArray[np.float64]:
    """l2 P 1, float64 [n_items], from X, CSR [n_users, n_items]; to a thousandth, which a prior needs no nearer."""
    transposed, n = x.T.tocsr(), x.shape[1]
    system = LinearOperator((n, n), matvec=lambda one: transposed @ (x @ one) + l2 * one, dtype=np.float64)
    return np.asarray(cg(system, np.full(n, l2), rtol=1e-3, maxiter=_STEPS)[0], dtype=np.float64)


def mirror_upper(matrix: Floats) -> None:
    """Make a square matrix symmetric by its upper triangle, in place and in blocks that a processor's cache holds."""
    for start in range(0, len(matrix), _BLOCK):
        end = start + _BLOCK
        matrix[end:, start:end] = matrix[start:end, end:].T
        corner = matrix[start:end, start:end]
        corner[:] = np.triu(corner) + np.triu(corner, 1).T
