"""Similarities of items, or of users, by the ratings or interactions that they share, and the strongest of them.

The similarities of two items have the definitions of the library Surprise, each over U_ij alone, the users who rated
both, with n = |U_ij| (user-based: with users and items exchanged):

    cosine            sum r_ui r_uj / sqrt(sum r_ui^2 sum r_uj^2)
    msd               1 / (sum (r_ui - r_uj)^2 / n + 1)
    pearson           cosine of r_ui - mean_i and r_uj - mean_j, the means being over U_ij as well
    pearson_baseline  cosine of r_ui - b_ui and r_uj - b_uj, where b_ui = mu + b_u + b_i is the fitted baseline

Each is then multiplied by n / (n + shrinkage), and pearson_baseline by (n-1) / (n-1 + shrinkage) as in Surprise: a
single common user makes any two items equal. All four follow from the products B^T B, R^T B, (R^2)^T B and R^T R of the
sparse rating matrix R and its pattern B, which one sparse product of blocks yields together.

On implicit feedback every r is 1, so over U_ij alone every cosine would be 1. There it is over all users, in the
asymmetric form of Aiolli 2013, "Efficient Top-N Recommendation for Very Large Scale Binary Rated Datasets", and then
multiplied by n / (n + implicit_shrinkage): where items have few users, one that two of them share says little.

    cosine            |U_ij| / (|U_i|^(1-alpha) |U_j|^alpha)        of the scored i with j of the history

Of items, users of very many interactions count for less than 1 in all of these numbers (`long_histories.py`).
At alpha = 1/2 it is the cosine of the two columns, and at 1 the share of j's users who have i (Deshpande and Karypis's
conditional probability). The other three similarities, which compare the values of ratings, say nothing there.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from movierec_engine.errors import ConfigError
from movierec_engine.models.classic.feedback import check_feedback
from movierec_engine.models.fold_in.prior import check_popularity_weight, check_prior

Floats = NDArray[np.float32]

SIMILARITIES = ("cosine", "msd", "pearson", "pearson_baseline")

_ALPHA, _HALF, _MOST = 0.6, 12, 0.75
"""Discount of popular items, mean interactions of a user at which that of users is a half, and the largest of users."""
_HOLDERS = 0.4
"""Neighbours by default: as many that so many of them, on average, have a given item, within these bounds."""
_USERS, _ITEMS = (50, 400), (100, 200)
_BLOCK_PAIRS = 2**18
"""Pairs compared at once; at about 200 bytes a pair, 50 MB."""

_BASELINE_EPOCHS, _BASELINE_REG_USER, _BASELINE_REG_ITEM = 10, 15, 10
"""Surprise's defaults for its alternating least squares of the baselines."""


