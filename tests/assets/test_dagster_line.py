"""The assets, materialized for real on a small folder with Dagster's own instance."""

import json
import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import numpy as np
import pytest
from dagster._core.asset_graph_view.asset_graph_view import AssetGraphView, TemporalContext
from dagster._core.definitions.data_version import CachingStaleStatusResolver

from movierec_assets.definitions import defs
from movierec_assets.jobs import DATA, MODEL, RELEASE
from movierec_assets.materialize import materialize
from movierec_assets.partitions import partition_key
from movierec_assets.resources import SettingsResource
from movierec_engine import pipeline
from movierec_engine.config import load_settings
from movierec_engine.data.graph import InteractionGraph, build_graph
from movierec_engine.data.interactions import Interactions
from movierec_engine.errors import ConfigError, DeviceError, MovierecError
from movierec_engine.evaluation.canaries import Finding
from movierec_engine.models import SINGLE_MODELS
from movierec_engine.pipeline import model_checks
from movierec_engine.store import SERVING, Artifact, ArtifactStore, Slot
from worlds import write_noisy_camps

POPULARITY, EASE = partition_key("cpu", "popularity"), partition_key("cpu", "ease")


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


def prepare(store: ArtifactStore, overrides: list[str]) -> None:
    """All data steps, by the engine's own functions: the same artifacts as the assets make, in a tenth of the time."""
    pipeline.prepare(store, load_settings([*overrides, "model=popularity", "device=cpu"]).data)


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


@dataclass(frozen=True)
class Line:
    """A whole line that was materialized once: ease, popularity and lightgcn, from the raw files to the release."""

    instance: dg.DagsterInstance
    store: ArtifactStore
    overrides: list[str]

    def shown(self, asset: str, partition: str | None = None) -> dict[str, object]:
        """The metadata of the newest materialization."""
        records = dg.AssetRecordsFilter(dg.AssetKey(asset), asset_partitions=[partition] if partition else None)
        (record,) = self.instance.fetch_materializations(records, limit=1).records
        assert record.asset_materialization is not None
        return {name: value.value for name, value in record.asset_materialization.metadata.items()}


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Line]:
    root = tmp_path_factory.mktemp("line")
    write_noisy_camps(root / "ratings")
    overrides = ["data.name=camps", f"data.dir='{root / 'ratings'}'", f"paths.checkpoints='{root / 'checkpoints'}'"]
    overrides += ["logger.use_mlflow=false", "logger.use_wandb=false", "trainer.max_epochs=2"]
    with dg.DagsterInstance.ephemeral() as instance, pytest.MonkeyPatch.context() as patch:
        patch.setenv("MOVIEREC_ARTIFACTS", str(root / "store"))
        materialize(["popularity", "ease", "lightgcn"], "cpu", overrides, instance)
        yield Line(instance, ArtifactStore(root / "store"), overrides)


def test_the_whole_line_ends_in_a_served_index_with_its_lineage(line: Line) -> None:
    served = line.store.pointed(SERVING)
    assert served is not None
    model = line.store.resolve(served.parents["trained_model"])
    split = line.store.resolve(model.parents["splits"])
    interactions = line.store.resolve(split.parents["interactions"])
    ratings = line.store.resolve(interactions.parents["raw_ratings"])
    assert ratings == latest(line.store, "raw_ratings", "camps")
    report = latest(line.store, "evaluation_report", *served.slot.path)
    assert served.fingerprint == model.fingerprint == split.fingerprint == report.fingerprint
    runs = {run.run_id for run in line.instance.get_runs()}
    assert {artifact.origin["dagster_run_id"] for artifact in (served, model, split, ratings, report)} <= runs


def test_materializations_show_what_was_made(line: Line) -> None:
    assert line.shown("raw_ratings")["dagster/row_count"] == 80 * 14
    shown = line.shown("evaluation_report", "cpu|popularity")
    made = latest(line.store, "evaluation_report", "popularity", "cpu")
    saved = json.loads((made.folder / "report.json").read_text())
    assert shown["test ndcg@10"] == saved["metrics"]["ndcg@10"]
    assert shown["fingerprint"] == saved["fingerprint"]
    assert shown["folder"] == str(made.folder)
    assert "| ndcg |" in str(shown["test metrics"])


