"""The bootstrap distribution of a mean: its saddlepoint approximation, or drawn where few users make the mean.

The values x of n users have K(t) = log mean exp(t x). Where K'(t) = y, with r = sign(t) sqrt(2 n (t y - K(t))),
v = t sqrt(n K''(t)) and r* = r + log(v / r) / r, a mean of n users drawn with replacement is at most y with a
probability of Phi(r*), up to a relative error of order 1 / n (Davison and Hinkley 1988; Barndorff-Nielsen 1986).
Drawing would need hundreds of thousands of resamples for three digits of a p value; this needs some ten passes over the
values. Of values on a grid it counts half of what falls on y itself, as a mid-p does.

What counts is not how many users there are, but how many make the mean's variance: if all but three have the same
value, a resampled mean has lumps, that of drawing none of the three among them, and no smooth approximation holds. Then
only those who differ most are drawn, a binomial number of times, which is cheap as they are few.
"""

import math
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]

_FEW = 20
"""Users who make the variance of whom the resamples are drawn; of as many or more they are approximated."""
_DRAWN = 50
"""Most users who are drawn one by one; the sum of the others is normal."""
_RESAMPLES = 20_000
_DECIMALS = 12
"""To which drawn sums are rounded, so that users who cancel do so in spite of floating point."""
_PASSES = 60
_FAR = 9.0
"""Standard errors beyond which the normal tail stands for it: below 1e-18 either way."""


def resampled_mean(values: Values, confidence: float) -> tuple[float, float, float]:
    """The percentile interval of a resampled mean, and the share of resampled means below 0.

    values: float64 [n], of some 100 users or more. Returns low, high and P(mean* < 0) + P(mean* = 0) / 2.
    """
    first = float(values[0])
    if (values == first).all():
        return first, first, 0.5 if first == 0 else float(first < 0)
    tail = (1 - confidence) / 2
    if users_who_count(values) < _FEW:
        means = _drawn_means(values)
        low, high = np.quantile(means, [tail, 1 - tail])
        return float(low), float(high), _possible(_counted_below(means), values)
    mean, deviation = float(values.mean()), float(values.std())
    standard = (values - mean) / deviation
    low, high = (mean + deviation * _quantile(standard, NormalDist().inv_cdf(q)) for q in (tail, 1 - tail))
    return low, high, _possible(_share_below(standard, -mean / deviation), values)


def share_below_zero(values: Values) -> float:
    """The last of what `resampled_mean` returns, at a third of the cost."""
    first = float(values[0])
    if (values == first).all():
        return 0.5 if first == 0 else float(first < 0)
    if users_who_count(values) < _FEW:
        return _possible(_counted_below(_drawn_means(values)), values)
    mean, deviation = float(values.mean()), float(values.std())
    return _possible(_share_below((values - mean) / deviation, -mean / deviation), values)


def users_who_count(values: Values) -> NDArray[np.float64]:
    """How many users make the variance: n by the kurtosis, which is k where k of many differ by the same from the rest.

    values: float64 [n, ...]. Returns float64 [...], at most the number of those who differ; 0 where nobody does.
    """
    squares = (values - values.mean(axis=0)) ** 2
    fourth = (squares**2).sum(axis=0)
    zeros = np.zeros_like(fourth)
    return np.asarray(np.divide(squares.sum(axis=0) ** 2, fourth, out=zeros, where=fourth > 0))


def _possible(below: float, values: Values) -> float:
    """Clips the share to [q/2, 1 - q/2]; q: the probability that a resample draws only users with difference 0."""
    only_zeros = (1 - np.count_nonzero(values) / len(values)) ** len(values)
    return min(max(below, only_zeros / 2), 1 - only_zeros / 2)


def _drawn_means(values: Values) -> Values:
    """Means of resamples: float64 [_RESAMPLES]. The users who differ most from the value that most have are drawn.

    Of the others it is known how often somebody is drawn, and the sum is normal, or what they all have. The negative
    values have the negative means, since the median and the noise have their signs.
    """
    n, common = len(values), float(np.median(values))
    differences = values - common
    most = np.argsort(-np.abs(differences), kind="stable")[:_DRAWN]
    few, others = differences[most], np.delete(differences, most)
    few = few[few != 0]
    rng = np.random.default_rng(0)
    times = rng.binomial(n, len(few) / n, _RESAMPLES)
    drawn = few[rng.integers(len(few), size=times.sum())]
    sums = np.bincount(np.repeat(np.arange(_RESAMPLES), times), weights=drawn, minlength=_RESAMPLES)
    noise = math.copysign(1, few[0]) * rng.standard_normal(_RESAMPLES)
    sums += (n - times) * others.mean() + np.sqrt(n - times) * others.std() * noise
    return np.asarray(np.round(n * common + sums, _DECIMALS) / n)


def _counted_below(means: Values) -> float:
    """The share of means below 0, and half of those that are 0."""
    return float(np.count_nonzero(means < 0) + np.count_nonzero(means == 0) / 2) / len(means)


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
