"""The catalogue: genres and years of the items, their train interactions, and tiers by popularity and activity."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray
from scipy import sparse

from movierec_engine.data.interactions import Interactions
from movierec_engine.data.ratings import Movies

EMBEDDING_DIM = 32
ACTIVITY_FROM = {"cold": 0, "limited": 5, "moderate": 20, "rich": 100}
"""Tiers of users by train interactions: from this number on."""
POPULARITY_UP_TO = {"head": 0.5, "mid": 0.8, "tail": 1.0}
"""Tiers of items, most popular first: up to this share of the train interactions (long tail: Anderson 2006)."""


@dataclass(frozen=True, eq=False)
class Catalogue:
    """Facts that the metrics beyond accuracy and the segments need; from train interactions and titles alone.

    train: binary CSR [n_users, n_items] of the train interactions.
    genres: float32 [n_items, n_genres], 1 where an item is of a genre; no columns where no titles are known.
    genre_names: the names of its columns. year: int32 [n_items], 0 where it is not known.
    """

    train: sparse.csr_matrix
    genres: NDArray[np.float32]
    genre_names: tuple[str, ...]
    year: NDArray[np.int32]

    @classmethod
    def of(cls, train: Interactions, movies: Movies | None = None) -> "Catalogue":
        """The catalogue of the train interactions' items; movies that have no title there are of no genre and year."""
        n_items = train.n_items
        if movies is None or not len(movies.table):
            return cls(train.matrix(), np.zeros((n_items, 0), np.float32), (), np.zeros(n_items, np.int32))
        table = movies.table.filter(train.items.index(movies.table["movie_id"]) >= 0)
        item = train.items.index(table["movie_id"])
        year = np.zeros(n_items, dtype=np.int32)
        year[item] = table["year"].fill_null(0).to_numpy()
        lists = table["genres"].combine_chunks()
        names, code = np.unique(lists.flatten().to_numpy(zero_copy_only=False).astype(str), return_inverse=True)
        genres = np.zeros((n_items, len(names)), dtype=np.float32)
        genres[item[pc.list_parent_indices(lists).to_numpy()], code] = 1
        return cls(train.matrix(), genres, tuple(names.tolist()), year)

    @property
    def n_users(self) -> int:
        return int(self.train.shape[0])

    @property
    def n_items(self) -> int:
        return int(self.train.shape[1])

    @cached_property
    def popularity(self) -> NDArray[np.int64]:
        """int64 [n_items], train interactions of each item."""
        return np.asarray(np.bincount(self.train.indices, minlength=self.n_items), dtype=np.int64)

    @cached_property
    def activity(self) -> NDArray[np.int64]:
        """int64 [n_users], train interactions of each user."""
        return np.asarray(np.diff(self.train.indptr), dtype=np.int64)

    @cached_property
    def popularity_rank(self) -> NDArray[np.int64]:
        """int64 [n_items], 0 for the most popular item; equal ones go by index."""
        rank = np.empty(self.n_items, dtype=np.int64)
        rank[np.argsort(-self.popularity, kind="stable")] = np.arange(self.n_items)
        return rank

    @cached_property
    def embeddings(self) -> NDArray[np.float32]:
        """float32 [n_items, d], the same for all models: a rank-32 SVD of train (PureSVD, Cremonesi et al. 2010).

        Rows are the items' right singular vectors times the singular values; an item without interactions is 0.
        """
        from scipy.sparse.linalg import svds  # slow to load, and seldom needed

        d = min(EMBEDDING_DIM, min(self.train.shape) - 1)
        if d < 1 or not self.train.nnz:
            return np.zeros((self.n_items, 1), dtype=np.float32)
        _, values, vectors = svds(self.train.astype(np.float64), k=d, v0=np.ones(min(self.train.shape)))
        embeddings = (vectors.T * values).astype(np.float32)
        embeddings[self.popularity == 0] = 0
        return np.asarray(embeddings)


def activity_tier(activity: NDArray[np.integer[Any]]) -> NDArray[np.int64]:
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
