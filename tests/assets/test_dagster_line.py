"""The assets, materialized for real on a small folder with Dagster's own instance."""

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import dagster as dg
import numpy as np
import pytest

from movierec_assets.definitions import defs
from movierec_assets.materialize import DATA, MODEL, RELEASE, materialize
from movierec_assets.partitions import partition_key
from movierec_engine.data.graph import InteractionGraph, build_graph
from movierec_engine.data.interactions import Interactions
from movierec_engine.errors import ConfigError, DeviceError
from movierec_engine.evaluation.canaries import Finding
from movierec_engine.models import SINGLE_MODELS
from movierec_engine.store import SERVING, Artifact, ArtifactStore, Slot

POPULARITY, EASE = partition_key("cpu", "popularity"), partition_key("cpu", "ease")


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.instance_for_test() as instance:
        yield instance


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ArtifactStore:
    monkeypatch.setenv("MOVIEREC_ARTIFACTS", str(tmp_path / "store"))
    return ArtifactStore(tmp_path / "store")


@pytest.fixture
def overrides(small_data: list[str]) -> list[str]:
    return [item for item in small_data if not item.startswith("device=")]


def execute(
    instance: dg.DagsterInstance,
    overrides: list[str],
    assets: tuple[str, ...],
    partition: str | None = None,
    tags: dict[str, str] | None = None,
) -> dg.ExecuteInProcessResult:
    return defs.resolve_job_def("everything").execute_in_process(
        instance=instance,
        asset_selection=[dg.AssetKey(name) for name in assets],
        partition_key=partition,
        tags=tags,
        run_config={"resources": {"settings": {"config": {"overrides": overrides}}}},
        raise_on_error=False,
    )


def span(start: str, end: str) -> dict[str, str]:
    return {"dagster/asset_partition_range_start": start, "dagster/asset_partition_range_end": end}


def sentence(result: dg.ExecuteInProcessResult) -> str:
    """The description of the failure that ended a run."""
    (failure,) = [event for event in result.all_events if event.is_step_failure]
    data = failure.step_failure_data
    assert data.user_failure_data is not None
    return data.user_failure_data.description or ""


def latest(store: ArtifactStore, kind: str, *path: str) -> Artifact:
    return store.require(Slot(kind, path)).verify()


def test_the_whole_line_ends_in_a_served_index_with_its_lineage(
    instance: dg.DagsterInstance, store: ArtifactStore, overrides: list[str]
) -> None:
    materialize(["popularity", "ease"], "cpu", overrides, instance)
    served = store.pointed(SERVING)
    assert served == latest(store, "faiss_index", "ease", "cpu")
    model = store.resolve(served.parents["trained_model"])
    split = store.resolve(model.parents["splits"])
    interactions = store.resolve(split.parents["interactions"])
    ratings = store.resolve(interactions.parents["raw_ratings"])
    assert ratings == latest(store, "raw_ratings", "camps")
    report = latest(store, "evaluation_report", "ease", "cpu")
    assert served.fingerprint == model.fingerprint == split.fingerprint == report.fingerprint
    runs = {run.run_id for run in instance.get_runs()}
    assert {artifact.origin["dagster_run_id"] for artifact in (served, model, split, ratings, report)} <= runs


def test_materializations_show_what_was_made(
    instance: dg.DagsterInstance, store: ArtifactStore, overrides: list[str]
) -> None:
    materialize(["popularity"], "cpu", overrides, instance)
    event = instance.get_latest_materialization_event(dg.AssetKey("raw_ratings"))
    assert event is not None and event.asset_materialization is not None
    assert event.asset_materialization.metadata["dagster/row_count"].value == 60 * 14
    report = instance.get_latest_materialization_event(dg.AssetKey("evaluation_report"))
    assert report is not None and report.asset_materialization is not None
    shown = report.asset_materialization.metadata
    saved = json.loads((latest(store, "evaluation_report", "popularity", "cpu").folder / "report.json").read_text())
    assert shown["test ndcg@10"].value == saved["metrics"]["ndcg@10"]
    assert shown["fingerprint"].value == saved["fingerprint"]
    assert "| ndcg |" in str(shown["test metrics"].value)