@pytest.mark.parametrize(
    ("asset", "partition", "columns"),
    [
        ("interactions", None, ["user_id", "movie_id", "rating", "timestamp"]),
        ("splits", None, ["user_id", "movie_id", "rating", "timestamp", "part"]),
        ("evaluation_report", "cpu|ease", ["user_id", "test_items", "train_items", "precision@5"]),
        ("trained_model", "cpu|lightgcn", ["epoch", "loss", "seconds"]),
        ("leaderboard", None, ["rank", "model", "device"]),
    ],
)
def test_materializations_show_the_columns_that_the_files_have(
    line: Line, asset: str, partition: str | None, columns: list[str]
) -> None:
    schema = line.shown(asset, partition)["dagster/column_schema"]
    assert isinstance(schema, dg.TableSchema)
    assert [column.name for column in schema.columns][: len(columns)] == columns


def test_a_learning_curve_is_drawn_of_a_model_trained_by_epochs(line: Line) -> None:
    assert "data:image/svg+xml" in str(line.shown("trained_model", "cpu|lightgcn")["learning curve"])
    assert "learning curve" not in line.shown("trained_model", "cpu|ease")


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
    prepare(store, overrides)
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


def test_a_partition_that_one_tag_alone_names_is_checked_too(
    instance: dg.DagsterInstance, store: ArtifactStore, overrides: list[str]
) -> None:
    """As GraphQL launches it; the checks were given its name as plain text, which no artifact has."""
    prepare(store, overrides)
    result = execute(instance, overrides, ("trained_model",), tags={"dagster/partition": "cpu|popularity"})
    assert result.success
    assert evaluations(result)["loss_is_finite"].passed


def test_each_partition_of_a_range_shows_its_own_artifact(
    instance: dg.DagsterInstance, store: ArtifactStore, overrides: list[str]
) -> None:
    prepare(store, overrides)
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


def test_a_data_step_that_is_made_again_from_equal_inputs_makes_nothing_downstream_stale(
    instance: dg.DagsterInstance, store: ArtifactStore, overrides: list[str]
) -> None:
    tracked = [dg.AssetKey(name) for name in ("splits", "interaction_graph", "trained_model")]

    def stale() -> dict[str, str]:
        graph = defs.resolve_asset_graph()
        moment = TemporalContext(effective_dt=datetime.now(UTC), last_event_id=None)
        view = AssetGraphView(temporal_context=moment, instance=instance, asset_graph=graph)
        resolver = CachingStaleStatusResolver(instance, graph, view)
        return {
            key.to_user_string(): resolver.get_status(key, EASE if key.path == ["trained_model"] else None).value
            for key in tracked
        }

    assert execute(instance, overrides, (*DATA, "trained_model"), EASE).success
    fresh = stale()
    assert set(fresh.values()) == {"FRESH"}
    split = latest(store, "splits", "camps")
    (split.folder / "split.parquet").write_bytes(b"damage")
    assert execute(instance, overrides, DATA[:-1]).success
    assert latest(store, "splits", "camps") != split  # another version, of equal content
    assert stale() == fresh
    assert execute(instance, [*overrides, "data.split_seed=1"], ("splits",)).success
    assert stale() == {"splits": "FRESH", "interaction_graph": "STALE", "trained_model": "STALE"}


def test_a_model_that_is_trained_again_makes_its_report_and_its_index_stale(
    instance: dg.DagsterInstance, store: ArtifactStore, overrides: list[str]
) -> None:
    prepare(store, overrides)
    versions = []
    for _ in range(2):
        (event,) = execute(instance, overrides, ("trained_model",), EASE).asset_materializations_for_node(
            "trained_model"
        )
        versions.append((event.tags or {})["dagster/data_version"])
        assert versions[-1] == latest(store, "trained_model", "ease", "cpu").version
    assert versions[0] != versions[1]


def test_partitions_done_before_another_fails_are_recorded(
    instance: dg.DagsterInstance, store: ArtifactStore, overrides: list[str]
) -> None:
    prepare(store, overrides)
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
    prepare(store, overrides)
    result = execute(instance, overrides, MODEL, tags=span("cpu|lightgcn", "cpu|popularity"))
    assert not result.success
    assert not list(store.slots("trained_model"))


