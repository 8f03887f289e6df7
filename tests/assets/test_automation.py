"""Schedules and sensors, evaluated by Dagster's own contexts."""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
from dagster._utils import get_run_crash_explanation

from movierec_assets.alerts import Alerts
from movierec_assets.automation import (
    BATCH,
    AutomationConfig,
    BacktestSchedule,
    FeedbackConfig,
    RetrainingConfig,
    SweepSchedule,
    load_automation,
    usable,
)
from movierec_assets.definitions import defs
from movierec_assets.jobs import DATA, MODEL, RELEASE
from movierec_assets.retraining import make_after_retraining, retraining
from movierec_assets.schedules import make_schedules
from movierec_assets.sensors import (
    make_failed_runs,
    make_feedback_events,
    make_ratings_file,
    make_sensors,
    make_served_model,
)
from movierec_engine import pipeline
from movierec_engine.config import load_settings
from movierec_engine.errors import ConfigError
from movierec_engine.feedback import FeedbackEvent, SqliteLog, log_file
from movierec_engine.release.freshness import FreshnessConfig, StaleReason
from movierec_engine.store import ArtifactStore, Slot

pytestmark = pytest.mark.filterwarnings("ignore:Non-compliant tag keys:DeprecationWarning")  # Dagster's own tags

NIGHT = datetime(2026, 3, 1, 2, tzinfo=UTC)


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dg.DagsterInstance]:
    """On disk: the context of a schedule has no other."""
    with dg.DagsterInstance.local_temp(str(tmp_path_factory.mktemp("dagster"))) as instance:
        yield instance


