"""Scores of people who were not in training, and why: numpy and scipy alone, so that a server needs no torch."""

from importlib import import_module
from typing import Any

from numpy.typing import NDArray

from movierec_engine.models.fold_in.base import Basis, FoldInScorer

__all__ = ["Basis", "FoldInScorer", "fold_in_from_arrays"]

_CLASSES = {
    "popularity": "popularity:PopularityFoldIn",
    "linear": "linear:LinearFoldIn",
    "user_cf": "user_cf:UserCFFoldIn",
    "als": "ridge:ALSFoldIn",
    "svd": "ridge:SVDFoldIn",
    "lightgcn": "lightgcn:LightGCNFoldIn",
    "ngcf": "ngcf:NGCFFoldIn",
    "neural": "neural:NeuralFoldIn",
    "fused": "fused:FusedFoldIn",
}
"""By `FoldInScorer.kind`."""


def fold_in_from_arrays(arrays: dict[str, NDArray[Any]], basis: Basis) -> FoldInScorer:
    """The scorer whose `arrays` these are, over the basis that it had. Raises KeyError where one is missing."""
    module, name = _CLASSES[str(arrays["kind"])].split(":")
    kind: type[FoldInScorer] = getattr(import_module(f"movierec_engine.models.fold_in.{module}"), name)
    return kind.from_arrays(arrays, basis)
