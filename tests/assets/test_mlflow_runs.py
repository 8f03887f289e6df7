"""The MLflow runs of a Dagster run: one for itself, and in it one for each model."""

import os

import dagster as dg
import pytest
from dagster_runs import execute, latest, prepare, span

from movierec_assets.jobs import MODEL
from movierec_assets.partitions import partition_key
from movierec_engine.store import ArtifactStore


@pytest.mark.slow
@pytest.mark.usefixtures("mlflow_store")
def test_mlflow_holds_one_ended_run_for_each_dagster_run_and_one_in_it_for_each_model(
    instance: dg.DagsterInstance, store: ArtifactStore, overrides: list[str]
) -> None:
    from mlflow import MlflowClient

    from movierec_engine.tracking.mlflow_database import tracking_uri

    tracked = [item for item in overrides if item != "logger.use_mlflow=false"]
    prepare(store, overrides)
    for _ in range(2):
        assert execute(instance, tracked, MODEL, tags=span("cpu|popularity", "cpu|item_cf")).success
    client = MlflowClient(tracking_uri(store.root))
    experiment = client.get_experiment_by_name("movierec")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id])
    assert {run.info.status for run in runs} == {"FINISHED"}
    children = [run for run in runs if "mlflow.parentRunId" in run.data.tags]
    parents = {run.info.run_id for run in runs} - {run.info.run_id for run in children}
    assert len(parents) == 2
    assert len(children) == 4
    assert {run.data.tags["mlflow.parentRunId"] for run in children} == parents
    assert all("test/ndcg_at_10" in run.data.metrics for run in children)
    assert latest(store, "trained_model", "item_cf", "cpu").origin["mlflow_run_id"] in {r.info.run_id for r in children}


@pytest.mark.slow
def test_a_training_that_fails_ends_its_mlflow_runs_as_failed_and_leaves_the_environment_as_it_was(
    instance: dg.DagsterInstance, store: ArtifactStore, overrides: list[str]
) -> None:
    from mlflow import MlflowClient

    from movierec_engine.tracking.mlflow_database import tracking_uri

    prepare(store, overrides)
    before = dict(os.environ)
    failing = [item for item in overrides if item != "logger.use_mlflow=false"]
    failing += ["trainer.early_stopping.metric=ndcg@99"]
    assert not execute(instance, failing, MODEL, partition_key("cpu", "lightgcn")).success
    assert {name: value for name, value in os.environ.items() if name.startswith("MLFLOW") and name not in before} in (
        {},
        {"MLFLOW_DISABLE_TELEMETRY": "true"},
    )
    client = MlflowClient(tracking_uri(store.root))
    experiment = client.get_experiment_by_name("movierec")
    assert experiment is not None
    assert [run.info.status for run in client.search_runs([experiment.experiment_id])] == ["FAILED", "FAILED"]
