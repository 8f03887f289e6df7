"""The feedback logs beside the artifacts: people's feedback since the model was trained, without delay.

A log that cannot be read (damaged, of a newer release, on a file system that is mounted read-only, or kept by another
process) fails no list. Lists come without live feedback then, and the second record of erasures decides whether the
model may be asked about somebody; where that cannot be read either, nobody's list is personal. Nothing is recorded
meanwhile, which is said to whoever tries.
"""

import logging
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import NamedTuple, Protocol

from movierec_engine.data.id_map import PublicId
from movierec_engine.feedback import (
    Erasure,
    Exposure,
    FeedbackError,
    FeedbackEvent,
    FeedbackLog,
    FeedbackLogs,
    IdempotencyConflict,
    InvalidFeedback,
    LogAway,
    LogBusy,
    Recorded,
    UnknownEvent,
    UserState,
)
from movierec_engine.feedback.events import Kind
from movierec_engine.feedback.exposure_queue import ExposureQueue
from movierec_engine.feedback.outage import Outage

log = logging.getLogger(__name__)

NOTHING_SAID = UserState()
PAUSE_SECONDS = 0.5
"""How long a log that could not be read is left alone."""


class Count(Protocol):
    """Raises a counter of what became of feedback, by its name and labels."""

    def __call__(self, name: str, by: float = 1.0, **labels: str) -> None: ...


def uncounted(name: str, by: float = 1.0, **labels: str) -> None:
    """Where nobody asks for counters, as in an export."""


class LogState(NamedTuple):
    """status: ok, busy, away, unreadable or read-only. message: what is wrong, in a sentence."""

    status: str
    message: str | None = None