def test_a_device_that_is_not_there_fails_at_once_with_its_sentence(
    instance: dg.DagsterInstance, store: ArtifactStore, overrides: list[str]
) -> None:
    prepare(store, overrides)
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
    prepare(store, overrides)
    result = execute(instance, [*overrides, "data.split=leave_one_out"], MODEL, EASE)
    assert "was made with data.split=random" in sentence(result)


def test_mlflow_holds_one_ended_run_for_each_dagster_run_and_one_in_it_for_each_model(
    instance: dg.DagsterInstance, store: ArtifactStore, overrides: list[str]
) -> None:
    from mlflow import MlflowClient

    from movierec_engine.tracking.mlflow_tracker import tracking_uri

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


def test_a_training_that_fails_ends_its_mlflow_runs_as_failed_and_leaves_the_environment_as_it_was(
    instance: dg.DagsterInstance, store: ArtifactStore, overrides: list[str]
) -> None:
    from mlflow import MlflowClient

    from movierec_engine.tracking.mlflow_tracker import tracking_uri

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


def evaluations(result: dg.ExecuteInProcessResult) -> dict[str, dg.AssetCheckEvaluation]:
    return {event.check_name: event for event in result.get_asset_check_evaluations()}


def test_every_data_step_is_checked_with_its_asset(
    instance: dg.DagsterInstance, store: ArtifactStore, overrides: list[str]
) -> None:
    found = evaluations(execute(instance, overrides, DATA))
    assert {name for name, check in found.items() if not check.passed} == set()
    assert found.keys() == {
        "ratings_are_valid",
        "few_duplicates",
        "ratings_have_not_drifted",
        "volume_has_not_jumped",
        "movies_are_valid",
        "movies_have_titles",
        "interactions_are_valid",
        "few_are_dropped",
        "parts_are_disjoint",
        "graph_is_train",
    }


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


def parity_broken(monkeypatch: pytest.MonkeyPatch, model: str) -> None:
    """Let the API's code answer with the reverse of a model's lists."""
    true = model_checks.answered_lists

    def reversed_lists(store: ArtifactStore, index: Artifact, users: list[int], k: int) -> object:
        answers = true(store, index, users, k)
        return {user: answer[::-1] for user, answer in answers.items()} if index.slot.path[0] == model else answers

    monkeypatch.setattr(model_checks, "answered_lists", reversed_lists)


