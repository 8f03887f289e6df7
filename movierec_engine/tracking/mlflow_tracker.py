"""MLflow, through its client interface alone: no global active run that a second run in the process could fall into."""

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from movierec_engine.store import Artifact
from movierec_engine.tracking.config import MlflowConfig
from movierec_engine.tracking.mlflow_database import check_database, home, one_at_a_time, open_client, tracking_uri
from movierec_engine.tracking.registry import register
from movierec_engine.tracking.server import without_credentials
from movierec_engine.tracking.tracker import End

if TYPE_CHECKING:
    from mlflow import MlflowClient

STATUS: dict[End, str] = {"finished": "FINISHED", "failed": "FAILED", "terminated": "KILLED"}
"""End of a run -> MLflow's status for it."""
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
            register(client, trained_model, self._run_id)

    def finish(self, end: End, reason: str = "") -> None:
        self._client().set_terminated(self._run_id, STATUS[end])

    def ids(self) -> dict[str, str]:
        return {"mlflow_run_id": self._run_id} if self._run_id else {}

    def _client(self) -> "MlflowClient":
        return open_client(self._artifacts)


def run_page(run_id: str) -> str:
    """The address of a run in the UI of the tracking server, or `` for the embedded database, which has none."""
    server = without_credentials(os.environ.get("MLFLOW_TRACKING_URI", ""))
    return f"{server.rstrip('/')}/#/runs/{run_id}" if server.startswith(("http://", "https://")) else ""


def ensure_experiment(client: "MlflowClient", name: str, artifacts: Path) -> str:
    """The id of the experiment, which is made if need be; its files go below the artifacts."""
    with one_at_a_time(artifacts):
        experiment = client.get_experiment_by_name(name)
        if experiment is not None:
            return str(experiment.experiment_id)
        return str(client.create_experiment(name, artifact_location=(home(artifacts) / "files").as_uri()))
