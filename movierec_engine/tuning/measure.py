"""One trial: a model fitted and measured on validation, within its time."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from movierec_engine.config import Settings
from movierec_engine.data.dataset import Dataset
from movierec_engine.evaluation.evaluator import Evaluator
from movierec_engine.evaluation.metrics import Reported
from movierec_engine.models.base import ClosedFormRecommender, Recommender
from movierec_engine.models.fitting import Epoch, Fitting, StopTraining
from movierec_engine.models.registry import model_class
from movierec_engine.reporting.progress import TimeIsUp, until
from movierec_engine.store.files import replacing

Keep = Callable[[int, float], bool]
"""`keep(epoch, best)`: whether a trial whose best value so far is this goes on after the epoch."""


OUT_OF_TIME = "out of time"


@dataclass(frozen=True, eq=False)
class Measurement:
    """The result of a trial on validation."""

    per_user: NDArray[np.float64]
    """The metric of each user, float64 [n]."""
    seconds: float
    """Time of the fit with its validation."""
    epochs: int
    note: str = ""
    """`stopped after epoch 3` where it was; its value is that of its best epoch until then."""

    @property
    def pruned(self) -> bool:
        return self.note.startswith("stopped")

    @property
    def out_of_time(self) -> bool:
        """True where the time was up before training would have ended: with more, its value may be higher."""
        return self.note.startswith(OUT_OF_TIME)

    @property
    def value(self) -> float:
        return float(np.nanmean(self.per_user))

    def save(self, path: Path) -> None:
        with replacing(path) as unfinished, unfinished.open("wb") as file:
            np.savez(file, per_user=self.per_user, seconds=self.seconds, epochs=self.epochs, note=self.note)

    @classmethod
    def load(cls, path: Path) -> "Measurement":
        with np.load(path, allow_pickle=False) as kept:
            return cls(kept["per_user"], float(kept["seconds"]), int(kept["epochs"]), str(kept["note"]))


def measure(
    settings: Settings,
    data: Dataset,
    deadline: float,
    members: Mapping[str, Recommender] | None = None,
    keep: Keep = lambda epoch, best: True,
) -> Measurement | None:
    """Fit a model and measure it on validation by `trainer.early_stopping.metric`; None when the time is up before.

    deadline: a moment of `time.monotonic`. A model that is trained by epochs ends with the one after which another
    would be too late, a closed form at its next step after it. keep: asked after each epoch.
    """
    stopping, started = settings.trainer.early_stopping, time.monotonic()
    evaluator = Evaluator(settings.evaluation.k_values, (Reported.read(stopping.metric).name,))
    stopped, best = "", None

    def on_epoch(epoch: Epoch) -> None:
        nonlocal best, stopped
        value = epoch.metrics.get(stopping.metric)
        best = value if value is not None and stopping.improves(value, best) else best
        late = time.monotonic() + epoch.seconds > deadline
        if late or not keep(epoch.number, best or 0.0):
            stopped = f"{OUT_OF_TIME if late else 'stopped'} after epoch {epoch.number}"
            raise StopTraining

    model = model_class(settings.model_name)(settings.model).start_from(members or {})
    fitting = Fitting(settings.trainer, settings.device, settings.seed, evaluator=evaluator, on_epoch=on_epoch)
    try:
        with until(deadline if isinstance(model, ClosedFormRecommender) else float("inf")):
            model.fit(data, fitting)
    except TimeIsUp:
        return None
    per_user = evaluator.evaluate(model.as_validated(), data.validation, deep=False).per_user[stopping.metric]
    return Measurement(per_user, time.monotonic() - started, len(model.epochs), stopped)
