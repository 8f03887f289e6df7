"""Lists that are exported by Dagster: after each release, where a target is named, and only then."""

from pathlib import Path

import dagster as dg
import pyarrow.parquet as pq
import pytest

from movierec_assets.assets.release import exported_lists
from movierec_assets.automation import AutomationConfig
from movierec_assets.definitions import defs, described
from movierec_engine.pipeline.export_config import ExportConfig
from movierec_engine.store import SERVING, ArtifactStore, Slot
from worlds import small_index

SETTINGS = {"resources": {"settings": {"config": {"overrides": ["data.name=camps"]}}}}


def export(instance: dg.DagsterInstance) -> dg.ExecuteInProcessResult:
    job = defs.resolve_implicit_global_asset_job_def()
    return job.execute_in_process(
        instance=instance, asset_selection=[exported_lists.key], run_config=SETTINGS, raise_on_error=False
    )


def test_the_lists_of_what_is_served_are_in_the_target_that_the_settings_name(
    instance: dg.DagsterInstance, store: ArtifactStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slot = Slot("faiss_index", "camps", "ease", "cpu")
    index = store.publish(slot, small_index().save, key="k", fingerprint="f00d")
    store.point(SERVING, index, {})
    store.publish(slot, small_index(sign=-1).save, key="l", fingerprint="f00d")  # newer, and not promoted
    config = AutomationConfig(export=ExportConfig(to=str(tmp_path / "lists.parquet"), k=2))
    monkeypatch.setattr("movierec_assets.assets.release.load_automation", lambda: config)
    result = export(instance)
    assert result.success
    (made,) = result.asset_materializations_for_node("exported_lists")
    assert made.metadata["served"].value == index.reference
    assert made.metadata["dagster/row_count"].value == len(pq.read_table(tmp_path / "lists.parquet")) == 6
    assert not (store.root / "exports" / "automation").exists()


def test_without_a_target_nothing_is_done_and_the_asset_says_what_to_set(
    instance: dg.DagsterInstance, store: ArtifactStore
) -> None:
    (made,) = export(instance).asset_materializations_for_node("exported_lists")
    assert str(made.metadata["not run"].value).startswith("automation.export.to names no target; set it in")
    assert not store.root.exists()


@pytest.mark.parametrize("target", ["lists.parquet", ""])
def test_a_release_is_followed_by_an_export_where_a_target_is_named(instance: dg.DagsterInstance, target: str) -> None:
    config = AutomationConfig(export=ExportConfig(to=target))
    asset = exported_lists.map_asset_specs(lambda spec: described(spec, config))
    small = dg.Definitions(
        assets=[asset, dg.AssetSpec("serving_release")], resources={"settings": defs.resources["settings"]}
    )
    cursor = dg.evaluate_automation_conditions(small, instance).cursor
    wanted = []
    for released in (False, True, False):
        if released:
            instance.report_runless_asset_event(dg.AssetMaterialization("serving_release"))
        found = dg.evaluate_automation_conditions(small, instance, cursor=cursor)
        wanted.append(found.get_num_requested(exported_lists.key))
        cursor = found.cursor
    assert wanted == ([0, 1, 0] if target else [0, 0, 0])