def test_a_learning_curve_is_drawn_of_a_model_trained_by_epochs(
    instance: dg.DagsterInstance, store: ArtifactStore, overrides: list[str]
) -> None:
    materialize(["lightgcn"], "cpu", [*overrides, "trainer.max_epochs=2"], instance)
    event = instance.get_latest_materialization_event(dg.AssetKey("trained_model"))
    assert event is not None and event.asset_materialization is not None
    assert "data:image/svg+xml" in str(event.asset_materialization.metadata["learning curve"].value)


def test_data_steps_are_not_made_twice_and_models_are(
    instance: dg.DagsterInstance, store: ArtifactStore, overrides: list[str]
) -> None:
    materialize(["popularity"], "cpu", overrides, instance)
    split, model = latest(store, "splits", "camps"), latest(store, "trained_model", "popularity", "cpu")
    materialize(["popularity"], "cpu", overrides, instance)
    assert latest(store, "splits", "camps") == split
    assert latest(store, "trained_model", "popularity", "cpu") != model


def test_a_range_of_partitions_is_one_run(
    instance: dg.DagsterInstance, store: ArtifactStore, overrides: list[str]
) -> None:
    execute(instance, overrides, DATA)
    result = execute(
        instance,
        [*overrides, "trainer.max_epochs=1"],
        MODEL,
        tags=span(f"cpu|{SINGLE_MODELS[0]}", f"cpu|{SINGLE_MODELS[-1]}"),
    )
    assert result.success
    made = instance.get_materialized_partitions(dg.AssetKey("faiss_index"))
    assert made == {f"cpu|{model}" for model in SINGLE_MODELS}
    assert {slot.path for slot in store.slots("faiss_index")} == {(model, "cpu") for model in SINGLE_MODELS}


def test_each_partition_of_a_range_shows_its_own_artifact(
    instance: dg.DagsterInstance, store: ArtifactStore, overrides: list[str]
) -> None:
    execute(instance, overrides, DATA)
    result = execute(instance, overrides, MODEL, tags=span("cpu|popularity", "cpu|item_cf"))
    shown = {
        (event.materialization.asset_key.to_user_string(), event.partition): event.materialization.metadata[
            "version"
        ].value
        for event in result.get_asset_materialization_events()
    }
    assert shown == {
        (kind, f"cpu|{model}"): latest(store, kind, model, "cpu").version
        for kind in MODEL
        for model in ("popularity", "item_cf")
    }


def test_the_data_version_is_the_artifacts_so_that_only_what_changed_makes_stale(
    instance: dg.DagsterInstance, store: ArtifactStore, overrides: list[str]
) -> None:
    for _ in range(2):
        result = execute(instance, overrides, DATA)
        (event,) = result.asset_materializations_for_node("splits")
        assert (event.tags or {})["dagster/data_version"] == latest(store, "splits", "camps").version
    assert len(store.versions(Slot("splits", ("camps",)))) == 1
    (event,) = execute(instance, overrides, MODEL, POPULARITY).asset_materializations_for_node("trained_model")
    assert (event.tags or {})["dagster/data_version"] == latest(store, "trained_model", "popularity", "cpu").version


def test_partitions_done_before_another_fails_are_recorded(
    instance: dg.DagsterInstance, store: ArtifactStore, overrides: list[str]
) -> None:
    execute(instance, overrides, DATA)
    failing = [*overrides, "trainer.early_stopping.metric=ndcg@99"]
    result = execute(instance, failing, MODEL, tags=span("cpu|popularity", "cpu|lightgcn"))
    assert "ndcg@99 is not measured" in sentence(result)
    model = dg.AssetKey("trained_model")
    before = SINGLE_MODELS[: SINGLE_MODELS.index("gmf")]  # which is the first that is trained by epochs
    assert instance.get_materialized_partitions(model) == {f"cpu|{name}" for name in before}
    for event in result.asset_materializations_for_node("trained_model"):
        version = latest(store, "trained_model", str(event.partition).removeprefix("cpu|"), "cpu").version
        assert (event.tags or {})["dagster/data_version"] == version
    assert not list(store.slots("evaluation_report"))


