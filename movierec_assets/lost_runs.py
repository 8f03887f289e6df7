"""Runs whose process is gone without a word, as after a power cut or an out-of-memory kill.

Dagster takes them for running until it is told otherwise: they hold their place, and what trains waits in the queue for
them for ever. Each run therefore notes the process that it is in, and a sensor looks whether that still lives. Where it
cannot see it, as in another container or before a reboot, a file counts, the lease, which the run touches at work.

Of a run that was launched and has noted nothing yet the launcher knows: on a cluster it may wait for a node, or its
node may be lost. Dagster itself asks the launcher only of runs that have started, and waits for the others for
`run_monitoring.start_timeout_seconds`.
"""

import logging
import os
import time
from pathlib import Path

import dagster as dg
import psutil
from dagster._core.launcher import WorkerStatus
from dagster._core.storage.tags import HIDDEN_TAG_PREFIX

from movierec_assets.automation import AutomationConfig
from movierec_engine.config import load_settings
from movierec_engine.errors import MovierecError
from movierec_engine.store import ArtifactStore
from movierec_engine.store.process import place

log = logging.getLogger(__name__)

PROCESS = f"{HIDDEN_TAG_PREFIX}movierec_process"
"""Tag of every run that makes an asset, which the UI does not show: its place, its process and, since retries inherit
tags, itself."""
CLOCK_SECONDS = 60
"""By how much the clocks of Dagster and of the system may disagree on when something started."""
LEASE_SECONDS = 900
"""A run of another place that has not touched its lease for so long is lost."""
SUBMITTED_SECONDS = 120
"""How long after its launch a run may be unknown to the launcher's cluster, which may not have its job yet."""


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


def never_starts(instance: dg.DagsterInstance, run: dg.DagsterRun, launched: float) -> bool:
    """True if a launched run's worker has failed before the run began, as its launcher says: its node is gone, say.

    So too where the cluster does not know it, as after a restart of Ray's head. Not for one that waits for a node or an
    image, nor while the launcher's cluster does not answer.
    """
    launcher = instance.run_launcher
    if not launcher.supports_check_run_worker_health:
        return False
    try:
        status = launcher.check_run_worker_health(run).status
    except Exception as error:  # each launcher raises what its cluster's client does
        log.warning("it cannot be told whether the worker of run %s lives: %s", run.run_id, error)
        return False
    return status is WorkerStatus.FAILED or (
        status is WorkerStatus.UNKNOWN and time.time() - launched > SUBMITTED_SECONDS
    )


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
        instance, on = context.instance, dg.DagsterRunStatus
        records = instance.get_run_records(dg.RunsFilter(statuses=[on.STARTING, on.STARTED]))
        lost = dict[str, str]()
        for one in records:
            run = one.dagster_run
            if run.status is on.STARTED and is_lost(run, one.start_time or 0, artifacts):
                lost[run.run_id] = "The run's process is gone: it was killed, or the machine stopped."
            elif run.status is on.STARTING and never_starts(instance, run, one.update_timestamp.timestamp()):
                lost[run.run_id] = "The run's worker failed before the run began, as when its machine stops."
        # asked again, as a run may just have begun or ended, and its process with it
        seen = {one.dagster_run.run_id: one.dagster_run.status for one in records}
        again = instance.get_runs(dg.RunsFilter(list(lost))) if lost else []
        still = [run for run in again if run.status is seen[run.run_id]]
        for run in still:
            instance.report_run_failed(run, lost[run.run_id])
        return dg.SkipReason(f"{len(records)} runs in progress, {len(still)} of them lost")

    return lost_runs
