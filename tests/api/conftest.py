"""A store with indices whose answers can be read off."""

from pathlib import Path

import faiss
import pytest
from flask.testing import FlaskClient

from movierec_engine.api.app import create_app
from movierec_engine.store import Artifact, ArtifactStore, Slot
from worlds import Publish, small_index


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    faiss.omp_set_num_threads(1)
    return ArtifactStore(tmp_path / "store")


@pytest.fixture
def publish(store: ArtifactStore) -> Publish:
    """Publish an index: `publish("ease", sign=-1, device="cpu", facts={"n_items": 5})`."""

    def publish(
        model: str = "ease", sign: int = 1, device: str = "cpu", facts: dict[str, object] | None = None
    ) -> Artifact:
        index = small_index(model, sign)
        slot = Slot("faiss_index", (model, device))
        return store.publish(slot, index.save, key="k", fingerprint="f00d", facts=facts)

    return publish


@pytest.fixture
def client(store: ArtifactStore) -> FlaskClient:
    """A client of an API over the store; failures inside the API are answers, not exceptions."""
    app = create_app(store.root)
    app.config["PROPAGATE_EXCEPTIONS"] = False
    return app.test_client()
