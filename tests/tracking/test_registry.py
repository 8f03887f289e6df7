"""MLflow's registry, next to a store whose served model moves."""

import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from movierec_engine import pipeline, release
from movierec_engine.config import load_settings
from movierec_engine.evaluation.gate import ReleaseConfig
from movierec_engine.release import manual
from movierec_engine.store import SERVING, Artifact, ArtifactStore
from movierec_engine.tracking import registry
from movierec_engine.tracking.mlflow_database import open_client
from movierec_engine.tracking.mlflow_tracker import run_page

if TYPE_CHECKING:
    from mlflow import MlflowClient


@pytest.fixture
def store(mlflow_store: Path, monkeypatch: pytest.MonkeyPatch) -> ArtifactStore:
    monkeypatch.setenv("MOVIEREC_ARTIFACTS", str(mlflow_store))
    return ArtifactStore(mlflow_store)


def tracked(small_data: list[str], model: str) -> dict[str, Artifact]:
    overrides = [one for one in small_data if one != "logger.use_mlflow=false"]
    return pipeline.run_tracked(load_settings([*overrides, f"model={model}"]))


def test_the_alias_follows_what_is_promoted_from_model_to_model_and_registers_it_once(
    store: ArtifactStore, small_data: list[str]
) -> None:
    ease, floor = tracked(small_data, "ease"), tracked(small_data, "popularity")
    for made in (ease, floor, floor):
        store.point(SERVING, made["faiss_index"], {})
        name = f"camps.{made['trained_model'].slot.model}"
        assert registry.follow(store, "camps") == f"models:/{name}@champion"
    client = open_client(store.root)
    aliases = {model.name: list(model.aliases) for model in client.search_registered_models()}
    assert aliases == {"camps.ease": [], "camps.popularity": ["champion"]}
    version = client.get_model_version_by_alias("camps.popularity", "champion")
    assert version.tags["artifact"] == floor["trained_model"].reference
    run = client.get_run(version.run_id)
    assert run.data.tags["trained_model"] == floor["trained_model"].reference
    assert run.data.tags["evaluation_report"] == floor["evaluation_report"].reference

    def named() -> list[str]:
        return [model.name for model in client.search_registered_models() if "champion" in model.aliases]

    manual.promote(store, ease["faiss_index"], ReleaseConfig(), "ndcg@10")
    assert named() == ["camps.ease"]
    manual.promote(store, floor["faiss_index"], ReleaseConfig(), "ndcg@10")
    manual.roll_back(store, "camps", ReleaseConfig())
    assert named() == ["camps.ease"]
    assert release.decide_release(
        store, pipeline.rank_models(store, "camps", "ndcg@10"), challenger=floor["trained_model"]
    )
    assert named() == [f"camps.{store.pointed(SERVING, 'camps').slot.model}"]  # type: ignore[union-attr]


def test_a_registry_that_fails_keeps_nothing_from_being_served(
    store: ArtifactStore, small_data: list[str], warnings: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = pipeline.run(store, load_settings([*small_data, "model=popularity"]), origin={"mlflow_run_id": "0" * 32})
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    manual.promote(store, made["faiss_index"], ReleaseConfig(refit=False), "ndcg@10")
    assert store.pointed(SERVING, "camps") == made["faiss_index"]
    assert "is not named champion" in warnings.text


def test_a_model_without_a_run_or_with_a_run_that_is_gone_stops_nothing(
    store: ArtifactStore, small_data: list[str], warnings: pytest.LogCaptureFixture
) -> None:
    settings = load_settings([*small_data, "model=popularity"])
    for origin in ({}, {"mlflow_run_id": "0" * 32}):
        store.point(SERVING, pipeline.run(store, settings, origin=origin)["faiss_index"], {})
        assert registry.follow(store, "camps") == ""
    assert "is not named champion" in warnings.text


def test_a_run_has_a_page_on_a_tracking_server_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://tracking:5001/")
    assert run_page("abc") == "http://tracking:5001/#/runs/abc"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///here.db")
    assert run_page("abc") == ""


@pytest.mark.slow
def test_a_call_that_answers_too_late_leaves_the_alias_on_what_is_served_by_then(
    store: ArtifactStore, small_data: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    ease, floor = tracked(small_data, "ease"), tracked(small_data, "popularity")
    waiting, answered, register = threading.Event(), threading.Event(), registry.register

    def hanging(client: "MlflowClient", trained_model: Artifact, run_id: str) -> str:
        if trained_model == ease["trained_model"] and not waiting.is_set():
            waiting.set()
            answered.wait(60)
        return register(client, trained_model, run_id)

    monkeypatch.setattr(registry, "register", hanging)
    store.point(SERVING, ease["faiss_index"], {})
    late = threading.Thread(target=registry.follow, args=(store, "camps"))
    late.start()
    assert waiting.wait(60)
    store.point(SERVING, floor["faiss_index"], {})
    assert registry.follow(store, "camps") == "models:/camps.popularity@champion"
    answered.set()
    late.join(60)
    aliases = {model.name: list(model.aliases) for model in open_client(store.root).search_registered_models()}
    assert aliases == {"camps.ease": [], "camps.popularity": ["champion"]}


@pytest.mark.slow
def test_each_data_set_has_an_alias_of_its_own(store: ArtifactStore, small_data: list[str]) -> None:
    """Also where one's name begins with the other's and a dot, as the names in the registry do."""
    other = [f"{one}.two" if one == "data.name=camps" else one for one in small_data]
    for settings, data_set in ((other, "camps.two"), (small_data, "camps")):
        store.point(SERVING, tracked(settings, "popularity")["faiss_index"], {})
        assert registry.follow(store, data_set) == f"models:/{data_set}.popularity@champion"
    models = open_client(store.root).search_registered_models()
    assert {model.name: list(model.aliases) for model in models} == {
        "camps.popularity": ["champion"],
        "camps.two.popularity": ["champion"],
    }