def test_a_reversed_range_does_not_report_success(
    instance: dg.DagsterInstance, store: ArtifactStore, overrides: list[str]
) -> None:
    execute(instance, overrides, DATA)
    result = execute(instance, overrides, MODEL, tags=span("cpu|lightgcn", "cpu|popularity"))
    assert not result.success
    assert not list(store.slots("trained_model"))


def test_a_device_that_is_not_there_fails_at_once_with_its_sentence(
    instance: dg.DagsterInstance, store: ArtifactStore, overrides: list[str]
) -> None:
    execute(instance, overrides, DATA)
    result = execute(instance, overrides, MODEL, partition_key("mps", "ease"))
    assert "device=mps is not on this machine" in sentence(result)
    assert not list(store.slots("trained_model"))
    with pytest.raises(DeviceError, match="mps"):
        materialize(["ease"], "mps", overrides, instance)


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("trainer.batch_size=-1", "trainer.batch_size=-1 must be at least 1"),
        ("data.splitt=random", "data.splitt is not a setting; did you mean data.split?"),
        ("model=ease", "the model is the partition's"),
    ],
)
def test_a_wrong_override_fails_before_any_work_with_the_command_lines_sentence(
    instance: dg.DagsterInstance, store: ArtifactStore, overrides: list[str], override: str, expected: str
) -> None:
    result = execute(instance, [*overrides, override], DATA)
    assert expected in " ".join(
        event.step_failure_data.user_failure_data.description or ""
        for event in result.all_events
        if event.is_step_failure and event.step_failure_data.user_failure_data
    )
    assert not store.root.exists() or not any(store.root.rglob("manifest.json"))
    with pytest.raises(ConfigError):
        materialize(["popularity"], "cpu", [*overrides, override], instance)


def test_a_model_step_without_its_data_says_what_to_materialize(
    instance: dg.DagsterInstance, store: ArtifactStore, overrides: list[str]
) -> None:
    assert "materialize it first" in sentence(execute(instance, overrides, MODEL, POPULARITY))


def test_other_data_settings_than_the_splits_were_made_with_are_refused(
    instance: dg.DagsterInstance, store: ArtifactStore, overrides: list[str]
) -> None:
    execute(instance, overrides, DATA)
    result = execute(instance, [*overrides, "data.split=leave_one_out"], MODEL, EASE)
    assert "was made with data.split=random" in sentence(result)


def test_mlflow_holds_one_ended_run_for_each_dagster_run_and_one_in_it_for_each_model(
    instance: dg.DagsterInstance, store: ArtifactStore, overrides: list[str]
) -> None:
    from mlflow import MlflowClient

    from movierec_engine.tracking.mlflow_tracker import tracking_uri

    tracked = [item for item in overrides if item != "logger.use_mlflow=false"]
    execute(instance, overrides, DATA)
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


def test_a_training_that_fails_ends_its_mlflow_runs_as_failed_and_leaves_the_environment_as_it_was(
    instance: dg.DagsterInstance, store: ArtifactStore, overrides: list[str]
) -> None:
    from mlflow import MlflowClient

    from movierec_engine.tracking.mlflow_tracker import tracking_uri

    execute(instance, overrides, DATA)
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


def evaluations(result: dg.ExecuteInProcessResult) -> dict[str, dg.AssetCheckEvaluation]:
    return {event.check_name: event for event in result.get_asset_check_evaluations()}


def test_parts_and_graph_are_checked_with_their_assets(
    instance: dg.DagsterInstance, store: ArtifactStore, overrides: list[str]
) -> None:
    found = evaluations(execute(instance, overrides, DATA))
    assert {name: check.passed for name, check in found.items()} == {"parts_are_disjoint": True, "graph_is_train": True}


