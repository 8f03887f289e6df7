"""The artifact store: versions, manifests, atomic publishing, promotion."""

from movierec_engine.store.artifact_store import SERVING, Artifact, ArtifactStore, Slot, content_key, replace_file

__all__ = ["SERVING", "Artifact", "ArtifactStore", "Slot", "content_key", "replace_file"]