@dataclass(frozen=True)
class ItemCFConfig:
    """Hyper-parameters of the neighbourhood models; names and meanings follow Surprise where it has them."""

    similarity: str = "cosine"
    """`cosine`, `msd`, `pearson` or `pearson_baseline`, as above; the last three need ratings."""
    k: int = 0
    """Neighbours kept for each item (user-based: user), at most; 0: .4 over the density of train, from 100 to 200 for
    items and from 50 to 400 for users (benchmarks/results/defaults.md), and 30 for items on ratings."""
    min_k: int = 1
    """Common users (user-based: items) that a similarity needs to count. Surprise calls this `min_support`; its own
    `min_k`, the neighbours that a prediction needs, would make the score other than linear in the history."""
    shrinkage: float = 100.0
    """Pulls similarities of ratings that few common users support to 0; in users (Surprise's 100). 0 does nothing."""
    implicit_shrinkage: float = 5.0
    """The same for implicit feedback, which needs less: chosen on validation of data of several densities
    (benchmarks/results/defaults.md)."""
    alpha: float | None = None
    """How much the cosine of implicit feedback discounts popular items of the history against popular scored ones, from
    0 to 1; null: 0.6. User-based, how much it discounts neighbours of many interactions; null: m / (m + 12), at
    most 0.75, where m is the mean of a user: where histories are short the longer ones say more
    (benchmarks/results/defaults.md)."""
    prior: float = 30.0
    """Strength of popularity where train tells little of items or of people; 0 leaves it out. Chosen as the shrinkage
    was."""
    popularity_weight: float | None = None
    """How much stronger the prior is made, by 8 times this (`classic/prior_strength.py`); null: chosen on validation,
    0 where it has none."""
    user_based: bool = False
    """Whether neighbours are users instead of items."""
    feedback: str = "auto"
    """`explicit`: ratings count; `implicit`: every interaction is 1, which ranks better; `auto`: explicit where the
    similarity needs ratings."""

    def __post_init__(self) -> None:
        if self.similarity not in SIMILARITIES:
            raise ConfigError(
                f"model.similarity={self.similarity} is not known; choose one of {', '.join(SIMILARITIES)}"
            )
        check_feedback(self.feedback)
        check_prior(self.prior)
        check_popularity_weight(self.popularity_weight)
        if self.k < 0 or self.min_k < 1:
            raise ConfigError(f"model.k={self.k} must be at least 0, and model.min_k={self.min_k} at least 1")
        for name in ("shrinkage", "implicit_shrinkage"):
            if not getattr(self, name) >= 0:
                raise ConfigError(f"model.{name}={getattr(self, name)} must not be below 0")
        if self.alpha is not None and not 0 <= self.alpha <= 1:
            raise ConfigError(f"model.alpha={self.alpha} must be from 0 to 1")
        if self.feedback == "implicit":
            self.require_ratings(False)

    def neighbours(self, ratings: bool, density: float) -> int:
        """How many neighbours are kept, on ratings or on implicit feedback, of train of a density from 0 to 1."""
        if self.k:
            return self.k
        if ratings and not self.user_based:
            return 30
        fewest, most = _USERS if self.user_based else _ITEMS
        return round(min(max(fewest, _HOLDERS / max(density, 1e-12)), most))

    def of_history(self, history: sparse.csr_matrix) -> "ItemCFConfig":
        """The same settings with the alpha that these train interactions ask for, CSR [n_users, n_items]."""
        mean = history.nnz / max(history.shape[0], 1)
        alpha = min(_MOST, mean / (mean + _HALF)) if self.user_based else _ALPHA
        return self if self.alpha is not None else replace(self, alpha=alpha)

    @property
    def compares_ratings(self) -> bool:
        return self.similarity != "cosine"

    def require_ratings(self, ratings: bool) -> None:
        """Raises ConfigError when the similarity compares ratings and there are none to compare."""
        if not ratings and self.compares_ratings:
            raise ConfigError(
                f"model.similarity={self.similarity} compares the values of ratings, and on implicit feedback they are "
                "all equal; set model.similarity=cosine"
            )


def compared(
    histories: sparse.csr_matrix, config: ItemCFConfig, item_baseline: NDArray[np.float64]
) -> sparse.csr_matrix:
    """The values that the similarity compares, float64 CSR [n, n_items]: ratings, or what baselines leave of them.

    On implicit feedback they are 1, or roots of weights.
    """
    values = histories.astype(np.float64)
    if config.similarity == "pearson_baseline":
        values.data -= item_baseline[values.indices]
        values.data -= np.repeat(user_baselines(values), np.diff(values.indptr))
    return values


