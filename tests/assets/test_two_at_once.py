"""Two partitions that are started in the same moment, on a store that nobody has used yet."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from movierec_engine.tracking.mlflow_tracker import open_client

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_two_partitions_started_at_once_set_up_one_sound_mlflow_database(small_data: list[str], tmp_path: Path) -> None:
    skipped = ("device=", "paths.", "logger.use_mlflow")
    overrides = [one for one in small_data if not one.startswith(skipped)]
    environment = {**os.environ, "MOVIEREC_ARTIFACTS": str(tmp_path / "store"), "DAGSTER_HOME": str(tmp_path)}
    command = [sys.executable, "-m", "movierec_assets.materialize", *overrides, "--model"]
    started = [
        subprocess.Popen([*command, model], cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True)
        for model in ("popularity", "ease")
    ]
    told = [process.communicate()[1] for process in started]
    assert [process.returncode for process in started] == [0, 0], told
    client = open_client(tmp_path / "store")
    experiment = client.get_experiment_by_name("movierec")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id])
    assert sorted(run.info.status for run in runs) == ["FINISHED"] * 4
