"""iALS: matrix factorisation of implicit feedback by alternating least squares (Hu, Koren and Volinsky 2008).

The objective is that of Rendle et al. 2021, "Revisiting the Performance of iALS on Item Recommendation Benchmarks":

    sum_{(u,i) in train} (1 - <w_u, h_i>)^2 + alpha0 sum_{u,i} <w_u, h_i>^2
        + l2 (sum_u (|I_u| + alpha0 |I|)^nu |w_u|^2 + sum_i (|U_i| + alpha0 |U|)^nu |h_i|^2)

I_u: the items of user u; U_i: the users of item i; I, U: all of them. With the items fixed, each user's vector is the
solution of one ridge regression, and the other way round:

    w_u = (alpha0 H^T H + sum_{i in I_u} h_i h_i^T + l2 (|I_u| + alpha0 |I|)^nu E)^-1 sum_{i in I_u} h_i

A new user is folded in by the same solution. The sweeps find it by conjugate gradients (`least_squares.py`).

Both strengths have to follow the data. With constant ones the regularisation of everybody grows with the catalogue, and
once the largest singular value of D_u^-1/2 R D_i^-1/2 is below 1 (R: the interactions, D: the terms in front of |w_u|^2
and |h_i|^2), all vectors being 0 is the minimum. So by default they are relative to the density of train, to the
interactions of a row, and to e: about the largest of these singular values that noise alone gives, at l2 = 1.

    alpha0 = relative_alpha0 * |train| / (|U| |I|),    l2 = relative_l2 * e
    relative_alpha0 = max(7.5, r^1/2),    relative_l2 = min(.6, .39 max(1, (8 / r)^1/2))    unless they are given
    r = |train| / (|U| |I|)^1/2
    e = sqrt(sum_u |I_u| f_u sum_i f_i) / |train| + sqrt(sum_i |U_i| f_i sum_u f_u) / |train|
    f_u = |I_u| / (|I_u| + alpha0 |I|),    f_i = |U_i| / (|U_i| + alpha0 |U|)

Were interactions drawn by activity and popularity alone, an entry of D_u^-1/2 R D_i^-1/2 would have the variance
f_u f_i / |train|, and a random matrix has about the root of the sum over a row plus that over a column as its largest
singular value; here it is that of the mean interaction's row and column. Regularised by less than the noise, vectors
keep some of it for the sake of taste: .39 is best where rows have some 8 to 40 interactions (r, the geometric mean of a
user's and an item's). Where they have 2 to 5, .39 can rank below popularity, and the best is between .5 and .85
(benchmarks/results/als_short_rows.md). All pairs together weigh relative_alpha0 times the observed ones: the more, the
longer the rows, as what somebody with many interactions left out says more. No constant comes near the best of a search
both where rows are short and where they are long. Where the root is below 7.5 that ranks better on all of six published
data sets that were tried, whose rows have 8 to 22. The paper's alpha0 of .1 on ML-20M and .02 on MSD are 28 and 14
times the density.
"""

import logging
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from movierec_engine.data.interactions import Interactions
from movierec_engine.errors import ConfigError
from movierec_engine.models.base import ClosedFormRecommender, Floats, Indices
from movierec_engine.models.classic.half_sweeps import Ridge, sweeps
from movierec_engine.models.classic.least_squares import block_bytes
from movierec_engine.models.cost import GATHERED, DataSize, ModelCost, factor_cost
from movierec_engine.models.fold_in.prior import check_popularity_weight
from movierec_engine.models.fold_in.ridge import ALSFoldIn
from movierec_engine.models.popularity_weight import PopularityWeighted
from movierec_engine.models.vectors import with_column
from movierec_engine.reporting.progress import advance
from movierec_engine.training.config import TrainerConfig

log = logging.getLogger(__name__)

Strengths = NDArray[np.float64]

