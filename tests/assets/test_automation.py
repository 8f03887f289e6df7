"""Schedules and sensors, evaluated by Dagster's own contexts."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest

from movierec_assets.alerts import Alerts
from movierec_assets.automation import AutomationConfig, BacktestConfig, RetrainingConfig, SweepConfig, load_automation
from movierec_assets.definitions import defs
from movierec_assets.schedules import make_schedules
from movierec_assets.sensors import make_sensors
from movierec_engine import pipeline
from movierec_engine.config import load_settings
from movierec_engine.errors import ConfigError
from movierec_engine.store import ArtifactStore

NIGHT = datetime(2026, 3, 1, 2, tzinfo=UTC)


@pytest.fixture(scope="module")
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


@pytest.fixture
def config(small_data: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AutomationConfig:
    """Two models on the CPU, and on what no machine has both of."""
    monkeypatch.setenv("MOVIEREC_ARTIFACTS", str(tmp_path / "store"))
    overrides = tuple(one for one in small_data if not one.startswith("device="))
    retraining = RetrainingConfig(models=("popularity", "ease"), devices=("cpu", "mps"))
    sweep, backtest = SweepConfig(devices=("cpu",), trials=3), BacktestConfig(devices=("cpu",), windows=2)
    return AutomationConfig(overrides=overrides, retraining=retraining, sweep=sweep, backtest=backtest)


@pytest.fixture
def no_accelerator(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)


def tick(instance: dg.DagsterInstance, schedule: dg.ScheduleDefinition) -> list[dg.RunRequest]:
    context = dg.build_schedule_context(
        instance=instance, scheduled_execution_time=NIGHT, repository_def=defs.get_repository_def()
    )
    return list(schedule.evaluate_tick(context).run_requests or [])


def look(instance: dg.DagsterInstance, sensor: dg.SensorDefinition, cursor: str | None) -> dg.SensorResult:
    context = dg.build_sensor_context(instance=instance, cursor=cursor, repository_def=defs.get_repository_def())
    found = sensor.evaluate_tick(context)
    return dg.SensorResult(
        run_requests=found.run_requests,
        cursor=found.cursor,
        skip_reason=None if found.run_requests else found.skip_message,
    )


@pytest.mark.usefixtures("no_accelerator")
def test_the_night_trains_each_model_once_on_each_device_that_is_there(
    instance: dg.DagsterInstance, config: AutomationConfig
) -> None:
    nightly, _, _ = make_schedules(config)
    requests = tick(instance, nightly)
    assert [request.partition_key for request in requests] == ["cpu|popularity", "cpu|ease"]
    assert {request.tags["movierec/device"] for request in requests} == {"cpu"}
    assert [one.run_key for one in requests] == [one.run_key for one in tick(instance, nightly)]
    assert len({one.run_key for one in requests}) == 2
    job = defs.resolve_job_def("everything")
    for request in requests:
        assert dg.validate_run_config(job, request.run_config)["resources"]["settings"]["config"]["overrides"]


def test_the_week_has_a_sweep_and_a_backtest_with_their_own_settings(
    instance: dg.DagsterInstance, config: AutomationConfig
) -> None:
    _, weekly_sweep, weekly_backtest = make_schedules(config)
    (sweep,) = tick(instance, weekly_sweep)
    assert sweep.run_config["ops"]["sweep"]["config"] == {"trials": 3}
    backtests = tick(instance, weekly_backtest)
    assert [request.partition_key for request in backtests] == ["cpu|ease", "cpu|lightgcn"]
    dg.validate_run_config(defs.resolve_job_def("sweeps"), sweep.run_config)
    dg.validate_run_config(defs.resolve_job_def("backtests"), backtests[0].run_config)


def test_schedules_and_sensors_are_off_unless_the_demo_turns_them_on(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, running in (("default", False), ("demo", True)):
        monkeypatch.setenv("MOVIEREC_AUTOMATION", name)
        config = load_automation()
        states = [one.default_status.value for one in (*make_schedules(config), *make_sensors(config))]
        assert set(states) == {"RUNNING" if running else "STOPPED"}


def test_cron_and_time_zone_are_those_of_the_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    nightly, _, _ = make_schedules(
        AutomationConfig(time_zone="Europe/Berlin", retraining=RetrainingConfig(cron="30 4 * * 1-5"))
    )
    assert (nightly.cron_schedule, nightly.execution_timezone) == ("30 4 * * 1-5", "Europe/Berlin")


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("mine", "retraining: {modles: [ease]}", "automation.retraining.modles is not a setting; did you mean"),
        ("mine", "retraining: {models: [eas]}", "there is no 'eas' here; did you mean ease?"),
        ("mine", "sweep: {trials: many}", "automation.sweep.trials='many' must be a whole number"),
        ("dmeo", "", "MOVIEREC_AUTOMATION=dmeo: there is no dmeo.yaml in"),
    ],
)
def test_wrong_settings_are_one_sentence(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, text: str, sentence: str
) -> None:
    for kind in ("default", "mine"):
        (tmp_path / "automation").mkdir(exist_ok=True)
        (tmp_path / "automation" / f"{kind}.yaml").write_text(text if kind == "mine" else "enabled: false")
    (tmp_path / "config.yaml").touch()
    monkeypatch.setenv("MOVIEREC_CONFIGS", str(tmp_path))
    monkeypatch.setenv("MOVIEREC_AUTOMATION", name)
    with pytest.raises(ConfigError, match=sentence.replace("?", r"\?")):
        load_automation()


def test_a_new_or_changed_ratings_file_starts_training_and_one_that_is_known_does_not(
    instance: dg.DagsterInstance, config: AutomationConfig, movielens_folder: Path
) -> None:
    sensor, _ = make_sensors(config)
    first = look(instance, sensor, None)
    assert [request.partition_key for request in first.run_requests or []] == ["cpu|popularity", "cpu|ease"]
    assert not look(instance, sensor, first.cursor).run_requests
    ratings = movielens_folder / "ratings.csv"
    arriving = movielens_folder / "ratings.csv.incoming"
    arriving.write_text(ratings.read_text() + "1,139,4.0,1000000000\n")
    arriving.replace(ratings)
    changed = look(instance, sensor, first.cursor)
    assert len(changed.run_requests or []) == 2
    assert {one.run_key for one in changed.run_requests or []}.isdisjoint(
        one.run_key for one in first.run_requests or []
    )


def test_data_that_were_read_before_the_sensor_was_turned_on_start_nothing(
    instance: dg.DagsterInstance, config: AutomationConfig, tmp_path: Path
) -> None:
    settings = load_settings([*config.overrides, "device=cpu", "model=ease"])
    pipeline.ingest_ratings(ArtifactStore(tmp_path / "store"), settings.data)
    sensor, _ = make_sensors(config)
    found = look(instance, sensor, None)
    assert not found.run_requests
    assert found.cursor


def test_a_ratings_file_that_is_missing_for_a_moment_is_waited_for(
    instance: dg.DagsterInstance, config: AutomationConfig, movielens_folder: Path
) -> None:
    sensor, _ = make_sensors(config)
    (movielens_folder / "movies.csv").unlink()
    found = look(instance, sensor, "1:1 2:2")
    assert not found.run_requests
    assert "movies.csv" in str(found.skip_reason)
    assert found.cursor == "1:1 2:2"


def test_a_failed_run_is_told_of_with_its_sentence(
    instance: dg.DagsterInstance, config: AutomationConfig, tmp_path: Path
) -> None:
    overrides = [*config.overrides, "trainer.batch_size=-1"]
    result = defs.resolve_job_def("everything").execute_in_process(
        instance=instance,
        asset_selection=[dg.AssetKey("raw_ratings")],
        run_config={"resources": {"settings": {"config": {"overrides": overrides}}}},
        raise_on_error=False,
    )
    (failure,) = [event for event in result.all_events if event.event_type is dg.DagsterEventType.RUN_FAILURE]
    _, sensor = make_sensors(config)
    alerts = Alerts(file=str(tmp_path / "told" / "alerts.log"))
    context = dg.build_run_status_sensor_context(
        "failed_runs", failure, instance, result.dagster_run, resources={"alerts": alerts}
    ).for_run_failure()
    sensor(context)
    told = (tmp_path / "told" / "alerts.log").read_text()
    assert "everything failed" in told
    assert "raw_ratings: trainer.batch_size=-1 must be at least 1" in told
    assert result.run_id in told
