"""What runs by the clock: retraining by night, a sweep and a backtest by the week."""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from movierec_assets.automation import AutomationConfig, on_this_machine
from movierec_assets.jobs import backtests, everything, sweeps
from movierec_assets.partitions import partition_key

STARTED_BY, DEVICE = "movierec/started_by", "movierec/device"
"""Tags of the runs that are started so; dagster.yaml limits how many runs of a device there are at once."""


def requests(
    started_by: str, moment: str, models: tuple[str, ...], devices: tuple[str, ...], run_config: dict[str, Any]
) -> Iterator[dg.RunRequest]:
    """A run for each model on each device of the machine; the same moment never starts one twice."""
    for device in on_this_machine(devices):
        for model in models:
            key = partition_key(device, model)
            yield dg.RunRequest(
                run_key=f"{started_by}:{moment}:{key}",
                partition_key=key,
                run_config=run_config,
                tags={STARTED_BY: started_by, DEVICE: device},
            )


def retraining(config: AutomationConfig, started_by: str, moment: str) -> list[dg.RunRequest]:
    """The runs of `everything` that train the configured models again; data that have not changed are used again."""
    wanted = config.retraining
    return list(requests(started_by, moment, wanted.models, wanted.devices, config.run_config()))


def make_schedules(config: AutomationConfig) -> list[dg.ScheduleDefinition]:
    """The three schedules; they are off unless the settings say otherwise.

    Dagster derives no schedule from partitions of two static dimensions, so each tick names its partitions itself.
    """

    @dg.schedule(
        name="nightly_retraining",
        job=everything,
        cron_schedule=config.retraining.cron,
        execution_timezone=config.time_zone,
        default_status=config.schedule_status,
        description=f"Train {', '.join(config.retraining.models)} again, from the raw files to the release.",
    )
    def nightly_retraining(context: dg.ScheduleEvaluationContext) -> list[dg.RunRequest]:
        return retraining(config, "nightly_retraining", _moment(context))

    @dg.schedule(
        name="weekly_sweep",
        job=sweeps,
        cron_schedule=config.sweep.cron,
        execution_timezone=config.time_zone,
        default_status=config.schedule_status,
        description=f"Search the settings of {', '.join(config.sweep.models)}, {config.sweep.trials} trials each.",
    )
    def weekly_sweep(context: dg.ScheduleEvaluationContext) -> list[dg.RunRequest]:
        run_config = config.run_config({"sweep": {"config": {"trials": config.sweep.trials}}})
        wanted = config.sweep
        return list(requests("weekly_sweep", _moment(context), wanted.models, wanted.devices, run_config))

    @dg.schedule(
        name="weekly_backtest",
        job=backtests,
        cron_schedule=config.backtest.cron,
        execution_timezone=config.time_zone,
        default_status=config.schedule_status,
        description=f"Test {', '.join(config.backtest.models)} on {config.backtest.windows} windows of the past.",
    )
    def weekly_backtest(context: dg.ScheduleEvaluationContext) -> list[dg.RunRequest]:
        run_config = config.run_config({"backtest": {"config": {"windows": config.backtest.windows}}})
        wanted = config.backtest
        return list(requests("weekly_backtest", _moment(context), wanted.models, wanted.devices, run_config))

    return [nightly_retraining, weekly_sweep, weekly_backtest]


def _moment(context: dg.ScheduleEvaluationContext) -> str:
    return context.scheduled_execution_time.isoformat(timespec="minutes")
