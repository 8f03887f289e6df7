"""Similarity of items: by a model's vectors, and by the genres that they share.

    s(i, j) = cos(v_i - m, v_j - m),    m = sum_i n_i v_i / sum_i n_i,    n_i: train interactions of i

Inner products of item vectors find what is popular, and so does their cosine as far as all vectors share a direction;
without the mean interaction m it is left out. With the genres g of each item, 0 or 1, likeness is

    (s(i, j) + w cos(g_i, g_j)) / (1 + w),    w = GENRE_WEIGHT

Both were chosen on people whom no model was trained on: benchmarks/results/similarity.md.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from movierec_engine.models.lists import largest

GENRE_WEIGHT = 0.5
_BLOCK = 1024
_LEAST_SQUARE = 1e-6
"""Squared lengths below this share of the largest are what rounding leaves of 0."""

Floats = NDArray[np.float32]
Indices = NDArray[np.integer[Any]]


def centred_cosines(vectors: Any, interactions: Floats, items: Indices) -> Floats:
    """s(i, j) of the given items with all: float32 [n, n_items]; 0 for an item of which nothing is known.

    vectors: float32 [n_items, d], dense or sparse; they are not copied. interactions: float32 [n_items], n above.
    """
    mean = np.asarray(interactions @ vectors / max(float(interactions.sum()), 1.0), dtype=np.float32)
    own = np.asarray(vectors.multiply(vectors).sum(axis=1)).ravel() if sparse.issparse(vectors) else _squares(vectors)
    along, square = np.asarray(vectors @ mean), float(mean @ mean)
    lengths = own - 2 * along + square
    known = (own > 0) & (lengths > _LEAST_SQUARE * float(own.max(initial=0)))
    scale = np.divide(1, np.sqrt(np.maximum(lengths, 0)), out=np.zeros(len(own), dtype=np.float32), where=known)
    products = vectors[items] @ vectors.T
    cosines = np.asarray(products.toarray() if sparse.issparse(products) else products, dtype=np.float32)
    cosines -= along[items][:, None]
    cosines += square - along
    cosines *= scale[items][:, None]
    cosines *= scale
    return np.clip(cosines, -1, 1, out=cosines)


def most_alike(similarities: Any, genres: Floats | None, items: Indices, k: int) -> tuple[NDArray[np.int32], Floats]:
    """The k items most like each of the given ones, itself left out: int32 and float32 [n, k], best first.

    similarities: from items [b] to float32 [b, n_items], asked a block at a time. genres: float32 [n_items, n_genres],
    or None to go by the similarities alone. Equal ones go by item index.
    """
    unit = None if genres is None or not genres.shape[1] else _unit(genres)
    found, values = np.empty((len(items), k), dtype=np.int32), np.empty((len(items), k), dtype=np.float32)
    for start in range(0, len(items), _BLOCK):
        rows = np.asarray(items[start : start + _BLOCK])
        alike = similarities(rows)
        if unit is not None:
            alike = (alike + np.float32(GENRE_WEIGHT) * (unit[rows] @ unit.T)) / np.float32(1 + GENRE_WEIGHT)
        alike[np.arange(len(rows)), rows] = -np.inf
        found[start : start + _BLOCK] = best = largest(alike, k)
        values[start : start + _BLOCK] = np.take_along_axis(alike, best, axis=1)
    return found, values


def _squares(vectors: Floats) -> Floats:
    return np.asarray(np.vecdot(vectors, vectors))


def _unit(rows: Floats) -> Floats:
    """Rows of length 1, float32; zeros stay zeros."""
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), np.float32(1e-12)))
