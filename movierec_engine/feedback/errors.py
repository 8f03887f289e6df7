"""Errors of feedback: the log itself, a value in an event, or a key that is used twice."""

from movierec_engine.errors import MovierecError


class FeedbackError(MovierecError):
    """The log cannot be read or written: damaged, of a newer release, busy, away, or on a full disk."""


class LogBusy(FeedbackError):
    """Another process holds the log; nothing was written."""


class LogAway(FeedbackError):
    """The log's database does not answer; it is unknown whether the events were written, so send them again."""


class InvalidFeedback(FeedbackError):
    """A value that no log takes; `field` names it."""

    def __init__(self, field: str, complaint: str) -> None:
        super().__init__(f"{field} {complaint}")
        self.field = field


class IdempotencyConflict(FeedbackError):
    """A key that its user used before: for something else, or for an event that was undone or erased since."""


class UnknownEvent(FeedbackError):
    """Feedback that is to be undone and was never recorded."""
