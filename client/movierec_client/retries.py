"""Retries: what is asked again, how often, and after how long."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

AGAIN = frozenset((429, 502, 503, 504))
"""Statuses of a server that will answer later."""


@dataclass(frozen=True)
class Retries:
    """How often something is asked, and how long is waited in between.

    Before the n-th retry a random time of at most `first * 2^(n-1)` seconds is waited, and never more than `longest`
    ("full jitter", Brooker 2015), so that clients that failed together do not come back together. Where the server says
    Retry-After, that time is waited at least.
    """

    attempts: int = 5
    """Requests in all; 1 for no retry."""
    first: float = 0.2
    longest: float = 5.0

    def __post_init__(self) -> None:
        if self.attempts < 1 or self.first < 0 or self.longest < 0:
            raise ValueError(f"{self}: attempts must be 1 or more, and the times not negative")

    def pause(self, retry: int, retry_after: float | None, draw: Callable[[], float] = random.random) -> float:
        """Seconds before a retry, the first of which has the number 1. draw: a random number from 0 to 1."""
        jitter = draw() * min(self.longest, self.first * 2.0 ** (retry - 1))
        return jitter if retry_after is None else retry_after + jitter


def seconds_of(retry_after: str | None) -> float | None:
    """Seconds that a header Retry-After asks for, which has a number or a date; None for neither."""
    if retry_after is None:
        return None
    if retry_after.strip().isdecimal():
        return float(retry_after)
    try:
        when = parsedate_to_datetime(retry_after)
    except ValueError:
        return None
    return max(0.0, (when.astimezone(UTC) - datetime.now(UTC)).total_seconds())
