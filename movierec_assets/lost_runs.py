"""Runs whose process is gone without a word, as after a power cut or an out-of-memory kill.

Dagster takes them for running until it is told otherwise: they hold their place, and what trains waits in the queue for
them for ever. Each run therefore notes the process that it is in, and a sensor looks whether that still lives.
"""

import os
import socket

import dagster as dg
import psutil

from movierec_assets.automation import AutomationConfig

PROCESS = "movierec/process"
"""Tag of every run that makes an asset: its host, its process and, since retries inherit tags, itself."""
CLOCK_SECONDS = 60
"""By how much the clocks of Dagster and of the system may disagree on when something started."""


def note_process(instance: dg.DagsterInstance, run: dg.DagsterRun) -> None:
    """Let the run's tags say which process it is in."""
    instance.add_run_tags(run.run_id, {PROCESS: f"{socket.gethostname()}:{os.getpid()}:{run.run_id}"})


def is_lost(run: dg.DagsterRun, started: float) -> bool:
    """True if the run was in a process of this machine that is gone; its number may be another process's by now."""
    host, pid, run_id = run.tags.get(PROCESS, "::").rsplit(":", 2)
    if run_id != run.run_id or host != socket.gethostname():
        return False
    try:
        return bool(psutil.Process(int(pid)).create_time() > started + CLOCK_SECONDS)
    except psutil.NoSuchProcess:
        return True


def make_lost_runs(config: AutomationConfig) -> dg.SensorDefinition:
    """Fails lost runs, so that their place is free and the daemon retries them as it does any run that was killed."""

    @dg.sensor(
        name="lost_runs",
        minimum_interval_seconds=60,
        default_status=config.sensor_status,
        description="Fail runs whose process is gone, so that nothing waits for them; what they trained is retried.",
    )
    def lost_runs(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        in_progress = dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED])
        running = context.instance.get_run_records(in_progress)
        lost = [one.dagster_run.run_id for one in running if is_lost(one.dagster_run, one.start_time or 0)]
        # asked again, as a run may just have ended, and its process with it
        still = context.instance.get_runs(dg.RunsFilter(lost, statuses=in_progress.statuses)) if lost else []
        for run in still:
            context.instance.report_run_failed(run, "The run's process is gone: it was killed, or the machine stopped.")
        return dg.SkipReason(f"{len(running)} runs in progress, {len(still)} of them lost")

    return lost_runs
