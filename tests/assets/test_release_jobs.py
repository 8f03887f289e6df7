"""The release as Dagster shows it: the gate's asset, and a person's decisions as jobs."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from release_world import GOOD, World

from movierec_assets import release_jobs
from movierec_assets.definitions import defs
from movierec_assets.jobs import RELEASE
from movierec_assets.resources import SettingsResource
from movierec_engine.release import decisions
from movierec_engine.store import ArtifactStore

OVERRIDES = ["data.name=camps", "release.refit=false"]
"""The world's models have no weights to refit."""


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.instance_for_test() as instance:
        yield instance


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setenv("MOVIEREC_ARTIFACTS", str(tmp_path / "store"))
    world = World(ArtifactStore(tmp_path / "store"))
    world.train("popularity", GOOD - 0.1)
    world.train("ease", GOOD)
    return world


def release(instance: dg.DagsterInstance) -> dg.ExecuteInProcessResult:
    return defs.resolve_job_def("everything").execute_in_process(
        instance=instance,
        asset_selection=[dg.AssetKey(name) for name in RELEASE],
        run_config={"resources": {"settings": {"config": {"overrides": OVERRIDES}}}},
        raise_on_error=False,
    )


def run(instance: dg.DagsterInstance, job: dg.JobDefinition, op: str, config: dict[str, Any]) -> bool:
    return job.execute_in_process(
        instance=instance,
        resources={"settings": SettingsResource(overrides=OVERRIDES)},
        run_config={"ops": {op: {"config": config}}},
        raise_on_error=False,
    ).success


def shown(instance: dg.DagsterInstance) -> dict[str, Any]:
    """What the asset's last materialization says."""
    event = instance.get_latest_materialization_event(dg.AssetKey("serving_release"))
    assert event is not None and event.asset_materialization is not None
    return {name: value.value for name, value in event.asset_materialization.metadata.items()}


@pytest.mark.slow
def test_the_asset_shows_who_is_served_and_why_also_when_the_champion_stays(
    instance: dg.DagsterInstance, world: World
) -> None:
    assert release(instance).success
    assert shown(instance)["decided"] == "promoted"
    assert "popularity" in shown(instance)["compared"]
    assert "dagster/column_schema" not in shown(instance), "a pointer has no columns"
    assert release(instance).success
    assert shown(instance)["decided"] == "unchanged"
    world.train("gmf", GOOD + 0.1, index=False)
    assert release(instance).success
    said = shown(instance)
    assert said["decided"] == "refused"
    assert said["served"].startswith("faiss_index/camps/ease/")
    assert "ease on cpu stays" in said["why"]
    (decision,) = [one for one in decisions.decisions(world.store, "camps") if one.verdict == "refused"]
    assert "dagster_run_id" in decision.origin


@pytest.mark.slow
def test_a_release_of_nothing_fails_with_the_reason(instance: dg.DagsterInstance, tmp_path: Path, world: World) -> None:
    world.train("gmf", GOOD + 0.1, recall=0.5)
    result = release(instance)
    assert not result.success
    (failure,) = [event for event in result.all_events if event.is_step_failure]
    assert "is 0.5000 of exact search" in str(failure.step_failure_data.user_failure_data)


@pytest.mark.slow
def test_jobs_promote_pin_roll_back_and_prune_as_a_person_asks(instance: dg.DagsterInstance, world: World) -> None:
    release(instance)
    assert run(instance, release_jobs.promote_release, "promote_version", {"model": "popularity", "reason": "a test"})
    assert world.served == "popularity"
    assert shown(instance)["served"].startswith("faiss_index/camps/popularity/")
    assert run(instance, release_jobs.pin_release, "pin_served", {})
    assert not run(instance, release_jobs.rollback_release, "go_back", {}), "it is pinned"
    assert run(instance, release_jobs.unpin_release, "unpin_served", {})
    assert run(instance, release_jobs.rollback_release, "go_back", {})
    assert world.served == "ease"
    world.train("ease", GOOD, key="other")
    world.challenge()
    assert run(instance, release_jobs.prune_store, "prune_versions", {"keep": 1})
    by = [one.origin.get("dagster_run_id", "") for one in decisions.decisions(world.store, "camps") if one.by == "hand"]
    assert all(by) and len(set(by)) == 4 + any(
        one.verdict == "pruned" for one in decisions.decisions(world.store, "camps")
    )