def test_a_graph_with_a_foreign_edge_ends_the_line_before_training(
    instance: dg.DagsterInstance, store: ArtifactStore, overrides: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def leaking(train: Interactions) -> InteractionGraph:
        stranger = np.setdiff1d(np.arange(train.n_items), train.matrix()[0].indices)[:1]
        row = train.select(np.array([0]))
        everything = np.concatenate([train.item, stranger])
        more = {name: np.concatenate([getattr(train, name), getattr(row, name)]) for name in ("rating", "timestamp")}
        user = np.concatenate([train.user, np.zeros(1, dtype=np.int32)])
        return build_graph(replace(train, user=user, item=everything.astype(np.int32), **more))

    monkeypatch.setattr("movierec_engine.pipeline.data.build_graph", leaking)
    result = execute(instance, overrides, (*DATA, "trained_model"), EASE)
    assert not result.success
    check = evaluations(result)["graph_is_train"]
    assert not check.passed
    assert "have 2 that train has not" in (check.description or "")
    assert store.latest(Slot("trained_model", ("ease", "cpu"))) is None


def test_the_canaries_of_a_partition_are_recorded(
    instance: dg.DagsterInstance, store: ArtifactStore, overrides: list[str]
) -> None:
    assert execute(instance, overrides, DATA).success
    assert execute(instance, overrides, ("trained_model",), EASE).success
    result = defs.resolve_job_def("canaries").execute_in_process(
        instance=instance,
        partition_key=EASE,
        run_config={"resources": {"settings": {"config": {"overrides": overrides}}}},
    )
    assert result.success
    made = latest(store, "leak_canaries", "ease", "cpu")
    assert made.facts["passed"]
    (event,) = result.get_asset_materialization_events()
    shown = event.step_materialization_data.materialization.metadata["findings"].value
    assert all(one["sentence"] in shown for one in made.facts["findings"])


def test_a_canary_that_fails_fails_its_run_once_it_is_recorded(
    instance: dg.DagsterInstance, store: ArtifactStore, overrides: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert execute(instance, overrides, DATA).success
    assert execute(instance, overrides, ("trained_model",), EASE).success
    broken = Finding("falls_to_the_floor", False, "it found what only test has", {})
    monkeypatch.setattr("movierec_engine.pipeline.canaries.falls_to_the_floor", lambda *_: broken)
    result = defs.resolve_job_def("canaries").execute_in_process(
        instance=instance,
        partition_key=EASE,
        run_config={"resources": {"settings": {"config": {"overrides": overrides}}}},
        raise_on_error=False,
    )
    assert not result.success
    assert "leaks: it found what only test has" in sentence(result)
    assert not latest(store, "leak_canaries", "ease", "cpu").facts["passed"]


def test_the_hybrid_of_a_device_fuses_its_partitions_and_is_ranked_and_indexed(
    instance: dg.DagsterInstance, store: ArtifactStore, overrides: list[str]
) -> None:
    for assets, partition in ((DATA, None), (MODEL, EASE), (MODEL, partition_key("cpu", "als"))):
        assert execute(instance, overrides, assets, partition).success
    materialized = defs.resolve_job_def("hybrid").execute_in_process(
        instance=instance,
        partition_key="cpu",
        run_config={
            "resources": {"settings": {"config": {"overrides": [*overrides, "model.models=[ease,als]"]}}},
        },
    )
    assert materialized.success
    hybrid = latest(store, "trained_model", "hybrid_ensemble", "cpu")
    for member in ("ease", "als"):
        assert hybrid.parents[member] == latest(store, "trained_model", member, "cpu").reference
    for kind in ("evaluation_report", "faiss_index"):
        assert latest(store, kind, "hybrid_ensemble", "cpu").parents["trained_model"] == hybrid.reference
    assert execute(instance, overrides, RELEASE).success
    assert {row["model"] for row in latest(store, "leaderboard").facts["rows"]} == {"ease", "als", "hybrid_ensemble"}


def test_a_hybrid_without_its_members_names_them_if_they_are_not_to_be_trained(
    instance: dg.DagsterInstance, store: ArtifactStore, overrides: list[str]
) -> None:
    assert execute(instance, overrides, DATA).success
    asked = [*overrides, "model.models=[ease,als]", "model.missing=error"]
    result = defs.resolve_job_def("hybrid").execute_in_process(
        instance=instance,
        partition_key="cpu",
        run_config={"resources": {"settings": {"config": {"overrides": asked}}}},
        raise_on_error=False,
    )
    assert not result.success
    assert "no ease on cpu is trained on this split" in sentence(result)
