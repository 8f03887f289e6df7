"""Chooses the members of an ensemble: greedy forward selection on validation (Caruana et al. 2004).

The best model alone comes first; then the one is added, again and again, with which the cross-fitted ensemble is best.
Of the ensembles on this path the smallest one is taken that is within one standard error of the best (Breiman et al.
1984), users paired: every member is trained, kept, and scored in each answer. On data of a few hundred users that is
little to choose by: benchmarks/results/fusion.md compares the choice with members that are only different in kind.
"""

import logging
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from movierec_engine.data.interactions import OF_ORDER, HistoryValues
from movierec_engine.models.base import Recommender
from movierec_engine.models.ensemble.fusion_weights import FOLDS, Candidates, cross_fitted, shared_weights
from movierec_engine.reporting import numbers
from movierec_engine.reporting.progress import advance

log = logging.getLogger(__name__)

LEAST = 2
"""Fewer members are no ensemble."""
PATIENCE = 2
"""Additions in a row that make nothing better, after which no more are tried."""


def select_members(candidates: Candidates, names: Sequence[str], metric: str, k: int) -> list[int]:
    """Places of the chosen ones among the names, in the order in which they were added; at least LEAST.

    candidates: of all that may be members, their features as many as there are names, or twice as many. The metric is
    by weights that are the same for all users.
    """
    n = len(names)
    if not len(candidates.count):  # nobody to choose by
        return list(range(n))
    path: list[int] = []
    values: list[NDArray[np.float64]] = []
    while len(path) < n and len(values) - 1 - _best(values) < PATIENCE:
        advance(len(path), n, "members")
        tried = {
            place: cross_fitted_values(candidates, [*path, place], n, metric, k)
            for place in range(n)
            if place not in path
        }
        path.append(max(tried, key=lambda place: float(tried[place].mean())))
        values.append(tried[path[-1]])
        log.info("members %s: validation %s@%d %s", ", ".join(names[one] for one in path), metric, k, _mean(values[-1]))
    best = _best(values)
    enough = next(size for size in range(len(path)) if size == best or not _worse(values[size], values[best]))
    chosen = path[: max(enough + 1, LEAST)]
    log.info(
        "%s are enough: within a standard error of the %d with the best value, %s",
        numbers.listed([names[one] for one in chosen]),
        best + 1,
        _mean(values[best]),
    )
    return chosen


def compatible(members: Sequence[Recommender]) -> list[list[Recommender]]:
    """The members that may be chosen among together: all, unless some go by ratings and others by order.

    A history holds either, so that then the members without those by order are one choice, and without those by ratings
    the other.
    """
    kinds: tuple[tuple[HistoryValues, ...], ...] = (("ratings",), OF_ORDER)
    of_kind = [[one for one in members if one.history_values in ("ones", *kind)] for kind in kinds]
    if any(len(one) == len(members) for one in of_kind):
        return [list(members)]
    return [one for one in of_kind if len(one) >= LEAST] or [list(members)]


def cross_fitted_values(
    candidates: Candidates, members: Sequence[int], n: int, metric: str, k: int
) -> NDArray[np.float64]:
    """The metric of every user, float64 [n_users], by weights that were learned on the users of the other folds.

    members: places of those that are fused, of n.
    """
    columns = [place for place in range(candidates.features.shape[2]) if place % n in members]
    own = candidates.of_features(columns)
    weights = cross_fitted(own, shared_weights) if len(columns) > 1 else np.ones((FOLDS, 1))
    return own.values(weights[own.fold], metric, k)


def _best(values: Sequence[NDArray[np.float64]]) -> int:
    """The place of the highest mean, the first of equals; -1 of none."""
    return max(range(len(values)), key=lambda place: float(values[place].mean()), default=-1)


def _worse(smaller: NDArray[np.float64], best: NDArray[np.float64]) -> bool:
    """Whether it is worse by more than one standard error of the mean of the users' differences."""
    difference = best - smaller
    return bool(difference.mean() > difference.std(ddof=1) / np.sqrt(len(difference)))


def _mean(values: NDArray[np.float64]) -> str:
    return numbers.score(float(values.mean()))
