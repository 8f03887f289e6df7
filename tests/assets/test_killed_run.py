"""A run that is killed in the middle of training, and what goes on from its checkpoint.

In this process, and once with Dagster's own daemon, queue and code server.
"""

import json
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import psutil
import pyarrow.parquet as pq
import pytest
import yaml
from dagster_runs import execute, latest, prepare
from waiting import soon

from movierec_assets.definitions import defs
from movierec_assets.partitions import partition_key
from movierec_engine.cli.demo import dagster_home
from movierec_engine.models.checkpoint_file import read_checkpoint
from movierec_engine.store import ArtifactStore, Slot

ROOT = Path(__file__).parents[2]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A DAGSTER_HOME with the settings for one machine, and a store beside it.

    Its database is set up before two processes could do so at once, which Dagster's SQLite storage does not survive.
    """
    monkeypatch.setenv("MOVIEREC_ARTIFACTS", str(tmp_path / "store"))
    monkeypatch.setenv("MOVIEREC_CHECKPOINTS", str(tmp_path / "checkpoints"))
    home = dagster_home(tmp_path / "store")
    monkeypatch.setenv("DAGSTER_HOME", str(home))
    with dg.DagsterInstance.get() as instance:
        assert not instance.get_runs()
    return home


@pytest.fixture
def daemon(home: Path) -> Iterator[None]:
    command = [sys.executable, "-m", "dagster._daemon", "run", "-w", "workspace.yaml"]
    with (home / "daemon.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT, start_new_session=True)
        yield
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)


def worker_of(run_id: str) -> psutil.Process | None:
    """The process that executes a run, by its open compute log."""
    for process in psutil.process_iter(["pid"]):
        try:
            if process.pid != os.getpid() and any(run_id in file.path for file in process.open_files()):
                return process
        except psutil.Error:
            continue
    return None


@pytest.mark.slow
@pytest.mark.usefixtures("daemon")
def test_a_run_that_is_killed_is_retried_and_goes_on_from_its_last_checkpoint(
    home: Path, small_data: list[str], tmp_path: Path
) -> None:
    overrides = [one for one in small_data if not one.startswith(("device=", "paths.checkpoints"))]
    overrides += ["trainer.max_epochs=400", "trainer.early_stopping.enabled=false", "trainer.checkpoint_seconds=0"]
    config = tmp_path / "run.yaml"
    config.write_text(yaml.safe_dump({"resources": {"settings": {"config": {"overrides": overrides}}}}))
    command = [sys.executable, "-m", "dagster", "job", "launch", "-w", "workspace.yaml", "-j", "everything"]
    dimensions = {"dagster/partition/device": "cpu", "dagster/partition/model": "lightgcn"}
    partition = json.dumps({"dagster/partition": "cpu|lightgcn", **dimensions})
    launched = subprocess.run(
        [*command, "-c", str(config), "--tags", partition], cwd=ROOT, check=False, capture_output=True, text=True
    )
    assert launched.returncode == 0, launched.stderr
    with dg.DagsterInstance.get() as instance:
        (run,) = instance.get_runs()
        checkpoint = tmp_path / "checkpoints" / "cpu" / "lightgcn_last.pt"
        soon(checkpoint.exists)
        worker = soon(lambda: worker_of(run.run_id))
        worker.kill()
        worker.wait(60)
        before = [epoch["seconds"] for epoch in read_checkpoint(checkpoint).training["history"]]
        assert ArtifactStore(tmp_path / "store").latest(Slot("trained_model", "camps", "lightgcn", "cpu")) is None
        retry = soon(lambda: next((one for one in instance.get_runs() if one.parent_run_id == run.run_id), None))
        soon(lambda: instance.get_run_by_id(retry.run_id).is_finished)
        assert instance.get_run_by_id(run.run_id).status is dg.DagsterRunStatus.FAILURE
        assert instance.get_run_by_id(retry.run_id).status is dg.DagsterRunStatus.SUCCESS
    made = ArtifactStore(tmp_path / "store").require(Slot("trained_model", "camps", "lightgcn", "cpu"))
    assert 0 < len(before) < made.facts["epochs"] == 400
    assert pq.read_table(made.folder / "history.parquet")["seconds"].to_pylist()[: len(before)] == before
    assert made.origin["dagster_run_id"] == retry.run_id


@pytest.mark.slow
def test_a_step_that_is_retried_after_a_kill_goes_on_from_its_own_checkpoint_and_from_no_other(
    instance: dg.DagsterInstance,
    store: ArtifactStore,
    overrides: list[str],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    prepare(store, overrides)
    short = [*overrides, "trainer.max_epochs=2", "trainer.checkpoint_seconds=0"]
    model = partition_key("cpu", "gmf")
    assert execute(instance, short, ("trained_model",), model).success
    killed = instance.create_run_for_job(defs.resolve_job_def("everything"), status=dg.DagsterRunStatus.FAILURE)
    retry = {"dagster/parent_run_id": killed.run_id, "dagster/root_run_id": killed.run_id}
    monkeypatch.setattr(logging.getLogger("movierec_engine"), "propagate", True)  # a command may have stopped that
    caplog.set_level("INFO", logger="movierec_engine.training.checkpoint")
    assert execute(instance, [*short, "trainer.max_epochs=4"], ("trained_model",), model, retry).success
    assert "going on after epoch 2" in caplog.text
    assert latest(store, "trained_model", "gmf", "cpu").facts["epochs"] == 4
    caplog.clear()
    assert execute(instance, [*short, "seed=7"], ("trained_model",), model, retry).success
    assert "not of this training; starting afresh" in caplog.text
