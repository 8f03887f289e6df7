"""EASE: a linear item-item model in closed form (Steck 2019, "Embarrassingly Shallow Autoencoders for Sparse Data").

    min_B |X - X B|^2 + l2 |B|^2   subject to diag(B) = 0

    P = (X^T X + l2 I)^-1,    B_ij = -P_ij / P_jj for i != j,    scores = X B

X: the binary user-item matrix of train [n_users, n_items].
"""

from dataclasses import dataclass

import numpy as np
from scipy import linalg

from movierec_engine.data.interactions import Interactions
from movierec_engine.errors import ConfigError
from movierec_engine.models.base import Floats
from movierec_engine.models.classic.linear import LinearRecommender
from movierec_engine.models.cost import FLOPS, DataSize, ModelCost, item_weights_cost
from movierec_engine.training.config import TrainerConfig

_BLOCK = 256


@dataclass(frozen=True)
class EASEConfig:
    """Hyper-parameters of EASE."""

    l2: float = 300.0
    """Strength of the ridge penalty, in interactions; larger data wants more (the paper uses 200 to 1000)."""

    def __post_init__(self) -> None:
        if not self.l2 > 0:
            raise ConfigError(f"model.l2={self.l2} must be above 0")


class EASE(LinearRecommender):
    """weights: float32 [n_items, n_items], B above, zero diagonal."""

    name = "ease"
    Config = EASEConfig

    def cost(self, size: DataSize, trainer: TrainerConfig) -> ModelCost:
        """The square of the items in double precision three times over, and n^3 operations."""
        n = float(size.n_items)
        weights = 4 * n**2
        return item_weights_cost(size, weights, 2 * size.per_user * n, 24 * n**2, n**3 / FLOPS, "train als instead")

    def learn(self, train: Interactions) -> None:
        """Solve for B by one Cholesky factorisation; needs about 24 n_items^2 bytes at its peak."""
        gram = (self.history.T @ self.history).toarray().astype(np.float64, order="F")
        gram[np.diag_indices_from(gram)] += self.config.l2
        factor, _ = linalg.lapack.dpotrf(gram, lower=True, overwrite_a=True)
        precision, _ = linalg.lapack.dpotri(factor, lower=True, overwrite_c=True)
        weights = precision.T.astype(np.float32)  # whose upper triangle is that of P
        mirror_upper(weights)
        weights /= -np.diag(precision).astype(np.float32)
        np.fill_diagonal(weights, 0)
        self.weights = weights


def mirror_upper(matrix: Floats) -> None:
    """Make a square matrix symmetric by its upper triangle, in place and in blocks that a processor's cache holds."""
    for start in range(0, len(matrix), _BLOCK):
        end = start + _BLOCK
        matrix[end:, start:end] = matrix[start:end, end:].T
        corner = matrix[start:end, start:end]
        corner[:] = np.triu(corner) + np.triu(corner, 1).T
