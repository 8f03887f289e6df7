"""What is made again, and what that makes stale downstream."""

from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.asset_graph_view.asset_graph_view import AssetGraphView, TemporalContext
from dagster._core.definitions.data_version import CachingStaleStatusResolver
from dagster._core.definitions.observe import observe
from dagster_runs import EASE, execute, latest, prepare

from movierec_assets.assets.data import observed_files
from movierec_assets.definitions import defs, described
from movierec_assets.jobs import DATA
from movierec_assets.materialize import materialize
from movierec_assets.resources import SettingsResource
from movierec_engine.pipeline import code_versions
from movierec_engine.store import ArtifactStore


@pytest.mark.slow
def test_data_steps_are_not_made_twice_and_models_are(
    instance: dg.DagsterInstance, store: ArtifactStore, overrides: list[str]
) -> None:
    materialize(["popularity"], "cpu", overrides, instance)
    split, model = latest(store, "splits"), latest(store, "trained_model", "popularity", "cpu")
    materialize(["popularity"], "cpu", overrides, instance)
    assert latest(store, "splits") == split
    assert latest(store, "trained_model", "popularity", "cpu") != model


def stale(instance: dg.DagsterInstance, *names: str, definitions: dg.Definitions = defs) -> dict[str, str]:
    """The status of assets, of the partition EASE where they have any."""
    graph = definitions.resolve_asset_graph()
    moment = TemporalContext(effective_dt=datetime.now(UTC), last_event_id=None)
    view = AssetGraphView(temporal_context=moment, instance=instance, asset_graph=graph)
    resolver = CachingStaleStatusResolver(instance, graph, view)
    keys = {name: dg.AssetKey(name) for name in names}
    return {
        name: resolver.get_status(key, EASE if graph.get(key).partitions_def else None).value
        for name, key in keys.items()
    }


@pytest.mark.slow
def test_a_data_step_that_is_made_again_from_equal_inputs_makes_nothing_downstream_stale(
    instance: dg.DagsterInstance, store: ArtifactStore, overrides: list[str]
) -> None:
    tracked = ("splits", "interaction_graph", "trained_model")
    assert execute(instance, overrides, (*DATA, "trained_model"), EASE).success
    fresh = stale(instance, *tracked)
    assert set(fresh.values()) == {"FRESH"}
    split = latest(store, "splits")
    (split.folder / "split.parquet").write_bytes(b"damage")
    assert execute(instance, overrides, DATA[:-1]).success
    assert latest(store, "splits") != split  # another version, of equal content
    assert stale(instance, *tracked) == fresh
    assert execute(instance, [*overrides, "data.split_seed=1"], ("splits",)).success
    assert stale(instance, *tracked) == {"splits": "FRESH", "interaction_graph": "STALE", "trained_model": "STALE"}


def test_changed_code_makes_stale_what_it_decides_and_nothing_else(
    instance: dg.DagsterInstance, store: ArtifactStore, overrides: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare(store, overrides)
    assert execute(instance, overrides, (*DATA, "trained_model"), EASE).success
    monkeypatch.setitem(code_versions.MODELS, "ease", 99)
    assets = [one.map_asset_specs(described) for one in defs.assets or [] if isinstance(one, dg.AssetsDefinition)]
    changed = dg.Definitions(assets, resources=defs.resources)
    found = stale(instance, "splits", "interaction_graph", "trained_model", definitions=changed)
    assert found == {"splits": "FRESH", "interaction_graph": "FRESH", "trained_model": "STALE"}


def test_other_files_make_the_raw_ratings_stale_and_the_same_written_again_do_not(
    instance: dg.DagsterInstance,
    store: ArtifactStore,
    overrides: list[str],
    movielens_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def look() -> str:
        resources = {"settings": SettingsResource(overrides=overrides)}
        assert observe([observed_files], instance=instance, resources=resources).success
        return stale(instance, "raw_ratings")["raw_ratings"]

    assert execute(instance, overrides, ("raw_ratings",)).success
    assert look() == "FRESH", "of what it has read, without a look before"
    with monkeypatch.context() as patch:
        patch.setattr("movierec_engine.data.input_files.content", lambda config: pytest.fail("reads them again"))
        assert look() == "FRESH"
    ratings = movielens_folder / "ratings.csv"
    ratings.write_bytes(ratings.read_bytes())
    assert look() == "FRESH"
    ratings.write_text(ratings.read_text(encoding="utf-8") + "1,101,4.5,1000000000\n", encoding="utf-8")
    assert look() == "STALE"
    assert execute(instance, overrides, ("raw_ratings",)).success
    assert stale(instance, "raw_ratings") == {"raw_ratings": "FRESH"}


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
