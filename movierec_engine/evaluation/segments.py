"""For whom, and of what, a model is good: the metrics by kinds of users and kinds of items.

A segment of users has the means over its users. A segment of items counts only its own items as relevant: hits, the
number of relevant items and the ideal list are of those alone, over the users who have any; the ranking is the whole
one. `list_share@k` is the mean share of a list's first k places that hold items of the segment.
"""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from movierec_engine.data.catalogue import Catalogue
from movierec_engine.evaluation.bootstrap import bootstrap_intervals
from movierec_engine.evaluation.evaluator import Evaluation
from movierec_engine.evaluation.metrics import ACCURACY

ACTIVITY_FROM = {"cold": 0, "limited": 5, "moderate": 20, "rich": 100}
"""Kinds of users by train interactions: from this number on."""

POPULARITY_UP_TO = {"head": 0.5, "mid": 0.8, "tail": 1.0}
"""Kinds of items, most popular first: up to this share of the train interactions (long tail: Anderson 2006)."""

LIST_SHARE = "list_share"

SEGMENTS_SCHEMA = pa.schema(
    [
        *((name, pa.string()) for name in ("kind", "segment", "metric")),
        *((name, pa.int64()) for name in ("users", "test_items")),
        *((name, pa.float64()) for name in ("value", "low", "high")),
    ]
)


def activity_tier(activity: NDArray[np.int64]) -> NDArray[np.int64]:
    """Positions in ACTIVITY_FROM, by numbers of train interactions; any shape."""
    return np.searchsorted(list(ACTIVITY_FROM.values()), activity, side="right") - 1


def popularity_tier(catalogue: Catalogue) -> NDArray[np.int64]:
    """Positions in POPULARITY_UP_TO, int64 [n_items].

    Items in order of popularity: one belongs to the tier in which the interactions of the items before it end, so that
    the most popular item is always head. Items without interactions are tail.
    """
    order = np.argsort(catalogue.popularity_rank)
    count = catalogue.popularity[order]
    before = (np.cumsum(count) - count) / max(count.sum(), 1)
    tier = np.empty(len(order), dtype=np.int64)
    tier[order] = np.searchsorted(list(POPULARITY_UP_TO.values()), before, side="right")
    return np.asarray(np.minimum(tier, len(POPULARITY_UP_TO) - 1))


def segment_table(evaluation: Evaluation, k_values: tuple[int, ...]) -> pa.Table:
    """Every segment's metrics with 95 % intervals over its users: SEGMENTS_SCHEMA, one row a segment and metric.

    Kinds: `activity` of users; `popularity`, `genre` and `decade` of items. Empty segments are left out.
    """
    rows = [*_of_users(evaluation), *_of_items(evaluation, k_values)]
    return pa.Table.from_pylist(rows, schema=SEGMENTS_SCHEMA)


def item_segments(catalogue: Catalogue) -> Iterator[tuple[str, str, NDArray[np.bool_]]]:
    """Kind, name and members bool [n_items] of every segment of items."""
    tier = popularity_tier(catalogue)
    for position, name in enumerate(POPULARITY_UP_TO):
        yield "popularity", name, tier == position
    for column, name in enumerate(catalogue.genre_names):
        yield "genre", name, catalogue.genres[:, column] > 0
    decade = catalogue.year // 10 * 10
    for first in np.unique(decade[decade > 0]):
        yield "decade", f"{first}s", decade == first


def _of_users(evaluation: Evaluation) -> Iterator[dict[str, object]]:
    rankings = evaluation.rankings
    tier = activity_tier(rankings.heldout.catalogue.activity[rankings.users])
    for position, name in enumerate(ACTIVITY_FROM):
        inside = tier == position
        values = {metric: value[inside] for metric, value in evaluation.per_user.items()}
        yield from _rows("activity", name, values, int(rankings.relevant[inside].sum()))


def _of_items(evaluation: Evaluation, k_values: tuple[int, ...]) -> Iterator[dict[str, object]]:
    rankings = evaluation.rankings
    for kind, name, members in item_segments(rankings.heldout.catalogue):
        chosen = members[rankings.item]
        relevant = np.bincount(rankings.row[chosen], minlength=len(rankings.users))
        having = relevant > 0
        hits = rankings.hits_among(chosen)[having]
        shown = np.append(members, False)[rankings.lists[having]]
        values = {f"{LIST_SHARE}@{k}": shown[:, :k].sum(axis=1) / k for k in k_values}
        for metric, of in ACCURACY.items():
            values |= {f"{metric}@{k}": of(hits, relevant[having], k) for k in k_values}
        yield from _rows(kind, name, values, int(chosen.sum()))


def _rows(kind: str, name: str, values: dict[str, NDArray[np.float64]], test_items: int) -> Iterator[dict[str, object]]:
    users = len(next(iter(values.values()), ()))
    if not users:
        return
    columns = np.column_stack(list(values.values()))
    for metric, mean, (low, high) in zip(values, columns.mean(axis=0), bootstrap_intervals(columns), strict=True):
        yield {
            "kind": kind,
            "segment": name,
            "metric": metric,
            "users": users,
            "test_items": test_items,
            "value": float(mean),
            "low": float(low),
            "high": float(high),
        }
