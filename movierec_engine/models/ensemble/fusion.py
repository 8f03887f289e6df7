"""Fusion of several models' scores: normalised for each user, then added; numpy alone.

scores: float32 [m, n, n_items], of m models for n users. weights: float32 [n, f], each user's own; f is m, or 2 m where
a normalisation gives two features a model.
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

RRF_K = 60.0
"""Cormack, Clarke and Büttcher 2009: large enough that the first ranks do not decide alone."""

NORMALIZATIONS = ("z_score", "min_max", "rank")
STACKED = "z_score and rrf"
AFFINE = ("z_score", "min_max")
"""Normalisations that shift and scale a user's scores, so that a sum of inner products stays one."""


def fuse(scores: Floats, weights: Floats, normalization: str) -> Floats:
    """sum_f weights[u, f] * normalised(scores)[f, u]: float32 [n, n_items]. normalization: see `normalised`."""
    return np.asarray(np.einsum("mni,nm->ni", normalised(scores, normalization), weights), dtype=np.float32)


def normalised(scores: Floats, normalization: str) -> Floats:
    """Each user's scores of a model over the whole catalogue, made comparable with another model's: [f, n, n_items].

    z_score: (s - mean) / standard deviation; min_max: (s - min) / (max - min); rank: 1 for the best item down to 0 for
    the last; rrf: 61 / (60 + rank); STACKED: the z-scores of all models, then their rrf. A user whose scores are all
    equal gets zeros from z_score and min_max. Equal scores go by item index in ranks.
    """
    if normalization == STACKED:
        return np.concatenate([normalised(scores, "z_score"), normalised(scores, "rrf")])
    if normalization in AFFINE:
        shift, scale = shift_and_scale(scores, normalization)
        return np.asarray((scores - shift[:, :, None]) * scale[:, :, None], dtype=np.float32)
    rank = np.empty(scores.shape, dtype=np.float32)
    order = np.argsort(-scores, axis=2, kind="stable")
    np.put_along_axis(rank, order, np.arange(scores.shape[2], dtype=np.float32)[None, None, :], axis=2)
    if normalization == "rrf":
        return np.asarray((RRF_K + 1) / (RRF_K + 1 + rank), dtype=np.float32)
    return np.asarray(1 - rank / max(scores.shape[2] - 1, 1), dtype=np.float32)


def shift_and_scale(scores: Floats, normalization: str) -> tuple[Floats, Floats]:
    """Shift and scale of an affine normalisation of each user's scores: float32 [m, n] each."""
    if normalization == "z_score":
        shift, spread = scores.mean(axis=2, dtype=np.float64), scores.std(axis=2, dtype=np.float64)
    else:
        shift = scores.min(axis=2).astype(np.float64)
        spread = scores.max(axis=2) - shift
    scale = np.divide(1.0, spread, out=np.zeros_like(spread), where=spread > 1e-12)
    return shift.astype(np.float32), scale.astype(np.float32)
