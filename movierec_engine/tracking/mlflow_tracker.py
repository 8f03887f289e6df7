"""MLflow, through its client interface alone: no global active run that a second run in the process could fall into."""

import logging
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock

if TYPE_CHECKING:
    from mlflow import MlflowClient


class MlflowTracker:
    """Records into a SQLite database below the artifacts, or where MLFLOW_TRACKING_URI says."""

    def __init__(self, artifacts: Path, experiment: str, tags: Mapping[str, str] | None = None) -> None:
        self._artifacts = artifacts
        self._experiment = experiment
        self._tags = dict(tags or {})
        self._run_id = ""

    def start(self, run_name: str, params: Mapping[str, Any]) -> None:
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

    logging.getLogger("mlflow.store.db.utils").setLevel(logging.WARNING)
    with _setup_lock(artifacts):
        return MlflowClient(tracking_uri(artifacts))


def tracking_uri(artifacts: Path) -> str:
    """MLFLOW_TRACKING_URI, or the embedded SQLite database below the artifacts."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{_home(artifacts)}/mlflow.db"


def ensure_experiment(client: "MlflowClient", name: str, artifacts: Path) -> str:
    """The id of the experiment, which is made if need be; its files go below the artifacts."""
    with _setup_lock(artifacts):
        experiment = client.get_experiment_by_name(name)
        if experiment is not None:
            return str(experiment.experiment_id)
        return str(client.create_experiment(name, artifact_location=(_home(artifacts) / "files").as_uri()))


def _home(artifacts: Path) -> Path:
    return artifacts.absolute() / "mlflow"


def _setup_lock(artifacts: Path) -> FileLock:
    _home(artifacts).mkdir(parents=True, exist_ok=True)
    return FileLock(_home(artifacts) / "setup.lock")
