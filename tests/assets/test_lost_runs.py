"""Runs whose process is gone: they are failed, and no others."""

import os
import subprocess
import sys
import time

import dagster as dg
import pytest
from dagster._core.launcher import CheckRunHealthResult, RunLauncher, WorkerStatus
from dagster_runs import execute
from waiting import soon

from movierec_assets import lost_runs, termination
from movierec_assets.automation import AutomationConfig
from movierec_assets.definitions import defs
from movierec_assets.lost_runs import LEASE_SECONDS, PROCESS, lease_file, make_lost_runs
from movierec_assets.termination import while_wanted
from movierec_engine.store import ArtifactStore
from movierec_engine.store.process import place


@pytest.fixture(scope="module")
def gone() -> int:
    """The number of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def started(instance: dg.DagsterInstance, tag: str) -> dg.DagsterRun:
    """A run in progress whose tag says this of its process, with its own id for the last part."""
    run = instance.create_run_for_job(defs.resolve_job_def("everything"))
    instance.add_run_tags(run.run_id, {PROCESS: tag.replace("SELF", run.run_id)})
    for event in (dg.DagsterEventType.RUN_STARTING, dg.DagsterEventType.RUN_START):
        instance.report_dagster_event(dg.DagsterEvent(event.value, run.job_name), run.run_id)
    return run


def look(instance: dg.DagsterInstance) -> None:
    make_lost_runs(AutomationConfig())(dg.build_sensor_context(instance))


def test_a_run_whose_process_is_gone_is_failed(
    instance: dg.DagsterInstance, store: ArtifactStore, overrides: list[str], gone: int
) -> None:
    made = execute(instance, overrides, ("raw_movies",))
    noted = instance.get_run_by_id(made.run_id).tags[PROCESS]  # by a real run, in this process
    host, pid, _ = noted.rsplit(":", 2)
    lost, alive = started(instance, f"{host}:{gone}:SELF"), started(instance, f"{host}:{pid}:SELF")
    look(instance)
    assert instance.get_run_by_id(lost.run_id).status is dg.DagsterRunStatus.FAILURE
    assert instance.get_run_by_id(alive.run_id).status is dg.DagsterRunStatus.STARTED
    assert instance.get_run_by_id(made.run_id).status is dg.DagsterRunStatus.SUCCESS


def test_a_run_of_another_machine_or_that_has_its_parents_tag_is_left(instance: dg.DagsterInstance, gone: int) -> None:
    elsewhere = started(instance, f"elsewhere:{gone}:SELF")
    retried = started(instance, f"{place()}:{gone}:parent")
    look(instance)
    for run in (elsewhere, retried):
        assert instance.get_run_by_id(run.run_id).status is dg.DagsterRunStatus.STARTED


def test_a_run_of_another_place_is_lost_once_it_has_not_touched_its_lease_for_long(
    instance: dg.DagsterInstance, store: ArtifactStore, gone: int
) -> None:
    """Of a container with the same host name, or of this host before it was started again."""
    runs = [started(instance, f"{place()}0:{gone}:SELF") for _ in range(3)]
    for run, age in ((runs[0], LEASE_SECONDS + 60), (runs[1], LEASE_SECONDS - 60)):
        lease = lease_file(store.root, run.run_id)
        lease.parent.mkdir(parents=True, exist_ok=True)
        lease.touch()
        os.utime(lease, (time.time() - age,) * 2)
    look(instance)
    found = [instance.get_run_by_id(run.run_id).status for run in runs]
    going = dg.DagsterRunStatus.STARTED
    assert found == [dg.DagsterRunStatus.FAILURE, going, going], "of one without a lease nobody knows"


class Launcher(RunLauncher):
    """One whose cluster says of each run's worker what is given, and does not answer where that is an error."""

    supports_check_run_worker_health = True  # type: ignore[assignment]

    def __init__(self) -> None:
        self.says = dict[str, WorkerStatus | Exception]()

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        said = self.says[run.run_id]
        if isinstance(said, Exception):
            raise said
        return CheckRunHealthResult(said)

    def launch_run(self, context: object) -> None: ...

    def terminate(self, run_id: str) -> bool:
        return False


def test_a_launched_run_whose_worker_failed_is_lost_and_one_that_waits_for_a_node_is_not(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What Ray says of a job whose node is gone, that is queued, that it does not know yet, and without its head."""
    launcher, on = Launcher(), dg.DagsterRunStatus
    monkeypatch.setattr(instance, "_run_launcher", launcher)
    says = (WorkerStatus.FAILED, WorkerStatus.RUNNING, WorkerStatus.UNKNOWN, ConnectionError("no head"))
    runs = [instance.create_run_for_job(defs.resolve_job_def("everything")) for _ in says]
    for run, said in zip(runs, says, strict=True):
        instance.report_dagster_event(dg.DagsterEvent("PIPELINE_STARTING", run.job_name), run.run_id)
        launcher.says[run.run_id] = said
    look(instance)
    found = [instance.get_run_by_id(run.run_id).status for run in runs]
    assert found == [on.FAILURE, on.STARTING, on.STARTING, on.STARTING]
    assert "no head" in caplog.text
    monkeypatch.setattr(lost_runs, "SUBMITTED_SECONDS", 0)
    look(instance)
    found = [instance.get_run_by_id(run.run_id).status for run in runs]
    assert found == [on.FAILURE, on.STARTING, on.FAILURE, on.STARTING], (
        "it was not known yet, and now it is not any more"
    )


def test_a_run_holds_a_lease_while_it_is_on(
    instance: dg.DagsterInstance, store: ArtifactStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(termination, "ASK_SECONDS", 0.01)
    run = started(instance, f"{place()}:{os.getpid()}:SELF")
    lease = lease_file(store.root, run.run_id)
    with while_wanted(instance, run.run_id, store.root):
        os.utime(lease, (0, 0))
        soon(lambda: lease.stat().st_mtime > 0)
    assert not lease.exists()


def test_a_number_that_another_process_has_by_now_is_no_sign_of_life(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = started(instance, f"{place()}:{os.getpid()}:SELF")
    began = instance.get_run_records(dg.RunsFilter([run.run_id]))[0].start_time or 0
    monkeypatch.setattr("psutil.Process.create_time", lambda self: began + 30)
    look(instance)
    assert instance.get_run_by_id(run.run_id).status is dg.DagsterRunStatus.STARTED, "clocks may disagree by so much"
    monkeypatch.setattr("psutil.Process.create_time", lambda self: began + 90)
    look(instance)
    assert instance.get_run_by_id(run.run_id).status is dg.DagsterRunStatus.FAILURE
