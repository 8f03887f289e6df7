"""Build the retrieval index of a trained model."""

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from movierec_engine.data.catalogue import Catalogue
from movierec_engine.data.interactions import Interactions
from movierec_engine.data.rating_scale import MOVIELENS, RatingScale
from movierec_engine.data.ratings import Movies
from movierec_engine.errors import ConfigError
from movierec_engine.models.base import Recommender
from movierec_engine.models.cost import DENSE_VECTOR_BYTES
from movierec_engine.recommending.dials import ItemFacts
from movierec_engine.recommending.rows.ratings_by_item import RatingsByItem
from movierec_engine.retrieval.config import RetrievalConfig
from movierec_engine.retrieval.flat import is_flat, shared_vectors
from movierec_engine.retrieval.index import RetrievalIndex
from movierec_engine.retrieval.index_facts import SPARSE, FoldInMinItems, IndexFacts
from movierec_engine.retrieval.masks import Mask, serving_mask
from movierec_engine.retrieval.rated import RatedMovies

_BLOCK = 1024
_SIMILAR_SAMPLE = 256
"""Items whose most similar ones are compared with the exact ones, where the search was not exact."""


def build_index(
    model: Recommender,
    rated: RatedMovies,
    movies: Movies,
    config: RetrievalConfig,
    device: str,
    fold_in_min_items: FoldInMinItems | None = None,
    liked_from: float = 0.0,
    ratings_by_item: RatingsByItem | None = None,
    rating_scale: RatingScale = MOVIELENS,
) -> RetrievalIndex:
    """Index a model's item vectors and measure its recall against exact search.

    rated: what everybody has rated in the raw data; under its mask the recall is measured. movies: a row for each item,
    in item order. fold_in_min_items: from how many movies on new users are folded in; None for what the config assumes.
    liked_from: the least rating of a like. ratings_by_item: of all raw ratings, for the rows of a home page.
    rating_scale: what people may rate.
    """
    least = fold_in_min_items or FoldInMinItems(config.fold_in_min_items, measured=False)
    started = time.perf_counter()
    index, vectors = _searchable(model, config)
    if model.history_values != "times":
        rated = replace(rated, times=None)
    personal = np.diff(model.history.indptr) > 0
    sample = np.random.default_rng(0).permutation(np.flatnonzero(personal))[:_BLOCK]
    catalogue = Catalogue.of(train_of(model), movies)
    similar, similarity, exact = model.all_most_similar(config.similar_items, catalogue.genres)
    built = RetrievalIndex(
        index=index,
        vectors=vectors,
        users=model.users,
        items=model.items,
        queries=_in_blocks(model.query_vectors, len(model.users)),
        rated=rated,
        history=model.history,
        explanation_inputs=_in_blocks(model.explanation_inputs, len(model.users)),
        popularity=model.popularity,
        personal=personal,
        similar=similar,
        similarity=similarity,
        movies=movies.table,
        item_facts=ItemFacts.of(catalogue),
        fold_in_scorer=model.fold_in_scorer(),
        scorer=model.pair_scorer(),
        ratings_by_item=ratings_by_item,
        facts=IndexFacts(
            model=model.name,
            device=device,
            factory=SPARSE if index is None else config.factory,
            dimensions=vectors.shape[1],
            recall=0.0,
            recall_k=config.recall_k,
            users_sampled=len(sample),
            similar_recall=1.0 if exact else _similar_recall(model, similar, catalogue.genres),
            build_seconds=time.perf_counter() - started,
            fold_in_min_items=least.items,
            fold_in_min_items_measured=least.measured,
            liked_from=liked_from,
            rating_scale=rating_scale,
        ),
    )
    recall = measured_recall(built, model, serving_mask(built), sample, config.recall_k)
    return replace(built, facts=replace(built.facts, recall=recall))


