"""Scores of people who were not in training, and why: numpy and scipy alone, so that a server needs no torch."""

from collections.abc import Iterator
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
    "graph_filter": "graph_filter:GraphFilterFoldIn",
    "markov": "markov:MarkovFoldIn",
    "lightgcn": "lightgcn:LightGCNFoldIn",
    "ngcf": "ngcf:NGCFFoldIn",
    "neural": "neural:NeuralFoldIn",
    "recvae": "recvae:RecVAEFoldIn",
    "sasrec": "sasrec:SASRecFoldIn",
    "fused": "fused:FusedFoldIn",
}
"""By `FoldInScorer.kind`."""


def fold_in_from_arrays(arrays: dict[str, NDArray[Any]], basis: Basis) -> FoldInScorer:
    """The scorer whose `arrays` these are, over the basis that it had: of this package, or of one that is imported.

    Raises KeyError where an array is missing, and for a kind that is not known.
    """
    kind = str(arrays["kind"])
    if kind in _CLASSES:
        module, name = _CLASSES[kind].split(":")
        found: type[FoldInScorer] = getattr(import_module(f"movierec_engine.models.fold_in.{module}"), name)
    else:
        found = {getattr(one, "kind", ""): one for one in _subclasses(FoldInScorer)}[kind]
    return found.from_arrays(arrays, basis)


def _subclasses(of: type[Any]) -> Iterator[type[FoldInScorer]]:
    for found in of.__subclasses__():
        yield found
        yield from _subclasses(found)
