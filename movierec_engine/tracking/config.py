"""Settings of the logger group."""

from dataclasses import dataclass, field

from movierec_engine.errors import ConfigError


@dataclass(frozen=True)
class MlflowConfig:
    """MLflow."""

    register: bool = False
    """Whether the trained model becomes a version in MLflow's model registry, under the model's name."""


@dataclass(frozen=True)
class WandbConfig:
    """Weights & Biases."""

    project: str = "movie-rec"
    """The project that the run belongs to."""
    mode: str = "offline"
    """`offline` writes below the artifacts; `online` also needs WANDB_API_KEY in the environment."""
    tags: tuple[str, ...] = ()
    """Labels of the run, to find it by."""

    def __post_init__(self) -> None:
        if self.mode not in ("offline", "online"):
            raise ConfigError(f"logger.wandb.mode={self.mode} is not known; choose offline or online")


@dataclass(frozen=True)
class LoggerConfig:
    """Settings of the trackers that record a run."""

    use_mlflow: bool = True
    """MLflow, in a SQLite database below the artifacts unless MLFLOW_TRACKING_URI names a server."""
    use_wandb: bool = True
    """Weights & Biases, below the artifacts unless `wandb.mode` is online."""
    mlflow: MlflowConfig = field(default_factory=MlflowConfig)
    wandb: WandbConfig = field(default_factory=WandbConfig)

    def __post_init__(self) -> None:
        if self.mlflow.register and not self.use_mlflow:
            raise ConfigError("logger.mlflow.register=true needs logger.use_mlflow=true")
