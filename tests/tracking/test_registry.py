"""MLflow's registry, next to a store whose served model moves."""

from pathlib import Path

import pytest

from movierec_engine import pipeline
from movierec_engine.champion import ReleaseConfig
from movierec_engine.config import load_settings
from movierec_engine.pipeline import manual_release
from movierec_engine.store import SERVING, Artifact, ArtifactStore
from movierec_engine.tracking import registry
from movierec_engine.tracking.mlflow_database import open_client
from movierec_engine.tracking.mlflow_tracker import run_page
from movierec_engine.train import train


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ArtifactStore:
    monkeypatch.setenv("MOVIEREC_ARTIFACTS", str(tmp_path / "store"))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return ArtifactStore(tmp_path / "store")


def tracked(small_data: list[str], model: str) -> dict[str, Artifact]:
    overrides = [one for one in small_data if one != "logger.use_mlflow=false"]
    return train(load_settings([*overrides, f"model={model}"]))


def test_the_alias_follows_what_is_promoted_from_model_to_model_and_registers_it_once(
    store: ArtifactStore, small_data: list[str]
) -> None:
    ease, floor = tracked(small_data, "ease"), tracked(small_data, "popularity")
    assert registry.promote(store.root, ease["trained_model"]) == "models:/ease@champion"
    assert registry.promote(store.root, floor["trained_model"]) == "models:/popularity@champion"
    assert registry.promote(store.root, floor["trained_model"]) == "models:/popularity@champion"
    client = open_client(store.root)
    aliases = {model.name: list(model.aliases) for model in client.search_registered_models()}
    assert aliases == {"ease": [], "popularity": ["champion"]}
    version = client.get_model_version_by_alias("popularity", "champion")
    assert version.tags["artifact"] == floor["trained_model"].reference
    run = client.get_run(version.run_id)
    assert run.data.tags["trained_model"] == floor["trained_model"].reference
    assert run.data.tags["evaluation_report"] == floor["evaluation_report"].reference

    def named() -> list[str]:
        return [model.name for model in client.search_registered_models() if "champion" in model.aliases]

    manual_release.promote(store, ease["faiss_index"], ReleaseConfig(), "ndcg@10")
    assert named() == ["ease"]
    manual_release.promote(store, floor["faiss_index"], ReleaseConfig(), "ndcg@10")
    manual_release.roll_back(store, ReleaseConfig())
    assert named() == ["ease"]
    assert pipeline.decide_release(store, pipeline.rank_models(store, "ndcg@10"), challenger=floor["trained_model"])
    assert named() == [store.pointed(SERVING).slot.path[0]]  # type: ignore[union-attr]


def test_a_registry_that_fails_keeps_nothing_from_being_served(
    store: ArtifactStore, small_data: list[str], warnings: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = pipeline.run(store, load_settings([*small_data, "model=popularity"]), origin={"mlflow_run_id": "0" * 32})
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    manual_release.promote(store, made["faiss_index"], ReleaseConfig(), "ndcg@10")
    assert store.pointed(SERVING) == made["faiss_index"]
    assert "is not named champion" in warnings.text


def test_a_model_without_a_run_or_with_a_run_that_is_gone_stops_nothing(
    store: ArtifactStore, small_data: list[str], warnings: pytest.LogCaptureFixture
) -> None:
    untracked = train(load_settings([*small_data, "model=popularity"]))["trained_model"]
    assert registry.promote(store.root, untracked) == ""
    untracked.origin["mlflow_run_id"] = "0" * 32
    assert registry.promote(store.root, untracked) == ""
    assert "is not named champion" in warnings.text


def test_a_run_has_a_page_on_a_tracking_server_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://tracking:5001/")
    assert run_page("abc") == "http://tracking:5001/#/runs/abc"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///here.db")
    assert run_page("abc") == ""
