"""Importance of a sweep's settings: how much of the trials' differences lies between the parts of a setting's range.

One-way analysis of variance, of each setting alone, in the space that was searched: a number's range is cut into parts
of equal width on the scale it was drawn from, logarithmic where it was searched so, and every choice is a part of its
own. Each part weighs the same however many trials fell into it, since a search tries good values more often. The share
is corrected for what chance gives so many parts (omega squared, Hays 1963), and told as more than chance where few
shuffles of the scores reach as much.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from movierec_engine.evaluation.comparison import ALPHA, holm
from movierec_engine.tuning.axis import CHOICE, LINEAR, LOG, Axis

PARTS = 4
"""Parts that a number's range is cut into."""
FEW = 10
"""Fewer results than this say nothing about which settings matter."""
SHUFFLES = 999
DECADES = 30
"""A number without a known space whose largest value is so many times its smallest is taken as searched by its log."""

Values = Sequence[str | None]


@dataclass(frozen=True)
class Importance:
    """Importance of one setting: the share of the trials' differences that lies between the parts of its range."""

    setting: str
    share: float
    """Share of the variance of the validation metric over the searched space, corrected for chance; from 0 to 1."""
    direction: float | None
    """Spearman's rank correlation of a number with the metric, positive where more is better; None for words."""
    values: int
    """Different values that were tried."""
    trials: int
    """Results that it is computed from."""
    scale: str
    """`log`, `linear` or `choice`."""
    told: bool
    """Whether it is more than chance: Holm-corrected over the settings, and of at least FEW results."""


def importances(
    columns: Mapping[str, Values], scores: NDArray[np.float64], space: Mapping[str, Axis], more_is_better: bool
) -> list[Importance]:
    """Every searched setting's importance, the largest share first.

    columns: setting -> its value in each of n results. scores: float64 [n], their validation metric. space: setting ->
    its axis, as far as the sweep has kept it.
    """
    axes = {name: axis_of(values, space.get(name)) for name, values in columns.items()}
    parts = {name: parts_of(values, axes[name]) for name, values in columns.items()}
    shares = {name: explained(own, scores[None])[0] for name, own in parts.items()}
    chances = holm([_chance(parts[name], scores, float(shares[name])) for name in columns]).tolist()
    found = []
    for (name, values), chance in zip(columns.items(), chances, strict=True):
        known = [number(value) for value in values if value is not None]
        direction = None
        if axes[name].scale != CHOICE and len(known) == len(values):
            direction = _spearman(np.array(known, dtype=np.float64), scores if more_is_better else -scores)
        told = bool(chance < ALPHA) and len(scores) >= FEW
        found.append(
            Importance(name, float(shares[name]), direction, len(set(values)), len(scores), axes[name].scale, told)
        )
    return sorted(found, key=lambda one: -one.share)


def axis_of(values: Values, known: Axis | None = None) -> Axis:
    """The scale of a setting: the sweep's own, or a guess where an older sweep has not kept it.

    Numbers of more than PARTS values are then on a range, and all else are choices.
    """
    if known is not None:
        return known
    found = [number(value) if value is not None else None for value in values]
    numbers = [value for value in found if value is not None]
    if len(numbers) < len(values) or len(set(numbers)) <= PARTS:
        return Axis(CHOICE)
    low, high = min(numbers), max(numbers)
    return Axis(LOG if low > 0 and high / low >= DECADES else LINEAR, low, high)


def parts_of(values: Values, axis: Axis) -> NDArray[np.int64]:
    """The part of its range that each value is in, int64 [n]; one that is not set is in a part of its own."""
    if axis.scale == CHOICE:
        return np.unique([str(value) for value in values], return_inverse=True)[1]
    return np.array([PARTS if (one := number(value or "")) is None else _part(one, axis) for value in values])


def _part(value: float, axis: Axis) -> int:
    return min(max(int(PARTS * axis.place(value)), 0), PARTS - 1)


def explained(parts: NDArray[np.int64], scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Omega squared of rows of scores, float64 [m, n], by their parts, int64 [n]; every part weighs the same.

    With k parts of mean m_g and n_g scores, and W the variance within them: B / (B + W), where B is the variance of the
    k means less W (1 - 1/k) mean(1 / n_g), what they differ by through W alone. 0 where nothing can be told.
    """
    labels, places, counts = np.unique(parts, return_inverse=True, return_counts=True)
    n, k = len(parts), len(labels)
    if k < 2 or n <= k:
        return np.zeros(len(scores))
    means = scores @ np.eye(k)[places] / counts
    within = ((scores - means[:, places]) ** 2).sum(axis=1) / (n - k)
    between = np.maximum(means.var(axis=1) - within * (1 - 1 / k) * (1 / counts).mean(), 0)
    total = between + within
    shares: NDArray[np.float64] = np.divide(between, total, out=np.zeros_like(total), where=total > 0)
    return shares


def _chance(parts: NDArray[np.int64], scores: NDArray[np.float64], share: float) -> float:
    """How often shuffled scores have such a share or a larger one."""
    if share <= 0:
        return 1.0
    rng = np.random.default_rng(0)
    shuffled = rng.permuted(np.broadcast_to(scores, (SHUFFLES, len(scores))), axis=1)
    return float(1 + np.count_nonzero(explained(parts, shuffled) >= share - 1e-12)) / (SHUFFLES + 1)


def _spearman(one: NDArray[np.float64], other: NDArray[np.float64]) -> float | None:
    from scipy.stats import rankdata

    ranks = rankdata(one), rankdata(other)
    if len(one) < 3 or any(np.ptp(own) == 0 for own in ranks):
        return None
    return float(np.corrcoef(*ranks)[0, 1])


def number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
