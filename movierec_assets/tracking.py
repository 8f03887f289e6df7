"""The MLflow run of a Dagster run, and in it one for each model that is trained."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import dagster as dg
from pydantic import PrivateAttr

from movierec_assets.step import Partition, Step
from movierec_engine.store import Artifact
from movierec_engine.tracking import make_tracker
from movierec_engine.tracking.mlflow_database import check_database, open_client, tracking_uri
from movierec_engine.tracking.mlflow_tracker import STATUS, MlflowTracker, ensure_experiment
from movierec_engine.tracking.server import within, without_credentials
from movierec_engine.tracking.tracker import NO_TRACKER, TIMEOUT_SECONDS, End, Tracker, Trackers, ended, flatten

if TYPE_CHECKING:
    from mlflow import MlflowClient


class TrackingResource(dg.ConfigurableResource[Any]):
    """An MLflow run for the Dagster run, and inside it one for each model that is trained."""

    _parent: str | None = PrivateAttr(default=None)
    """Run id, `` where MLflow failed, None before the first training."""
    _root: Path = PrivateAttr(default=Path())

    @contextmanager
    def training(self, step: Step, partition: Partition) -> Iterator[Tracker]:
        """The tracker of one model's training, ended whatever happens."""
        settings = partition.settings
        tags = {"dagster/run_id": step.context.run.run_id, "dagster/partition": partition.key}
        if settings.logger.use_mlflow and (parent := self._parent_run(step)):
            tags["mlflow.parentRunId"] = parent
        tracker = make_tracker(settings.logger, step.store.root, settings.experiment_name, tags)
        name = settings.run_name or f"{settings.model_name}-{settings.device}-{settings.seed}"
        tracker.start(name, flatten(settings.resolved()))
        with ended(tracker):
            yield tracker

    @contextmanager
    def evaluation(self, step: Step, trained_model: Artifact) -> Iterator[Tracker]:
        """The tracker that adds to the run which trained a model; that run is ended again, as finished."""
        run_id = trained_model.origin.get("mlflow_run_id")
        if not run_id or not step.settings.logger.use_mlflow:
            yield NO_TRACKER
            return
        resumed = MlflowTracker(step.store.root, step.settings.experiment_name, config=step.settings.logger.mlflow)
        resumed.resume(run_id)
        tracker = Trackers([resumed])
        yield tracker
        tracker.finish("finished")

    def teardown_after_execution(self, context: dg.InitResourceContext) -> None:
        if not self._parent:
            return
        assert context.instance is not None and context.run is not None
        parent, self._parent = self._parent, None
        try:
            within(TIMEOUT_SECONDS, partial(_end_run, self._root, parent, STATUS[_end(context.instance, context.run)]))
        except Exception as error:
            if context.log:
                context.log.warning(without_credentials(f"MLflow: the run of the Dagster run is not ended ({error})"))

    def _parent_run(self, step: Step) -> str:
        """The id of the Dagster run's own MLflow run, or `` if MLflow fails or hangs, which never stops a training."""
        if self._parent is None:
            self._root = step.store.root
            try:
                self._parent = within(TIMEOUT_SECONDS, partial(_start_run, step))
            except Exception as error:
                step.context.log.warning(without_credentials(f"MLflow: no run for the Dagster run ({error})"))
                self._parent = ""
        return self._parent


def _start_run(step: Step) -> str:
    """The id of the MLflow run that dagster_mlflow's MlFlow finds for this Dagster run, or starts.

    MlFlow is imported only now, as that takes seconds. It sets MLflow's global state and environment variables, which
    are put back at once: the models' own runs are recorded by MLflow's client.
    """
    root, experiment = step.store.root, step.settings.experiment_name
    check_database(tracking_uri(root))
    client = open_client(root)
    experiment_id = ensure_experiment(client, experiment, root)
    if step.retried and step.parent_run_id:
        _end_killed_runs(client, experiment_id, step.parent_run_id)
    from dagster_mlflow.resources import MlFlow

    names = ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_ID", "MLFLOW_RUN_ID")
    environment = {name: os.environ.get(name) for name in names}
    run = step.context.run
    try:
        parent: Any = MlFlow(  # type: ignore[no-untyped-call]
            SimpleNamespace(
                log=step.context.log,
                dagster_run=run,
                run_id=run.run_id,
                resource_config={"experiment_name": experiment, "mlflow_tracking_uri": tracking_uri(root)},
            )
        )
        run_id = str(parent.mlflow_run_id or parent.active_run().info.run_id)
        parent.set_tracking_uri(None)
        return run_id
    finally:
        for name, value in environment.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


def _end_killed_runs(client: "MlflowClient", experiment_id: str, dagster_run_id: str) -> None:
    """End what a killed Dagster run has left running in MLflow: its own run and those of its models."""
    for tag in ("dagster_run_id", "`dagster/run_id`"):
        query = f"tags.{tag} = '{dagster_run_id}' and attributes.status = 'RUNNING'"
        for run in client.search_runs([experiment_id], query):
            client.set_terminated(run.info.run_id, "KILLED")


def _end(instance: dg.DagsterInstance, run: dg.DagsterRun) -> End:
    """How a Dagster run is about to end."""
    now = instance.get_run_by_id(run.run_id)
    if now is not None and now.status in (dg.DagsterRunStatus.CANCELING, dg.DagsterRunStatus.CANCELED):
        return "terminated"
    steps = instance.get_run_step_stats(run.run_id)
    return "failed" if any(step.status is not None and step.status.name == "FAILURE" for step in steps) else "finished"


def _end_run(root: Path, run_id: str, status: str) -> None:
    open_client(root).set_terminated(run_id, status)
