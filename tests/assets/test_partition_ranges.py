"""Which partitions a run is for: one that is named, a range in a single run, a range that is none."""

import dagster as dg
import pytest
from dagster_runs import evaluations, execute, latest, prepare, sentence, span

from movierec_assets.automation import AutomationConfig
from movierec_assets.definitions import defs
from movierec_assets.jobs import MODEL
from movierec_assets.partitions import policy_of_ranges
from movierec_engine.models import single_models
from movierec_engine.store import ArtifactStore


@pytest.mark.slow
def test_a_range_of_partitions_is_one_run(
    instance: dg.DagsterInstance, store: ArtifactStore, overrides: list[str]
) -> None:
    prepare(store, overrides)
    result = execute(
        instance,
        [*overrides, "trainer.max_epochs=1"],
        MODEL,
        tags=span(f"cpu|{single_models()[0]}", f"cpu|{single_models()[-1]}"),
    )
    assert result.success
    made = instance.get_materialized_partitions(dg.AssetKey("faiss_index"))
    assert made == {f"cpu|{model}" for model in single_models()}
    assert {(slot.model, slot.device) for slot in store.slots("faiss_index")} == {
        (model, "cpu") for model in single_models()
    }


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


@pytest.mark.slow
def test_partitions_done_before_another_fails_are_recorded(
    instance: dg.DagsterInstance, store: ArtifactStore, overrides: list[str]
) -> None:
    prepare(store, overrides)
    failing = [*overrides, "trainer.early_stopping.metric=ndcg@99"]
    result = execute(instance, failing, MODEL, tags=span("cpu|popularity", "cpu|lightgcn"))
    assert "ndcg@99 is not measured" in sentence(result)
    model = dg.AssetKey("trained_model")
    before = single_models()[: single_models().index("gmf")]  # which is the first that is trained by epochs
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


def test_a_range_is_a_run_for_each_partition_where_the_settings_say_so() -> None:
    graph = defs.resolve_asset_graph()
    for name in (*MODEL, "hybrid_ensemble", "backtest", "sweep"):
        assert graph.get(dg.AssetKey(name)).backfill_policy == policy_of_ranges(AutomationConfig())
    assert policy_of_ranges(AutomationConfig()).max_partitions_per_run is None, "one run for all"
    assert policy_of_ranges(AutomationConfig(run_per_partition=True)).max_partitions_per_run == 1