@pytest.fixture
def config(small_data: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AutomationConfig:
    """Two models on the CPU, and on what no machine has both of."""
    monkeypatch.setenv("MOVIEREC_ARTIFACTS", str(tmp_path / "store"))
    overrides = tuple(one for one in small_data if not one.startswith("device="))
    retraining = RetrainingConfig(models=("popularity", "ease"), devices=("cpu", "mps"))
    sweep, backtest = SweepSchedule(devices=("cpu",), trials=3), BacktestSchedule(devices=("cpu",), windows=2)
    feedback = FeedbackConfig(events=3)
    return AutomationConfig(
        overrides=overrides, retraining=retraining, sweep=sweep, backtest=backtest, feedback=feedback
    )


@pytest.fixture
def no_accelerator(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)


def tick(instance: dg.DagsterInstance, schedule: dg.ScheduleDefinition) -> list[dg.RunRequest]:
    context = dg.build_schedule_context(
        instance=instance, scheduled_execution_time=NIGHT, repository_def=defs.get_repository_def()
    )
    return list(schedule.evaluate_tick(context).run_requests or [])


def look(
    instance: dg.DagsterInstance,
    sensor: dg.SensorDefinition,
    cursor: str | None,
    resources: Mapping[str, object] | None = None,
) -> dg.SensorResult:
    context = dg.build_sensor_context(
        instance=instance, cursor=cursor, repository_def=defs.get_repository_def(), resources=resources
    )
    found = sensor.evaluate_tick(context)
    return dg.SensorResult(
        run_requests=found.run_requests,
        cursor=found.cursor,
        skip_reason=None if found.run_requests else found.skip_message,
        asset_events=found.asset_events,
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
        assert {key.to_user_string() for key in request.asset_selection or []} == {*DATA, *MODEL}, "released at the end"


@pytest.mark.usefixtures("no_accelerator")
def test_the_devices_of_other_machines_are_used_where_they_are_configured(config: AutomationConfig) -> None:
    """The server that has the definitions need not have them."""
    assert usable(replace(config, devices=("cpu", "mps")), ("cpu", "cuda", "mps")) == ["cpu", "mps"]
    assert usable(config, ("cpu", "mps")) == ["cpu"], "those that it has, where none are configured"
    with pytest.raises(ConfigError, match=r"automation.devices: there is no 'gpu' here"):
        replace(config, devices=("gpu",))


def test_the_week_has_a_sweep_and_a_backtest_with_their_own_settings(
    instance: dg.DagsterInstance, config: AutomationConfig
) -> None:
    _, weekly_sweep, weekly_backtest = make_schedules(config)
    (sweep,) = tick(instance, weekly_sweep)
    assert sweep.run_config["ops"]["sweep"]["config"] == {"trials": 3}
    assert sweep.run_key == "weekly_sweep:2026-03-01T02:00+00:00:cpu|lightgcn"
    backtests = tick(instance, weekly_backtest)
    assert [request.run_key for request in backtests] == [
        f"weekly_backtest:2026-03-01T02:00+00:00:cpu|{model}" for model in ("ease", "lightgcn")
    ]
    assert [request.partition_key for request in backtests] == ["cpu|ease", "cpu|lightgcn"]
    assert backtests[0].run_config["ops"]["backtest"]["config"] == {"windows": 2}
    dg.validate_run_config(defs.resolve_job_def("sweeps"), sweep.run_config)
    dg.validate_run_config(defs.resolve_job_def("backtests"), backtests[0].run_config)


def test_schedules_and_sensors_are_off_unless_the_demo_turns_them_on(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, running in (("default", False), ("demo", True)):
        monkeypatch.setenv("MOVIEREC_AUTOMATION", name)
        config = load_automation()
        states = [one.default_status.value for one in (*make_schedules(config), *make_sensors(config))]
        assert set(states) == {"RUNNING" if running else "STOPPED"}


def test_cron_and_time_zone_are_those_of_the_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    crons = ["30 4 * * 1-5", "0 1 * * 2", "0 2 * * 3"]
    kinds = {"retraining": RetrainingConfig, "sweep": SweepSchedule, "backtest": BacktestSchedule}
    groups = {name: kind(cron=cron) for (name, kind), cron in zip(kinds.items(), crons, strict=True)}
    made = make_schedules(AutomationConfig(time_zone="Europe/Berlin", **groups))  # type: ignore[arg-type]
    assert [(one.cron_schedule, one.execution_timezone) for one in made] == [(cron, "Europe/Berlin") for cron in crons]


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
    sensor = make_ratings_file(config)
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


def test_a_ratings_file_that_is_written_again_with_what_was_in_it_starts_nothing(
    instance: dg.DagsterInstance, config: AutomationConfig, movielens_folder: Path
) -> None:
    sensor, ratings = make_ratings_file(config), movielens_folder / "ratings.csv"
    first = look(instance, sensor, None)
    ratings.write_bytes(ratings.read_bytes())
    os.utime(ratings, ns=(0, 1))
    same = look(instance, sensor, first.cursor)
    assert not same.run_requests
    assert same.cursor != first.cursor, "so that it is not read at every look"
    (seen,), (before,) = same.asset_events, first.asset_events
    assert seen.asset_key == dg.AssetKey("input_files") and seen.tags == before.tags, "which Dagster shows"
    assert not look(instance, sensor, same.cursor).run_requests
    ratings.write_text(ratings.read_text().replace(",5.0,", ",4.5,", 1))
    assert len(look(instance, sensor, same.cursor).run_requests or []) == 2


def test_data_that_were_read_before_the_sensor_was_turned_on_start_nothing(
    instance: dg.DagsterInstance, config: AutomationConfig, tmp_path: Path, movielens_folder: Path
) -> None:
    settings = load_settings([*config.overrides, "device=cpu", "model=ease"])
    pipeline.ingest_ratings(ArtifactStore(tmp_path / "store"), settings.data)
    sensor = make_ratings_file(config)
    found = look(instance, sensor, None)
    assert not found.run_requests
    assert found.cursor
    with (movielens_folder / "ratings.csv").open("a") as file:
        file.write("1,139,4.0,1000000000\n")
    assert len(look(instance, sensor, found.cursor).run_requests or []) == 2, "which have changed since"


def test_a_ratings_file_that_is_missing_for_a_moment_is_waited_for(
    instance: dg.DagsterInstance, config: AutomationConfig, movielens_folder: Path
) -> None:
    sensor = make_ratings_file(config)
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
    sensor = make_failed_runs(config)
    alerts = Alerts(file=str(tmp_path / "told" / "alerts.log"))
    context = dg.build_run_status_sensor_context(
        "failed_runs", failure, instance, result.dagster_run, resources={"alerts": alerts}
    ).for_run_failure()
    sensor(context)
    told = (tmp_path / "told" / "alerts.log").read_text()
    assert "everything failed" in told
    assert "raw_ratings: trainer.batch_size=-1 must be at least 1" in told
    assert result.run_id in told and "retried" not in told
    instance.add_run_tags(result.run_id, {"dagster/will_retry": "true", "dagster/partition": "cpu|ease"})
    again = dg.build_run_status_sensor_context(
        "failed_runs", failure, instance, instance.get_run_by_id(result.run_id), resources={"alerts": alerts}
    )
    sensor(again.for_run_failure())
    said = (tmp_path / "told" / "alerts.log").read_text().removeprefix(told)
    assert "everything cpu|ease failed" in said and "which is retried" in said


def test_a_run_whose_process_was_killed_is_told_of_with_the_signal(config: AutomationConfig, tmp_path: Path) -> None:
    """And not as one that was marked as failed from outside."""
    with dg.DagsterInstance.ephemeral() as own:
        run = own.create_run_for_job(defs.resolve_job_def("everything"))
        own.report_engine_event(get_run_crash_explanation(f"Run execution process for {run.run_id}", -9), run)
        failure = own.report_run_failed(run)
        alerts = Alerts(file=str(tmp_path / "alerts.log"))
        context = dg.build_run_status_sensor_context("failed_runs", failure, own, run, resources={"alerts": alerts})
        make_failed_runs(config)(context.for_run_failure())
    told = (tmp_path / "alerts.log").read_text()
    assert "was terminated by signal 9 (SIGKILL)." in told
    assert "from outside" not in told


def rated(log: SqliteLog, *users: int) -> None:
    for user in users:
        log.record([FeedbackEvent(f"of {user}", user_id=user, movie_id=139, kind="rating", rating=5.0)])


def test_enough_new_ratings_start_one_retraining_and_no_second(
    instance: dg.DagsterInstance, config: AutomationConfig, tmp_path: Path
) -> None:
    """Not while the first waits in the queue either, when no version has taken them in yet."""
    store, sensor = ArtifactStore(tmp_path / "store"), make_feedback_events(config)
    log = SqliteLog(log_file(store.root, "camps"))
    rated(log, 1, 2, 3)
    assert "nothing is trained yet" in str(look(instance, sensor, None).skip_reason)
    data = load_settings([*config.overrides, "device=cpu", "model=ease"]).data
    pipeline.ingest_ratings(store, data)
    assert not look(instance, sensor, None).run_requests, "they were taken in"
    rated(log, 4, 5)
    log.record([FeedbackEvent("click", user_id=4, movie_id=139, kind="click")])
    assert not look(instance, sensor, None).run_requests, "two ratings are not enough, and a click is none"
    rated(log, 6)
    first = look(instance, sensor, None)
    assert [request.partition_key for request in first.run_requests or []] == ["cpu|popularity", "cpu|ease"]
    again = look(instance, sensor, None)
    assert [one.run_key for one in again.run_requests or []] == [one.run_key for one in first.run_requests or []]
    rated(log, 7)
    assert not look(instance, sensor, first.cursor).run_requests
    rated(log, 8, 9)
    second = look(instance, sensor, first.cursor)
    assert {one.run_key for one in second.run_requests or []}.isdisjoint(
        one.run_key for one in first.run_requests or []
    )
    pipeline.ingest_ratings(store, data)
    assert not look(instance, sensor, first.cursor).run_requests


@pytest.mark.parametrize("setting", ["data.feedback=false", "data.layout=presplit"])
def test_ratings_that_no_training_takes_in_start_none_and_an_erasure_does(
    instance: dg.DagsterInstance, config: AutomationConfig, tmp_path: Path, setting: str
) -> None:
    store = ArtifactStore(tmp_path / "store")
    pipeline.ingest_ratings(store, load_settings([*config.overrides, "device=cpu", "model=ease"]).data)
    sensor = make_feedback_events(replace(config, overrides=(*config.overrides, setting)))
    log = SqliteLog(log_file(store.root, "camps"))
    rated(log, 1, 2, 3, 4)
    assert not look(instance, sensor, None).run_requests
    log.erase(1)
    found = look(instance, sensor, None)
    assert len(found.run_requests or []) == 2
    assert json.loads(found.cursor or "") == [4, 1]


def test_an_erasure_alone_starts_a_retraining(
    instance: dg.DagsterInstance, config: AutomationConfig, tmp_path: Path
) -> None:
    store, sensor = ArtifactStore(tmp_path / "store"), make_feedback_events(config)
    data = load_settings([*config.overrides, "device=cpu", "model=ease"]).data
    pipeline.ingest_ratings(store, data)
    SqliteLog(log_file(store.root, "camps")).erase(1)
    found = look(instance, sensor, None)
    assert len(found.run_requests or []) == 2
    assert not look(instance, sensor, found.cursor).run_requests
    pipeline.ingest_ratings(store, data)
    assert not look(instance, sensor, None).run_requests


def test_what_is_served_too_long_is_told_of_once_and_trained_again(
    instance: dg.DagsterInstance, config: AutomationConfig, tmp_path: Path
) -> None:
    store = ArtifactStore(tmp_path / "store")
    settings = load_settings([*config.overrides, "device=cpu", "model=popularity"])
    made = pipeline.run(store, settings)
    store.point("serving", made["faiss_index"], {})
    manifest = made["trained_model"].folder / "manifest.json"
    content = json.loads(manifest.read_text())
    content["created_at"] = (datetime.now(UTC) - timedelta(hours=50)).isoformat()
    manifest.write_text(json.dumps(content))
    fresh = replace(config, freshness=FreshnessConfig(max_age_hours=51))
    alerts = {"alerts": Alerts(file=str(tmp_path / "alerts.log"))}
    assert not look(instance, make_served_model(fresh), None, alerts).run_requests
    assert not (tmp_path / "alerts.log").exists()
    found = look(instance, make_served_model(config), None, alerts)
    assert [request.partition_key for request in found.run_requests or []] == ["cpu|popularity", "cpu|ease"]
    assert "whose model is 50 h 00 min old" in (tmp_path / "alerts.log").read_text()
    assert not look(instance, make_served_model(config), found.cursor, alerts).run_requests


def test_each_reason_is_told_of_once_while_it_holds_and_again_when_it_comes_back(
    instance: dg.DagsterInstance, config: AutomationConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What holds is given here, to follow the cursor through its comings and goings."""
    age, clicks = StaleReason("age:1", "it is old", True), StaleReason("click_rate:1", "few click", False)
    file = tmp_path / "alerts.log"
    alerts = {"alerts": Alerts(file=str(file))}
    cursor, told = None, ""
    for holding, news, trains in [
        ([clicks], ["few click; a person has to look"], False),
        ([clicks, age], ["it is old; the models are trained again"], True),
        ([clicks, age], [], False),
        ([age], [], False),
        ([clicks, age], ["few click; a person has to look"], False),
        ([], [], False),
        ([age], ["it is old; the models are trained again"], True),
    ]:
        monkeypatch.setattr("movierec_assets.sensors.stale_reasons", lambda *_, now=tuple(holding), **__: list(now))
        found = look(instance, make_served_model(config), cursor, alerts)
        said = file.read_text().removeprefix(told)
        assert [line for line in news if line in said] == news
        assert said.count("the served model is stale") == len(news)
        assert bool(found.run_requests) == trains
        cursor, told = found.cursor, told + said


def batch(instance: dg.DagsterInstance, config: AutomationConfig, *statuses: dg.DagsterRunStatus) -> None:
    """Runs of a retraining, in the order of its requests."""
    for request, status in zip(retraining(config, "nightly_retraining", "now"), statuses, strict=False):
        tags = {**request.tags, "dagster/partition": str(request.partition_key)}
        instance.create_run_for_job(defs.resolve_job_def("everything"), status=status, tags=tags)


def after(instance: dg.DagsterInstance, config: AutomationConfig) -> list[tuple[str | None, str | None]]:
    requests = look(instance, make_after_retraining(config), None).run_requests
    return [(request.job_name, request.partition_key) for request in requests or []]


DONE, FAILED, GOING = dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.STARTED


@pytest.mark.usefixtures("no_accelerator")
@pytest.mark.parametrize(
    ("statuses", "followed"),
    [
        ((DONE,), False),  # the other run is not even there yet
        ((DONE, GOING), False),
        ((DONE, DONE), True),
        ((FAILED, DONE), True),
        ((DONE, FAILED), True),
        ((FAILED, FAILED), False),
    ],
)
def test_the_hybrid_and_one_release_follow_when_the_last_run_of_a_retraining_has_ended(
    config: AutomationConfig, statuses: Sequence[dg.DagsterRunStatus], followed: bool
) -> None:
    with dg.DagsterInstance.ephemeral() as own:
        batch(own, config, *statuses)
        assert after(own, config) == ([("hybrid", "cpu")] if followed else [])
        alone = replace(config, retraining=replace(config.retraining, hybrid=False))
        assert after(own, alone) == ([("everything", None)] if followed else [])


@pytest.mark.usefixtures("no_accelerator")
def test_a_failed_run_that_is_about_to_be_retried_is_waited_for_and_a_batch_is_followed_once(
    config: AutomationConfig,
) -> None:
    with dg.DagsterInstance.ephemeral() as own:
        batch(own, config, DONE, FAILED)
        (failed,) = [run for run in own.get_runs() if run.status is FAILED]
        own.add_run_tags(failed.run_id, {"dagster/will_retry": "true"})
        assert after(own, config) == []
        own.create_run_for_job(defs.resolve_job_def("everything"), status=DONE, tags=failed.tags)
        sensor = make_after_retraining(config)
        found = look(own, sensor, None)
        assert [one.run_key for one in found.run_requests or []] == ["after:nightly_retraining:now:cpu"]
        assert not look(own, sensor, found.cursor).run_requests
        alone = replace(config, retraining=replace(config.retraining, hybrid=False))
        (request,) = look(own, make_after_retraining(alone), None).run_requests or []
        assert request.job_name == "everything"
        assert {key.to_user_string() for key in request.asset_selection or []} == set(RELEASE)


@pytest.mark.usefixtures("no_accelerator")
def test_a_retraining_that_was_ended_is_not_ended_again_when_another_one_is(config: AutomationConfig) -> None:
    with dg.DagsterInstance.ephemeral() as own:
        sensor, job = make_after_retraining(config), defs.resolve_job_def("everything")

        def run(moment: str, *statuses: dg.DagsterRunStatus) -> None:
            for request, status in zip(retraining(config, "ratings_file", moment), statuses, strict=True):
                tags = {**request.tags, "dagster/partition": str(request.partition_key)}
                own.create_run_for_job(job, status=status, tags=tags)

        run("first", DONE, DONE)
        cursor = None
        for expected in (["after:ratings_file:first:cpu"], [], ["after:ratings_file:second:cpu"], []):
            if expected and cursor:
                run("second", DONE, FAILED)
            found = look(own, sensor, cursor)
            assert [one.run_key for one in found.run_requests or []] == expected
            cursor = found.cursor
        assert sorted(json.loads(cursor or "")) == ["ratings_file:first", "ratings_file:second"]


@pytest.mark.slow
@pytest.mark.usefixtures("no_accelerator")
def test_a_retraining_that_waits_takes_in_what_comes_meanwhile(
    instance: dg.DagsterInstance, config: AutomationConfig, movielens_folder: Path, tmp_path: Path
) -> None:
    """New ratings, feedback, age and the night start one batch while it waits, and one more once it has begun."""
    fed = AutomationConfig(**{**vars(config), "feedback": FeedbackConfig(events=1)})
    log = SqliteLog(log_file(tmp_path / "store", "camps"))
    data = load_settings([*config.overrides, "device=cpu", "model=ease"]).data
    pipeline.ingest_ratings(ArtifactStore(tmp_path / "store"), data)
    files, feedback, (nightly, *_) = make_ratings_file(fed), make_feedback_events(fed), make_schedules(fed)
    cursor = look(instance, files, None).cursor
    job = defs.resolve_job_def("everything")

    def launch(found: dg.SensorResult) -> list[dg.DagsterRun]:
        requests, status = found.run_requests or [], dg.DagsterRunStatus.NOT_STARTED
        return [
            instance.create_run_for_job(
                job, status=status, tags={**one.tags, "dagster/partition": str(one.partition_key)}
            )
            for one in requests
        ]

    with (movielens_folder / "ratings.csv").open("a") as file:
        file.write("1,139,4.0,1000000000\n")
    first = look(instance, files, cursor)
    waiting = launch(first)
    assert len(waiting) == 2
    rated(log, 4)
    absorbed = look(instance, feedback, None)
    assert not absorbed.run_requests
    assert "has not begun yet; it takes this in" in str(absorbed.skip_reason)
    assert tick(instance, nightly) == []
    for event in (dg.DagsterEventType.RUN_STARTING, dg.DagsterEventType.RUN_START):
        instance.report_dagster_event(dg.DagsterEvent(event.value, job.name), waiting[0].run_id)
    assert not look(instance, feedback, absorbed.cursor).run_requests, "it is taken in"
    rated(log, 5)
    second = look(instance, feedback, absorbed.cursor)
    waiting += launch(second)
    assert len(waiting) == 4, "the first has begun"
    assert tick(instance, nightly) == []
    for run in waiting:
        instance.delete_run(run.run_id)


@pytest.mark.slow
def test_all_runs_of_a_batch_are_of_the_ratings_that_its_first_run_has_read(
    config: AutomationConfig, tmp_path: Path
) -> None:
    """And so is the ensemble that follows it, while a run of its own takes the newest."""
    store, log = ArtifactStore(tmp_path / "store"), SqliteLog(log_file(tmp_path / "store", "camps"))
    settings = {"resources": {"settings": {"config": {"overrides": list(config.overrides)}}}}

    def fingerprint(model: str, **tags: str) -> str:
        made = defs.resolve_job_def("everything").execute_in_process(
            instance=own,
            asset_selection=[dg.AssetKey(name) for name in (*DATA, "trained_model")],
            partition_key=f"cpu|{model}",
            run_config=settings,
            tags=tags,
        )
        assert made.success
        return store.require(Slot("trained_model", "camps", model, "cpu")).fingerprint

    with dg.DagsterInstance.ephemeral() as own:
        batch = {BATCH: "nightly_retraining:now"}
        first = fingerprint("popularity", **batch)
        log.record([FeedbackEvent("posted meanwhile", user_id=1, movie_id=139, kind="rating", rating=5.0)])
        assert fingerprint("ease", **batch) == first
        assert fingerprint("popularity") != first
        ensemble = defs.resolve_job_def("hybrid").execute_in_process(
            instance=own,
            asset_selection=[dg.AssetKey("hybrid_ensemble")],
            partition_key="cpu",
            run_config={
                "resources": {
                    "settings": {"config": {"overrides": [*config.overrides, "model.models=[ease,popularity]"]}},
                }
            },
            tags=batch,
        )
        assert ensemble.success
        assert store.require(Slot("trained_model", "camps", "hybrid_ensemble", "cpu")).fingerprint == first


@pytest.mark.slow
def test_leaderboard_and_release_follow_what_is_made_by_hand_and_by_hand_alone(
    config: AutomationConfig, tmp_path: Path
) -> None:
    job = defs.resolve_job_def("everything")
    settings = {"resources": {"settings": {"config": {"overrides": list(config.overrides)}}}}

    def make(assets: Sequence[str], **tags: str) -> None:
        assert job.execute_in_process(
            instance=own,
            asset_selection=[dg.AssetKey(name) for name in assets],
            partition_key="cpu|popularity",
            run_config=settings,
            tags=tags,
        ).success

    def requested(cursor: object) -> tuple[list[str], object]:
        found = dg.evaluate_automation_conditions(defs, own, cursor=cursor)  # type: ignore[arg-type]
        graph = defs.resolve_asset_graph()
        names = [key.to_user_string() for key in graph.get_all_asset_keys() if found.get_num_requested(key)]
        return sorted(names), found.cursor

    pipeline.prepare(
        ArtifactStore(tmp_path / "store"), load_settings([*config.overrides, "device=cpu", "model=ease"]).data
    )
    with dg.DagsterInstance.ephemeral() as own:
        _, cursor = requested(None)
        make(MODEL)
        names, cursor = requested(cursor)
        assert names == ["leaderboard", "refitted_release", "serving_release"]
        make(RELEASE)
        names, cursor = requested(cursor)
        assert names == [], "they were made"
        make((*MODEL, *RELEASE))
        names, cursor = requested(cursor)
        assert names == [], "the run made them itself"
        make(MODEL, **{"movierec/batch": "nightly_retraining:now"})
        names, cursor = requested(cursor)
        assert names == [], "the retraining ends with a release of its own"
        make(("faiss_index",))
        names, cursor = requested(cursor)
        assert names == ["refitted_release", "serving_release"], "the ranking is the same"


def test_what_is_served_and_what_it_rests_on_have_freshness_policies() -> None:
    graph = defs.resolve_asset_graph()
    with_policy = {key.to_user_string() for key in graph.get_all_asset_keys() if graph.get(key).freshness_policy}
    assert with_policy == {"raw_ratings", "serving_release"}
    hours = FreshnessConfig()
    for name, within in (("raw_ratings", hours.data_age_hours), ("serving_release", hours.max_age_hours)):
        policy = graph.get(dg.AssetKey(name)).freshness_policy
        assert policy.fail_window.to_timedelta() == timedelta(hours=within)
        assert policy.warn_window.to_timedelta() == timedelta(hours=0.75 * within)