def test_a_blocking_check_stops_what_follows_and_the_old_release_stays_served(
    instance: dg.DagsterInstance, store: ArtifactStore, overrides: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare(store, overrides)
    assert execute(instance, overrides, (*MODEL, *RELEASE), POPULARITY).success
    served = store.pointed(SERVING)
    parity_broken(monkeypatch, "ease")
    result = execute(instance, overrides, (*MODEL, *RELEASE), EASE)
    assert not result.success
    assert not evaluations(result)["serving_parity"].passed
    assert not result.asset_materializations_for_node("serving_release")
    assert store.pointed(SERVING) == served
    with pytest.raises(MovierecError, match=r"faiss_index fails its check serving_parity: cpu\|ease: the API's code"):
        materialize(["ease"], "cpu", overrides, instance)


def test_the_checks_of_a_range_look_at_each_of_its_partitions_and_name_the_one_that_fails(
    instance: dg.DagsterInstance, store: ArtifactStore, overrides: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare(store, overrides)
    parity_broken(monkeypatch, "popularity")
    result = execute(instance, overrides, MODEL, tags=span("cpu|popularity", "cpu|item_cf"))
    found = evaluations(result)
    assert {name for name, check in found.items() if not check.passed} == {"serving_parity"}
    words = (found["serving_parity"].description or "").splitlines()
    assert [line.partition(":")[0] for line in words] == ["cpu|popularity", "cpu|item_cf"]
    assert {"cpu|popularity different", "cpu|item_cf different"} <= found["serving_parity"].metadata.keys()


def test_a_step_that_is_retried_after_a_kill_goes_on_from_its_own_checkpoint_and_from_no_other(
    instance: dg.DagsterInstance,
    store: ArtifactStore,
    overrides: list[str],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    prepare(store, overrides)
    short = [*overrides, "trainer.max_epochs=2", "trainer.checkpoint_seconds=0"]
    model = partition_key("cpu", "gmf")
    assert execute(instance, short, ("trained_model",), model).success
    killed = instance.create_run_for_job(defs.resolve_job_def("everything"), status=dg.DagsterRunStatus.FAILURE)
    retry = {"dagster/parent_run_id": killed.run_id, "dagster/root_run_id": killed.run_id}
    monkeypatch.setattr(logging.getLogger("movierec_engine"), "propagate", True)  # a command may have stopped that
    caplog.set_level("INFO", logger="movierec_engine.training.checkpoint")
    assert execute(instance, [*short, "trainer.max_epochs=4"], ("trained_model",), model, retry).success
    assert "going on after epoch 2" in caplog.text
    assert latest(store, "trained_model", "gmf", "cpu").facts["epochs"] == 4
    caplog.clear()
    assert execute(instance, [*short, "seed=7"], ("trained_model",), model, retry).success
    assert "not of this training; starting afresh" in caplog.text


def test_settings_that_people_change_most_are_fields_and_asking_twice_is_refused(overrides: list[str]) -> None:
    settings = SettingsResource(
        seed=7, max_epochs=3, split="leave_one_out", data_dir="it's here", overrides=overrides[:1]
    )
    made = settings.of("cpu", "gmf")
    assert (made.seed, made.trainer.max_epochs, made.data.split, made.data.dir) == (7, 3, "leave_one_out", "it's here")
    with pytest.raises(ConfigError, match=r"seed=7 and override 'seed=8' are the same setting"):
        SettingsResource(seed=7, overrides=["seed=8"]).shared()
    with pytest.raises(ConfigError, match=r"data.split=globl_time is not known"):
        SettingsResource(split="globl_time").shared()


def test_a_backtest_is_an_asset_that_shows_its_windows(
    instance: dg.DagsterInstance, store: ArtifactStore, overrides: list[str]
) -> None:
    result = defs.resolve_job_def("backtests").execute_in_process(
        instance=instance,
        partition_key=POPULARITY,
        run_config={
            "resources": {"settings": {"config": {"overrides": overrides}}},
            "ops": {"backtest": {"config": {"windows": 2}}},
        },
    )
    assert result.success
    (event,) = result.get_asset_materialization_events()
    shown = event.step_materialization_data.materialization.metadata
    assert str(shown["windows"].value).count("\n") == 3
    assert latest(store, "backtest", "popularity", "cpu").facts["windows"] == 2


def test_a_sweep_is_an_asset_whose_trials_are_counted(
    instance: dg.DagsterInstance, store: ArtifactStore, overrides: list[str]
) -> None:
    result = defs.resolve_job_def("sweeps").execute_in_process(
        instance=instance,
        partition_key=EASE,
        run_config={
            "resources": {"settings": {"config": {"overrides": overrides}}},
            "ops": {"sweep": {"config": {"trials": 2}}},
        },
    )
    assert result.success
    assert latest(store, "sweep").facts["trials"] == 2


def test_the_canaries_of_a_partition_are_recorded(
    instance: dg.DagsterInstance, store: ArtifactStore, overrides: list[str]
) -> None:
    prepare(store, overrides)
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
    prepare(store, overrides)
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
    prepare(store, overrides)
    for assets, partition in ((MODEL, EASE), (MODEL, partition_key("cpu", "als"))):
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
    assert {row["model"] for row in latest(store, "leaderboard").facts["rows"]} == {"ease", "als", "hybrid_ensemble"}
    assert store.pointed(SERVING), "the job releases the best of them all"


def test_a_hybrid_without_its_members_names_them_if_they_are_not_to_be_trained(
    instance: dg.DagsterInstance, store: ArtifactStore, overrides: list[str]
) -> None:
    prepare(store, overrides)
    asked = [*overrides, "model.models=[ease,als]", "model.missing=error"]
    result = defs.resolve_job_def("hybrid").execute_in_process(
        instance=instance,
        partition_key="cpu",
        run_config={"resources": {"settings": {"config": {"overrides": asked}}}},
        raise_on_error=False,
    )
    assert not result.success
    assert "no ease on cpu is trained on this split" in sentence(result)
