"""iALS: matrix factorisation of implicit feedback by alternating least squares (Hu, Koren and Volinsky 2008).

The objective is that of Rendle et al. 2021, "Revisiting the Performance of iALS on Item Recommendation Benchmarks":

    sum_{(u,i) in train} (1 - <w_u, h_i>)^2 + alpha0 sum_{u,i} <w_u, h_i>^2
        + l2 (sum_u (|I_u| + alpha0 |I|)^nu |w_u|^2 + sum_i (|U_i| + alpha0 |U|)^nu |h_i|^2)

I_u: the items of user u; U_i: the users of item i; I, U: all of them. With the items fixed, each user's vector is the
solution of one ridge regression, and the other way round:

    w_u = (alpha0 H^T H + sum_{i in I_u} h_i h_i^T + l2 (|I_u| + alpha0 |I|)^nu E)^-1 sum_{i in I_u} h_i

A new user is folded in by the same solution.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse

from movierec_engine.data.interactions import Interactions
from movierec_engine.errors import ConfigError
from movierec_engine.models.base import ClosedFormRecommender, Floats, Indices
from movierec_engine.models.cost import FLOPS, DataSize, ModelCost, factor_cost
from movierec_engine.models.fold_in.ridge import ALSFoldIn
from movierec_engine.reporting.progress import advance
from movierec_engine.training.config import TrainerConfig

_BLOCK_FLOATS = 2**24
"""Budget for the gathered vectors of one block of rows, 64 MB."""


@dataclass(frozen=True)
class ALSConfig:
    """Hyper-parameters of iALS, in the paper's terms."""

    embedding_dim: int = 64
    """Length d of the vectors; the paper's results rise with it up to 2048."""
    alpha0: float = 0.4
    """Weight of the unobserved pairs against the observed ones."""
    l2: float = 0.012
    """Strength of the regularisation."""
    nu: float = 1.0
    """How the regularisation grows with a row's frequency: 0 not at all, 1 in proportion (the paper's default)."""
    epochs: int = 16
    """Sweeps over users and items (the paper's 16)."""
    init_std: float = 0.1
    """The initial vectors have this standard deviation over sqrt(d) (the paper's 0.1)."""
    seed: int = 42
    """Seed of the initial vectors."""

    def __post_init__(self) -> None:
        if self.embedding_dim < 1 or self.epochs < 1:
            raise ConfigError(
                f"model.embedding_dim={self.embedding_dim} and model.epochs={self.epochs} must be at least 1"
            )
        for name in ("alpha0", "l2", "init_std"):
            if not getattr(self, name) > 0:
                raise ConfigError(f"model.{name}={getattr(self, name)} must be above 0")


class ALS(ClosedFormRecommender):
    """user_factors: float32 [n_users, d], w above. item_factors: float32 [n_items, d], h above."""

    name = "als"
    Config = ALSConfig

    user_factors: Floats
    item_factors: Floats

    def learn(self, train: Interactions) -> None:
        rng = np.random.default_rng(self.config.seed)
        shape = (train.n_items, self.config.embedding_dim)
        scale = self.config.init_std / np.sqrt(self.config.embedding_dim)
        self.item_factors = (scale * rng.standard_normal(shape)).astype(np.float32)
        by_item = self.history.T.tocsr()
        for epoch in range(self.config.epochs):
            advance(epoch, self.config.epochs, "sweeps")
            self.user_factors = self._solve(self.history, self.item_factors)
            self.item_factors = self._solve(by_item, self.user_factors)

    def cost(self, size: DataSize, trainer: TrainerConfig) -> ModelCost:
        """The history by item, both sides' vectors twice, and a block's gathered vectors and systems."""
        width, rows = self.config.embedding_dim, size.n_users + size.n_items
        fit = 16.0 * size.n_train + 8.0 * rows * width + 8 * 4.0 * _BLOCK_FLOATS
        sweep = (4.0 * size.n_train * width**2 + rows * width**3 / 3) / FLOPS
        return factor_cost(size, width, fit, 4 * self.config.epochs * sweep, "set a smaller model.embedding_dim")

    def score_known(self, users: Indices) -> Floats:
        return np.asarray(self.user_factors[users] @ self.item_factors.T, dtype=np.float32)

    def fold_in_scorer(self) -> ALSFoldIn:
        """The same solution, in numpy. A trained user's w was solved against the items of the sweep before."""
        config = self.config
        return ALSFoldIn(self.basis(), config.alpha0, config.l2, config.nu)

    def query_vectors(self, users: Indices) -> Floats:
        return self.user_factors[users]

    def item_vectors(self) -> Floats:
        return self.item_factors

    def tensors(self) -> dict[str, NDArray[Any]]:
        return {"user_factors": self.user_factors, "item_factors": self.item_factors}

    def restore(self, tensors: dict[str, NDArray[Any]]) -> None:
        self.user_factors, self.item_factors = tensors["user_factors"], tensors["item_factors"]

    def _solve(self, rows: sparse.csr_matrix, fixed: Floats) -> Floats:
        """The optimal vectors float32 [n, d] of rows, CSR [n, m], against the fixed ones, [m, d]."""
        config = self.config
        vectors, width = torch.from_numpy(fixed), config.embedding_dim
        gram, identity = config.alpha0 * vectors.T @ vectors, torch.eye(width)
        solved = torch.zeros(rows.shape[0], width)
        for block, padded, present in blocks_of_equal_length(rows, width):
            gathered = vectors[padded] * present[:, :, None]
            strength = config.l2 * (present.sum(dim=1) + config.alpha0 * rows.shape[1]) ** config.nu
            systems = gram + gathered.transpose(1, 2) @ gathered + strength[:, None, None] * identity
            factor = torch.linalg.cholesky(systems)
            solved[block] = torch.cholesky_solve(gathered.sum(dim=1)[:, :, None], factor)[:, :, 0]
        return solved.numpy()


def blocks_of_equal_length(
    rows: sparse.csr_matrix, width: int
) -> Iterator[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
    """Rows in blocks of about equal length: row numbers [b], their columns [b, longest] and whether each is there.

    Rows go by length, so that little is padded; a block's [b, longest, width] floats fit the budget.
    """
    length = np.diff(rows.indptr)
    order = np.argsort(-length, kind="stable")
    start = 0
    while start < len(order):
        longest = max(int(length[order[start]]), 1)
        block = order[start : start + max(1, _BLOCK_FLOATS // (longest * width))]
        place = rows.indptr[block][:, None] + np.arange(longest)
        present = np.arange(longest) < length[block][:, None]
        padded = np.where(present, rows.indices[np.where(present, place, 0)], 0) if rows.nnz else np.zeros_like(place)
        yield torch.from_numpy(block), torch.from_numpy(padded.astype(np.int64)), torch.from_numpy(present).float()
        start += len(block)
