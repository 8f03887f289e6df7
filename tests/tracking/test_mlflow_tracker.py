"""MLflow on its embedded database: what a run leaves there, and what happens when the database cannot be used."""

import json
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from movierec_engine import pipeline
from movierec_engine.config import load_settings
from movierec_engine.errors import ConfigError, MovierecError
from movierec_engine.models import load_model
from movierec_engine.store import Artifact
from movierec_engine.tracking import make_tracker
from movierec_engine.tracking.config import LoggerConfig
from movierec_engine.tracking.mlflow_database import open_client, tracking_uri

Train = Callable[..., dict[str, Artifact]]
PATIENCE = 300
"""Seconds that a busy machine may take, and which one that waits every time would exceed."""


@pytest.fixture
def store(mlflow_store: Path) -> Path:
    return mlflow_store


@pytest.fixture
def train(small_data: list[str], store: Path) -> Train:
    """Train popularity on the small folder with MLflow on, and more overrides."""

    def run(*overrides: str) -> dict[str, Artifact]:
        tracked = [*small_data, "logger.use_mlflow=true", "model=popularity", f"paths.artifacts={store}"]
        return pipeline.run_tracked(load_settings([*tracked, *overrides]))

    return run


@contextmanager
def locked(database: Path) -> Iterator[None]:
    """Another program holds the database's write lock."""
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("BEGIN EXCLUSIVE")
        yield
        connection.rollback()


def test_a_run_keeps_its_report_and_settings_and_registers_nothing_unasked(train: Train, store: Path) -> None:
    from mlflow import MlflowClient

    made = train()
    client = MlflowClient(tracking_uri(store))
    run = client.get_run(made["trained_model"].origin["mlflow_run_id"])
    files = Path(run.info.artifact_uri.removeprefix("file://"))
    report = json.loads((files / "report" / "report.json").read_text())
    assert report["metrics"] == made["evaluation_report"].facts["metrics"]
    assert json.loads((files / "config.json").read_text())["seed"] == 42
    assert run.data.metrics["test/ndcg_at_10"] == pytest.approx(report["metrics"]["ndcg@10"])
    (noted,) = client.get_metric_history(run.info.run_id, "test/ndcg_at_10")
    assert abs(noted.timestamp / 1000 - time.time()) < 600, "in milliseconds"
    assert run.data.params["paths.artifacts"] == str(store), "not cut off"
    assert client.search_registered_models() == []
    assert not (files / "model").exists()


def test_large_files_of_a_report_stay_in_the_store(train: Train, store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("movierec_engine.tracking.mlflow_tracker._LARGEST_FILE", 0)
    train()
    assert not list(store.glob("mlflow/files/*/artifacts/report/*"))


def test_asked_to_register_every_training_is_the_next_version_of_its_model(train: Train, store: Path) -> None:
    from mlflow import MlflowClient

    made = [train("logger.mlflow.register=true") for _ in range(2)]
    client = MlflowClient(tracking_uri(store))
    for number, artifacts in enumerate(made, start=1):
        trained = artifacts["trained_model"]
        version = client.get_model_version(f"{trained.slot.data_set}.popularity", str(number))
        assert version.run_id == trained.origin["mlflow_run_id"]
        assert version.tags == {"artifact": trained.reference, "fingerprint": trained.fingerprint, "device": "cpu"}
        folder = Path(client.get_model_version_download_uri(version.name, str(number)).removeprefix("file://"))
        assert not list(folder.glob("*.pkl"))
        assert (load_model(folder).items.ids == load_model(trained.folder).items.ids).all()


def test_a_run_that_fails_ends_as_failed(train: Train, store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object) -> None:
        raise MovierecError("diverged")

    monkeypatch.setattr("movierec_engine.pipeline.runner.run", fail)
    with pytest.raises(MovierecError, match="diverged"):
        train()
    client = open_client(store)
    experiment = client.get_experiment_by_name("movierec")
    assert experiment is not None
    assert [run.info.status for run in client.search_runs([experiment.experiment_id])] == ["FAILED"]


def test_registering_without_mlflow_is_a_wrong_setting(small_data: list[str]) -> None:
    with pytest.raises(ConfigError, match=r"logger\.mlflow\.register=true needs logger\.use_mlflow=true"):
        load_settings([*small_data, "logger.mlflow.register=true"])


def test_a_database_that_is_locked_from_the_start_costs_seconds_once(
    train: Train, store: Path, monkeypatch: pytest.MonkeyPatch, warnings: pytest.LogCaptureFixture
) -> None:
    train()
    monkeypatch.setattr("movierec_engine.tracking.mlflow_database._LOCK_SECONDS", 0.2)
    warnings.clear()
    started = time.perf_counter()
    with locked(store / "mlflow" / "mlflow.db"):
        made = train()
    assert time.perf_counter() - started < PATIENCE
    assert "mlflow_run_id" not in made["trained_model"].origin
    assert [message for message in warnings.messages if "no longer recording" in message] == [
        "MlflowTracker: no longer recording this run (OperationalError: database is locked)"
    ]


def test_a_lock_in_the_middle_of_a_training_holds_up_no_epoch(
    store: Path, monkeypatch: pytest.MonkeyPatch, warnings: pytest.LogCaptureFixture
) -> None:
    tracker = make_tracker(LoggerConfig(use_wandb=False), store, "test")
    tracker.start("run", {})
    tracker.log({"loss": 1.0}, 1)
    tracker.log({"best": 1.0})
    monkeypatch.setattr("movierec_engine.tracking.tracker.TIMEOUT_SECONDS", 1)
    with locked(store / "mlflow" / "mlflow.db"):
        started = time.perf_counter()
        for epoch in range(2, 1000):
            tracker.log({"loss": 1.0}, epoch)
        assert time.perf_counter() - started < PATIENCE, "998 epochs that each wait would take longer"
        tracker.log({"best": 2.0})
        tracker.finish("finished")
        assert time.perf_counter() - started < PATIENCE
    assert len([message for message in warnings.messages if "no longer recording" in message]) == 1
    client = open_client(store)
    (run,) = client.search_runs([client.get_experiment_by_name("test").experiment_id])  # type: ignore[union-attr]
    assert client.get_metric_history(run.info.run_id, "loss")[0].step == 1


def test_a_damaged_database_is_one_warning(train: Train, store: Path, warnings: pytest.LogCaptureFixture) -> None:
    database = store / "mlflow" / "mlflow.db"
    database.write_bytes(b"this is no database, whatever its name says" * 100)
    started = time.perf_counter()
    assert train()["evaluation_report"].facts["metrics"]
    assert time.perf_counter() - started < PATIENCE
    assert (
        warnings.messages.count("MlflowTracker: no longer recording this run (DatabaseError: file is not a database)")
        == 1
    )
