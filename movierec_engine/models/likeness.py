"""Similarity of items: by a model's vectors, and by the genres that they share.

    s(i, j) = cos(v_i - m, v_j - m),    m = sum_i n_i v_i / sum_i n_i,    n_i: train interactions of i

Inner products of item vectors find what is popular, and so does their cosine as far as all vectors share a direction;
without the mean interaction m it is left out. With the genres g of each item, 0 or 1, likeness is

    (s(i, j) + w cos(g_i, g_j)) / (1 + w),    w = GENRE_WEIGHT

Both were chosen on people whom no model was trained on: benchmarks/results/similarity.md.
"""

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from movierec_engine.models.top_k import largest
from movierec_engine.models.vectors import unit_rows
from movierec_engine.reporting.progress import advance

GENRE_WEIGHT = 0.5
EXACT_ITEMS = 100_000
"""Up to so many items the most alike of all are found exactly, which takes about a minute; the time is of their square.
"""
_BLOCK = 256
_SHORT = 1024
"""Longer vectors are compared exactly at any size: a graph over them would be no smaller than their products."""
_LINKS = 32
_LEAST_SQUARE = 1e-6
"""Squared lengths below this share of the largest are what rounding leaves of 0."""

Floats = NDArray[np.float32]
Indices = NDArray[np.integer[Any]]


class Similarity(Protocol):
    """Similarities of given items to all."""

    def __call__(self, items: Indices) -> Floats:
        """float32 [n, n_items], from -1 to 1; an array of its own."""
        ...

    def unit(self) -> Floats | None:
        """float32 [n_items, d] whose inner products are that; None where there are no short ones."""
        ...


class CentredCosines:
    """s of given items with all; what is the same for all of them is computed once.

    vectors: float32 [n_items, d], dense or sparse; they are not copied. interactions: float32 [n_items], n above.
    """

    def __init__(self, vectors: Any, interactions: Floats) -> None:
        self.vectors, self.sparse = vectors, sparse.issparse(vectors)
        self.transposed = vectors.T.tocsr() if self.sparse else vectors.T
        self.mean = np.asarray(interactions @ vectors / max(float(interactions.sum()), 1.0), dtype=np.float32)
        own = np.asarray(vectors.multiply(vectors).sum(axis=1)).ravel() if self.sparse else _squares(vectors)
        self.along, self.square = np.asarray(vectors @ self.mean), float(self.mean @ self.mean)
        lengths = own - 2 * self.along + self.square
        known = (own > 0) & (lengths > _LEAST_SQUARE * float(own.max(initial=0)))
        roots = np.sqrt(np.maximum(lengths, 0))
        self.scale = np.divide(1, roots, out=np.zeros(len(own), dtype=np.float32), where=known)

    def __call__(self, items: Indices) -> Floats:
        """float32 [n, n_items]; 0 for an item of which nothing is known."""
        products = self.vectors[items] @ self.transposed
        cosines = np.asarray(products.toarray() if self.sparse else products, dtype=np.float32)
        cosines -= self.along[items][:, None]
        cosines += self.square - self.along
        cosines *= self.scale[items][:, None]
        cosines *= self.scale
        return np.clip(cosines, -1, 1, out=cosines)

    def unit(self) -> Floats | None:
        """float32 [n_items, d] whose inner products are s; None where that is not short and dense."""
        if self.sparse or self.vectors.shape[1] > _SHORT:
            return None
        return np.asarray((self.vectors - self.mean) * self.scale[:, None], dtype=np.float32)


def most_alike(
    similarities: Callable[[Indices], Floats], genres: Floats | None, items: Indices, k: int
) -> tuple[NDArray[np.int32], Floats]:
    """The k items most like each of the given ones, itself left out: int32 and float32 [n, k], best first.

    similarities: from items [b] to float32 [b, n_items], asked a block at a time. genres: float32 [n_items, n_genres],
    or None to go by the similarities alone. Equal ones go by item index.
    """
    unit = None if genres is None or not genres.shape[1] else unit_rows(genres)
    found, values = np.empty((len(items), k), dtype=np.int32), np.empty((len(items), k), dtype=np.float32)
    for start in range(0, len(items), _BLOCK):
        advance(start, len(items), "similar items")
        rows = np.asarray(items[start : start + _BLOCK])
        alike = similarities(rows)
        if unit is not None:
            alike += np.float32(GENRE_WEIGHT) * (unit[rows] @ unit.T)
            alike /= np.float32(1 + GENRE_WEIGHT)
        alike[np.arange(len(rows)), rows] = -np.inf
        found[start : start + len(rows)] = best = largest(alike, k)
        values[start : start + len(rows)] = np.take_along_axis(alike, best, axis=1)
    return found, values


def nearly_most_alike(unit: Floats, genres: Floats | None, k: int) -> tuple[NDArray[np.int32], Floats]:
    """`most_alike` of all items, by a graph that finds nearly all of them in n log n (Malkov and Yashunin 2018).

    unit: float32 [n_items, d] whose inner products are the similarities. Likeness is an inner product too: of these
    vectors beside the genres', by the root of the weight.
    """
    import faiss

    parts = [unit] if genres is None or not genres.shape[1] else [unit, np.sqrt(GENRE_WEIGHT) * unit_rows(genres)]
    vectors = np.concatenate(parts, axis=1, dtype=np.float32) / np.float32(np.sqrt(1 + GENRE_WEIGHT * (len(parts) - 1)))
    graph = faiss.IndexHNSWFlat(vectors.shape[1], _LINKS, faiss.METRIC_INNER_PRODUCT)
    graph.hnsw.efConstruction, graph.hnsw.efSearch = _LINKS * 3, 2 * (k + 1)
    graph.add(vectors)
    found, values = np.full((len(vectors), k), -1, dtype=np.int32), np.zeros((len(vectors), k), dtype=np.float32)
    for start in range(0, len(vectors), _BLOCK):
        advance(start, len(vectors), "similar items")
        rows = np.arange(start, min(start + _BLOCK, len(vectors)))
        near, index = graph.search(vectors[rows], k + 1)
        index = np.where(index == rows[:, None], -1, index)  # itself
        order = np.argsort(index < 0, axis=1, kind="stable")[:, :k]
        found[rows] = np.take_along_axis(index, order, axis=1)
        values[rows] = np.where(found[rows] < 0, 0, np.take_along_axis(near, order, axis=1))
    return found, values


def _squares(vectors: Floats) -> Floats:
    return np.asarray(np.vecdot(vectors, vectors))
