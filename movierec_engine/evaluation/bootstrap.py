"""Uncertainty of a mean over users."""

from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from movierec_engine.evaluation.blas_threads import one_blas_thread
from movierec_engine.evaluation.resampled_mean import resampled_mean, users_who_count

LARGE = 20_000
"""Users from whom on the distribution of a resampled mean is computed instead of drawn."""
NORMAL = 100
"""Users who make a column's variance (`users_who_count`) from whom on the ends are then the normal ones: what the
skewness of the mean would add is less than the noise of 1,000 resamples."""
_AT_ONCE = 16
"""Resamples whose means are one matrix product."""


def bootstrap_intervals(
    values: NDArray[np.float64], *, seed: int = 0, resamples: int = 1000, confidence: float = 0.95
) -> NDArray[np.float64]:
    """Percentile bootstrap intervals of the column means (Efron and Tibshirani 1993), resampling users.

    Of LARGE users and more they are mean +- z s / sqrt(n), to which those converge, at a cost that does not grow with
    the resamples. Of a column that few of them make, such as the hits of a rare item, `resampled_mean` has them.

    values: float64 [n_users, m]; a column's NaN are users of whom it says nothing, and the others are resampled.
    Returns float64 [m, 2], the low and the high end.
    """
    partial = np.isnan(values).any(axis=0)
    if partial.any():
        ends = np.empty((values.shape[1], 2))
        for column in np.flatnonzero(partial):
            having = values[~np.isnan(values[:, column]), column]
            ends[column] = bootstrap_intervals(having[:, None], seed=seed, resamples=resamples, confidence=confidence)
        if not partial.all():
            ends[~partial] = bootstrap_intervals(
                np.ascontiguousarray(values[:, ~partial]), seed=seed, resamples=resamples, confidence=confidence
            )
        return ends
    n = len(values)
    if n >= LARGE:
        half = NormalDist().inv_cdf((1 + confidence) / 2) * values.std(axis=0) / np.sqrt(n)
        ends = np.stack([values.mean(axis=0) - half, values.mean(axis=0) + half], axis=1)
        for column in np.flatnonzero(users_who_count(values) < NORMAL):
            ends[column] = resampled_mean(values[:, column], confidence)[:2]
        return ends
    rng = np.random.default_rng(seed)
    means = np.empty((resamples, values.shape[1]))
    with one_blas_thread():
        for start in range(0, resamples, _AT_ONCE):
            rows = min(_AT_ONCE, resamples - start)
            weights = times_drawn(rng, n, rows).astype(np.float64)
            means[start : start + rows] = weights @ values / n
    tail = (1 - confidence) / 2
    return np.quantile(means, [tail, 1 - tail], axis=0).T


def times_drawn(rng: np.random.Generator, n: int, rows: int) -> NDArray[np.int64]:
    """How often each of n users is there when n are drawn with replacement, again and again: int64 [rows, n]."""
    drawn = rng.integers(n, size=(rows, n))
    drawn += n * np.arange(rows)[:, None]
    return np.bincount(drawn.ravel(), minlength=rows * n).reshape(rows, n)
