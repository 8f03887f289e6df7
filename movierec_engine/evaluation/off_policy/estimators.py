"""Estimators of what a target policy would earn, by lists that a logging policy showed with known propensities.

With w = target's probability / logged propensity of a movie that was shown, r its reward, q a reward model's
prediction, and sums over the places of a list:

    IPS     mean over lists of sum w r                                          (Horvitz and Thompson 1952)
    SNIPS   sum w r / sum w over all places, times the target's places a list   (Swaminathan and Joachims 2015)
    DR      mean over lists of sum_target q + sum w (r - q)                     (Dudik, Langford and Li 2011)

IPS and DR have no bias where the target shows nothing that the log could not have shown. Where it does, the weights sum
to less than its places: IPS counts nothing for the rest, SNIPS takes it to be like the others, DR believes the model.
Which probabilities and propensities these are, of a movie at its place or anywhere in its list, is the caller's choice:
see `pipeline/off_policy.py`. Intervals: `likelihood_interval.py`.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from movierec_engine.errors import DataError
from movierec_engine.evaluation.off_policy.likelihood_interval import ratio_interval

Values = NDArray[np.float64]
Numbers = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class WeighedLists:
    """Logged lists, place by place, with what a target policy would do.

    of_list: int64 [n_places], the list of each place, from 0. user: int64 [n_lists], whom each was shown to, from 0.
    weight: float64 [n_places], not negative. reward, predicted: float64 [n_places], what the movie earned there, and
        what the reward model predicts.
    expected: float64 [n_lists], the reward model's sum over the target's list. places: float64 [n_lists], how many
        movies the target would have shown.
    """

    of_list: Numbers
    user: Numbers
    weight: Values
    reward: Values
    predicted: Values
    expected: Values
    places: Values

    def __post_init__(self) -> None:
        if not len(self.user):
            raise DataError("there is no logged list to estimate from; show lists with serving.exploration.share set")
        for name in ("weight", "reward", "predicted", "expected", "places"):
            if not np.isfinite(getattr(self, name)).all():
                raise DataError(f"{name} of a logged list is not a finite number; leave that list out")
        if len(self.weight) and self.weight.min() < 0:
            raise DataError("a logged list has a negative weight; its propensity is none, so leave that list out")

    def clipped(self, most: float) -> "WeighedLists":
        """The same with larger weights cut down to `most`: less variance, and a bias towards 0."""
        weight = np.minimum(self.weight, most)
        return replace(self, weight=weight)


@dataclass(frozen=True)
class PolicyEstimate:
    """A reward a list, with its interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class PolicyEstimates:
    """The target policy's estimated reward per list, by each estimator, and how well the log supports the estimates.

    logged: what the lists that were shown earned. ips_gain, snips_gain, dr_gain: the target's estimates less that, with
    the interval of the difference.
    lists, users: of the log. effective_places: (sum w)^2 / sum w^2 (Kish 1965). largest_weight: of a place.
    covered: mean weights over the target's places, 1 where the log could have shown all that the target shows.
    """

    logged: PolicyEstimate
    ips: PolicyEstimate
    snips: PolicyEstimate
    dr: PolicyEstimate
    ips_gain: PolicyEstimate
    snips_gain: PolicyEstimate
    dr_gain: PolicyEstimate
    covered: PolicyEstimate
    lists: int
    users: int
    effective_places: float
    largest_weight: float


def estimate(lists: WeighedLists, confidence: float = 0.95) -> PolicyEstimates:
    """Estimate the reward a list of a target policy."""
    n_lists = len(lists.user)

    def of_lists(values: Values) -> Values:
        return np.bincount(lists.of_list, values, n_lists).astype(np.float64)

    def of_users(values: Values) -> Values:
        return np.bincount(lists.user, values, users).astype(np.float64)

    weight, reward = lists.weight, lists.reward
    users = int(lists.user.max()) + 1
    most = float(weight.max(initial=0.0))
    hit = most * max(float(np.abs(reward).max(initial=0.0)), float(np.abs(reward - lists.predicted).max(initial=0.0)))
    counts = np.bincount(lists.user, minlength=users).astype(np.float64)

    def mean(terms: Values, extremes: tuple[float, float], over: Values = counts) -> PolicyEstimate:
        if not (over.sum() > 0 and np.isfinite(terms).all()):
            return PolicyEstimate(np.nan, np.nan, np.nan)
        sums = of_users(terms)
        return PolicyEstimate(float(sums.sum() / over.sum()), *ratio_interval(sums, over, extremes, confidence))

    shown, weighed = of_lists(reward), of_lists(weight * reward)
    doubly = lists.expected + of_lists(weight * (reward - lists.predicted))
    weights = of_lists(weight)
    per_place = float(weighed.sum() / weights.sum()) if weights.sum() > 0 else np.nan
    length = float(lists.places.mean())
    largest = max(float(reward.max(initial=0.0)), 1e-12)
    middle = float(lists.expected.mean()) * float(counts.mean())
    self_normalized = mean(weighed, (0.0, most * largest), of_users(weights))
    # the difference of a ratio and a mean: the ratio's influence, sum w (r - R) / mean w, stands for its terms
    influence = (weighed - per_place * weights) * length / max(float(weights.mean()), 1e-300)
    snips_gain = mean(influence + per_place * length - shown, (-largest, most * largest))
    return PolicyEstimates(
        logged=mean(shown, (0.0, largest)),
        ips=mean(weighed, (0.0, most * largest)),
        snips=PolicyEstimate(*(length * end for end in (per_place, self_normalized.low, self_normalized.high))),
        dr=mean(doubly, (middle - hit, middle + hit)),
        ips_gain=mean(weighed - shown, (-largest, most * largest)),
        snips_gain=snips_gain,
        dr_gain=mean(doubly - shown, (middle - hit - largest, middle + hit)),
        covered=mean(weights, (0.0, most), of_users(lists.places)),
        lists=n_lists,
        users=len(np.unique(lists.user)),
        effective_places=float(weight.sum() ** 2 / (weight @ weight)) if most else 0.0,
        largest_weight=most,
    )
