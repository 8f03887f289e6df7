"""MLflow's embedded database, set up by processes that are killed or meet one another."""

import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from movierec_engine.tracking.mlflow_database import DATABASE_FILE, check_database, home, open_client, tracking_uri

OPEN = "import sys; from pathlib import Path; from movierec_engine.tracking.mlflow_database import open_client as o; "
USE = OPEN + "o(Path(sys.argv[1])).create_experiment(sys.argv[2])"


@pytest.fixture(autouse=True)
def embedded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


def setting_up(artifacts: Path, experiment: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", USE, str(artifacts), experiment]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def cut_off(artifacts: Path) -> None:
    """Leave the database as it is between two of the migrations of its set-up."""
    with closing(sqlite3.connect(home(artifacts) / DATABASE_FILE)) as database:
        database.execute("UPDATE alembic_version SET version_num = '451aebb31d03'")  # the first of them
        database.execute("DROP TABLE model_versions")
        database.commit()


@pytest.mark.slow
def test_a_half_made_database_is_set_aside_and_made_again(tmp_path: Path) -> None:
    assert setting_up(tmp_path, "before").wait(120) == 0
    cut_off(tmp_path)
    assert setting_up(tmp_path, "after").wait(120) == 0
    with closing(sqlite3.connect(home(tmp_path) / DATABASE_FILE)) as database:
        assert database.execute("SELECT name FROM experiments ORDER BY 1").fetchall() == [("Default",), ("after",)]
    assert len(list(home(tmp_path).glob(f"{DATABASE_FILE}.half-made-*"))) == 1


@pytest.mark.slow
def test_a_refused_database_with_runs_is_never_set_aside(tmp_path: Path) -> None:
    client = open_client(tmp_path)
    run = client.create_run(client.create_experiment("first"))
    cut_off(tmp_path)
    assert setting_up(tmp_path, "second").wait(120) == 1
    with closing(sqlite3.connect(home(tmp_path) / DATABASE_FILE)) as database:
        assert database.execute("SELECT run_uuid FROM runs").fetchall() == [(run.info.run_id,)]


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [2, 3.5])
def test_killed_in_its_set_up_the_database_serves_the_next_run(tmp_path: Path, seconds: float) -> None:
    killed = setting_up(tmp_path, "killed")
    time.sleep(seconds)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert setting_up(tmp_path, "next").wait(120) == 0
    check_database(tracking_uri(tmp_path))
    assert [path.name for path in home(tmp_path).glob(f"*{DATABASE_FILE}*")] == [DATABASE_FILE]


@pytest.mark.slow
def test_four_first_runs_at_once_leave_one_whole_database(tmp_path: Path) -> None:
    running = [setting_up(tmp_path, f"experiment {number}") for number in range(4)]
    assert [process.wait(300) for process in running] == [0, 0, 0, 0]
    names = {experiment.name for experiment in open_client(tmp_path).search_experiments()}
    assert {f"experiment {number}" for number in range(4)} <= names
