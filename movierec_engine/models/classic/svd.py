"""SVD: biased matrix factorisation by stochastic gradient descent, as fitted by the library Surprise.

Funk 2006 ("Netflix Update: Try This at Home") and Koren, Bell and Volinsky 2009, "Matrix Factorization Techniques for
Recommender Systems":

    score(u, i) = mu + b_u + b_i + <p_u, q_i>

    min sum_{(u,i)} (r_ui - score(u, i))^2 + reg_all (b_u^2 + b_i^2 + |p_u|^2 + |q_i|^2)

mu: the mean rating. Without biases mu = b_u = b_i = 0, the probabilistic matrix factorisation of Salakhutdinov and Mnih
2007.

Fitted to ratings, it predicts which rating a user would give, not which item a user would choose: nothing tells it of
the items without a rating. Implicit feedback has r = 1 everywhere, so there each interaction comes with m `negatives`:
items that the user has no train interaction with, drawn uniformly, with r = 0. m is at most what draws each such item
once, so that a zero nobody stated never weighs more than an interaction.

The penalty counts once a sample, so that a dimension of p^T q is left where the residuals, each divided by the root of
its user's and of its item's samples, have a singular value above reg_all (Salakhutdinov and Srebro 2010, "Collaborative
Filtering in a Non-Uniform World"). Values of variance v = m / (1 + m)^2 without any structure have singular values up
to (Davidson and Szarek 2001)

    e = (|U|^1/2 + |I|^1/2) (v / number of samples)^1/2

On implicit feedback reg_all = relative_reg e: at 1 noise adds no dimension.

A descent ends in the noise of its last steps. On implicit feedback, where zeros outnumber ones, this noise is larger
than the difference between two items' popularity, so that a last pass puts first each b_i and then all p_u and b_u at
their exact minimum, everything else being fixed: trained users are folded in as new ones are.

A new user with the items I is folded in by the exact minimum over p_u and b_u, everything else being fixed. The
penalty counts once a rating, so it is n reg_all for n ratings. With x_i = (q_i, 1) and y_i = r_ui - mu - b_i,

    (p_u, b_u) = (sum_i w_i x_i x_i^T + n reg_all E)^-1 sum_i w_i x_i y_i

On ratings the sum is over I, w = 1 and n = |I|. On implicit feedback it is over all items, w = 1 within I and
m |I| / (number of other items) outside: the expectation over the draw of the negatives, and n = (1 + m) |I|.

An explanation goes by that solution: for an item j of the history the score of i has the term
z_i^T (...)^-1 w_j x_j y_j with z_i = x_i, (...) being the matrix that is inverted above.

Items that the fit never met have b_i = 0 and q_i = 0, as in Surprise's predictions.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from movierec_engine.data.interactions import HistoryValues, Interactions
from movierec_engine.data.negatives import NegativeSampler
from movierec_engine.errors import ConfigError, EmptyDataError, MovierecError
from movierec_engine.models.base import ClosedFormRecommender, Floats, Indices
from movierec_engine.models.classic.feedback import check_feedback, learns_from
from movierec_engine.models.cost import FLOPS, DataSize, ModelCost, factor_cost
from movierec_engine.models.fold_in.prior import check_popularity_weight
from movierec_engine.models.fold_in.ridge import SVDFoldIn
from movierec_engine.models.popularity_weight import PopularityWeighted
from movierec_engine.models.vectors import with_column
from movierec_engine.training.config import TrainerConfig

_REG_OF_RATINGS = 0.02
"""Surprise's regularisation, which is for ratings."""
_AT_ONCE = 2**16
"""Samples that are Python objects, and interactions that negatives are drawn for, at a time."""


@dataclass(frozen=True, eq=False)
class Samples:
    """A trainset for `surprise.SVD` over arrays: 8 bytes a sample, where the tuples of a `surprise.Trainset` take 118.

    indptr: int [n_users + 1], where each user's samples begin. item: int32 [n]. value: float32 [n].
    order: draws another order of the samples for each pass; None: user by user.
    """

    indptr: NDArray[np.integer[Any]]
    item: NDArray[np.int32]
    value: NDArray[np.float32]
    n_items: int
    order: np.random.Generator | None = None

    @property
    def n_users(self) -> int:
        return len(self.indptr) - 1

    @cached_property
    def global_mean(self) -> float:
        return float(self.value.mean(dtype=np.float64))

    def all_ratings(self) -> Iterator[tuple[int, int, float]]:
        """User, item and value of every sample: one pass."""
        for user, item, value in self.blocks(self.order):
            yield from zip(user.tolist(), item.tolist(), value.tolist(), strict=True)

    def blocks(self, order: np.random.Generator | None = None) -> Iterator[tuple[Indices, Indices, Floats]]:
        """The same as arrays, some samples at a time."""
        places = np.arange(len(self.item), dtype=np.int64)
        if order is not None:
            order.shuffle(places)
        for start in range(0, len(places), _AT_ONCE):
            block = places[start : start + _AT_ONCE]
            user = np.searchsorted(self.indptr, block, side="right") - 1
            yield user, self.item[block], self.value[block]