def similarity_blocks(
    rows: sparse.csr_matrix, others: sparse.csr_matrix, config: ItemCFConfig, ratings: bool
) -> Iterator[tuple[int, Floats]]:
    """Similarities of rows, CSR [n, d], to others, CSR [m, d]: blocks float32 [b, m], each with its first row's number.

    ratings: whether the values are ratings (or what baselines leave of them), to be compared over common columns; else
    they are roots of weights.
    """
    powers = np.arange(3) if ratings else np.ones(1)
    counts = [np.diff(one.indptr) if ratings else _squares(one) for one in (rows, others)]
    size = max(1, _BLOCK_PAIRS // max(1, others.shape[0]))
    by_column = others.T.tocsr()
    right = _power_blocks(by_column, powers).transpose(0, 2, 1), by_column.indices, by_column.indptr
    columns = sparse.bsr_matrix(right, shape=(others.shape[1], len(powers) * others.shape[0]))
    for start in range(0, rows.shape[0], size):
        block = rows[start : start + size]
        left = _power_blocks(block, powers), block.indices, block.indptr
        pairs = sparse.bsr_matrix(left, shape=(len(powers) * block.shape[0], block.shape[1])) @ columns
        row = np.repeat(np.arange(block.shape[0]), np.diff(pairs.indptr))
        own, other = counts[0][start + row], counts[1][pairs.indices]
        similar = np.zeros((block.shape[0], others.shape[0]), dtype=np.float32)
        similar[row, pairs.indices] = _similarity(pairs.data, own, other, config, ratings)
        yield start, similar


def _squares(rows: sparse.csr_matrix) -> NDArray[np.float64]:
    """The sum of squares of each row, float64 [n]: of ones, how many there are."""
    row = np.repeat(np.arange(rows.shape[0]), np.diff(rows.indptr))
    return np.bincount(row, rows.data.astype(np.float64) ** 2, minlength=rows.shape[0]).astype(np.float64)


def _power_blocks(values: sparse.csr_matrix, powers: NDArray[Any]) -> NDArray[np.float64]:
    """The values to the powers [p]: float64 [nnz, p, 1], blocks of a BSR matrix.

    The product of two such matrices holds, for each pair with a common column, a block of all sums of products of
    powers over the common columns: one pass over the pairs instead of one a sum.
    """
    return np.asarray(values.data.astype(np.float64)[:, None, None] ** powers[:, None])


def _similarity(
    sums: NDArray[np.float64], own: NDArray[Any], other: NDArray[Any], config: ItemCFConfig, ratings: bool
) -> NDArray[np.float64]:
    """The similarity of n pairs, float64 [n].

    sums: [n, 3, 3], at [:, a, b] the sum over common columns of (the one's value)^a (the other's value)^b; without
    ratings [n, 1, 1], of weights. own, other: [n], columns that each has a value in, or the sum of their weights.
    """
    common = sums[:, 0, 0]
    if not ratings:
        alpha = _ALPHA if config.alpha is None else config.alpha
        above, below = common, own ** (1 - alpha) * other**alpha
    elif config.similarity == "msd":
        above, below = common, sums[:, 2, 0] + sums[:, 0, 2] - 2 * sums[:, 1, 1] + common
    elif config.similarity == "pearson":
        above = common * sums[:, 1, 1] - sums[:, 1, 0] * sums[:, 0, 1]
        spread = _spread(common, sums[:, 2, 0], sums[:, 1, 0])
        below = np.sqrt(spread * _spread(common, sums[:, 0, 2], sums[:, 0, 1]))
    else:
        above, below = sums[:, 1, 1], np.sqrt(sums[:, 2, 0] * sums[:, 0, 2])
    support = common - 1 if ratings and config.similarity == "pearson_baseline" else common
    above, below = above * support, below * (support + (config.shrinkage if ratings else config.implicit_shrinkage))
    counts = (common >= config.min_k) & (below > 0)
    return np.divide(above, below, out=np.zeros(len(common)), where=counts)


def _spread(
    common: NDArray[np.float64], squares: NDArray[np.float64], sums: NDArray[np.float64]
) -> NDArray[np.float64]:
    """n sum r^2 - (sum r)^2, with 0 for what rounding leaves of equal ratings."""
    spread = common * squares - sums**2
    return np.where(spread > 1e-12 * common * squares, spread, 0)


def strongest(similar: Floats, k: int) -> sparse.csr_matrix:
    """Each row's k largest values among those above 0, CSR [n, m]; ties for the last place go to the lower column."""
    kept = similar > 0
    if k < similar.shape[1]:
        last = -np.partition(-similar, k - 1, axis=1)[:, k - 1 : k]
        larger, tied = similar > last, similar == last
        kept &= larger | (tied & (np.cumsum(tied, axis=1) <= k - larger.sum(axis=1, keepdims=True)))
    row, column = np.nonzero(kept)
    return sparse.csr_matrix((similar[kept], (row, column)), similar.shape)


def item_baselines(ratings: sparse.csr_matrix) -> NDArray[np.float64]:
    """mu + b_i of the baselines b_ui = mu + b_u + b_i, float64 [n_items]: Surprise's alternating least squares.

    b_i = sum_u (r_ui - mu - b_u) / (10 + |U_i|),    b_u = sum_i (r_ui - mu - b_i) / (15 + |I_u|),    ten times
    """
    values = ratings.data.astype(np.float64)
    count, mean = np.bincount(ratings.indices, minlength=ratings.shape[1]), values.mean()
    left = ratings.astype(np.float64)
    of_user, baseline = np.zeros(ratings.shape[0]), np.full(ratings.shape[1], mean)
    for _ in range(_BASELINE_EPOCHS):
        deviation = values - mean - np.repeat(of_user, np.diff(ratings.indptr))
        total = np.bincount(ratings.indices, weights=deviation, minlength=ratings.shape[1])
        baseline = mean + total / (_BASELINE_REG_ITEM + count)
        left.data = values - baseline[ratings.indices]
        of_user = user_baselines(left)
    return np.asarray(baseline, dtype=np.float64)


def user_baselines(left: sparse.csr_matrix) -> NDArray[np.float64]:
    """b_u, float64 [n], from what mu + b_i leave of each rating: CSR [n, n_items]."""
    row = np.repeat(np.arange(left.shape[0]), np.diff(left.indptr))
    total = np.bincount(row, weights=left.data, minlength=left.shape[0])
    return np.asarray(total / (_BASELINE_REG_USER + np.diff(left.indptr)), dtype=np.float64)
