"""Small worlds in which the right answer is known."""

import gc
import logging
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from camps import camps_settings, write_camps
from hypothesis import settings

from movierec_engine.tracking.mlflow_database import open_client

# The same examples on every run, so that a failure can be repeated; and no deadline: a busy machine is no failure.
settings.register_profile("repeatable", deadline=None, derandomize=True, max_examples=50)
settings.load_profile("repeatable")


def pytest_collection_finish() -> None:
    """What has been imported by now stays; not looking through it again and again saves a tenth of the time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


@pytest.fixture(scope="session", autouse=True)
def patient_with_trackers() -> Iterator[None]:
    """A busy machine is no tracker that hangs."""
    with pytest.MonkeyPatch.context() as patch:  # which fails where a name is no longer there
        patch.setattr("movierec_engine.tracking.tracker.TIMEOUT_SECONDS", 600.0)
        patch.setattr("movierec_engine.tracking.registry.TIMEOUT_SECONDS", 600.0)
        patch.setattr("movierec_engine.tracking.wandb_tracker._INIT_SECONDS", 300.0)
        yield


@pytest.fixture(autouse=True)
def log_as_before() -> Iterator[None]:
    """What a command sets up of the log, with a handler that writes to its own standard error, ends with the test."""
    log = logging.getLogger("movierec_engine")
    handlers, level, propagate = list(log.handlers), log.level, log.propagate
    yield
    log.handlers, log.propagate = handlers, propagate
    log.setLevel(level)


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with MLflow's tables, which take seconds to make."""
    root = tmp_path_factory.mktemp("template")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        open_client(root)
    return root / "mlflow" / "mlflow.db"


@pytest.fixture
def mlflow_store(tmp_path: Path, empty_database: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder `store`, with that database."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    database = tmp_path / "store" / "mlflow" / "mlflow.db"
    database.parent.mkdir(parents=True)
    shutil.copy(empty_database, database)
    return tmp_path / "store"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MB."""
    place = tmp_path / "disk"
    place.mkdir()
    if (
        os.geteuid()
        or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", place], check=False).returncode
    ):
        pytest.skip("only root mounts a small file system")
    yield place
    subprocess.run(["umount", "--lazy", place], check=True)


@pytest.fixture
def movielens_folder(tmp_path: Path) -> Path:
    """The folder of two camps."""
    folder = tmp_path / "movies in camps"
    write_camps(folder)
    return folder


@pytest.fixture
def small_data(movielens_folder: Path, tmp_path: Path) -> list[str]:
    """Overrides that train on that folder, without trackers."""
    return camps_settings(movielens_folder, tmp_path / "checkpoints")
