"""Paired significance tests of models over the same users, Holm-corrected over all pairs.

Two tests look at the differences a - b of the users. The bootstrap tests their mean, which is the number reported;
Wilcoxon's signed ranks look at the users' differences in order of size, where no single user weighs much. A difference
counts as significant only where both say so and point the same way: the first alone can be decided by a few users, the
second alone by many users who differ by next to nothing.

Differences are rounded to 12 decimals, as scipy's documentation of `wilcoxon` advises, so that steps of a metric that
are equal, or cancel, do so in spite of floating point; values are expected on the scale of metrics and ratings.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Self

import numpy as np
from numpy.typing import NDArray

from movierec_engine.errors import MovierecError
from movierec_engine.evaluation.blas_threads import one_blas_thread
from movierec_engine.evaluation.bootstrap import times_drawn
from movierec_engine.evaluation.resampled_mean import resampled_mean, share_below_zero

Values = NDArray[np.float64]

ALPHA = 0.05
FEW = 100
"""Number of users below which the bootstrap's resamples are drawn; from it on their distribution is computed, so that a
p value has no noise and no floor, unless a few users make the difference (`resampled_mean`)."""
RESAMPLES = 20_000
CONFIDENCE = 0.95
DECIMALS = 12
EXACT = 25
"""Users who differ up to whom the signed ranks' p value is exact: the normal one of 5 users who all win is .043 and not
.0625; of 25 who differ p values below .1 agree to .003."""
COUNTS_AT_ONCE = 2**21
"""Cells of a bootstrap's matrices, of who is drawn and how often, that are in memory together: 16 MiB each."""


@dataclass(frozen=True)
class PairedComparison:
    """Model a against model b on the same users; swapping them changes every sign and no p value."""

    users: int
    mean_a: float
    mean_b: float
    difference: float
    """Mean of a - b, of b - a where less is better: above 0, a is better; and so for all that follows."""
    low: float
    high: float
    """95 % percentile bootstrap interval of the difference, users resampled; not corrected for several comparisons."""
    p_bootstrap: float
    """2 min(P(d* <= 0), P(d* >= 0)) over the resampled differences d*. Of fewer than FEW users each P is (count + 1) /
    (resamples + 1); of more, half of what falls on 0 counts."""
    p_wilcoxon: float
    """Wilcoxon's signed-rank test, two-sided, exact of few users; Pratt's (1959) zeros; 1 where no user differs."""
    effect_size: float
    """Cohen's d_z: mean / standard deviation (n - 1) of the differences. Where all users differ by the same amount, it
    is 0 for that amount 0 and else infinite, with its sign."""
    rank_biserial: float
    """(rank sum of wins - rank sum of losses) / both sums (Kerby 2014), with the test's own ranks; 0 without either."""
    wins: int
    ties: int
    losses: int
    """Users for whom a is better, neither is, and b is."""


@dataclass(frozen=True)
class Verdict:
    """Two models of a leaderboard, the one with the higher mean first, and what comparing them says once corrected."""

    better: str
    worse: str
    comparison: PairedComparison
    """Comparison of better (a) with worse (b), before correction."""
    p_bootstrap: float
    p_wilcoxon: float
    """The comparison's p values, Holm-corrected over all verdicts given together."""
    significant: bool
    """Both corrected p values are below ALPHA, and the ranks favour the model that the mean favours."""


@dataclass(frozen=True)
class LeaderComparison:
    """The model with the best mean against each of the others, in order of mean."""

    leader: str
    verdicts: tuple[Verdict, ...]

    @classmethod
    def of(cls, verdicts: Sequence[Verdict], values: Mapping[str, Values], *, less_is_better: bool = False) -> Self:
        """The comparison of some models, the first named of equals leading.

        verdicts: of all pairs of these models and perhaps of others, as of `compare_all_pairs`. values: name to float64
        [n_users]; at least one.
        """
        sign = -1 if less_is_better else 1
        worse = {one.worse for one in verdicts if one.better in values and one.worse in values}
        leader = next((name for name in values if name not in worse), "") or max(
            values, key=lambda name: sign * float(np.nanmean(values[name]))
        )
        return cls(leader, tuple(one for one in verdicts if one.better == leader and one.worse in values))

    @property
    def among_best(self) -> tuple[str, ...]:
        """The leader and the models that are not significantly worse, in order of mean."""
        return (self.leader, *(verdict.worse for verdict in self.verdicts if not verdict.significant))

    @property
    def alone(self) -> bool:
        """True if there are others and the leader is significantly better than each of them."""
        return bool(self.verdicts) and self.among_best == (self.leader,)


