"""The cold-items trade-off: accuracy lost, and new movies seen, by the share of every list that they get.

The lists are the evaluator's, of the users with held-out items. New movies displace what stands at the end of them and
are never hits, since nobody who is measured is known to have them: what a share is seen to cost is the most that it can
cost. With share 0 the ndcg is the evaluator's own to the last digit.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from movierec_engine.data.heldout import HeldOut
from movierec_engine.errors import MovierecError
from movierec_engine.evaluation.bootstrap import bootstrap_intervals
from movierec_engine.evaluation.metrics.accuracy import ndcg
from movierec_engine.evaluation.rankings import Rankings, heldout_scores, rank_users
from movierec_engine.models.base import Recommender
from movierec_engine.recommending.cold_items import ColdItems, new_places

K = 10
"""Length of the lists that are measured."""
SHARES = (0.0, 0.1, 0.2, 0.3)

_BLOCK = 512


@dataclass(frozen=True)
class ShareTradeoff:
    """One setting of the share, over the lists of all measured users."""

    share: float
    """The share that was asked for."""
    ndcg: float
    low: float
    high: float
    difference: float
    """Difference of ndcg from that at share 0, with the interval of the users' paired differences."""
    difference_low: float
    difference_high: float
    new_share: float
    """Share of new movies among all recommendations."""
    shown: int
    """New movies that stand in any list."""


@dataclass(frozen=True, eq=False)
class ColdItemsTradeoff:
    """tradeoffs: one for each of SHARES. users: how many lists there are.

    times: int64 [n_new], in how many lists each new movie stands at the largest share.
    untrained_items: items of the catalogue without train interactions; untrained_share: of the recommendations at share
    0, how many are such.
    """

    tradeoffs: tuple[ShareTradeoff, ...]
    users: int
    times: NDArray[np.int64]
    untrained_items: int
    untrained_share: float


def share_tradeoffs(model: Recommender, heldout: HeldOut, new: ColdItems) -> ColdItemsTradeoff:
    """Measure every share. Raises MovierecError as `rank_users` does, and for new movies of another catalogue."""
    if new.n_items != len(model.items):
        raise MovierecError(
            f"the new movies are placed among {new.n_items} items, but {model.name} knows {len(model.items)}; place "
            "them again"
        )
    rankings = rank_users(model, heldout, K, deep=False)
    length = (rankings.lists >= 0).sum(axis=1)
    best = _best(model, rankings, new)
    measured = [_measured(rankings, length, (best >= 0).sum(axis=1), share) for share in SHARES]
    values = np.array([accuracy for accuracy, _ in measured])
    bounds = bootstrap_intervals(np.concatenate([values, values - values[0]]).T).reshape(2, len(SHARES), 2)
    tradeoffs = []
    for number, (share, (accuracy, count)) in enumerate(zip(SHARES, measured, strict=True)):
        shown = best[np.arange(best.shape[1]) < count[:, None]]
        total = count.sum() + np.minimum(K - count, length).sum()
        (low, high), (difference_low, difference_high) = bounds[:, number].tolist()
        difference = float((accuracy - values[0]).mean())
        new_share = float(count.sum() / max(total, 1))
        tradeoffs.append(
            ShareTradeoff(
                *(share, float(accuracy.mean()), low, high, difference, difference_low, difference_high, new_share),
                shown=len(np.unique(shown)),
            )
        )
    untrained = heldout.catalogue.popularity == 0
    return ColdItemsTradeoff(
        tradeoffs=tuple(tradeoffs),
        users=len(rankings.users),
        times=np.bincount(shown, minlength=len(new)),
        untrained_items=int(untrained.sum()),
        untrained_share=float(untrained[rankings.lists[rankings.lists >= 0]].mean()) if length.any() else 0.0,
    )


def _best(model: Recommender, rankings: Rankings, new: ColdItems) -> NDArray[np.int64]:
    """Each user's best new movies, as many as the largest share asks for: int64 [n_users, n], -1 at the end."""
    n = int(new_places(K, len(new), SHARES[-1], K).sum())
    best = np.full((len(rankings.users), n), -1, dtype=np.int64)
    for start in range(0, len(rankings.users), _BLOCK):
        scores = heldout_scores(model, rankings.heldout, rankings.users[start : start + _BLOCK])
        for row, own in enumerate(scores, start=start):
            rows = new.best(own, n)
            best[row, : len(rows)] = rows
    return best


def _measured(
    rankings: Rankings, length: NDArray[np.int64], able: NDArray[np.int64], share: float
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """ndcg@K of each user's list with a share of new movies, and how many stand in it.

    length, able: int64 [n_users], how many items of the model and how many new movies each user can have.
    """
    hits = np.zeros((len(length), K), dtype=np.bool_)
    count = np.zeros(len(length), dtype=np.int64)
    for own, most in np.unique(np.column_stack([length, able]), axis=0).tolist():
        places = new_places(own, most, share, K)
        rows, left = np.flatnonzero((length == own) & (able == most)), np.flatnonzero(~places)
        count[rows] = places.sum()
        hits[np.ix_(rows, left)] = rankings.hits[np.ix_(rows, np.arange(len(left)))]
    return ndcg(hits, rankings.relevant, K), count
