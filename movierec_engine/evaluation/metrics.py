"""Ranking metrics, each over all users at once.

hits: bool [n_users, depth]; whether the item at each rank of a user's list is relevant, rank 1 first. A list that is
shorter than the depth has misses at its end, so that a user without a recommendation counts 0.
relevant: int64 [n_users], each user's number of relevant items, at least 1; users without any are left out before.

Definitions follow Järvelin and Kekäläinen 2002 (ndcg) and Manning, Raghavan and Schütze 2008, chapter 8 (the others).
A change of any definition changes METRICS_VERSION, and with it every fingerprint.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

METRICS_VERSION = 2

Hits = NDArray[np.bool_]
Counts = NDArray[np.int64]
PerUser = NDArray[np.float64]


def precision(hits: Hits, relevant: Counts, k: int) -> PerUser:
    """|hits in the first k| / k; the denominator is k even when fewer items were recommended or are relevant."""
    return np.asarray(hits[:, :k].sum(axis=1) / k)


def recall(hits: Hits, relevant: Counts, k: int) -> PerUser:
    """|hits in the first k| / |relevant items|; at most k / |relevant| where more than k items are relevant."""
    return np.asarray(hits[:, :k].sum(axis=1) / relevant)


def ndcg(hits: Hits, relevant: Counts, k: int) -> PerUser:
    """sum_{r<=k} hit_r / log2(r+1), divided by the same sum of an ideal list: min(k, |relevant|) hits at the top."""
    discount = 1 / np.log2(np.arange(2, k + 2))
    ideal = np.cumsum(discount)[np.minimum(relevant, k) - 1]
    shown = hits[:, :k]
    return np.asarray(shown @ discount[: shown.shape[1]] / ideal)


def hit_rate(hits: Hits, relevant: Counts, k: int) -> PerUser:
    """1 where any of the first k is relevant, else 0."""
    return np.asarray(hits[:, :k].any(axis=1), dtype=np.float64)


def average_precision(hits: Hits, relevant: Counts, k: int) -> PerUser:
    """sum_{r<=k} hit_r * precision@r, divided by min(k, |relevant|), so that an ideal list has 1.

    ranx divides by |relevant|; its value is this one times min(k, |relevant|) / |relevant|.
    """
    shown = hits[:, :k]
    precision_at = np.cumsum(shown, axis=1) / np.arange(1, shown.shape[1] + 1)
    return np.asarray((shown * precision_at).sum(axis=1) / np.minimum(relevant, k))


def reciprocal_rank(hits: Hits, relevant: Counts, k: int) -> PerUser:
    """1 / rank of the first hit, 0 where the first k have none."""
    shown = hits[:, :k]
    return np.where(shown.any(axis=1), 1 / (shown.argmax(axis=1) + 1), 0.0)


def auc(
    user: NDArray[np.int64], rank: NDArray[np.int32], tied: NDArray[np.int32], relevant: Counts, irrelevant: Counts
) -> PerUser:
    """(|pairs of a relevant and an irrelevant item in the right order| + |tied pairs| / 2) / |pairs|, of all ranks.

    The area under the ROC curve of one user (Hanley and McNeil 1982; Rendle et al. 2009). A relevant item that is not
    recommended is in the wrong order with all others; a user for whom every item is relevant has no pair and gets 0.
    user: int64 [m], row of each relevant item in ascending order. rank: int32 [m], its rank with ties against it, 0 if
    not recommended. tied: int32 [m], how many irrelevant items have its score.
    relevant, irrelevant: int64 [n_users], how many items of each kind are ranked.
    """
    own = user[rank > 0]
    count = np.bincount(own, minlength=len(relevant))
    place = np.arange(len(own)) - (np.cumsum(count) - count)[own]
    ranks = np.sort(own << 32 | rank[rank > 0]) & 0xFFFFFFFF  # of each user in ascending order
    before = ranks - 1 - place  # irrelevant items that stand before the relevant one
    right = np.bincount(own, weights=irrelevant[own] - before + tied[rank > 0] / 2, minlength=len(relevant))
    pairs = relevant * irrelevant
    return np.asarray(np.divide(right, pairs, out=np.zeros(len(pairs)), where=pairs > 0))


ACCURACY: dict[str, Callable[[Hits, Counts, int], PerUser]] = {
    "precision": precision,
    "recall": recall,
    "ndcg": ndcg,
    "hit_rate": hit_rate,
    "map": average_precision,
    "mrr": reciprocal_rank,
}
"""Metrics of the first k ranks, which every user has a value of; the reported number is the mean over users."""

AUC = "auc"
BEYOND_ACCURACY = ("serendipity", "novelty", "average_popularity", "genre_diversity", "embedding_diversity")
"""Metrics of the first k ranks that say what lists are like; see `beyond_accuracy`."""
OF_ALL_USERS = ("coverage", "gini")
"""Metrics that have one value for all users together."""

METRICS = (*ACCURACY, AUC, *BEYOND_ACCURACY, *OF_ALL_USERS)

MORE_IS_BETTER = (*ACCURACY, AUC, "serendipity")
"""Metrics of single users by which one model may be called better than another."""

WHILE_TRAINING = (*ACCURACY, *OF_ALL_USERS)
"""What is measured on validation after every epoch: what follows from the first ranks alone."""
