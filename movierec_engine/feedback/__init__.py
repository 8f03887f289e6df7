"""Feedback of people on their recommendations: an append-only log, durable before it answers, and its summary."""

from movierec_engine.feedback.erasures import Erasure
from movierec_engine.feedback.errors import (
    FeedbackError,
    IdempotencyConflict,
    InvalidFeedback,
    LogAway,
    LogBusy,
    UnknownEvent,
)
from movierec_engine.feedback.events import (
    Exposure,
    FeedbackEvent,
    ListContext,
    LoggedEvent,
    Recorded,
    ShownList,
    UserState,
)
from movierec_engine.feedback.intake import Intake
from movierec_engine.feedback.log import FeedbackLog
from movierec_engine.feedback.logs import FeedbackLogs
from movierec_engine.feedback.sqlite.log import SqliteLog, log_file

__all__ = [
    "Erasure",
    "Exposure",
    "FeedbackError",
    "FeedbackEvent",
    "FeedbackLog",
    "FeedbackLogs",
    "IdempotencyConflict",
    "Intake",
    "InvalidFeedback",
    "ListContext",
    "LogAway",
    "LogBusy",
    "LoggedEvent",
    "Recorded",
    "ShownList",
    "SqliteLog",
    "UnknownEvent",
    "UserState",
    "log_file",
]
