"""Progress of a training run for the person who waits for it."""

import logging
from collections.abc import Mapping
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from movierec_engine.reporting import numbers

log = logging.getLogger(__name__)


class EpochProgress:
    """A bar with epoch, loss, metric and time left on a terminal, and a log line an epoch elsewhere.

    Until the first epoch ends, and for a model without epochs, the bar only moves.
    """

    def __init__(self, name: str, max_epochs: int, metric: str) -> None:
        self._console = Console(stderr=True)
        self._name, self._max_epochs, self._metric = name, max_epochs, metric
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[state]}"),
            TimeRemainingColumn(),
            console=self._console,
        )
        self._task = self._progress.add_task(name, total=None, state="")  # a closed form has no epochs

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._console.is_terminal:
            self._progress.stop()

    def show(self, number: int, loss: float, metrics: Mapping[str, float]) -> None:
        """An epoch has ended: its number from 1, its mean loss and its validation metrics."""
        state = f"loss {numbers.score(loss)}"
        if self._metric in metrics:
            state += f", {self._metric} {numbers.score(metrics[self._metric])}"
        if self._console.is_terminal:
            self._progress.update(self._task, completed=number, total=self._max_epochs, state=state)
        else:
            log.info("%s: epoch %d of at most %d, %s", self._name, number, self._max_epochs, state)
