"""Positive interactions: ratings after the threshold and the k-core filter, as contiguous indices."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from scipy import sparse

from movierec_engine.data.config import DataConfig
from movierec_engine.data.id_map import IdMap, Ids
from movierec_engine.data.ratings import Ratings
from movierec_engine.errors import EmptyDataError

ID_MAPS_FILE = "id_maps.npz"

HistoryValues = Literal["ones", "ratings", "places", "times"]
"""Value of an entry of a history: 1, the rating, the place in the order of time, from 1 for the oldest, or the time
itself (`Interactions.exact_times`)."""
OF_ORDER: tuple[HistoryValues, ...] = ("places", "times")
"""Values that say the order of a history. A model that goes by places takes times too, whose order counts alone."""

EARLY = 10**8
"""Times that all are before March 1973 are hardly seconds since 1970: places in an order, or none."""


@dataclass(frozen=True, eq=False)
class Interactions:
    """n positives of users with items; every array has length n.

    user, item: int32, indices into `users` and `items`.
    rating: float32. timestamp: int64, seconds; in a worker's share `exact_times`.
    users, items: the frozen vocabularies, shared by all parts of a split.
    """

    user: NDArray[np.int32]
    item: NDArray[np.int32]
    rating: NDArray[np.float32]
    timestamp: NDArray[np.int64]
    users: IdMap
    items: IdMap

    def __len__(self) -> int:
        return len(self.user)

    @property
    def n_users(self) -> int:
        return len(self.users)

    @property
    def n_items(self) -> int:
        return len(self.items)

    def select(self, which: NDArray[np.bool_] | NDArray[np.int64]) -> "Interactions":
        """The rows that a mask or an index array names, over the same vocabularies."""
        return replace(
            self,
            user=self.user[which],
            item=self.item[which],
            rating=self.rating[which],
            timestamp=self.timestamp[which],
        )

    def without_users(self, users: Ids) -> "Interactions":
        """The rows of everybody else, over a vocabulary that does not have these users; ids [n], all of them known."""
        kept = np.ones(self.n_users, dtype=np.bool_)
        kept[self.users.index(users)] = False
        own = self.select(kept[self.user])
        number = np.cumsum(kept, dtype=np.int32) - 1
        return replace(own, user=number[own.user], users=IdMap(self.users.ids[kept]))

    def matrix(self) -> sparse.csr_matrix:
        """Binary user-item matrix, float32 [n_users, n_items], CSR with sorted indices; a repeated pair counts once."""
        ones = np.ones(len(self), dtype=np.float32)
        matrix = sparse.csr_matrix((ones, (self.user, self.item)), shape=(self.n_users, self.n_items))
        matrix.sum_duplicates()
        matrix.data[:] = 1
        return matrix

    def ratings_matrix(self) -> sparse.csr_matrix:
        """Like `matrix`, but every entry is the rating; of a repeated pair the last one."""
        last = np.unique((self.user.astype(np.int64) * self.n_items + self.item)[::-1], return_index=True)[1]
        rows = len(self) - 1 - last
        values = (self.rating[rows], (self.user[rows], self.item[rows]))
        matrix = sparse.csr_matrix(values, shape=(self.n_users, self.n_items), dtype=np.float32)
        matrix.sort_indices()
        return matrix

    def places_matrix(self) -> sparse.csr_matrix:
        """Like `matrix`, but every entry is its place in the user's order (`by_time`), from 1 for the oldest.

        A repeated pair has the last of its places, and leaves gaps at the others. Places are exact up to 2^24.
        """
        count = np.bincount(self.user, minlength=self.n_users)
        place = np.arange(1, len(self) + 1) - np.repeat(np.cumsum(count) - count, count)
        return self._newest_of_pairs(self.by_time(), place.astype(np.float32))

    def times_matrix(self) -> sparse.csr_matrix:
        """Like `matrix`, but every entry is its time (`exact_times`), float64; of a repeated pair the last."""
        order = self.by_time()
        return self._newest_of_pairs(order, self.exact_times()[order])

    def _newest_of_pairs(self, order: NDArray[np.int64], values: NDArray[np.floating[Any]]) -> sparse.csr_matrix:
        """CSR [n_users, n_items] of values [n] of the rows in the order `by_time`; of a repeated pair the last."""
        user, item = self.user[order], self.item[order]
        newest = np.unique((user.astype(np.int64) * self.n_items + item)[::-1], return_index=True)[1]
        kept = len(self) - 1 - newest
        matrix = sparse.csr_matrix((values[kept], (user[kept], item[kept])), shape=(self.n_users, self.n_items))
        matrix.sort_indices()
        return matrix

    def history(self, values: HistoryValues) -> sparse.csr_matrix:
        """The user-item matrix with these entries, float32, of times float64."""
        of = {
            "ones": self.matrix,
            "ratings": self.ratings_matrix,
            "places": self.places_matrix,
            "times": self.times_matrix,
        }
        return of[values]()

    @property
    def has_times(self) -> bool:
        """False where there are none, or places in an order in their stead (`EARLY`)."""
        return bool(self.timestamp.max(initial=0) >= EARLY)

    def exact_times(self) -> NDArray[np.float64]:
        """Each row's time in seconds, float64 [n], whose fractions order the rows of a user at equal times (`by_time`).

        Seconds until the year 2242 leave room for the order of two million rows.
        """
        order = self.by_time()
        time = self.timestamp[order]
        first = np.concatenate([[True], (np.diff(time) != 0) | (np.diff(self.user[order]) != 0)])[: len(order)]
        run = np.cumsum(first) - 1
        count = np.bincount(run)[run]
        exact = np.empty(len(order))
        exact[order] = time + (np.arange(len(order)) - np.flatnonzero(first)[run]) / count
        return exact

    def by_time(self) -> NDArray[np.int64]:
        """The rows by user, each user's oldest first: int64 [n].

        Rows of one user at equal times go by a pseudo-random number of user and item, the same in every run: the order
        in a file may tell what was liked more, and is not one of time.
        """
        drawn = _mixed(self.user.astype(np.uint64) * np.uint64(self.n_items) + self.item.astype(np.uint64))
        return np.asarray(np.lexsort((drawn, self.timestamp, self.user)), dtype=np.int64)

    def to_table(self) -> pa.Table:
        """Columns user_id, movie_id, rating, timestamp with public ids."""
        return pa.table(
            {
                "user_id": self.users.column(self.user),
                "movie_id": self.items.column(self.item),
                "rating": self.rating,
                "timestamp": self.timestamp,
            }
        )

    @classmethod
    def from_table(cls, table: pa.Table, users: IdMap, items: IdMap) -> "Interactions":
        """The reverse of `to_table`; every id must be in the vocabularies."""
        return cls(
            user=users.index(table["user_id"]).astype(np.int32),
            item=items.index(table["movie_id"]).astype(np.int32),
            rating=table["rating"].to_numpy().astype(np.float32),
            timestamp=table["timestamp"].to_numpy().astype(np.int64),
            users=users,
            items=items,
        )

    def save(self, folder: Path) -> None:
        pq.write_table(self.to_table(), folder / "interactions.parquet", compression="zstd")
        save_id_maps(folder, self.users, self.items)

    @classmethod
    def load(cls, folder: Path) -> "Interactions":
        users, items = load_id_maps(folder)
        return cls.from_table(pq.read_table(folder / "interactions.parquet"), users, items)


def _mixed(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """A pseudo-random number of each, all different: uint64 [n], by SplitMix64 (Steele et al. 2014)."""
    mixed = values + np.uint64(0x9E3779B97F4A7C15)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    return mixed ^ (mixed >> np.uint64(31))


def save_id_maps(folder: Path, users: IdMap, items: IdMap) -> None:
    """Write the user and the item vocabulary of an artifact to `id_maps.npz`."""
    np.savez(folder / ID_MAPS_FILE, users=users.packed(), items=items.packed())


def load_id_maps(folder: Path) -> tuple[IdMap, IdMap]:
    """Read the id maps that `save_id_maps` wrote."""
    with np.load(folder / ID_MAPS_FILE, allow_pickle=False) as arrays:
        return IdMap.unpacked(arrays["users"]), IdMap.unpacked(arrays["items"])


def positives(ratings: Ratings, config: DataConfig) -> Interactions:
    """Ratings of at least `rating_threshold`, after the k-core filter.

    A presplit data set passes through unfiltered, and its given negatives join the vocabularies: its parts were chosen
    by somebody else, and dropping rows would change their protocol.

    Raises EmptyDataError, with the thresholds, when nothing is left.
    """
    tables = [ratings.table] if ratings.negatives is None else [ratings.table, ratings.negatives]
    users, items = (_every_id(tables, name) for name in ("user_id", "movie_id"))
    everything = Interactions.from_table(ratings.table, users, items)
    if ratings.presplit:
        return everything
    liked = everything.select(everything.rating >= config.rating_threshold)
    if not len(liked):
        raise EmptyDataError(
            f"{config.name}: no rating reaches data.rating_threshold={config.rating_threshold}; lower the threshold"
        )
    return k_core(liked, config.min_user_interactions, config.min_item_interactions)


def _every_id(tables: Sequence[pa.Table], name: str) -> IdMap:
    return IdMap.of(pa.chunked_array([chunk for table in tables for chunk in table[name].chunks], tables[0][name].type))


def k_core(interactions: Interactions, min_user: int, min_item: int) -> Interactions:
    """Drop users and items with too few interactions until every one left has enough (Seidman 1983).

    The vocabularies shrink to the users and items that are left.

    Raises EmptyDataError, with both thresholds, when nothing is left.
    """
    kept = interactions
    while len(kept):
        user_count = np.bincount(kept.user, minlength=kept.n_users)
        item_count = np.bincount(kept.item, minlength=kept.n_items)
        enough = (user_count[kept.user] >= min_user) & (item_count[kept.item] >= min_item)
        if enough.all():
            return _compact(kept)
        kept = kept.select(enough)
    raise EmptyDataError(
        f"no user has {min_user} interactions with items that have {min_item}; "
        "lower data.min_user_interactions or data.min_item_interactions"
    )


def _compact(interactions: Interactions) -> Interactions:
    """The same interactions over vocabularies of only those users and items that occur."""
    user_kept, user = np.unique(interactions.user, return_inverse=True)
    item_kept, item = np.unique(interactions.item, return_inverse=True)
    return replace(
        interactions,
        user=user.astype(np.int32),
        item=item.astype(np.int32),
        users=IdMap(interactions.users.ids[user_kept]),
        items=IdMap(interactions.items.ids[item_kept]),
    )
