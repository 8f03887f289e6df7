"""Mistakes at Dagster's own command line end in one sentence."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from dagster_shared.check import CheckError

from movierec_assets.definitions import defs
from movierec_assets.sentences import sentence_of

ROOT = Path(__file__).parents[2]


def test_settings_of_the_automation_that_there_are_not_are_one_sentence(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "dagster", "asset", "materialize", "-m", "movierec_assets.definitions"]
    environment = {**os.environ, "MOVIEREC_AUTOMATION": "nosuch", "DAGSTER_HOME": str(tmp_path)}
    ended = subprocess.run(
        [*command, "--select", "raw_ratings"], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 1
    assert "error: MOVIEREC_AUTOMATION=nosuch: there is no nosuch.yaml in" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_assets_of_different_partitions_are_one_sentence_that_names_a_selection() -> None:
    """As in `dagster asset materialize --select '*' --partition 'cpu|ease'`."""
    everything = defs.resolve_implicit_global_asset_job_def()
    with pytest.raises(CheckError) as raised:
        everything.get_partition_keys(defs.resolve_asset_graph().get_all_asset_keys())
    assert "--partition cannot be of all of them; select those of one kind" in sentence_of(raised.value)
    assert sentence_of(ValueError("a bug")) == ""
