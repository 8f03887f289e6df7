"""One small interface to whatever records a run."""

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

log = logging.getLogger(__name__)


class Tracker(Protocol):
    """Records one run: parameters at its start, metrics on the way, its end."""

    def start(self, run_name: str, params: Mapping[str, Any]) -> None:
        """Begin the run; params are flat, dotted names."""

    def log(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Record metrics, at a step (the epoch) or of the whole run."""

    def finish(self, ok: bool) -> None:
        """End the run as finished or failed."""

    def ids(self) -> dict[str, str]:
        """What finds the run again, such as its mlflow_run_id; kept in the manifests of what the run made."""


class Trackers:
    """Several trackers as one. A tracker that fails is dropped with one warning: it never stops a training run."""

    def __init__(self, trackers: Sequence[Tracker] = ()) -> None:
        self._trackers = list(trackers)

    def start(self, run_name: str, params: Mapping[str, Any]) -> None:
        self._each(lambda tracker: tracker.start(run_name, params))

    def log(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        self._each(lambda tracker: tracker.log(metrics, step))

    def finish(self, ok: bool) -> None:
        self._each(lambda tracker: tracker.finish(ok))

    def ids(self) -> dict[str, str]:
        return {name: value for tracker in self._trackers for name, value in tracker.ids().items()}

    def _each(self, call: Callable[[Tracker], None]) -> None:
        for tracker in list(self._trackers):
            try:
                call(tracker)
            except Exception as error:  # whatever a tracker's library raises, the run goes on
                self._trackers.remove(tracker)
                log.warning("%s: no longer recording this run (%s)", type(tracker).__name__, error)


NO_TRACKER = Trackers()
"""Records nothing."""


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings as dotted names."""
    flat: dict[str, Any] = {}
    for name, value in values.items():
        key = f"{prefix}{name}"
        flat |= flatten(value, f"{key}.") if isinstance(value, Mapping) else {key: value}
    return flat
