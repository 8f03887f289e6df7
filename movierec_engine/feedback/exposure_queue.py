"""Exposures on their way into the log: a bounded queue that one background thread writes, so that no answer waits."""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence

from movierec_engine.feedback.errors import FeedbackError
from movierec_engine.feedback.events import Exposure
from movierec_engine.feedback.log import FeedbackLog
from movierec_engine.feedback.outage import Outage

log = logging.getLogger(__name__)

MOST_WAITING = 10_000
"""Exposures that wait at most; further ones are dropped, counted and logged."""
_BATCH = 500
_RETRY_SECONDS = 0.5
_DRAIN_SECONDS = 2.0


class ExposureQueue:
    """One log's exposures, written in the order in which they were put.

    on_written: called with each batch that is in the log. on_dropped: called with how many were given up.
    """

    def __init__(
        self,
        feedback: FeedbackLog,
        on_written: Callable[[Sequence[Exposure]], None] = lambda written: None,
        on_dropped: Callable[[int], None] = lambda dropped: None,
    ) -> None:
        self._feedback, self._on_written, self._on_dropped = feedback, on_written, on_dropped
        self._waiting: deque[Exposure] = deque()
        self._changed = threading.Condition()
        self._writer: threading.Thread | None = None
        self._closing = self._full = False
        self._outage = Outage()

    def put(self, shown: Exposure) -> None:
        """Have an exposure written soon; never waits for the log."""
        with self._changed:
            dropped = self._closing or len(self._waiting) >= MOST_WAITING
            if not dropped:
                self._waiting.append(shown)
                if self._writer is None:
                    self._writer = threading.Thread(target=self._write, name="exposures", daemon=True)
                    self._writer.start()
                self._changed.notify_all()
            first, self._full = dropped and not self._full, dropped
        if dropped:
            self._drop(1, log_it=first)

    def flush(self, seconds: float = _DRAIN_SECONDS) -> bool:
        """Wait until all that was put is in the log, at most so long; whether it is."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._waiting, seconds)

    def close(self, seconds: float = _DRAIN_SECONDS) -> None:
        """Write the waiting exposures for at most the given time; the rest is dropped."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self.flush(seconds)
        with self._changed:
            left = len(self._waiting)
            self._waiting.clear()
            self._changed.notify_all()
        if self._writer is not None:
            self._writer.join(_RETRY_SECONDS)
        if left:
            self._drop(left)

    def _write(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._closing)
                if not self._waiting:
                    break
                batch = [shown for shown, _ in zip(self._waiting, range(_BATCH), strict=False)]
            try:
                self._feedback.expose(batch)
            except Exception as error:  # whatever it is, the thread goes on trying, as no other would
                if self._outage.begins(str(error)):
                    unforeseen = not isinstance(error, FeedbackError)
                    log.error("lists that were shown wait to be noted: %s", error, exc_info=unforeseen)
                time.sleep(_RETRY_SECONDS)
                continue
            self._outage.ends()
            with self._changed:
                for _ in range(min(len(batch), len(self._waiting))):
                    self._waiting.popleft()
                self._changed.notify_all()
            self._on_written(batch)
        self._feedback.close()

    def _drop(self, count: int, log_it: bool = True) -> None:
        self._on_dropped(count)
        if log_it:
            log.error("%d lists that were shown are not noted, and more may follow: the feedback log takes none", count)
