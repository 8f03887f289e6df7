"""What stands beside the line: backtests, sweeps and leak canaries, each in a job of its own."""

import dagster as dg
import pytest
from dagster._core.execution.backfill import BulkActionStatus, PartitionBackfill
from dagster_runs import EASE, POPULARITY, execute, latest, prepare, sentence

from movierec_assets.definitions import defs
from movierec_engine.evaluation.canaries import Finding
from movierec_engine.store import ArtifactStore


def test_a_backtest_is_an_asset_that_shows_its_windows(
    instance: dg.DagsterInstance, store: ArtifactStore, overrides: list[str]
) -> None:
    result = defs.resolve_job_def("backtests").execute_in_process(
        instance=instance,
        partition_key=POPULARITY,
        run_config={
            "resources": {"settings": {"config": {"overrides": overrides}}},
            "ops": {"backtest": {"config": {"windows": 2, "first_train_share": 0.4}}},
        },
    )
    assert result.success
    (event,) = result.get_asset_materialization_events()
    shown = event.step_materialization_data.materialization.metadata
    assert str(shown["windows"].value).count("\n") == 3
    assert latest(store, "backtest", "popularity", "cpu").facts["windows"] == 2


def test_a_sweep_is_an_asset_that_takes_minutes_and_shows_its_trials_and_gain(
    instance: dg.DagsterInstance, store: ArtifactStore, overrides: list[str]
) -> None:
    result = defs.resolve_job_def("sweeps").execute_in_process(
        instance=instance,
        partition_key=EASE,
        run_config={
            "resources": {"settings": {"config": {"overrides": overrides}}},
            "ops": {"sweep": {"config": {"minutes": 60, "trials": 2}}},
        },
    )
    assert result.success
    assert latest(store, "sweep").facts["trials"] == 2
    (event,) = result.get_asset_materialization_events()
    shown = event.step_materialization_data.materialization.metadata
    assert str(shown["gain"].value).startswith("ease: ")


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


def test_studies_do_nothing_where_they_are_launched_with_everything_else(
    instance: dg.DagsterInstance, store: ArtifactStore, overrides: list[str]
) -> None:
    """As by *Materialize all*, in one run with the models or in a run of the same backfill."""
    prepare(store, overrides)
    studies = ("sweep", "backtest", "leak_canaries")
    keys = [dg.AssetKey(name) for name in ("trained_model", *studies)]
    backfill = PartitionBackfill("all", BulkActionStatus.REQUESTED, False, {}, 0.0, asset_selection=keys)
    instance.add_backfill(backfill)
    for selection, tags in ((keys, {}), (keys[1:], {"dagster/backfill": "all"})):
        result = defs.resolve_implicit_global_asset_job_def().execute_in_process(
            instance=instance,
            asset_selection=selection,
            partition_key=POPULARITY,
            tags=tags,
            run_config={"resources": {"settings": {"config": {"overrides": overrides}}}},
        )
        assert result.success
        for name in studies:
            (made,) = result.asset_materializations_for_node(name)
            assert "launched with other assets" in str(made.metadata["not run"].value)
    assert not [slot for kind in studies for slot in store.slots(kind)]
    assert latest(store, "trained_model", "popularity", "cpu")
