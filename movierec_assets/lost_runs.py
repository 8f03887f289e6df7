"""Runs whose process is gone without a word, as after a power cut or an out-of-memory kill.

Dagster takes them for running until it is told otherwise: they hold their place, and what trains waits in the queue for
them for ever. Each run therefore notes the process that it is in, and a sensor looks whether that still lives. Where it
cannot see it, as in another container or before a reboot, a file counts, the lease, which the run touches at work.
"""

import os
import time
from pathlib import Path

import dagster as dg
import psutil
from dagster._core.storage.tags import HIDDEN_TAG_PREFIX

from movierec_assets.automation import AutomationConfig
from movierec_engine.config import load_settings
from movierec_engine.errors import MovierecError
from movierec_engine.store import ArtifactStore
from movierec_engine.store.process import place

PROCESS = f"{HIDDEN_TAG_PREFIX}movierec_process"
"""Tag of every run that makes an asset, which the UI does not show: its place, its process and, since retries inherit
tags, itself."""
CLOCK_SECONDS = 60
"""By how much the clocks of Dagster and of the system may disagree on when something started."""
LEASE_SECONDS = 900
"""A run of another place that has not touched its lease for so long is lost."""


def note_process(instance: dg.DagsterInstance, run: dg.DagsterRun) -> None:
    """Let the run's tags say which process it is in."""
    instance.add_run_tags(run.run_id, {PROCESS: f"{place()}:{os.getpid()}:{run.run_id}"})


def lease_file(artifacts: Path, run_id: str) -> Path:
    """The file that a run touches while it is on."""
    return artifacts / ".runs" / run_id


def is_lost(run: dg.DagsterRun, started: float, artifacts: Path) -> bool:
    """True if the run's process is gone; its number may be another process's by now."""
    there, pid, run_id = run.tags.get(PROCESS, "::").rsplit(":", 2)
    if run_id != run.run_id:
        return False
    if there != place():
        return _has_expired(lease_file(artifacts, run_id))
    try:
        return bool(psutil.Process(int(pid)).create_time() > started + CLOCK_SECONDS)
    except psutil.NoSuchProcess:
        return True


def _has_expired(lease: Path) -> bool:
    """True for a lease that was not touched for long; not where there is none, as of a run of another store."""
    try:
        return time.time() - lease.stat().st_mtime > LEASE_SECONDS
    except OSError:
        return False


def make_lost_runs(config: AutomationConfig) -> dg.SensorDefinition:
    """Fails lost runs, so that their place is free and the daemon retries them as it does any run that was killed."""

    @dg.sensor(
        name="lost_runs",
        minimum_interval_seconds=60,
        default_status=config.sensor_status,
        description=config.description(
            "Fail runs whose process is gone, so that nothing waits for them; what they trained is retried."
        ),
    )
    def lost_runs(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        try:
            settings = load_settings([*config.overrides, "model=popularity", "device=cpu"])
        except MovierecError as error:
            return dg.SkipReason(str(error))
        artifacts = ArtifactStore(settings.paths.artifacts).root
        in_progress = dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED])
        running = context.instance.get_run_records(in_progress)
        lost = [one.dagster_run.run_id for one in running if is_lost(one.dagster_run, one.start_time or 0, artifacts)]
        # asked again, as a run may just have ended, and its process with it
        still = context.instance.get_runs(dg.RunsFilter(lost, statuses=in_progress.statuses)) if lost else []
        for run in still:
            context.instance.report_run_failed(run, "The run's process is gone: it was killed, or the machine stopped.")
        return dg.SkipReason(f"{len(running)} runs in progress, {len(still)} of them lost")

    return lost_runs
