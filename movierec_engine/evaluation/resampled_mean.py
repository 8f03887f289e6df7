"""The bootstrap distribution of a mean without resampling: its saddlepoint approximation.

The values x of n users have K(t) = log mean exp(t x). Where K'(t) = y, with r = sign(t) sqrt(2 n (t y - K(t))),
v = t sqrt(n K''(t)) and r* = r + log(v / r) / r, a mean of n users drawn with replacement is at most y with a
probability of Phi(r*), up to a relative error of order 1 / n (Davison and Hinkley 1988; Barndorff-Nielsen 1986).
Drawing would need hundreds of thousands of resamples for three digits of a p value; this needs some ten passes over the
values. Of values on a grid it counts half of what falls on y itself, as a mid-p does.
"""

import math
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]

_PASSES = 60
_FAR = 9.0
"""Standard errors beyond which the normal tail stands for it: below 1e-18 either way."""


def resampled_mean(values: Values, confidence: float) -> tuple[float, float, float]:
    """The percentile interval of a resampled mean, and the share of resampled means below 0.

    values: float64 [n], of some 100 users or more. Returns low, high and P(mean* < 0) + P(mean* = 0) / 2.
    """
    mean, deviation = float(values.mean()), float(values.std())
    below = share_below_zero(values)
    if deviation == 0:
        return mean, mean, below
    standard = (values - mean) / deviation
    tail = (1 - confidence) / 2
    low, high = (mean + deviation * _quantile(standard, NormalDist().inv_cdf(q)) for q in (tail, 1 - tail))
    return low, high, below


def share_below_zero(values: Values) -> float:
    """The last of what `resampled_mean` returns, at a third of the cost."""
    mean, deviation = float(values.mean()), float(values.std())
    if deviation == 0:
        return 0.5 if mean == 0 else float(mean < 0)
    return _share_below((values - mean) / deviation, -mean / deviation)


def _share_below(values: Values, y: float) -> float:
    """P(mean* <= y) of standardized values."""
    if y <= values.min() or y >= values.max():
        return float(y >= values.max())
    if abs(y) * math.sqrt(len(values)) > _FAR:
        return NormalDist().cdf(y * math.sqrt(len(values)))
    low, high, t = -math.inf, math.inf, y
    for _ in range(_PASSES):
        cumulant, slope, curvature = _cumulants(values, t)
        if abs(slope - y) < 1e-10:
            break
        low, high = (t, high) if slope < y else (low, t)
        step = t + (y - slope) / curvature if curvature > 0 else math.nan
        if not low < step < high:
            step = (low + high) / 2 if math.isfinite(low + high) else 2 * t + math.copysign(1, y - slope)
        t = step
    return NormalDist().cdf(_signed_root(values, t, y, cumulant, curvature))


def _quantile(values: Values, z: float) -> float:
    """The y of standardized values of which r* = z."""
    root = math.sqrt(len(values))
    t = z / root
    for _ in range(_PASSES):
        cumulant, slope, curvature = _cumulants(values, t)
        missing = z - _signed_root(values, t, slope, cumulant, curvature)
        if abs(missing) < 1e-6:
            break
        t += missing / root
    return slope


def _cumulants(values: Values, t: float) -> tuple[float, float, float]:
    """K(t), K'(t) and K''(t)."""
    exponents = t * values
    largest = float(exponents.max())
    weights = np.exp(exponents - largest)
    total = float(weights.sum())
    slope = float(weights @ values) / total
    curvature = float(weights @ (values - slope) ** 2) / total
    return largest + math.log(total / len(values)), slope, curvature


def _signed_root(values: Values, t: float, y: float, cumulant: float, curvature: float) -> float:
    """r*, of which P(mean* <= y) is the standard normal's share below."""
    n = len(values)
    r = math.copysign(math.sqrt(max(2 * n * (t * y - cumulant), 0.0)), t)
    if abs(r) < 1e-3:  # its limit, by the skewness
        return r + float(np.mean(values**3)) / (6 * math.sqrt(n))
    return r + math.log(t * math.sqrt(n * curvature) / r) / r
