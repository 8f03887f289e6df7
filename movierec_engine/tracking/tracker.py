"""One small interface to whatever records a run."""

import logging
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from threading import Condition, Thread
from typing import Any, Literal, Protocol

from movierec_engine.errors import MissingExtraError, MovierecError
from movierec_engine.store import Artifact
from movierec_engine.tracking.server import without_credentials

log = logging.getLogger(__name__)

TIMEOUT_SECONDS = 30.0
"""How long a run waits for a tracker: at its start, for numbers of the whole run, and at its end."""

End = Literal["finished", "failed", "terminated"]
"""How a run ends; terminated: a person interrupted it."""


class Tracker(Protocol):
    """Records one run: parameters at its start, metrics on the way, what it made, its end."""

    def start(self, run_name: str, params: Mapping[str, Any]) -> None:
        """Begin the run; params are flat, dotted names."""

    def log(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Record metrics, at a step (the epoch) or of the whole run."""

    def outcome(self, trained_model: Artifact, report: Artifact) -> None:
        """Record what the run made: its report and settings, and the model's files where it is to be registered."""

    def finish(self, end: End, reason: str = "") -> None:
        """End the run; reason: why it failed, in the sentence that the command line prints."""

    def ids(self) -> dict[str, str]:
        """Ids that find the run again, such as its mlflow_run_id; kept in the manifests of what the run made."""


class Trackers:
    """Several trackers as one, each in a thread of its own: none stops a training run, and epochs wait for none.

    A tracker that fails, or keeps a run waiting for longer than TIMEOUT_SECONDS, is dropped with one warning.
    """

    def __init__(self, trackers: Sequence[Tracker] = ()) -> None:
        self._recorders = [_Recorder(tracker) for tracker in trackers]

    def start(self, run_name: str, params: Mapping[str, Any]) -> None:
        self._each(lambda tracker: tracker.start(run_name, params), wait=True)

    def log(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        self._each(lambda tracker: tracker.log(metrics, step), wait=step is None)

    def outcome(self, trained_model: Artifact, report: Artifact) -> None:
        self._each(lambda tracker: tracker.outcome(trained_model, report), wait=False)

    def finish(self, end: End, reason: str = "") -> None:
        self._each(lambda tracker: tracker.finish(end, reason), wait=True)

    def ids(self) -> dict[str, str]:
        recording = [recorder.tracker for recorder in self._recorders if not recorder.dropped]
        return {name: value for tracker in recording for name, value in tracker.ids().items()}

    def _each(self, call: Callable[[Tracker], None], wait: bool) -> None:
        for recorder in self._recorders:
            recorder.tell(call)
        if wait:
            for recorder in self._recorders:
                recorder.settle(TIMEOUT_SECONDS)


NO_TRACKER = Trackers()
"""Records nothing."""


class _Recorder:
    """A tracker that is told what to record, and does it in that order in a thread until something fails."""

    def __init__(self, tracker: Tracker) -> None:
        self.tracker = tracker
        self.dropped = False
        self._calls: deque[Callable[[Tracker], None]] = deque()
        self._busy = False
        self._changed = Condition()

    def tell(self, call: Callable[[Tracker], None]) -> None:
        with self._changed:
            if self.dropped:
                return
            self._calls.append(call)
            if not self._busy:
                self._busy = True
                Thread(target=self._work, name=type(self.tracker).__name__, daemon=True).start()

    def settle(self, seconds: float) -> None:
        """Wait until everything told is done; a tracker that takes longer is dropped."""
        with self._changed:
            settled = self._changed.wait_for(lambda: self.dropped or not self._busy, seconds)
        if not settled:
            self._drop(f"it did not answer within {seconds:g} s")

    def _work(self) -> None:
        while call := self._next():
            try:
                call(self.tracker)
            except ModuleNotFoundError as error:
                self._drop(str(MissingExtraError(error)))
            except Exception as error:  # whatever a tracker's library raises, the run goes on
                self._drop(without_credentials(" ".join(f"{type(error).__name__}: {error}".split()))[:300])

    def _next(self) -> Callable[[Tracker], None] | None:
        with self._changed:
            if self._calls:
                return self._calls.popleft()
            self._busy = False
            self._changed.notify_all()
            return None

    def _drop(self, reason: str) -> None:
        with self._changed:
            if self.dropped:
                return
            self.dropped = True
            self._calls.clear()
            log.warning("%s: no longer recording this run (%s)", type(self.tracker).__name__, reason)
            self._changed.notify_all()


@contextmanager
def ended(tracker: Tracker) -> Iterator[None]:
    """End a tracker's run with the body, however that ends."""
    end: End = "terminated"
    reason = ""
    try:
        yield
        end = "finished"
    except Exception as error:
        end, reason = "failed", _sentence(error)
        raise
    finally:
        tracker.finish(end, reason)


def _sentence(error: Exception) -> str:
    """An error as the command line says it: a person's own in its words, any other with its kind."""
    text = str(error) if isinstance(error, MovierecError) else f"{type(error).__name__}: {error}"
    return without_credentials(" ".join(text.split()))


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings as dotted names."""
    flat: dict[str, Any] = {}
    for name, value in values.items():
        key = f"{prefix}{name}"
        flat |= flatten(value, f"{key}.") if isinstance(value, Mapping) else {key: value}
    return flat
