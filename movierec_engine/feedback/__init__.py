"""Feedback of people on their recommendations: an append-only log, durable before it answers, and its summary."""

from movierec_engine.feedback.erasures import Erasure
from movierec_engine.feedback.errors import FeedbackError, IdempotencyConflict, InvalidFeedback, LogBusy, UnknownEvent
from movierec_engine.feedback.events import Exposure, FeedbackEvent, LoggedEvent, Recorded, UserState
from movierec_engine.feedback.intake import Intake
from movierec_engine.feedback.log import FeedbackLog, log_file

__all__ = [
    "Erasure",
    "Exposure",
    "FeedbackError",
    "FeedbackEvent",
    "FeedbackLog",
    "IdempotencyConflict",
    "Intake",
    "InvalidFeedback",
    "LogBusy",
    "LoggedEvent",
    "Recorded",
    "UnknownEvent",
    "UserState",
    "log_file",
]
