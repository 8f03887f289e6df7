"""Uncertainty of a mean over users."""

import numpy as np
from numpy.typing import NDArray


def bootstrap_intervals(
    values: NDArray[np.float64], *, seed: int = 0, resamples: int = 1000, confidence: float = 0.95
) -> NDArray[np.float64]:
    """Percentile bootstrap intervals of the column means (Efron and Tibshirani 1993), resampling users.

    values: float64 [n_users, m]. Returns float64 [m, 2], the low and the high end.
    """
    rng = np.random.default_rng(seed)
    n = len(values)
    means = np.empty((resamples, values.shape[1]))
    for row in range(resamples):
        weights = np.bincount(rng.integers(n, size=n), minlength=n)
        means[row] = weights @ values / n
    tail = (1 - confidence) / 2
    return np.quantile(means, [tail, 1 - tail], axis=0).T
