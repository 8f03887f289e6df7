"""Scores of people who were not in training, and why: numpy and scipy alone, so that a server needs no torch."""

from importlib import import_module
from typing import Any

from numpy.typing import NDArray

from movierec_engine.models.newcomers.base import Basis, NewcomerScorer

__all__ = ["Basis", "NewcomerScorer", "newcomers_from_arrays"]

_CLASSES = {
    "popularity": "popularity:PopularityNewcomers",
    "linear": "linear:LinearNewcomers",
    "user_cf": "user_cf:UserCFNewcomers",
    "als": "ridge:ALSNewcomers",
    "svd": "ridge:SVDNewcomers",
    "lightgcn": "lightgcn:LightGCNNewcomers",
    "ngcf": "ngcf:NGCFNewcomers",
    "neural": "neural:NeuralNewcomers",
    "fused": "fused:FusedNewcomers",
}
"""By `NewcomerScorer.kind`."""


def newcomers_from_arrays(arrays: dict[str, NDArray[Any]], basis: Basis) -> NewcomerScorer:
    """The scorer whose `arrays` these are, over the basis that it had. Raises KeyError where one is missing."""
    module, name = _CLASSES[str(arrays["kind"])].split(":")
    kind: type[NewcomerScorer] = getattr(import_module(f"movierec_engine.models.newcomers.{module}"), name)
    return kind.from_arrays(arrays, basis)
