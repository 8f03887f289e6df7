"""What the assets of a run share: its settings, and its MLflow run."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import dagster as dg
from pydantic import Field, PrivateAttr

from movierec_assets.step import EngineFailure, Partition, Step
from movierec_engine.config import Settings, load_settings
from movierec_engine.errors import ConfigError, MovierecError
from movierec_engine.store import Artifact, ArtifactStore
from movierec_engine.tracking import make_tracker
from movierec_engine.tracking.mlflow_tracker import MlflowTracker, ensure_experiment, open_client, tracking_uri
from movierec_engine.tracking.tracker import NO_TRACKER, Tracker, Trackers, flatten


class SettingsResource(dg.ConfigurableResource[Any]):
    """The settings of a run, in each of its partitions: those of configs/ with the run's overrides."""

    overrides: list[str] = Field(
        default=[],
        description=(
            "Settings on top of configs/, in Hydra's syntax: `data.split=global_time`, `trainer.max_epochs=5`, "
            "`model.embedding_dim=32`. They hold for every asset of the run. Model and device are the partition's."
        ),
    )
    _composed: dict[tuple[str, ...], Settings] = PrivateAttr(default_factory=dict)

    @contextmanager
    def step(self, context: dg.AssetExecutionContext) -> Iterator[Step]:
        """A step of the run, once the settings of all its partitions are known to be right and their devices there.

        An error of the engine's ends it as a failure with that error's sentence.
        """
        step, partition = None, ""
        try:
            settings = self.shared()
            partitions = []
            for partition in _partition_keys(context):
                partitions.append(Partition(partition, self.of(**_dimensions(partition, context))))
            step = Step(context, ArtifactStore(settings.paths.artifacts), settings, partitions)
            yield step
        except Exception as error:
            if step:
                step.keep_finished()
            if isinstance(error, MovierecError):
                raise EngineFailure(error, step.unfinished() if step else partition) from None
            raise

    def of(self, device: str, model: str) -> Settings:
        """The settings of one partition."""
        return self._compose([*self.overrides, f"model={model}", f"device={device}"])

    def shared(self) -> Settings:
        """The settings that are no model's own. Popularity stands for any model: it has none, and needs no torch."""
        for override in self.overrides:
            if (name := override.partition("=")[0].strip()) in ("model", "device"):
                raise ConfigError(f"override {override!r}: the {name} is the partition's; materialize that partition")
        overrides = [override for override in self.overrides if not override.lstrip("+~").startswith("model.")]
        return self._compose([*overrides, "model=popularity", "device=cpu"])

    def _compose(self, overrides: list[str]) -> Settings:
        key = tuple(overrides)
        if key not in self._composed:
            self._composed[key] = load_settings(overrides)
        return self._composed[key]


class TrackingResource(dg.ConfigurableResource[Any]):
    """An MLflow run for the Dagster run, and inside it one for each model that is trained."""

    _parent: Any = PrivateAttr(default=None)
    _environment: dict[str, str | None] = PrivateAttr(default_factory=dict)

    @contextmanager
    def training(self, step: Step, partition: Partition) -> Iterator[Tracker]:
        """The tracker of one model's training, ended whatever happens."""
        settings = partition.settings
        tags = {"dagster/run_id": step.context.run.run_id, "dagster/partition": partition.key}
        if settings.logger.use_mlflow and (parent := self._parent_run(step, settings)):
            tags["mlflow.parentRunId"] = parent
        tracker = make_tracker(settings.logger, step.store.root, settings.experiment_name, tags)
        name = settings.run_name or f"{settings.model_name}-{settings.device}-{settings.seed}"
        tracker.start(name, flatten(settings.resolved()))
        finished = False
        try:
            yield tracker
            finished = True
        finally:
            tracker.finish(finished)

    def evaluation(self, step: Step, trained_model: Artifact) -> Tracker:
        """The tracker that adds to the run which trained a model."""
        run_id = trained_model.origin.get("mlflow_run_id")
        if not run_id or not step.settings.logger.use_mlflow:
            return NO_TRACKER
        tracker = MlflowTracker(step.store.root, step.settings.experiment_name)
        tracker.resume(run_id)
        return Trackers([tracker])

    def teardown_after_execution(self, context: dg.InitResourceContext) -> None:
        if self._parent is None:
            return
        assert context.instance is not None and context.run is not None
        steps = context.instance.get_run_step_stats(context.run.run_id)
        failed = any(step.status is not None and step.status.name == "FAILURE" for step in steps)
        try:
            self._parent.end_run("FAILED" if failed else "FINISHED")
            self._parent.set_tracking_uri(None)
        finally:
            self._parent = None
            for name, value in self._environment.items():
                os.environ.pop(name, None)
                if value is not None:
                    os.environ[name] = value

    def _parent_run(self, step: Step, settings: Settings) -> str:
        """The id of the Dagster run's own MLflow run, or `` if MLflow fails, which never stops a training."""
        try:
            if self._parent is None:
                self._parent = self._start_parent(step, settings)
            return str(self._parent.mlflow_run_id or self._parent.active_run().info.run_id)
        except Exception as error:
            step.context.log.warning(f"MLflow: no run for the Dagster run ({error})")
            return ""

    def _start_parent(self, step: Step, settings: Settings) -> Any:
        """dagster_mlflow's MlFlow, made only now: importing it takes seconds.

        It finds the MLflow run of this Dagster run or starts it, and sets MLflow's global state and environment
        variables, which are put back when the run ends.
        """
        root = step.store.root
        ensure_experiment(open_client(root), settings.experiment_name, root)
        from dagster_mlflow.resources import MlFlow

        names = ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_ID", "MLFLOW_RUN_ID")
        self._environment = {name: os.environ.get(name) for name in names}
        run = step.context.run
        return MlFlow(  # type: ignore[no-untyped-call]
            SimpleNamespace(
                log=step.context.log,
                dagster_run=run,
                run_id=run.run_id,
                resource_config={
                    "experiment_name": settings.experiment_name,
                    "mlflow_tracking_uri": tracking_uri(root),
                },
            )
        )


def _dimensions(partition: str, context: dg.AssetExecutionContext) -> Mapping[str, str]:
    """Device and model of a partition; an asset by device alone is named after its model."""
    if isinstance(partition, dg.MultiPartitionKey):
        return partition.keys_by_dimension
    return {"device": partition, "model": context.asset_key.to_user_string()}


def _partition_keys(context: dg.AssetExecutionContext) -> Sequence[str]:
    """The partitions that the run is for, also where the asset itself has none."""
    if not (context.has_partition_key or context.has_partition_key_range):
        if context.assets_def.partitions_def is None:
            return []
        raise ConfigError(f"{context.asset_key.to_user_string()} needs a partition such as cpu|lightgcn; choose one")
    keys = context.partition_keys
    if not keys:
        ends = context.partition_key_range
        raise ConfigError(f"no partition from {ends.start} to {ends.end}; give the ends of the range in their order")
    return list(keys)
