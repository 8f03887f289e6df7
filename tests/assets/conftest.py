"""An empty Dagster instance, an empty store, and the settings of runs on a small folder of ratings."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from movierec_engine.store import ArtifactStore


@pytest.fixture(scope="session", autouse=True)
def patient_with_mlflow() -> Iterator[None]:
    """A busy machine is no MLflow that hangs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("movierec_assets.tracking.TIMEOUT_SECONDS", 600.0)
        yield


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ArtifactStore:
    monkeypatch.setenv("MOVIEREC_ARTIFACTS", str(tmp_path / "store"))
    return ArtifactStore(tmp_path / "store")


@pytest.fixture
def overrides(small_data: list[str]) -> list[str]:
    return [item for item in small_data if not item.startswith("device=")]
