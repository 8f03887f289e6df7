"""What is made again, and what that makes stale downstream."""

from datetime import UTC, datetime

import dagster as dg
from dagster._core.asset_graph_view.asset_graph_view import AssetGraphView, TemporalContext
from dagster._core.definitions.data_version import CachingStaleStatusResolver
from dagster_runs import EASE, execute, latest, prepare

from movierec_assets.definitions import defs
from movierec_assets.jobs import DATA
from movierec_assets.materialize import materialize
from movierec_engine.store import ArtifactStore


def test_data_steps_are_not_made_twice_and_models_are(
    instance: dg.DagsterInstance, store: ArtifactStore, overrides: list[str]
) -> None:
    materialize(["popularity"], "cpu", overrides, instance)
    split, model = latest(store, "splits"), latest(store, "trained_model", "popularity", "cpu")
    materialize(["popularity"], "cpu", overrides, instance)
    assert latest(store, "splits") == split
    assert latest(store, "trained_model", "popularity", "cpu") != model


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
    split = latest(store, "splits")
    (split.folder / "split.parquet").write_bytes(b"damage")
    assert execute(instance, overrides, DATA[:-1]).success
    assert latest(store, "splits") != split  # another version, of equal content
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
