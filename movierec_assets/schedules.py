"""Schedules: retraining by night, a sweep and a backtest by the week."""

import dagster as dg

from movierec_assets.automation import AutomationConfig, usable
from movierec_assets.jobs import backtests, everything, sweeps
from movierec_assets.retraining import absorbed_by, requests, retraining, waiting_retraining


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
        description=config.description(
            f"Train {', '.join(config.retraining.models)} again, from the raw files on; then release the best."
        ),
    )
    def nightly_retraining(context: dg.ScheduleEvaluationContext) -> list[dg.RunRequest] | dg.SkipReason:
        if waiting := waiting_retraining(context.instance):
            return dg.SkipReason(absorbed_by(waiting))
        return retraining(config, "nightly_retraining", _moment(context))

    @dg.schedule(
        name="weekly_sweep",
        job=sweeps,
        cron_schedule=config.sweep.cron,
        execution_timezone=config.time_zone,
        default_status=config.schedule_status,
        description=config.description(
            f"Search the settings of {', '.join(config.sweep.models)}, {config.sweep.trials} trials each."
        ),
    )
    def weekly_sweep(context: dg.ScheduleEvaluationContext) -> list[dg.RunRequest]:
        run_config = config.run_config({"sweep": {"config": {"trials": config.sweep.trials}}})
        wanted = config.sweep
        return requests("weekly_sweep", _moment(context), wanted.models, usable(config, wanted.devices), run_config)

    @dg.schedule(
        name="weekly_backtest",
        job=backtests,
        cron_schedule=config.backtest.cron,
        execution_timezone=config.time_zone,
        default_status=config.schedule_status,
        description=config.description(
            f"Test {', '.join(config.backtest.models)} on {config.backtest.windows} windows of the past."
        ),
    )
    def weekly_backtest(context: dg.ScheduleEvaluationContext) -> list[dg.RunRequest]:
        run_config = config.run_config({"backtest": {"config": {"windows": config.backtest.windows}}})
        wanted = config.backtest
        return requests("weekly_backtest", _moment(context), wanted.models, usable(config, wanted.devices), run_config)

    return [nightly_retraining, weekly_sweep, weekly_backtest]


def _moment(context: dg.ScheduleEvaluationContext) -> str:
    return context.scheduled_execution_time.isoformat(timespec="minutes")
