"""The values that go into the log and come out of it. Whatever can be built can be recorded."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

from movierec_engine.feedback.errors import InvalidFeedback

Kind = Literal["rating", "click", "not_interested"]
Status = Literal["recorded", "already recorded", "erased"]

MAX_ID = 2**63 - 1
MAX_TEXT = 200
"""Longest key, name or version, in characters."""
MAX_LIST = 1000
"""Longest list of an exposure."""


@dataclass(frozen=True)
class FeedbackEvent:
    """One thing that one person did with one movie.

    Raises InvalidFeedback, naming the field, for a value that the log does not take.
    """

    key: str
    """Idempotency key, chosen by the client: the same key is recorded once, however often it is sent."""
    user_id: int
    movie_id: int
    kind: Kind
    rating: float | None = None
    """Of a rating, any finite number: what its scale is, the data set says."""
    request_id: str = ""
    """Of the exposure that it answers."""
    model: str = ""
    version: str = ""
    experiment: str = ""
    variant: str = ""

    def __post_init__(self) -> None:
        _text("key", self.key, required=True)
        check_identifier("user_id", self.user_id)
        check_identifier("movie_id", self.movie_id)
        if self.kind not in get_args(Kind):
            raise InvalidFeedback(
                "kind", f"{_shown(self.kind)} is not known; choose one of {', '.join(get_args(Kind))}"
            )
        if self.kind != "rating" and self.rating is not None:
            raise InvalidFeedback("rating", f"does not belong to a {self.kind}; leave it out")
        if self.kind == "rating" and not _finite(self.rating):
            raise InvalidFeedback("rating", f"{_shown(self.rating)} is not a finite number; give one")
        for name in ("request_id", "model", "version", "experiment", "variant"):
            _text(name, getattr(self, name))

    def content(self) -> tuple[object, ...]:
        """What the client said, by which a repetition is told from a conflict.

        The server adds model, version and variant; a repetition may meet a server that has moved on to newer ones.
        """
        return self.user_id, self.movie_id, self.kind, self.rating, self.request_id


@dataclass(frozen=True)
class LoggedEvent:
    """An event as the log holds it."""

    seq: int
    """Place in the log, from 1; never used again, even when the event is erased."""
    at_ms: int
    """The server's time, in milliseconds since 1970."""
    event: FeedbackEvent


@dataclass(frozen=True)
class Recorded:
    """The answer to an event."""

    seq: int
    """Its place in the log; 0 if erased."""
    status: Status
    """`erased`: the key was recorded once and erased with its user since; it stays out."""


@dataclass(frozen=True)
class Exposure:
    """A list that was shown to somebody.

    Raises InvalidFeedback, naming the field, for a value that the log does not take.
    """

    request_id: str
    """Of the answer that held the list; each is kept once."""
    user_id: int
    movie_ids: tuple[int, ...]
    model: str = ""
    version: str = ""
    experiment: str = ""
    variant: str = ""
    """Empty for an interleaved list, which is of several."""
    teams: tuple[str, ...] = ()
    """Of an interleaved list: the variant that contributed each movie, "" where it is credited to none."""

    def __post_init__(self) -> None:
        _text("request_id", self.request_id, required=True)
        check_identifier("user_id", self.user_id)
        if len(self.movie_ids) > MAX_LIST:
            raise InvalidFeedback("movie_ids", f"has {len(self.movie_ids)} movies; a list has at most {MAX_LIST}")
        for movie_id in self.movie_ids:
            check_identifier("movie_ids", movie_id)
        for name in ("model", "version", "experiment", "variant"):
            _text(name, getattr(self, name))
        for team in self.teams:
            _text("teams", team)
        if self.teams and len(self.teams) != len(self.movie_ids):
            raise InvalidFeedback(
                "teams", f"has {len(self.teams)} names for {len(self.movie_ids)} movies; give each one"
            )


@dataclass(frozen=True)
class UserState:
    """What one person's feedback says now."""

    ratings: dict[int, float] = field(default_factory=dict)
    """Movie -> its newest rating, the most recently rated last."""
    clicked: frozenset[int] = frozenset()
    not_interested: frozenset[int] = frozenset()
    erasure: int = 0
    """Number of the person's newest erasure, 0 without one: what was trained on data that took in an older erasure
    must not be asked about this person. The feedback above was given after it."""


@dataclass(frozen=True)
class Erasure:
    """That everything of a person up to a moment is gone, and stays gone."""

    number: int
    """From 1, in the order of erasures over all people."""
    user_id: int
    at_ms: int
    through_seq: int
    """The newest event of the log, of anybody, at that moment."""


def check_identifier(name: str, value: object) -> None:
    """Raises InvalidFeedback unless the value is a whole number from 0 to 2^63-1."""
    if type(value) is not int or not 0 <= value <= MAX_ID:
        raise InvalidFeedback(name, f"{_shown(value)} is not a whole number from 0 to 2^63-1; correct it")


def _text(name: str, value: object, required: bool = False) -> None:
    if not isinstance(value, str) or (required and not value):
        raise InvalidFeedback(name, f"{_shown(value)} is not a text of 1 to {MAX_TEXT} characters; give one")
    if len(value) > MAX_TEXT:
        raise InvalidFeedback(name, f"is {len(value)} characters long; give at most {MAX_TEXT}")
    if not value.isprintable():
        raise InvalidFeedback(name, f"{value!a} holds characters that cannot be printed; leave them out")


def _finite(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def _shown(value: object) -> str:
    """A value for a sentence, cut where it is long; numbers of thousands of digits have no text at all."""
    if isinstance(value, int) and value.bit_length() > 128:
        return f"of {value.bit_length()} bits"
    if isinstance(value, Sequence) and len(value) > 60:
        return f"of length {len(value)}"
    return f"{value!r:.60}"