class LiveFeedback:
    """One log for each data set, of the store whose indices are served. count: raises counters."""

    def __init__(self, logs: FeedbackLogs, count: Count = uncounted) -> None:
        self._places, self._count = logs, count
        self._logs: dict[str, FeedbackLog] = {}
        self._queues: dict[str, ExposureQueue] = {}
        self._left_alone: dict[str, float] = {}  # data set whose log could not be read -> until when
        self._refused: dict[str, FeedbackError] = {}  # data set whose log refused the last change -> why
        self._unread, self._refusing = defaultdict[str, Outage](Outage), defaultdict[str, Outage](Outage)
        self._making = threading.Lock()

    def log(self, data_set: str) -> FeedbackLog:
        with self._making:
            known = self._logs.get(data_set)
            if known is None:
                known = self._logs[data_set] = self._places.of(data_set, live=True)
            return known

    def state(self, data_set: str, user_id: PublicId) -> UserState:
        """A user's feedback as of now; raises nothing, and `known` says whether the log could be read.

        Where nobody has said anything yet that costs one look at a folder.
        """
        feedback = self.log(data_set)
        if time.monotonic() < self._left_alone.get(data_set, 0.0):
            return feedback.state_without_log(user_id)
        try:
            state = feedback.state(user_id) if feedback.begun else NOTHING_SAID
        except InvalidFeedback:
            raise
        except FeedbackError as error:
            if self._unread[data_set].begins(str(error)):
                log.error("lists come without live feedback: %s", error)
            pause = 0.0 if isinstance(error, LogAway) else PAUSE_SECONDS  # that it is away is told without a wait
            self._left_alone[data_set] = time.monotonic() + pause
            return feedback.state_without_log(user_id)
        if self._unread[data_set].ends():
            log.info("%s can be read again", feedback.where)
        return state

    def record(self, data_set: str, events: Sequence[FeedbackEvent]) -> list[Recorded]:
        """Append events, durable before this returns, and count them."""
        try:
            with self._changing(data_set):
                recorded = self.log(data_set).record(events)
        except FeedbackError:
            self._count("movierec_feedback_refused_total", len(events))
            raise
        for event, made in zip(events, recorded, strict=True):
            self._count("movierec_feedback_events_total", kind=event.kind, status=made.status)
        return recorded

    def undo(self, data_set: str, user_id: PublicId, key: str) -> int:
        """Take one event back."""
        with self._changing(data_set):
            return self._count_undone(self.log(data_set).undo(user_id, key))

    def undo_all(self, data_set: str, user_id: PublicId, movie_id: PublicId, kind: Kind) -> int:
        """Take back whatever of one kind a user said of a movie."""
        with self._changing(data_set):
            return self._count_undone(self.log(data_set).undo_all(user_id, movie_id, kind))

    def erase(self, data_set: str, user_id: PublicId) -> Erasure:
        """Erase a user's feedback."""
        with self._changing(data_set):
            return self.log(data_set).erase(user_id)

    def expose(self, data_set: str, shown: Exposure) -> None:
        """Have a list noted as shown, in the background: no answer waits or fails for it."""
        self._queue(data_set).put(shown)

    def flush(self) -> None:
        """Wait, for a moment, until the lists that were shown are noted."""
        for queue in list(self._queues.values()):
            queue.flush()

    def close(self) -> None:
        """Note the lists that wait, before the process ends."""
        for queue in list(self._queues.values()):
            queue.close()
        for feedback in list(self._logs.values()):
            feedback.close()

    def health(self, data_set: str) -> LogState:
        """The state of a log at this moment."""
        feedback = self.log(data_set)
        try:
            state = feedback.state(0) if feedback.begun else NOTHING_SAID
        except FeedbackError as error:
            known = feedback.state_without_log(0).erasure == 0
            lists = "lists come without live feedback" if known else "no list is personal"
            if isinstance(error, LogAway):
                lists = "lists come by what was last known of people" if known else "no list is personal"
                said = (
                    f"the feedback database does not answer, so {lists} and nothing is recorded; see the server's log"
                )
                return LogState("away", said)
            said = f"the feedback log cannot be read, so {lists} and nothing is recorded; see the server's log"
            return LogState("busy" if isinstance(error, LogBusy) else "unreadable", said)
        assert state.known
        try:
            feedback.check_writable()
        except LogBusy:
            return LogState("busy", "another process holds the feedback log, so nothing is recorded")
        except FeedbackError:
            return LogState("read-only", "the feedback log cannot be written, so nothing is recorded")
        refused = self._refused.get(data_set)
        if refused and not isinstance(refused, (LogBusy, LogAway)):  # which would have been told just now
            said = "the feedback log refused what was last to be recorded, as on a full disk; see the server's log"
            return LogState("read-only", said)
        return LogState("ok")

    def _queue(self, data_set: str) -> ExposureQueue:
        feedback = self.log(data_set)
        with self._making:
            queue = self._queues.get(data_set)
            if queue is None:
                noted = partial(self._count_shown, data_set)
                queue = self._queues[data_set] = ExposureQueue(feedback, noted, self._count_dropped)
            return queue

    @contextmanager
    def _changing(self, data_set: str) -> Iterator[None]:
        """Logs a line when the feedback log starts to refuse writes and one when it accepts them again."""
        try:
            yield
        except (InvalidFeedback, IdempotencyConflict, UnknownEvent):  # the client's own
            raise
        except FeedbackError as error:
            self._refused[data_set] = error
            if self._refusing[data_set].begins(str(error)):
                log.error("feedback is refused, which is said once a minute at most: %s", error)
            raise
        self._say_it_takes_changes(data_set)

    def _say_it_takes_changes(self, data_set: str) -> None:
        self._refused.pop(data_set, None)
        if refused := self._refusing[data_set].ends():
            log.info("%s takes feedback again; %d changes were refused", self.log(data_set).where, refused)

    def _count_undone(self, undone: int) -> int:
        self._count("movierec_feedback_undone_total", undone)
        return undone

    def _count_shown(self, data_set: str, written: Sequence[Exposure]) -> None:
        self._say_it_takes_changes(data_set)
        for shown in written:
            self._count("movierec_exposures_total", experiment=shown.experiment)

    def _count_dropped(self, dropped: int) -> None:
        self._count("movierec_exposures_dropped_total", dropped)
