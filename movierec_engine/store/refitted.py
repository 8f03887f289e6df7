"""Refitted indices: the measured index and version that each of them stands for.

A refitted index is a version of its model's slot and never the newest. Its parents name the measured `trained_model`,
the `refitted_model` that answers, and the measured `faiss_index` that it stands for.
"""

from movierec_engine.store import kinds
from movierec_engine.store.artifact_store import Artifact


def is_refitted(index: Artifact) -> bool:
    """True for an index of a refitted model."""
    return kinds.REFITTED_MODEL in index.parents


def measured_index(index: Artifact) -> str:
    """Reference of the measured index that vouches for an index: its own unless it is refitted."""
    return index.parents[kinds.FAISS_INDEX] if is_refitted(index) else index.reference


def measured_version(index: Artifact) -> str:
    """The version in `measured_index`."""
    return measured_index(index).rpartition("/")[2]