@dataclass(frozen=True)
class SVDConfig:
    """Hyper-parameters of SVD, in Surprise's terms."""

    n_factors: int = 100
    """Length of the vectors p and q (Surprise's 100)."""
    n_epochs: int = 40
    """Passes over the samples (Surprise has 20)."""
    relative_lr: float = 0.18
    """Learning rate of all parameters against how often a user's are updated: lr_all = relative_lr / sqrt(mean
    interactions of a user)."""
    lr_all: float | None = None
    """Learning rate of all parameters, whatever the data (Surprise has 0.005, for ratings); null: by relative_lr."""
    relative_reg: float = 0.65
    """Regularisation of all parameters on implicit feedback against e, the least that keeps noise out: reg_all =
    relative_reg e."""
    reg_all: float | None = None
    """Regularisation of all parameters, once a sample; null: by relative_reg, on ratings 0.02 (Surprise's)."""
    biased: bool = True
    """Whether there are mu, b_u and b_i."""
    init_std_dev: float = 0.05
    """Standard deviation of the initial vectors. Surprise has 0.1, which few interactions do not unlearn: by it sparse
    data is ranked worse than by popularity."""
    feedback: str = "auto"
    """`implicit`, as `auto`: fit which interactions there are, which ranks; `explicit`: fit the ratings, which predicts
    what somebody would give and ranks worse than popularity."""
    popularity_weight: float | None = None
    """Weight of popularity beside what the model learns (`popularity_weight.py`), 1 for as much as that says; null:
    chosen on validation, 0 where it has none. Ratings have none added."""
    negatives: int = 8
    """Zeros drawn for each interaction on implicit feedback, and fewer where they would outnumber the items that a
    user has not got."""
    seed: int = 42
    """Seed of the initial vectors, of the negatives and of the order of the samples."""

    def __post_init__(self) -> None:
        for name in ("n_factors", "n_epochs", "negatives"):
            if getattr(self, name) < 1:
                raise ConfigError(f"model.{name}={getattr(self, name)} must be at least 1")
        for name in ("relative_lr", "lr_all", "relative_reg", "reg_all", "init_std_dev"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ConfigError(f"model.{name}={value} must be above 0")
        check_feedback(self.feedback)
        check_popularity_weight(self.popularity_weight)


class SVD(PopularityWeighted, ClosedFormRecommender):
    """p and q above with the biases beside them, so that a score is one inner product.

    user_factors: float32 [n_users, d + 2], rows (p_u, mu + b_u, 1). item_factors: float32 [n_items, d + 2], rows
    (q_i, 1, b_i).
    mean: mu.
    """

    name = "svd"
    Config = SVDConfig

    user_factors: Floats
    item_factors: Floats
    mean: float

    def cost(self, size: DataSize, trainer: TrainerConfig) -> ModelCost:
        """An item, a value and a place in the order for each sample, as much again while they are put together; double
        precision."""
        config = self.config
        samples = float(size.n_train * (1 + (0 if config.feedback == "explicit" else config.negatives)))
        fit = 24 * samples + 24.0 * (size.n_users + size.n_items) * config.n_factors
        solved = size.n_users * (config.n_factors**3 + float(size.n_items) * config.n_factors) / FLOPS
        seconds = samples * config.n_epochs * config.n_factors * 4e-9 + solved
        return factor_cost(size, config.n_factors + 2, fit, seconds, "train als instead")

    def learn(self, train: Interactions) -> None:
        """Fit by `surprise.SVD`, one sample after the other: no threads, so the seed decides the result to the bit.

        Raises MovierecError when the descent diverges.
        """
        import surprise

        config = self.config
        samples = self.samples(train)
        fitted = surprise.SVD(
            n_factors=config.n_factors,
            n_epochs=config.n_epochs,
            biased=config.biased,
            init_std_dev=config.init_std_dev,
            lr_all=self.lr_all,
            reg_all=self.reg_all,
            random_state=config.seed,
        ).fit(samples)
        if not (np.isfinite(fitted.pu).all() and np.isfinite(fitted.qi).all()):
            raise MovierecError(f"svd diverged at model.lr_all={self.lr_all:g}; lower it")
        self.mean = samples.global_mean if config.biased else 0.0
        item_bias = fitted.bi if self.uses_ratings or not config.biased else self._least_squares_bias(fitted, samples)
        met = np.zeros((train.n_items, 1))
        met[samples.item] = 1
        self.item_factors = np.hstack(
            [fitted.qi * met, np.ones((train.n_items, 1)), item_bias[:, None] * met],
            dtype=np.float32,
            casting="same_kind",
        )
        if self.uses_ratings:
            self.user_factors = self._with_biases(fitted.pu, fitted.bu)
        else:
            scorer = self.fold_in_scorer()
            self.user_factors = scorer.queries(scorer.solutions(self.history))

    @property
    def lr_all(self) -> float:
        """Learning rate: the config's, or what relative_lr is for train of so many interactions a user."""
        if self.config.lr_all is not None:
            return float(self.config.lr_all)
        return float(self.config.relative_lr / np.sqrt(self._of_user))

    @property
    def reg_all(self) -> float:
        """Regularisation: the config's, or what relative_reg is for train."""
        if self.config.reg_all is not None:
            return float(self.config.reg_all)
        if self.uses_ratings:
            return _REG_OF_RATINGS
        variance = self.negatives / (1 + self.negatives) ** 2
        noise = np.sqrt(self.history.shape).sum() * np.sqrt(
            variance / (max(self.history.nnz, 1) * (1 + self.negatives))
        )
        return float(self.config.relative_reg * noise)

    @property
    def negatives(self) -> int:
        """Zeros drawn for each interaction, none on ratings."""
        if self.uses_ratings:
            return 0
        others = self.history.shape[1] - self._of_user
        return max(1, min(int(self.config.negatives), int(others / self._of_user)))

    @property
    def _of_user(self) -> float:
        """Mean interactions of a user."""
        return float(max(self.history.nnz, 1) / self.history.shape[0])

    def learns_from(self, train: Interactions) -> HistoryValues:
        return learns_from(self.config.feedback, train)

    def samples(self, train: Interactions) -> Samples:
        """The ratings, or on implicit feedback each interaction and its negatives; users and items are our indices."""
        item, value, indptr = self.history.indices, self.history.data, self.history.indptr
        if self.history_values == "ones":
            count = self.negatives
            user = np.repeat(np.arange(train.n_users), np.diff(indptr))
            sampler = NegativeSampler(train, np.random.default_rng(self.config.seed))
            if not sampler.all_drawable:
                item, user = item[sampler.drawable[user]], user[sampler.drawable[user]]
                indptr = np.append(0, np.cumsum(np.where(sampler.drawable, np.diff(indptr), 0), dtype=np.int64))
            if not len(user):
                raise EmptyDataError(
                    "svd: every user of train has an interaction with every item, so no negative can be drawn; "
                    "give it more items"
                )
            blocks = np.split(user, range(_AT_ONCE, len(user), _AT_ONCE))
            drawn = np.concatenate([sampler.sample(block, count).astype(np.int32) for block in blocks])
            item = np.hstack([item[:, None], drawn]).ravel()
            value = np.tile(np.eye(1, 1 + count, dtype=np.float32)[0], len(user))
            indptr = indptr.astype(np.int64) * (1 + count)
            return Samples(indptr, item, value, train.n_items, np.random.default_rng(self.config.seed))
        return Samples(indptr, item, value, train.n_items)

    def score_known(self, users: Indices) -> Floats:
        return self.with_prior(np.asarray(self.user_factors[users] @ self.item_factors.T, dtype=np.float32))

    def fold_in_scorer(self) -> SVDFoldIn:
        return SVDFoldIn(self.basis(), self.mean, self.config.biased, self.reg_all, self.negatives, self.item_prior)

    def query_vectors(self, users: Indices) -> Floats:
        return self.user_factors[users]

    def item_vectors(self) -> Floats:
        """(q_i, 1, b_i), the prior added to b_i where there is one."""
        prior = self.item_prior
        if prior is None:
            return self.item_factors
        return with_column(self.item_factors[:, :-1], self.item_factors[:, -1] + prior)

    def similarity_vectors(self) -> sparse.csr_matrix:
        """The users of each item, [n_items, n_users]: q predicts ratings and says little of what an item is like."""
        return self.users_by_item()

    def tensors(self) -> dict[str, NDArray[Any]]:
        return {
            "user_factors": self.user_factors,
            "item_factors": self.item_factors,
            "mean": np.array([self.mean]),
            **self.prior_tensors(),
        }

    def restore(self, tensors: dict[str, NDArray[Any]]) -> None:
        self.restore_prior(tensors)
        self.user_factors, self.item_factors = tensors["user_factors"], tensors["item_factors"]
        self.mean = float(tensors["mean"][0])

    def _least_squares_bias(self, fitted: Any, samples: Samples) -> NDArray[np.float64]:
        """b_i at their exact minimum, float64 [n_items]."""
        total, count = np.zeros(samples.n_items), np.zeros(samples.n_items)
        for user, item, value in samples.blocks():
            product = np.einsum("nd,nd->n", fitted.pu[user], fitted.qi[item])
            left = value - self.mean - fitted.bu[user] - product
            total += np.bincount(item, left, minlength=samples.n_items)
            count += np.bincount(item, minlength=samples.n_items)
        return np.asarray(total / np.maximum(count * (1 + self.reg_all), 1))

    def _with_biases(self, factors: NDArray[np.float64], bias: NDArray[np.float64]) -> Floats:
        return np.column_stack([factors, self.mean + bias, np.ones(len(factors))]).astype(np.float32)
