"""Feedback events that tests of logs record."""

from typing import Any

from movierec_engine.feedback import FeedbackEvent


def rating(key: str, user: int = 1, movie: int = 10, value: float = 4.0, **more: Any) -> FeedbackEvent:
    return FeedbackEvent(key, user, movie, "rating", value, **more)
