"""Weights & Biases, offline unless online is asked for and a key is there."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from movierec_engine.store import Artifact, kinds
from movierec_engine.tracking.config import WandbConfig
from movierec_engine.tracking.tracker import End

_INIT_SECONDS = 20.0
"""How long `online` tries to reach the server."""


class WandbTracker:
    """Records below the artifacts (`wandb sync` uploads later), or online."""

    def __init__(self, artifacts: Path, config: WandbConfig) -> None:
        self._artifacts = artifacts.absolute()
        self._config = config
        self._run: Any = None

    def start(self, run_name: str, params: Mapping[str, Any]) -> None:
        online = self._config.mode == "online"
        if online and not os.environ.get("WANDB_API_KEY"):
            raise ValueError("logger.wandb.mode=online needs WANDB_API_KEY in the environment")
        folder = self._artifacts / "wandb"
        folder.mkdir(parents=True, exist_ok=True)
        for variable in ("WANDB_CACHE_DIR", "WANDB_CONFIG_DIR", "WANDB_DATA_DIR", "WANDB_ARTIFACT_DIR"):
            os.environ.setdefault(variable, str(folder))
        import wandb

        self._run = wandb.init(
            project=self._config.project,
            name=run_name,
            config=dict(params),
            tags=list(self._config.tags),
            dir=str(self._artifacts),
            mode="online" if online else "offline",
            reinit="create_new",
            settings=wandb.Settings(console="off", silent=True, x_disable_stats=True, init_timeout=_INIT_SECONDS),
        )

    def log(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        if step is None:
            self._run.summary.update(dict(metrics))
        else:
            self._run.log(dict(metrics), step=step)

    def outcome(self, trained_model: Artifact, report: Artifact) -> None:
        self._run.summary.update({kinds.TRAINED_MODEL: trained_model.reference, "report": report.reference})

    def finish(self, end: End, reason: str = "") -> None:
        self._run.finish(exit_code=0 if end == "finished" else 1)

    def ids(self) -> dict[str, str]:
        if self._run is None:
            return {}
        sweep_id = os.environ.get("WANDB_SWEEP_ID")  # an agent of `wandb agent` started this process
        return {"wandb_run_id": str(self._run.id)} | ({"wandb_sweep_id": sweep_id} if sweep_id else {})