_LEAST_ALPHA0 = 7.5
"""Least weight of all pairs together against the observed ones, where rows are short: chosen on validation of data of
several densities (benchmarks/results/defaults.md)."""
_LEAST_L2, _MOST_L2 = 0.39, 0.6
"""Strength of the regularisation against the noise, where rows are not short, and at most."""
_SHORT_ROW = 8.0
"""Interactions of a row below which the noise is regularised more: chosen on validation of LastFM, MovieLens 1M and the
bundled data with ever fewer of their interactions, which differ (benchmarks/results/als_short_rows.md)."""
_NOTHING = 1e-3
"""Mean score of the train pairs, 1 being what is aimed at, below which the regularisation leaves next to nothing."""


@dataclass(frozen=True)
class ALSConfig:
    """Hyper-parameters of iALS, in the paper's terms."""

    embedding_dim: int = 128
    """Length d of the vectors; the paper's results rise with it up to 2048."""
    relative_alpha0: float | None = None
    """Weight of all pairs together against the observed ones: alpha0 = relative_alpha0 * density of train; null: the
    root of the interactions of a row, at least 7.5, as above."""
    alpha0: float | None = None
    """Weight of one unobserved pair against an observed one, whatever the density; null: by relative_alpha0."""
    relative_l2: float | None = None
    """Strength of the regularisation against the noise in the data: l2 = relative_l2 * e as above; null: .39, up to .6
    where rows are short, chosen on validation of data of several densities (benchmarks/results/defaults.md)."""
    l2: float | None = None
    """Strength of the regularisation, whatever the data; null: by relative_l2."""
    nu: float = 1.0
    """How the regularisation grows with a row's frequency: 0 not at all, 1 in proportion (the paper's default)."""
    epochs: int = 10
    """Sweeps over users and items (the paper's 16, of which the last ones gain little or lose)."""
    steps: int = 2
    """Steps of conjugate gradients a half sweep, from the vectors of the sweep before; 3 or 20 rank no better."""
    init_std: float = 0.1
    """The initial vectors have this standard deviation over sqrt(d) (the paper's 0.1)."""
    popularity_weight: float | None = None
    """Weight of popularity beside what the model learns (`popularity_weight.py`), 1 for as much as that says; null:
    chosen on validation, 0 where it has none."""
    seed: int = 42
    """Seed of the initial vectors."""

    def __post_init__(self) -> None:
        for name in ("embedding_dim", "epochs", "steps"):
            if getattr(self, name) < 1:
                raise ConfigError(f"model.{name}={getattr(self, name)} must be at least 1")
        for name in ("relative_alpha0", "alpha0", "relative_l2", "l2", "init_std"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ConfigError(f"model.{name}={value} must be above 0")
        check_popularity_weight(self.popularity_weight)


class ALS(PopularityWeighted, ClosedFormRecommender):
    """user_factors: float32 [n_users, d], w above. item_factors: float32 [n_items, d], h above."""

    name = "als"
    Config = ALSConfig
    several_workers = True
    on_torch = True

    user_factors: Floats
    item_factors: Floats

    def learn(self, train: Interactions) -> None:
        config, by_user, by_item = self.config, self.history, self.history.T.tocsr()
        rng = np.random.default_rng(config.seed)
        users: Floats = np.zeros((train.n_users, config.embedding_dim), dtype=np.float32)
        items = config.init_std / np.sqrt(config.embedding_dim) * rng.standard_normal((train.n_items, users.shape[1]))
        items = items.astype(np.float32)
        ridge = Ridge(self.alpha0, (self.strength(by_user), self.strength(by_item)), config.steps)
        with sweeps((by_user, by_item), ridge, (users, items), self.trainer) as made:
            for epoch in range(config.epochs):
                advance(epoch, config.epochs, "sweeps")
                made.sweep()
            self.user_factors, self.item_factors = users, items = made.vectors()
        reached = float((users * (by_user @ items)).sum()) / max(len(train), 1)
        if reached < _NOTHING:
            log.warning(
                "als: the regularisation leaves next to nothing (the mean score of train pairs is %.1e, where 1 is "
                "aimed at), so lists differ little between users; where the data has more to say, a lower model.l2 "
                "(%g) or model.alpha0 (%g) ranks better on validation",
                reached,
                self.l2,
                self.alpha0,
            )

    @property
    def alpha0(self) -> float:
        """Weight of one unobserved pair: the config's, or what relative_alpha0 is at the density of train."""
        if self.config.alpha0 is not None:
            return float(self.config.alpha0)
        users, items = self.history.shape
        relative = self.config.relative_alpha0
        if relative is None:
            relative = max(_LEAST_ALPHA0, np.sqrt(self.row_length))
        return float(relative * self.history.nnz / (users * items))

    @property
    def l2(self) -> float:
        """Strength of the regularisation: the config's, or what relative_l2 is for the noise of this train."""
        if self.config.l2 is not None:
            return float(self.config.l2)
        relative = self.config.relative_l2
        if relative is None:
            relative = min(_MOST_L2, _LEAST_L2 * max(1.0, _SHORT_ROW / self.row_length) ** 0.5)
        return float(relative * self.noise)

    @property
    def row_length(self) -> float:
        """r above."""
        return float(self.history.nnz / np.sqrt(self.history.shape[0] * self.history.shape[1]))

    @property
    def noise(self) -> float:
        """e above."""
        users, items = np.diff(self.history.indptr), self.popularity.astype(np.float64)
        kept_users, kept_items = users / (users + self.alpha0 * len(items)), items / (items + self.alpha0 * len(users))
        row, column = users @ kept_users * kept_items.sum(), items @ kept_items * kept_users.sum()
        return float((np.sqrt(row) + np.sqrt(column)) / max(self.history.nnz, 1))

    def strength(self, rows: sparse.csr_matrix) -> Strengths:
        """l2 (n + alpha0 m)^nu of rows with n of m entries, float64 [n_rows]."""
        return np.asarray(self.l2 * (np.diff(rows.indptr) + self.alpha0 * rows.shape[1]) ** self.config.nu)

    def cost(self, size: DataSize, trainer: TrainerConfig) -> ModelCost:
        """The history by item, both sides' vectors turned and solved, and what a block of rows takes."""
        config, rows = self.config, size.n_users + size.n_items
        block = block_bytes(max(size.n_users, size.n_items), config.embedding_dim)
        fit = 16.0 * size.n_train + 12.0 * rows * config.embedding_dim + block
        operations = 4.0 * size.n_train * config.embedding_dim * 2 * (config.steps + 1) * config.epochs
        return factor_cost(size, config.embedding_dim, fit, operations / GATHERED, "set a smaller model.embedding_dim")

    def score_known(self, users: Indices) -> Floats:
        return self.with_prior(np.asarray(self.user_factors[users] @ self.item_factors.T, dtype=np.float32))

    def fold_in_scorer(self) -> ALSFoldIn:
        """The same solution, in numpy. A trained user's w was solved against the items of the sweep before."""
        return ALSFoldIn(self.basis(), self.alpha0, self.l2, self.config.nu, bool(self.popularity_weight))

    def query_vectors(self, users: Indices) -> Floats:
        """w, and 1 for the prior where there is one."""
        queries = self.user_factors[users]
        return with_column(queries, np.ones(len(queries))) if self.popularity_weight else queries

    def item_vectors(self) -> Floats:
        """h, and the prior where there is one."""
        prior = self.item_prior
        return self.item_factors if prior is None else with_column(self.item_factors, prior)

    def similarity_vectors(self) -> Floats:
        return self.item_factors

    def tensors(self) -> dict[str, NDArray[Any]]:
        return {"user_factors": self.user_factors, "item_factors": self.item_factors, **self.prior_tensors()}

    def restore(self, tensors: dict[str, NDArray[Any]]) -> None:
        self.restore_prior(tensors)
        self.user_factors, self.item_factors = tensors["user_factors"], tensors["item_factors"]
