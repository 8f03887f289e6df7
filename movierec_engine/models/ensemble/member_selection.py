"""Chooses the members of an ensemble: greedy forward selection on validation (Caruana et al. 2004).

The best model alone comes first; then the one is added, again and again, with which the cross-fitted ensemble is best.
Of the ensembles on this path the smallest one is taken that is not significantly worse than the best: every member is
trained, kept, and scored in each answer.
"""

import logging
from collections.abc import Sequence

import numpy as np

from movierec_engine.evaluation.comparison import ALPHA, Values, compare_paired
from movierec_engine.models.ensemble.fusion_weights import Candidates, cross_fitted, shared_weights
from movierec_engine.reporting import numbers
from movierec_engine.reporting.progress import advance

log = logging.getLogger(__name__)

LEAST = 2
"""Fewer members are no ensemble."""


def select_members(candidates: Candidates, names: Sequence[str], metric: str, k: int) -> list[int]:
    """Places of the chosen ones among the names, in the order in which they were added; at least LEAST.

    candidates: of all that may be members, their features as many as there are names, or twice as many. The metric is
    by weights that are the same for all users.
    """
    n = len(names)
    path: list[int] = []
    values: list[Values] = []
    while len(path) < n:
        advance(len(path), n, "members")
        tried = {
            place: _cross_fitted_values(candidates, [*path, place], n, metric, k)
            for place in range(n)
            if place not in path
        }
        path.append(max(tried, key=lambda place: float(tried[place].mean())))
        values.append(tried[path[-1]])
        log.info("members %s: validation %s@%d %s", ", ".join(names[one] for one in path), metric, k, _mean(values[-1]))
    best = max(range(n), key=lambda size: float(values[size].mean()))
    enough = next(size for size in range(n) if size == best or not _worse(values[size], values[best]))
    chosen = path[: max(enough + 1, LEAST)]
    log.info(
        "%s are enough: not significantly worse than the %d with the best value, %s",
        numbers.listed([names[one] for one in chosen]),
        best + 1,
        _mean(values[best]),
    )
    return chosen


def _cross_fitted_values(candidates: Candidates, members: Sequence[int], n: int, metric: str, k: int) -> Values:
    """The metric of every user, float64 [n_users], by weights that were learned on the users of the other folds."""
    columns = [place for place in range(candidates.features.shape[2]) if place % n in members]
    own = candidates.of_features(columns)
    weights = cross_fitted(own, shared_weights) if len(columns) > 1 else np.ones((int(own.fold.max()) + 1, 1))
    return own.values(weights[own.fold], metric, k)


def _worse(smaller: Values, best: Values) -> bool:
    """Whether both paired tests find it significantly worse, uncorrected: a doubt speaks for the larger ensemble."""
    found = compare_paired(smaller, best)
    return found.difference < 0 and max(found.p_bootstrap, found.p_wilcoxon) < ALPHA


def _mean(values: Values) -> str:
    return numbers.score(float(values.mean()))
