"""Termination: a run ends when Dagster no longer has it in progress, and changes nothing in the store from then on.

Dagster interrupts the process of a run that a person terminates. That is not enough where the interrupt is lost: with a
code server that was restarted, in a library that swallows it, or in a computation that never looks. So a thread of the
run's own process asks how the run stands, and ends the process in the end.
"""

import logging
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import dagster as dg

from movierec_assets.lost_runs import lease_file
from movierec_engine.store.permission import asking

log = logging.getLogger(__name__)

ASK_SECONDS = 2.0
"""How often a run asks whether it is still wanted."""
INTERRUPT_SECONDS = 3.0
"""How long Dagster's own interrupt is given to end a run that is no longer wanted, before this process sends one."""
EXIT_SECONDS = 15.0
"""How long that one is given, before the process exits on the spot."""


@contextmanager
def while_wanted(instance: dg.DagsterInstance, run_id: str, artifacts: Path) -> Iterator[None]:
    """Interrupt the body, in the end the process, once the run is no longer wanted; nothing is published after that.

    Meanwhile the run's lease says that it is on.
    """
    ended, lease = threading.Event(), lease_file(artifacts, run_id)
    lease.parent.mkdir(parents=True, exist_ok=True)
    lease.touch()
    threading.Thread(target=_watch, args=(instance, run_id, lease, ended), name="termination", daemon=True).start()
    try:
        with asking(lambda: _require_wanted(instance, run_id)):
            yield
    finally:
        ended.set()
        lease.unlink(missing_ok=True)


def _require_wanted(instance: dg.DagsterInstance, run_id: str) -> None:
    """Raises DagsterExecutionInterruptedError, by which a run ends as canceled, unless the run is in progress."""
    if not _is_wanted(instance, run_id):
        raise dg.DagsterExecutionInterruptedError(f"run {run_id} was terminated; it publishes nothing more")


def _is_wanted(instance: dg.DagsterInstance, run_id: str) -> bool:
    run = instance.get_run_by_id(run_id)
    return run is not None and not run.is_finished and run.status is not dg.DagsterRunStatus.CANCELING


def _watch(instance: dg.DagsterInstance, run_id: str, lease: Path, ended: threading.Event) -> None:
    while not ended.wait(ASK_SECONDS):
        try:
            with suppress(FileNotFoundError):
                os.utime(lease)
            wanted = _is_wanted(instance, run_id)
        except Exception as error:  # a database or a volume that is away for a moment ends no training
            log.warning("run %s: how it stands is not known (%s)", run_id, error)
            continue
        if not wanted:
            break
    else:
        return
    if ended.wait(INTERRUPT_SECONDS):
        return
    os.kill(os.getpid(), signal.SIGINT)
    if ended.wait(EXIT_SECONDS):
        return
    log.error("run %s was terminated and does not end; its process exits", run_id)
    run = instance.get_run_by_id(run_id)
    if run is not None and not run.is_finished:
        instance.report_run_canceled(run, message="The run did not end when it was terminated; its process has exited.")
    os._exit(1)
