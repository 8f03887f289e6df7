"""`python -m movierec_assets.materialize`: what it refuses, and two of them started in the same moment."""

import os
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest

from movierec_assets.materialize import materialize, open_instance
from movierec_engine.errors import ConfigError, MovierecError
from movierec_engine.store import ArtifactStore
from movierec_engine.tracking.mlflow_database import open_client

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("named", [None, "", "relative", "/no/such/folder"])
def test_a_dagster_home_that_is_no_folder_is_named(named: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    if named is not None:
        monkeypatch.setenv("DAGSTER_HOME", named)
    with pytest.raises(ConfigError, match=f"^DAGSTER_HOME={named or ''} is not the full path of a folder"):
        open_instance()


@pytest.mark.parametrize(
    "content",
    [
        b"run_launcher: [",
        b"- a list",
        b"no_such_setting: 1",
        b"run_launcher: {module: nowhere, class: No}",
        b"storage: {postgres: {postgres_db: {hostname: no_driver_here}}}",
        b"# \xff",
    ],
)
def test_a_dagster_yaml_that_dagster_refuses_is_one_sentence(
    content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "dagster.yaml").write_bytes(content)
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    with pytest.raises(ConfigError, match=r"dagster\.yaml is not what Dagster takes: ") as caught, open_instance():
        pass
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("taken", ["setup.lock/", "dagster.yaml/", "history", "history/runs.db"])
def test_records_that_cannot_be_kept_are_one_sentence(
    taken: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder where a file belongs, a file where a folder belongs, and a database that is none."""
    path = tmp_path / taken
    if taken.endswith("/"):
        path.mkdir()
    else:
        path.parent.mkdir(exist_ok=True)
        path.write_text("no database" * 100)
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    with pytest.raises(
        ConfigError, match=f"^DAGSTER_HOME={tmp_path}: Dagster cannot keep its records there: "
    ) as caught:
        open_instance()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("models", "device", "said"),
    [
        (["popularity", "nosuch"], "cpu", "there is no model 'nosuch'; choose from als,"),
        (["popularity"], "tpu", "device=tpu is not known; choose auto,"),
        (["hybrid_ensemble"], "mps", "device=mps is not on this machine"),
    ],
)
def test_a_model_or_a_device_that_is_none_is_named_before_any_work(
    models: list[str],
    device: str,
    said: str,
    instance: dg.DagsterInstance,
    store: ArtifactStore,
    overrides: list[str],
) -> None:
    with pytest.raises(MovierecError, match=f"^{said}"):
        materialize(models, device, overrides, instance)
    assert not store.root.exists()
    assert not instance.get_runs()


def test_the_command_ends_with_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAGSTER_HOME", "")
    command = [sys.executable, "-m", "movierec_assets.materialize", "--model", "ease"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert ended.stderr.startswith("error: DAGSTER_HOME= is not")
    assert ended.stderr.count("\n") == 1


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
