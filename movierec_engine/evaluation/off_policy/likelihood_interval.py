"""Empirical likelihood intervals of a mean over lists, some of which are of the same user.

Terms of inverse propensity weighting are mostly 0 and seldom large, so that mean +- 1.96 standard errors covers too
seldom: with few hits it is too short, above all upwards, and without any it is a point. The empirical likelihood ratio
(Owen 1988) takes the shape of the interval from the terms themselves. With x_u the sum of a user's terms and n_u the
user's number of lists, a mean v is inside the interval where

    max_l sum_u log(1 + l (x_u - v n_u)) <= F(1, users - 1; confidence) (1 + b / users) / 2

with b = kurtosis / 2 - skewness^2 / 3 of the x_u - v n_u, Bartlett's correction (DiCiccio, Hall and Romano 1991).
Users, and not lists, are taken as independent. Each end is sought with one user more, whose sum is the most extreme
that a user's could be on that side: what was never seen could else not be in the interval, as the largest weight is
added to a standardized rate (Fay and Feuer 1997).
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]

_PASSES = 60
_EDGE = 1 - 1e-9
_DIGITS = 1e-6
_FAR = 1e3


def ratio_interval(
    sums: Values, counts: Values, extremes: tuple[float, float], confidence: float = 0.95
) -> tuple[float, float]:
    """The interval of sum(sums) / sum(counts), whose rows are independent.

    sums: float64 [u], x_u. counts: float64 [u], n_u, not negative. extremes: the least and the largest sum that a row
    of mean count could have. Returns low and high; NaN without two rows.
    """
    from scipy.special import fdtri

    if len(sums) < 2 or not counts.sum() > 0:
        return np.nan, np.nan
    mean, typical = float(sums.sum() / counts.sum()), float(counts.mean())
    most = float(fdtri(1, len(sums) - 1, confidence)) * _bartlett(sums - mean * counts) / 2
    each = sums[counts > 0] / counts[counts > 0]
    ends = []
    for extreme, seen in zip(extremes, (each.min(), each.max()), strict=True):
        more, of = np.append(sums, extreme), np.append(counts, typical)
        side = min if extreme is extremes[0] else max
        ends.append(_crossing(_outside(more, of, most), float(more.sum() / of.sum()), side(seen, extreme / typical)))
    return min(ends[0], mean), max(ends[1], mean)


def _bartlett(apart: Values) -> float:
    """1 + b / users."""
    variance = float(apart.var())
    if not variance > 0:
        return 1.0
    standard = (apart - apart.mean()) / np.sqrt(variance)
    return 1 + max(float((standard**4).mean()) / 2 - float((standard**3).mean()) ** 2 / 3, 0) / len(apart)


def _outside(sums: Values, counts: Values, most: float) -> Callable[[float], float]:
    """A function of a mean that is above 0 where it lies outside of the interval."""
    step = 0.0

    def outside(value: float) -> float:
        nonlocal step
        ratio, step = _log_ratio(sums - value * counts, step)
        return ratio - most

    return outside


def _log_ratio(apart: Values, step: float) -> tuple[float, float]:
    """max_l sum log(1 + l apart), _FAR where nothing balances, and that l, sought from a step on."""
    least, largest = float(apart.min()), float(apart.max())
    if least >= 0 or largest <= 0:
        return (_FAR if apart.any() else 0.0), 0.0
    low, high = -_EDGE / largest, -_EDGE / least
    if not low < step < high:
        step = 0.0
    for _ in range(_PASSES):
        term = apart / (1 + step * apart)
        slope = float(term.sum())
        low, high = (step, high) if slope > 0 else (low, step)
        proposed = step + slope / float(term @ term)
        if not low < proposed < high:
            proposed = (low + high) / 2
        if abs(proposed - step) <= 1e-10 * abs(proposed):
            break
        step = proposed
    return min(float(np.log1p(step * apart).sum()), _FAR), step


def _crossing(outside: Callable[[float], float], inside: float, beyond: float) -> float:
    """Where `outside` crosses 0 between a value inside and one beyond; `beyond` where it does not."""
    from scipy.optimize import brentq

    if beyond == inside or outside(beyond) <= 0:
        return float(beyond)
    return float(brentq(outside, inside, beyond, xtol=_DIGITS * abs(beyond - inside)))
