"""MLflow, Weights & Biases, Rich and a progress file behind one small tracker interface."""

from collections.abc import Mapping
from pathlib import Path

from movierec_engine.tracking.config import LoggerConfig
from movierec_engine.tracking.mlflow_tracker import MlflowTracker
from movierec_engine.tracking.progress_file import ProgressFile
from movierec_engine.tracking.tracker import Tracker, Trackers
from movierec_engine.tracking.wandb_tracker import WandbTracker


def make_tracker(
    config: LoggerConfig, artifacts: Path, experiment: str, mlflow_tags: Mapping[str, str] | None = None
) -> Trackers:
    """The trackers that `logger.*` asks for, and the progress file, as one."""
    trackers: list[Tracker] = [ProgressFile(artifacts)]
    if config.use_mlflow:
        trackers.append(MlflowTracker(artifacts, experiment, mlflow_tags, config.mlflow))
    if config.use_wandb:
        trackers.append(WandbTracker(artifacts, config.wandb))
    return Trackers(trackers)
