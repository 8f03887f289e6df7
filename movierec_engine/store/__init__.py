"""The artifact store: versions, manifests, atomic publishing, promotion."""

from movierec_engine.store.artifact_store import PINNED, SERVING, Artifact, ArtifactStore, content_key
from movierec_engine.store.files import replace_file
from movierec_engine.store.refitted import is_refitted, measured_index, measured_version
from movierec_engine.store.slot import Slot, parse_reference

__all__ = [
    "PINNED",
    "SERVING",
    "Artifact",
    "ArtifactStore",
    "Slot",
    "content_key",
    "is_refitted",
    "measured_index",
    "measured_version",
    "parse_reference",
    "replace_file",
]
