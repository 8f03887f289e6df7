"""Metrics by segment: users by activity, and items by popularity, genre and decade.

Where the next item of a history is asked for, users go by the length of their history, which is the place of that item,
and by how long after the newest interaction of the history it came.

A segment of users has the means over its users. A segment of items counts only its own items as relevant: hits, the
number of relevant items and the ideal list are of those alone, over the users who have any; the ranking is the whole
one. `list_share@k` is the mean share of a list's first k places that hold items of the segment.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from movierec_engine.data.catalogue import ACTIVITY_FROM, POPULARITY_UP_TO, Catalogue, activity_tier, popularity_tier
from movierec_engine.evaluation.bootstrap import bootstrap_intervals
from movierec_engine.evaluation.metrics import hit_metrics
from movierec_engine.evaluation.rankings import Rankings

LIST_SHARE = "list_share"
LENGTH_FROM = {"1 to 9": 1, "10 to 19": 10, "20 to 49": 20, "50 to 199": 50, "200 or more": 200}
"""Segments of users by the length of their history: from this many interactions on."""
GAP_FROM = {"within a minute": 0, "within an hour": 61, "within a day": 3601, "within 30 days": 86_401}
GAP_FROM["later"] = 30 * 86_400 + 1
"""Segments of users by the seconds from the newest interaction of their history to the next item: from this many on."""
_NEVER = np.iinfo(np.int64).max

SEGMENTS_SCHEMA = pa.schema(
    [
        *((name, pa.string()) for name in ("kind", "segment", "metric")),
        *((name, pa.int64()) for name in ("users", "test_items")),
        *((name, pa.float64()) for name in ("value", "low", "high")),
    ]
)


@dataclass(frozen=True, eq=False)
class Segment:
    """Some of the evaluated users, and which of their relevant items count.

    kind: `activity`, `length` or `gap` of users; `popularity`, `genre` or `decade` of items.
    users: bool [n]. relevant: bool [m]. items: bool [n_items], the members of a segment of items, else None.
    """

    kind: str
    name: str
    users: NDArray[np.bool_]
    relevant: NDArray[np.bool_]
    items: NDArray[np.bool_] | None = None

    def values(self, rankings: Rankings, k_values: tuple[int, ...]) -> dict[str, NDArray[np.float64]]:
        """Every metric of hits at each k, float64 of the segment's users; `list_share@k` too for segments of items."""
        relevant = np.bincount(rankings.row[self.relevant], minlength=len(rankings.users))[self.users]
        hits = rankings.hits_among(self.relevant)[self.users]
        shown = None if self.items is None else np.append(self.items, False)[rankings.lists[self.users]]
        values: dict[str, NDArray[np.float64]] = {}
        for k in k_values:
            values |= {
                f"{name}@{k}": metric(hits=hits, relevant=relevant, k=k) for name, metric in hit_metrics().items()
            }
            if shown is not None:
                values[f"{LIST_SHARE}@{k}"] = shown[:, :k].sum(axis=1) / k
        return values


def segments(rankings: Rankings) -> Iterator[Segment]:
    """Every segment that has users; the same ones for every model that is evaluated on the same held-out part."""
    catalogue = rankings.heldout.catalogue
    everything = np.ones(len(rankings.row), dtype=np.bool_)
    for kind, names, tier in _user_tiers(rankings):
        for position, name in enumerate(names):
            if (tier == position).any():
                yield Segment(kind, name, tier == position, everything)
    for kind, name, items in _item_segments(catalogue):
        chosen = items[rankings.item]
        if chosen.any():
            users = np.bincount(rankings.row[chosen], minlength=len(rankings.users)) > 0
            yield Segment(kind, name, users, chosen, items)


def segment_table(rankings: Rankings, k_values: tuple[int, ...]) -> pa.Table:
    """Every segment's metrics with 95 % intervals over its users: SEGMENTS_SCHEMA, one row a segment and metric.

    A metric that says nothing of some of its users is left out.
    """
    rows: list[dict[str, object]] = []
    for segment in segments(rankings):
        values = segment.values(rankings, k_values)
        values = {name: value for name, value in values.items() if not np.isnan(value).any()}
        columns = np.column_stack(list(values.values()))
        test_items = int((segment.relevant & segment.users[rankings.row]).sum())
        for metric, mean, (low, high) in zip(values, columns.mean(axis=0), bootstrap_intervals(columns), strict=True):
            rows.append(
                {
                    "kind": segment.kind,
                    "segment": segment.name,
                    "metric": metric,
                    "users": int(segment.users.sum()),
                    "test_items": test_items,
                    "value": float(mean),
                    "low": float(low),
                    "high": float(high),
                }
            )
    return pa.Table.from_pylist(rows, schema=SEGMENTS_SCHEMA)


def _user_tiers(rankings: Rankings) -> Iterator[tuple[str, Iterable[str], NDArray[np.int64]]]:
    """Kind, names and the position of each evaluated user among them, int64 [n], of every kind of segments of users."""
    heldout, users = rankings.heldout, rankings.users
    known = heldout.activity[users]
    if heldout.fold_in is None or not heldout.asks_for_next:
        yield "activity", ACTIVITY_FROM, activity_tier(known)
        return
    yield "length", LENGTH_FROM, np.searchsorted(list(LENGTH_FROM.values()), known, side="right") - 1
    newest, asked = (np.full(heldout.fold_in.n_users, least) for least in (np.iinfo(np.int64).min, _NEVER))
    np.maximum.at(newest, heldout.fold_in.user, heldout.fold_in.timestamp)
    np.minimum.at(asked, heldout.interactions.user, heldout.interactions.timestamp)
    gap = asked[users] - newest[users]
    if (gap != gap[0]).any():  # else the data has places in the stead of times, or none
        yield "gap", GAP_FROM, np.searchsorted(list(GAP_FROM.values()), gap, side="right") - 1


def _item_segments(catalogue: Catalogue) -> Iterator[tuple[str, str, NDArray[np.bool_]]]:
    """Kind, name and members bool [n_items] of every segment of items."""
    tier = popularity_tier(catalogue)
    for position, name in enumerate(POPULARITY_UP_TO):
        yield "popularity", name, tier == position
    for column, name in enumerate(catalogue.genre_names):
        yield "genre", name, catalogue.genres[:, column] > 0
    decade = catalogue.year // 10 * 10
    for first in np.unique(decade[decade > 0]):
        yield "decade", f"{first}s", decade == first
