"""Metrics of liked and of disliked items in a list.

A held-out item is liked if its rating reaches `data.rating_threshold`, or the middle of the scale where that leaves
nothing out; all others are dislikes, whether they count as interactions or not (`data/likes.py`).
Both are left out where the data has no dislikes known, and on validation, by which models are chosen.
"""

import numpy as np

from movierec_engine.evaluation.metrics.accuracy import ndcg
from movierec_engine.evaluation.metrics.registry import Counts, Hits, PerUser, register_metric


@register_metric(
    title="Liked NDCG",
    formula="NDCG with the test items that the user likes as the only relevant ones; of the users who like any",
    meaning="how high the test items stand that the user likes",
)
def liked_ndcg(liked_hits: Hits, liked: Counts, k: int) -> PerUser:
    """`ndcg` of the liked items alone; NaN for a user who likes no test item. It is ndcg where all are liked."""
    return np.where(liked > 0, ndcg(liked_hits, np.maximum(liked, 1), k), np.nan)


@register_metric(
    title="Disliked",
    formula="held-out items that the user dislikes in the first k / k; of the users who dislike any",
    meaning="share of a list that the user is known to dislike",
    direction="lower",
    unit="%",
)
def disliked(disliked_hits: Hits, dislikes: Counts, k: int) -> PerUser:
    """|held-out dislikes in the first k| / k, by places of the list; NaN for a user without any to be listed."""
    return np.where(dislikes > 0, disliked_hits[:, :k].sum(axis=1) / k, np.nan)
