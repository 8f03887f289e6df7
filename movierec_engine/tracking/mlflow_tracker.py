"""MLflow, through its client interface alone: no global active run that a second run in the process could fall into."""

import logging
import os
import sqlite3
import time
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock

from movierec_engine.store import Artifact
from movierec_engine.tracking.config import MlflowConfig

if TYPE_CHECKING:
    from mlflow import MlflowClient

_LOCK_SECONDS = 5.0
"""How long a run waits, once, for a database that another program has locked."""
_LARGEST_FILE = 2**20
"""Bytes; larger files stay in the artifact store alone, which the parameters and tags point to."""


class MlflowTracker:
    """Records into a SQLite database below the artifacts, or where MLFLOW_TRACKING_URI says."""

    def __init__(
        self,
        artifacts: Path,
        experiment: str,
        tags: Mapping[str, str] | None = None,
        config: MlflowConfig | None = None,
    ) -> None:
        self._artifacts = artifacts
        self._experiment = experiment
        self._tags = dict(tags or {})
        self._config = config or MlflowConfig()
        self._run_id = ""

    def start(self, run_name: str, params: Mapping[str, Any]) -> None:
        check_database(tracking_uri(self._artifacts))
        from mlflow.entities import Param

        client = self._client()
        experiment_id = ensure_experiment(client, self._experiment, self._artifacts)
        run = client.create_run(experiment_id, run_name=run_name, tags=self._tags)
        self._run_id = run.info.run_id
        client.log_batch(self._run_id, params=[Param(name, str(value)[:6000]) for name, value in params.items()])

    def resume(self, run_id: str) -> None:
        """Record into a run that was started before."""
        self._run_id = run_id

    def log(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        batch = [Metric(name.replace("@", "_at_"), value, now, step or 0) for name, value in metrics.items()]
        self._client().log_batch(self._run_id, metrics=batch)

    def outcome(self, trained_model: Artifact, report: Artifact) -> None:
        client = self._client()
        for name, file in report.files.items():
            if file["size"] <= _LARGEST_FILE:
                client.log_artifact(self._run_id, str(report.folder / name), "report")
        client.log_dict(self._run_id, trained_model.config, "config.json")
        for made in (trained_model, report):
            client.set_tag(self._run_id, made.slot.kind, made.reference)
        if self._config.register:
            from movierec_engine.tracking.registry import register

            register(client, trained_model, self._run_id)

    def finish(self, ok: bool) -> None:
        self._client().set_terminated(self._run_id, "FINISHED" if ok else "FAILED")

    def ids(self) -> dict[str, str]:
        return {"mlflow_run_id": self._run_id} if self._run_id else {}

    def _client(self) -> "MlflowClient":
        return open_client(self._artifacts)


def open_client(artifacts: Path) -> "MlflowClient":
    """A client of the tracking server, or of the embedded database.

    Opened under a lock, since two processes that set up a fresh SQLite database at once corrupt it.
    """
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    from mlflow import MlflowClient

    logging.getLogger("mlflow.store.db.utils").setLevel(logging.ERROR)  # it would warn of each of ten attempts
    with _setup_lock(artifacts):
        return MlflowClient(tracking_uri(artifacts))


def tracking_uri(artifacts: Path) -> str:
    """MLFLOW_TRACKING_URI, or the embedded SQLite database below the artifacts."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{_home(artifacts)}/mlflow.db"


def run_page(run_id: str) -> str:
    """The address of a run in the UI of the tracking server, or `` for the embedded database, which has none."""
    server = os.environ.get("MLFLOW_TRACKING_URI", "")
    return f"{server.rstrip('/')}/#/runs/{run_id}" if server.startswith(("http://", "https://")) else ""


def ensure_experiment(client: "MlflowClient", name: str, artifacts: Path) -> str:
    """The id of the experiment, which is made if need be; its files go below the artifacts."""
    with _setup_lock(artifacts):
        experiment = client.get_experiment_by_name(name)
        if experiment is not None:
            return str(experiment.experiment_id)
        return str(client.create_experiment(name, artifact_location=(_home(artifacts) / "files").as_uri()))


def check_database(uri: str) -> None:
    """Raise sqlite3.Error soon if a SQLite database is locked or damaged; MLflow itself would try for minutes."""
    path = Path(uri.removeprefix("sqlite:///"))
    if uri.startswith("sqlite:///") and path.exists():
        with closing(sqlite3.connect(path, timeout=_LOCK_SECONDS)) as database:
            database.execute("BEGIN IMMEDIATE")
            database.execute("PRAGMA schema_version")
            database.rollback()


def _home(artifacts: Path) -> Path:
    return artifacts.absolute() / "mlflow"


def _setup_lock(artifacts: Path) -> FileLock:
    _home(artifacts).mkdir(parents=True, exist_ok=True)
    return FileLock(_home(artifacts) / "setup.lock", timeout=60)