def compare_paired(
    a: Values, b: Values, *, less_is_better: bool = False, seed: int = 0, resamples: int = RESAMPLES
) -> PairedComparison:
    """Compare two models user by user.

    a, b: float64 [n_users], the same users in the same order; users of whom both are NaN are left out. seed, resamples:
    of the draws where there are fewer than FEW users. Raises
    MovierecError where they are empty, of different lengths or not finite.
    """
    values = _checked({"a": a, "b": b}, less_is_better)
    return _compare(values, [("a", "b")], less_is_better, seed, resamples)[0]


def compare_all_pairs(
    values: Mapping[str, Values], *, less_is_better: bool = False, seed: int = 0, resamples: int = RESAMPLES
) -> tuple[Verdict, ...]:
    """Compare each model with every one of a worse mean, the best first; Holm over all m (m - 1) / 2 pairs.

    values: name to float64 [n_users], the same users in the same order; users of whom all are NaN are left out. The
    correction is over all pairs also where the leader's alone are shown, because the leader was chosen by these very
    values: of ten equally good models, correcting the leader's nine pairs alone found one worse than it in 12 of 100
    simulated boards, all pairs in 4.
    """
    values = _checked(values, less_is_better)
    pairs = list(combinations(_by_mean(values), 2))
    return _verdicts(values, pairs, less_is_better, seed, resamples)


def compare_pair(values: Mapping[str, Values], names: tuple[str, str], *, less_is_better: bool = False) -> Verdict:
    """The verdict that `compare_all_pairs` has on two of the models; of the other pairs only the p values are computed.

    values: as there. names: two of its keys, in any order.
    """
    checked = _checked(values, less_is_better)
    pairs = list(combinations(_by_mean(checked), 2))
    place = next(place for place, pair in enumerate(pairs) if set(pair) == set(names))
    if len(checked[names[0]]) < FEW:  # drawn for all models together
        return compare_all_pairs(values, less_is_better=less_is_better)[place]
    bootstrap, wilcoxon = zip(*(_p_values(np.round(checked[a] - checked[b], DECIMALS)) for a, b in pairs), strict=True)
    comparison = _compare(checked, [pairs[place]], less_is_better, 0, RESAMPLES)[0]
    return _verdict(*pairs[place], comparison, float(holm(bootstrap)[place]), float(holm(wilcoxon)[place]))


def holm(p_values: Sequence[float] | Values) -> Values:
    """Step-down adjusted p values (Holm 1979): of the i-th smallest of m, max_{j<=i} (m - j + 1) p_(j), at most 1.

    p_values: float64 [m], in any order. Returns float64 [m], in the same order.
    """
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p, kind="stable")
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)), 1)
    return adjusted


def correct(verdicts: Sequence[Verdict]) -> tuple[Verdict, ...]:
    """The same verdicts, Holm-corrected over just these; for comparisons that were made one by one."""
    bootstrap = holm([verdict.comparison.p_bootstrap for verdict in verdicts])
    wilcoxon = holm([verdict.comparison.p_wilcoxon for verdict in verdicts])
    return tuple(
        _verdict(verdict.better, verdict.worse, verdict.comparison, float(p_bootstrap), float(p_wilcoxon))
        for verdict, p_bootstrap, p_wilcoxon in zip(verdicts, bootstrap, wilcoxon, strict=True)
    )


def _verdict(better: str, worse: str, comparison: PairedComparison, p_bootstrap: float, p_wilcoxon: float) -> Verdict:
    """p_bootstrap, p_wilcoxon: corrected."""
    told = max(p_bootstrap, p_wilcoxon) < ALPHA and comparison.difference * comparison.rank_biserial > 0
    return Verdict(better, worse, comparison, p_bootstrap, p_wilcoxon, bool(told))


