"""EASE: a linear item-item model in closed form (Steck 2019, "Embarrassingly Shallow Autoencoders for Sparse Data").

    min_B |X - X B|^2 + l2 |B|^2   subject to diag(B) = 0

    P = (X^T X + l2 I)^-1,    B_ij = -P_ij / P_jj for i != j,    scores = X B

X: the binary user-item matrix of train [n_users, n_items].

The penalty has to follow the data: by default l2 = relative_l2 * sqrt(|X| / n_items), of the mean interactions of an
item. The Cholesky factorisation takes n_items^2 memory and n_items^3 time, so the columns of B for large catalogues are
each solved for over the item's nearest neighbours alone (`neighbour_regression.py`).
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy import linalg

from movierec_engine.data.interactions import Interactions
from movierec_engine.errors import ConfigError
from movierec_engine.models.base import Floats
from movierec_engine.models.classic.linear import LinearRecommender
from movierec_engine.models.classic.neighbour_regression import neighbour_weights, neighbours_cost
from movierec_engine.models.cost import DENSE_ITEMS, FLOPS, DataSize, ModelCost, item_weights_cost
from movierec_engine.training.config import TrainerConfig

_BLOCK = 256
_NEIGHBOURS = 200
"""Of an item, in catalogues above DENSE_ITEMS."""


@dataclass(frozen=True)
class EASEConfig:
    """Hyper-parameters of EASE."""

    relative_l2: float = 40.0
    """Strength of the ridge penalty: l2 = relative_l2 * sqrt(mean interactions of an item); chosen on validation of
    data of several densities (benchmarks/results/defaults.md)."""
    l2: float | None = None
    """Strength of the ridge penalty, in interactions, whatever the data (the paper uses 200 to 1000); null: by
    relative_l2."""
    neighbours: int | None = None
    """Items that an item's weights are of, at most, those most similar to it; null: all of them up to 20,000 items in
    the catalogue, 200 above."""

    def __post_init__(self) -> None:
        for name in ("relative_l2", "l2"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ConfigError(f"model.{name}={value} must be above 0")
        if self.neighbours is not None and self.neighbours < 2:
            raise ConfigError(f"model.neighbours={self.neighbours} must be at least 2")

    def neighbours_of(self, n_items: int) -> int | None:
        """The neighbours that each item has in a catalogue; None where they are all the others."""
        neighbours = self.neighbours or (n_items if n_items <= DENSE_ITEMS else _NEIGHBOURS)
        return neighbours if neighbours < n_items - 1 else None


class EASE(LinearRecommender):
    """weights: float32 [n_items, n_items], of each item on each other; CSR where items have neighbours."""

    name = "ease"
    Config = EASEConfig

    def cost(self, size: DataSize, trainer: TrainerConfig) -> ModelCost:
        """The square of the items in double precision beside a single one, and n^3 operations; or their neighbours."""
        n, k, width = float(size.n_items), self.config.neighbours_of(size.n_items), size.n_items
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
        k = self.config.neighbours_of(train.n_items)
        self.weights = self._dense_weights() if k is None else neighbour_weights(self.history, self.l2, k)

    def _dense_weights(self) -> Floats:
        """B by one Cholesky factorisation; needs about 12 n_items^2 bytes at its peak."""
        gram = (self.history.T @ self.history).toarray().astype(np.float64, order="F")
        gram[np.diag_indices_from(gram)] += self.l2
        factor, _ = linalg.lapack.dpotrf(gram, lower=True, overwrite_a=True)
        precision, _ = linalg.lapack.dpotri(factor, lower=True, overwrite_c=True)
        weights: Floats = precision.T.astype(np.float32)  # whose upper triangle is that of P
        mirror_upper(weights)
        self.symmetry = np.diag(precision).astype(np.float32)
        weights /= -self.symmetry
        np.fill_diagonal(weights, 0)
        return weights


def mirror_upper(matrix: Floats) -> None:
    """Make a square matrix symmetric by its upper triangle, in place and in blocks that a processor's cache holds."""
    for start in range(0, len(matrix), _BLOCK):
        end = start + _BLOCK
        matrix[end:, start:end] = matrix[start:end, end:].T
        corner = matrix[start:end, start:end]
        corner[:] = np.triu(corner) + np.triu(corner, 1).T
