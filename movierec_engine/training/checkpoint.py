"""Checkpoints of a training run, and how a run that was cut off goes on to the very weights it would have reached."""

import json
import logging
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

import torch

from movierec_engine.errors import ConfigError, StoreError
from movierec_engine.models.base import CHECKPOINT_SUFFIX, Recommender
from movierec_engine.models.checkpoint_file import CheckpointFile, checkpoint_content, read_checkpoint
from movierec_engine.models.fitting import Epoch, Fitting
from movierec_engine.store import replace_file
from movierec_engine.store.storage import Location, is_url
from movierec_engine.training.remote_checkpoints import RemoteCheckpoints
from movierec_engine.training.state import TrainingState

log = logging.getLogger(__name__)


@dataclass
class Checkpoints:
    """`<model>_last.pt`, from which training goes on, and `<model>_best.pt`, the best epoch's model.

    In an object store there is only what training goes on from, which holds the best epoch's weights too.

    run: hash of everything that decides the weights after an epoch; a checkpoint of another run is refused.
    seconds_between: least time between two checkpoints in a run, since small models train faster than a disk syncs.
    resume_own: go on from a checkpoint of this run, and pass by one of another, or a damaged one.
    """

    place: Location
    model: str
    run: str
    resume: bool = False
    seconds_between: float = 0.0
    resume_own: bool = False
    _started: float = field(default_factory=time.monotonic)
    _written: dict[str, float] = field(default_factory=dict)

    @classmethod
    def of(cls, fitting: Fitting, model: str) -> Self | None:
        """The checkpoints of a fitting, or None where it wants none."""
        if (own := fitting.checkpoints) is None:
            return None
        trainer = fitting.trainer
        return cls(own.place, model, own.run, trainer.resume, trainer.checkpoint_seconds, own.resume_own)

    def __post_init__(self) -> None:
        self._remote = RemoteCheckpoints(str(self.place), self.model, self.run) if is_url(self.place) else None

    @property
    def last(self) -> Path:
        return Path(self.place) / f"{self.model}_last{CHECKPOINT_SUFFIX}"

    @property
    def best(self) -> Path:
        return Path(self.place) / f"{self.model}_best{CHECKPOINT_SUFFIX}"

    def restore(self, state: TrainingState) -> None:
        """Bring a fresh state to where the last checkpoint left off; without one it stays as it is.

        Raises ConfigError when that checkpoint belongs to other settings or data, StoreError when it is damaged.
        """
        resumed = self.resume or self.resume_own
        if self._remote:
            self._remote.sweep()
            if not resumed:
                self._remote.clear()
        if not resumed or (saved := self._saved()) is None:
            return
        state.network.load_state_dict(saved["network"])
        state.optimizer.load_state_dict(saved["optimizer"])
        state.scheduler.load_state_dict(saved["scheduler"])
        state.rng.bit_generator.state = json.loads(saved["numpy_rng"])
        torch.set_rng_state(saved["torch_rng"])
        if saved["device_rng"] is not None:
            torch.get_device_module(state.device).set_rng_state(saved["device_rng"])
        state.history.extend(Epoch(**epoch) for epoch in saved["history"])
        log.info("%s: going on after epoch %d, by the checkpoint in %s", self.model, len(state.history), self.place)
        if state.stopping:
            state.stopping.best_epoch, state.stopping.best_value = saved["best_epoch"], saved["best_value"]
            state.stopping.best_weights = saved["best_weights"]

    def _saved(self) -> dict[str, Any] | None:
        """The training state in this run's last checkpoint; None where training starts afresh."""
        if self._remote:
            saved = self._remote.newest(lambda path: read_checkpoint(path).training)
            if saved is None:
                log.info("%s: no checkpoint of this training in %s; starting afresh", self.model, self.place)
            return saved
        if not self.last.exists():
            log.info("%s: no checkpoint %s to go on from; starting afresh", self.model, self.last)
            return None
        try:
            saved = read_checkpoint(self.last).training
        except StoreError:
            if self.resume:
                raise
            saved = {}
        if saved.get("run") == self.run:
            return saved
        if self.resume:
            raise ConfigError(
                f"{self.last} was made with other settings or data than this run's, so it cannot be resumed; "
                "repeat the settings it was started with, or leave trainer.resume out to start afresh"
            )
        log.info("%s: %s is not of this training; starting afresh", self.model, self.last)
        return None

    def epoch_ended(self, model: Recommender, state: TrainingState, improved: bool) -> None:
        """Write the checkpoints that are due after an epoch."""
        if improved and self._due(self.best):
            self.write_best(model)
        if self._due(self.last):
            self.write_last(model, state)

    def write_best(self, model: Recommender) -> None:
        if self._remote is None:
            replace_file(self.best, checkpoint_content(CheckpointFile((model.description(), model.arrays()), {})))

    def write_last(self, model: Recommender, state: TrainingState) -> None:
        made = CheckpointFile((model.description(), model.arrays()), self._training(state))
        if self._remote:
            self._remote.write(checkpoint_content(made), len(state.history))
        else:
            replace_file(self.last, checkpoint_content(made))

    def _due(self, path: Path) -> bool:
        now = time.monotonic()
        if now - self._written.setdefault(path.name, self._started) < self.seconds_between:
            return False
        self._written[path.name] = now
        return True

    def _training(self, state: TrainingState) -> dict[str, Any]:
        on_accelerator = state.device.type != "cpu"
        stopping = state.stopping
        return {
            "run": self.run,
            "network": state.network.state_dict(),
            "optimizer": state.optimizer.state_dict(),
            "scheduler": state.scheduler.state_dict(),
            "numpy_rng": json.dumps(state.rng.bit_generator.state),
            "torch_rng": torch.get_rng_state(),
            "device_rng": torch.get_device_module(state.device).get_rng_state() if on_accelerator else None,
            "history": [asdict(epoch) for epoch in state.history],
            "best_epoch": stopping.best_epoch if stopping else 0,
            "best_value": stopping.best_value if stopping else None,
            "best_weights": stopping.best_weights if stopping else {},
        }