def _verdicts(
    values: Mapping[str, Values], pairs: list[tuple[str, str]], less_is_better: bool, seed: int, resamples: int
) -> tuple[Verdict, ...]:
    """The pairs compared and corrected together.

    Where resamples are drawn there are at least 4 / ALPHA a pair: the smallest p value is then 2 / (resamples + 1), and
    after correction it has to lie well below alpha for anything to be significant.
    """
    compared = _compare(values, pairs, less_is_better, seed, max(resamples, math.ceil(4 / ALPHA) * len(pairs)))
    return correct(
        [
            Verdict(better, worse, comparison, comparison.p_bootstrap, comparison.p_wilcoxon, significant=False)
            for (better, worse), comparison in zip(pairs, compared, strict=True)
        ]
    )


def _compare(
    values: Mapping[str, Values], pairs: list[tuple[str, str]], less_is_better: bool, seed: int, resamples: int
) -> list[PairedComparison]:
    """Each pair of names compared, all on the same resampled users; values as `_checked` gives them."""
    users = len(next(iter(values.values())))
    resampled = _resampled_means(values, seed, resamples) if pairs and users < FEW else {}
    compared = []
    for a, b in pairs:
        difference = np.round(values[a] - values[b], DECIMALS)
        bootstrap = _drawn(resampled[a] - resampled[b]) if resampled else _computed(difference)
        compared.append(_summary(values[a], values[b], difference, bootstrap))
    if less_is_better:
        compared = [replace(one, mean_a=-one.mean_a, mean_b=-one.mean_b) for one in compared]
    return compared


