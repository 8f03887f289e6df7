"""Accuracy metrics: relevant items in a list, and their ranks.

Definitions follow Järvelin and Kekäläinen 2002 (ndcg) and Manning, Raghavan and Schütze 2008, chapter 8 (the others).
Inputs as in `registry.INPUTS`; ties count against the model, in auc a half. A list that is shorter than the depth has
misses at its end.
"""

import numpy as np
from numpy.typing import NDArray

from movierec_engine.evaluation.metrics.registry import Counts, Hits, PerUser, register_metric


@register_metric(title="Precision", formula="hits in the first k / k, even where fewer items are shown or relevant")
def precision(hits: Hits, k: int) -> PerUser:
    """|hits in the first k| / k; the denominator is k even when fewer items were recommended or are relevant."""
    return np.asarray(hits[:, :k].sum(axis=1) / k)


@register_metric(title="Recall", formula="hits in the first k / the user's relevant items")
def recall(hits: Hits, relevant: Counts, k: int) -> PerUser:
    """|hits in the first k| / |relevant items|; at most k / |relevant| where more than k items are relevant."""
    return np.asarray(hits[:, :k].sum(axis=1) / relevant)


@register_metric(title="Capped recall", formula="hits in the first k / min(k, the user's relevant items)")
def capped_recall(hits: Hits, relevant: Counts, k: int) -> PerUser:
    """|hits in the first k| / min(k, |relevant items|), so that an ideal list has 1: Recall@k of Liang et al. 2018."""
    return np.asarray(hits[:, :k].sum(axis=1) / np.minimum(relevant, k))


@register_metric(
    title="NDCG",
    formula="hits in the first k, each divided by log2(rank + 1), over the same sum of an ideal list, which has "
    "min(k, number of relevant items) hits at its top",
)
def ndcg(hits: Hits, relevant: Counts, k: int) -> PerUser:
    """sum_{r<=k} hit_r / log2(r+1), divided by the same sum of an ideal list: min(k, |relevant|) hits at the top."""
    discount = 1 / np.log2(np.arange(2, k + 2))
    ideal = np.cumsum(discount)[np.minimum(relevant, k) - 1]
    shown = hits[:, :k]
    return np.asarray(shown @ discount[: shown.shape[1]] / ideal)


@register_metric(title="Hit rate", formula="1 for a user with any hit in the first k, else 0")
def hit_rate(hits: Hits, k: int) -> PerUser:
    """1 where any of the first k is relevant, else 0."""
    return np.asarray(hits[:, :k].any(axis=1), dtype=np.float64)


@register_metric(
    name="map",
    title="MAP",
    formula="precision at the rank of each hit in the first k, summed, / min(k, number of relevant items)",
)
def average_precision(hits: Hits, relevant: Counts, k: int) -> PerUser:
    """sum_{r<=k} hit_r * precision@r, divided by min(k, |relevant|), so that an ideal list has 1.

    ranx divides by |relevant|; its value is this one times min(k, |relevant|) / |relevant|.
    """
    shown = hits[:, :k]
    precision_at = np.cumsum(shown, axis=1) / np.arange(1, shown.shape[1] + 1)
    return np.asarray((shown * precision_at).sum(axis=1) / np.minimum(relevant, k))


@register_metric(name="mrr", title="MRR", formula="1 / rank of the first hit, 0 without one in the first k")
def reciprocal_rank(hits: Hits, k: int) -> PerUser:
    """1 / rank of the first hit, 0 where the first k have none."""
    shown = hits[:, :k]
    return np.where(shown.any(axis=1), 1 / (shown.argmax(axis=1) + 1), 0.0)


@register_metric(
    title="AUC",
    formula="pairs of a relevant and an irrelevant item in the right order / all such pairs, over the whole ranking; a "
    "tie counts a half",
    meaning="right order of relevant and other items",
)
def auc(
    row: NDArray[np.int64], rank: NDArray[np.int32], tied: NDArray[np.int32], relevant: Counts, irrelevant: Counts
) -> PerUser:
    """(|pairs of a relevant and an irrelevant item in the right order| + |tied pairs| / 2) / |pairs|, of all ranks.

    The area under the ROC curve of one user (Hanley and McNeil 1982; Rendle et al. 2009). A relevant item that is not
    recommended is in the wrong order with all others; a user for whom every item is relevant has no pair and gets 0.
    row: int64 [m], of each relevant item in ascending order. rank: int32 [m], its rank with ties against it, 0 if
    not recommended. tied: int32 [m], how many irrelevant items have its score.
    relevant, irrelevant: int64 [n_users], how many items of each kind are ranked.
    """
    own = row[rank > 0]
    count = np.bincount(own, minlength=len(relevant))
    place = np.arange(len(own)) - (np.cumsum(count) - count)[own]
    ranks = np.sort(own << 32 | rank[rank > 0]) & 0xFFFFFFFF  # of each user in ascending order
    before = ranks - 1 - place  # irrelevant items that stand before the relevant one
    right = np.bincount(own, weights=irrelevant[own] - before + tied[rank > 0] / 2, minlength=len(relevant))
    pairs = relevant * irrelevant
    return np.asarray(np.divide(right, pairs, out=np.zeros(len(pairs)), where=pairs > 0))
