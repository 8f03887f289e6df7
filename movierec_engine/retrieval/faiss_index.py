"""The index that answers recommendation calls: FAISS over item vectors, with everything a server needs beside it.

Needs faiss and numpy only; no torch.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from scipy import sparse

from movierec_engine.data.id_map import IdMap
from movierec_engine.data.interactions import load_id_maps
from movierec_engine.errors import ConfigError, StoreError
from movierec_engine.models.ensemble.fused_scorer import scorer_from_arrays
from movierec_engine.models.pair_scorer import Scorer

SCORER_FILE = "scorer.npz"

CANDIDATES = 200
"""Unseen items that are scored exactly for a user, at least, where the inner products are approximations."""


@dataclass(frozen=True)
class IndexFacts:
    """What was measured when the index was built."""

    model: str
    device: str
    factory: str
    dimensions: int
    recall: float
    """Mean share of the `recall_k` unseen items of highest score that the index recommends, over the sampled users."""
    recall_k: int
    users_sampled: int
    build_seconds: float


@dataclass(frozen=True, eq=False)
class RetrievalIndex:
    """Item vectors in FAISS, and for each user a query vector and the seen items.

    index: inner products over n_items vectors of d dimensions; position = item index.
    queries: float32 [n_users, d], CSR, so that sparse queries (a user's history, for EASE) stay small.
    seen: [n_users, n_items] CSR, the mask of the evaluator: items of train and validation.
    popularity: float32 [n_items], train interactions of each item; ranks for users without a history.
    personal: bool [n_users], False for users without a train interaction, who get popularity.
    similar, similarity: int32 and float32 [n_items, s], most similar items first, -1 where there are no more.
    movies: MOVIES_SCHEMA [n_items], in item order.
    scorer: scores the candidates exactly where inner products only approximate the model's scores; else None.
    """

    index: faiss.Index
    users: IdMap
    items: IdMap
    queries: sparse.csr_matrix
    seen: sparse.csr_matrix
    popularity: NDArray[np.float32]
    personal: NDArray[np.bool_]
    similar: NDArray[np.int32]
    similarity: NDArray[np.float32]
    movies: pa.Table
    facts: IndexFacts
    scorer: Scorer | None = None

    def __post_init__(self) -> None:
        rows = {
            "the FAISS index": self.index.ntotal,
            "movies": len(self.movies),
            "popularity": len(self.popularity),
            "similar items": len(self.similar),
        }
        for name, count in rows.items():
            if count != len(self.items):
                raise StoreError(f"{name} has {count} rows for {len(self.items)} items; build the index again")
        if self.index.d != self.queries.shape[1] or not len(self.personal) == self.queries.shape[0] == len(self.users):
            raise StoreError(
                f"queries do not fit {len(self.users)} users and {self.index.d} dimensions; build it again"
            )
        if not np.array_equal(self.movies["movie_id"].to_numpy(), self.items.ids):
            raise StoreError("movies are not in the order of the items; build the index again")

    def recommend(self, user: int, k: int) -> tuple[NDArray[np.int64], NDArray[np.float32], str]:
        """The user's best unseen items: item indices int64 [<=k], scores float32, best first, and their source.

        The source is `personal`, or `popularity` for a user without train interactions. Equal scores go by item index.
        """
        seen = self.seen.indices[self.seen.indptr[user] : self.seen.indptr[user + 1]]
        if not self.personal[user]:
            return *self.most_popular(k, seen), "popularity"
        query = self.queries[user].toarray().astype(np.float32, copy=False)
        wanted = k if self.scorer is None else max(CANDIDATES, 4 * k)
        scores, items = self.index.search(query, min(wanted + len(seen), len(self.items)))
        kept = (items[0] >= 0) & ~np.isin(items[0], seen)
        found = items[0][kept]
        return *_best(found, scores[0][kept] if self.scorer is None else self.scorer.scores(user, found), k), "personal"

    def most_popular(
        self, k: int, seen: NDArray[np.integer] | None = None
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """The most popular items outside `seen`: item indices int64 [<=k] and their train interactions float32."""
        items = np.arange(len(self.items))
        if seen is not None and len(seen):
            items = np.setdiff1d(items, seen, assume_unique=True)
        return _best(items, self.popularity[items], k)

    def similar_to(self, item: int, k: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """The items most similar to an item, itself left out: item indices int64 [<=k] and similarities float32."""
        kept = self.similar[item] >= 0
        return self.similar[item][kept][:k].astype(np.int64), self.similarity[item][kept][:k]

    def save(self, folder: Path) -> None:
        faiss.write_index(self.index, str(folder / "index.faiss"))
        np.savez(folder / "id_maps.npz", users=self.users.ids, items=self.items.ids)
        np.savez(
            folder / "retrieval.npz",
            **{f"queries_{part}": getattr(self.queries, part) for part in ("indptr", "indices", "data")},
            **{f"seen_{part}": getattr(self.seen, part) for part in ("indptr", "indices")},
            popularity=self.popularity,
            personal=self.personal,
            similar=self.similar,
            similarity=self.similarity,
        )
        if self.scorer is not None:
            np.savez(folder / SCORER_FILE, **dict[str, Any](self.scorer.arrays()))
        pq.write_table(self.movies, folder / "movies.parquet", compression="zstd")
        (folder / "index.json").write_text(json.dumps(asdict(self.facts), indent=1), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> "RetrievalIndex":
        users, items = load_id_maps(folder)
        facts = IndexFacts(**json.loads((folder / "index.json").read_text(encoding="utf-8")))
        scorer = None
        if (folder / SCORER_FILE).exists():
            with np.load(folder / SCORER_FILE, allow_pickle=False) as arrays:
                scorer = scorer_from_arrays(dict(arrays))
        with np.load(folder / "retrieval.npz", allow_pickle=False) as arrays:
            queries = sparse.csr_matrix(
                (arrays["queries_data"], arrays["queries_indices"], arrays["queries_indptr"]),
                shape=(len(users), facts.dimensions),
            )
            seen = sparse.csr_matrix(
                (np.ones(len(arrays["seen_indices"]), np.float32), arrays["seen_indices"], arrays["seen_indptr"]),
                shape=(len(users), len(items)),
            )
            return cls(
                index=faiss.read_index(str(folder / "index.faiss")),
                users=users,
                items=items,
                queries=queries,
                seen=seen,
                **{name: arrays[name] for name in ("popularity", "personal", "similar", "similarity")},
                movies=pq.read_table(folder / "movies.parquet"),
                facts=facts,
                scorer=scorer,
            )


def build_faiss(item_vectors: NDArray[np.float32], factory: str) -> faiss.Index:
    """A trained FAISS index of float32 [n_items, d] vectors under the inner product.

    Raises ConfigError when FAISS does not know the factory string or cannot train it on this many items.
    """
    try:
        index = faiss.index_factory(item_vectors.shape[1], factory, faiss.METRIC_INNER_PRODUCT)
        index.train(item_vectors)
        index.add(item_vectors)
    except RuntimeError as error:
        raise ConfigError(
            f"retrieval.factory={factory!r} does not work for {len(item_vectors)} items of {item_vectors.shape[1]} "
            "dimensions; use 'Flat', or another FAISS factory string such as 'HNSW32' or 'IVF64,Flat'"
        ) from error
    return index


def _best(
    items: NDArray[np.int64], scores: NDArray[np.float32], k: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    order = np.lexsort((items, -scores))[:k]
    return items[order].astype(np.int64), scores[order].astype(np.float32)