def _resampled_means(values: Mapping[str, Values], seed: int, resamples: int) -> dict[str, Values]:
    """Each model's means over n users drawn with replacement, again and again (Efron and Tibshirani 1993).

    values: name to float64 [n_users]. Returns name to float64 [resamples]: all models of the same draws, so that the
    difference of two is the mean of their users' differences.
    """
    rng = np.random.default_rng(seed)
    models = np.stack(list(values.values()), axis=1)
    n = len(models)
    means = np.empty((models.shape[1], resamples))
    step = max(1, COUNTS_AT_ONCE // n)
    with one_blas_thread():
        for start in range(0, resamples, step):
            rows = range(start, min(start + step, resamples))
            means[:, start : rows.stop] = (times_drawn(rng, n, len(rows)) @ models / n).T
    return dict(zip(values, means, strict=True))


def _drawn(resampled: Values) -> tuple[float, float, float]:
    """Low end, high end and p value of a bootstrap by its resampled differences, float64 [resamples]; spoils them."""
    np.round(resampled, DECIMALS, out=resampled)
    tail = (1 - CONFIDENCE) / 2
    extreme = min(np.count_nonzero(resampled <= 0), np.count_nonzero(resampled >= 0))
    low, high = np.quantile(resampled, [tail, 1 - tail], overwrite_input=True)
    return float(low), float(high), min(1.0, 2 * float(extreme + 1) / (len(resampled) + 1))


def _computed(difference: Values) -> tuple[float, float, float]:
    """The same by the distribution of a resampled mean. difference: float64 [n_users]."""
    low, high, below = resampled_mean(difference, CONFIDENCE)
    return low, high, 2 * min(below, 1 - below)


def _p_values(difference: Values) -> tuple[float, float]:
    """The p values of both tests of FEW users or more. difference: rounded, float64 [n_users]."""
    below = share_below_zero(difference)
    return 2 * min(below, 1 - below), _signed_ranks(difference)[0]


def _summary(a: Values, b: Values, difference: Values, bootstrap: tuple[float, float, float]) -> PairedComparison:
    """difference: a - b, rounded, float64 [n_users]; bootstrap: its low and high end and its p value."""
    mean = float(difference.mean())
    low, high, p_bootstrap = bootstrap
    p_wilcoxon, rank_biserial = _signed_ranks(difference)
    return PairedComparison(
        users=len(difference),
        mean_a=float(a.mean()),
        mean_b=float(b.mean()),
        difference=mean,
        low=low,
        high=high,
        p_bootstrap=p_bootstrap,
        p_wilcoxon=p_wilcoxon,
        effect_size=_cohens_d(difference),
        rank_biserial=rank_biserial,
        wins=int((difference > 0).sum()),
        ties=int((difference == 0).sum()),
        losses=int((difference < 0).sum()),
    )


def _signed_ranks(difference: Values) -> tuple[float, float]:
    """p value of Wilcoxon's test and rank-biserial correlation, from one ranking.

    Zeros are ranked with the others and then left out (Pratt 1959). Without an effect each remaining rank has a random
    sign. Of at most EXACT of them the p value counts those signs, whatever ties there are; of more, the sum of the
    signed ranks is taken as normal, with mean 0 and variance sum(rank^2), without continuity correction.
    """
    ordered = (np.abs(difference).view(np.uint64) << 1) | (difference > 0)  # by size, and the sign with it
    ordered.sort()  # several times as fast as ranking by argsort
    sizes = ordered >> 1
    starts = np.flatnonzero(np.concatenate([[True], sizes[1:] != sizes[:-1]]))
    ends = np.append(starts[1:], len(sizes))
    wins = np.add.reduceat((ordered & 1).astype(np.int64), starts)
    ranks, ties = (starts + 1 + ends) / 2, ends - starts  # of each distinct size: its mean rank, and how many have it
    if sizes[0] == 0:
        ranks, ties, wins = ranks[1:], ties[1:], wins[1:]
    if len(ranks) == 0:
        return 1.0, 0.0
    total = float(ranks @ ties)
    signed = float(ranks @ (2 * wins - ties))
    if ties.sum() <= EXACT:
        zeros = len(difference) - int(ties.sum())
        return _share_as_extreme(np.repeat(2 * ranks, ties).astype(np.int64), zeros, round(2 * signed)), signed / total
    z = signed / math.sqrt(float(ranks**2 @ ties))
    return float(math.erfc(abs(z) / math.sqrt(2))), signed / total


def _share_as_extreme(ranks: NDArray[np.int64], zeros: int, signed: int) -> float:
    """The share of all signs whose sum of signed ranks is at least as far from 0.

    ranks: int64 [n], twice the ranks, above those of so many zeros. signed: the sum itself, of twice the ranks.

    What is above the zeros' ranks is small, so that how many signs are positive and the sum of what is above, as one
    number, count all outcomes.
    """
    above = ranks - 2 * zeros
    base = int(above.sum()) + 1
    shares = np.zeros((len(ranks) + 1) * base)
    shares[0] = 1.0
    for step in (above + base).tolist():
        shares[step:] += shares[:-step]
        shares /= 2
    positive, sums = np.divmod(np.flatnonzero(shares), base)
    outcomes = 2 * (2 * zeros * positive + sums) - int(ranks.sum())
    return min(1.0, float(shares[shares > 0][np.abs(outcomes) >= abs(signed)].sum()))


def _cohens_d(difference: Values) -> float:
    first = float(difference[0])
    if (difference == first).all():
        return math.copysign(math.inf, first) if first else 0.0
    return float(difference.mean() / difference.std(ddof=1))


def _by_mean(values: Mapping[str, Values]) -> list[str]:
    """The names, highest mean first, equals in the order given."""
    return sorted(values, key=lambda name: -round(float(values[name].mean()), DECIMALS))


def _checked(values: Mapping[str, Values], less_is_better: bool) -> dict[str, Values]:
    """The values as float64 [n] of the users of whom they say something, negative where less is better.

    Raises MovierecError, which says which of them cannot be compared and why.
    """
    arrays = {name: np.asarray(array, dtype=np.float64) for name, array in values.items()}
    if not arrays:
        raise MovierecError("there is no model to compare; give the values of at least one")
    first, expected = next((name, array.shape) for name, array in arrays.items())
    for name, array in arrays.items():
        if array.ndim != 1 or array.size == 0:
            raise MovierecError(
                f"{name} has values of shape {array.shape}; give one value a user, of at least one user"
            )
        if array.shape != expected:
            raise MovierecError(
                f"{name} has {len(array)} users and {first} has {expected[0]}; give the same users in the same order"
            )
    told = ~np.all([np.isnan(array) for array in arrays.values()], axis=0)
    for name, array in arrays.items():
        if not (finite := np.isfinite(array) | ~told).all():
            user = int(np.argmin(finite))
            raise MovierecError(
                f"{name} has the value {array[user]} at position {user}; leave that user out everywhere"
            )
    if not told.any():
        raise MovierecError(f"{first} has no value of any user; choose another metric")
    return {name: -array[told] if less_is_better else array[told] for name, array in arrays.items()}