def _searchable(model: Recommender, config: RetrievalConfig) -> tuple[faiss.Index | None, Any]:
    """The FAISS index of a model and its item vectors; of large sparse vectors those alone."""
    few = model.sparse_item_vectors()
    if few is not None and few.shape[0] * few.shape[1] * 4.0 > DENSE_VECTOR_BYTES:
        return None, few
    vectors = np.ascontiguousarray(model.item_vectors(), dtype=np.float32)
    index = build_faiss(vectors, config.factory, config.ef_construction, config.ef_search, config.nprobe)
    return index, shared_vectors(index) if is_flat(index) else vectors


def build_faiss(
    item_vectors: NDArray[np.float32],
    factory: str,
    ef_construction: int = RetrievalConfig.ef_construction,
    ef_search: int = RetrievalConfig.ef_search,
    nprobe: int = RetrievalConfig.nprobe,
) -> faiss.Index:
    """A trained FAISS index of float32 [n_items, d] vectors under the inner product.

    An HNSW graph keeps as many links of an item as it has room for. By default FAISS drops those to an item that is
    nearer to one already linked, which under inner products cuts off many that are wanted, so that recall stays low
    however deep the search: benchmarks/results/retrieval_scale.md has both.

    Raises ConfigError when FAISS does not know the factory string or cannot train it on this many items.
    """
    try:
        index = faiss.index_factory(item_vectors.shape[1], factory, faiss.METRIC_INNER_PRODUCT)
        own: Any = faiss.downcast_index(index)
        if hasattr(own, "hnsw"):
            own.keep_max_size_level0 = True
            own.hnsw.efConstruction, own.hnsw.efSearch = ef_construction, ef_search
        elif hasattr(own, "nprobe"):
            own.nprobe = nprobe
        index.train(item_vectors)
        index.add(item_vectors)
    except RuntimeError as error:
        raise ConfigError(
            f"retrieval.factory={factory!r} does not work for {len(item_vectors)} items of {item_vectors.shape[1]} "
            "dimensions; use 'Flat', or another FAISS factory string such as 'HNSW32' or 'IVF64,Flat'"
        ) from error
    return index


def measured_recall(index: RetrievalIndex, model: Recommender, mask: Mask, users: NDArray[np.integer], k: int) -> float:
    """Mean share of each user's k items of highest score that are not masked which the index recommends.

    An item whose score equals the k-th best up to float32 rounding counts as found.
    """
    shares = []
    for user, scores in zip(users, model.score_users(users), strict=True):
        masked = mask(int(user))
        scores[masked] = -np.inf
        finite = np.abs(scores[np.isfinite(scores)])
        wanted = min(k, len(finite))
        if wanted:
            threshold = np.partition(scores, -wanted)[-wanted]
            found = scores[index.recommend(int(user), wanted, masked)[0]]
            shares.append((found >= threshold - 1e-5 * finite.max()).sum() / wanted)
    return float(np.mean(shares)) if shares else 1.0


def _similar_recall(model: Recommender, similar: NDArray[np.int32], genres: NDArray[np.float32]) -> float:
    """Mean share of the most similar items of sampled ones that a search which is not exact has found."""
    sample = np.random.default_rng(0).permutation(len(similar))[:_SIMILAR_SAMPLE]
    exact = model.most_similar(sample, similar.shape[1], genres)[0]
    shares = [np.isin(own, found).mean() for own, found in zip(exact, similar[sample], strict=True)]
    return float(np.mean(shares))


def _in_blocks(make: Callable[[NDArray[np.integer[Any]]], NDArray[np.float32]], n_users: int) -> sparse.csr_matrix:
    """A function's result for all users, CSR [n_users, d], made in blocks."""
    users = np.arange(n_users)
    blocks = [sparse.csr_matrix(make(users[start : start + _BLOCK])) for start in range(0, n_users, _BLOCK)]
    return sparse.vstack(blocks, format="csr")


def train_of(model: Recommender) -> Interactions:
    """The train interactions that a model remembers; when they were is not among it."""
    history = model.history
    return Interactions(
        user=np.repeat(np.arange(len(model.users), dtype=np.int32), np.diff(history.indptr)),
        item=history.indices.astype(np.int32),
        rating=history.data.astype(np.float32),
        timestamp=np.zeros(history.nnz, dtype=np.int64),
        users=model.users,
        items=model.items,
    )
