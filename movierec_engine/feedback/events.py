"""The values that go into the log and come out of it. What can be built, and is not of the future, can be recorded."""

import json
import math
import re
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Literal, NamedTuple, get_args

from movierec_engine.data.id_map import LONGEST_ID, PublicId
from movierec_engine.feedback.errors import InvalidFeedback

Kind = Literal["rating", "watched", "added_to_list", "click", "not_interested"]
Status = Literal["recorded", "already recorded"]

MAX_ID = 2**63 - 1
MAX_TEXT = 200
"""Longest key, name or version, in characters."""
MAX_LIST = 1000
"""Longest list of an exposure."""
EARLIEST = 31_536_000
"""The earliest time of an event, 1971: what lies before it is a date such as 20170923, or a missing value."""
AHEAD_SECONDS = 60
"""How far a client's clock may run ahead of the server's."""


def now_ms() -> int:
    """This moment, in milliseconds since 1970."""
    return time.time_ns() // 1_000_000


@dataclass(frozen=True)
class FeedbackEvent:
    """One thing that one person did with one movie.

    Raises InvalidFeedback, naming the field, for a value that the log does not take.
    """

    key: str
    """Idempotency key, chosen by the client: of one user the same key is recorded once, however often it is sent."""
    user_id: PublicId
    movie_id: PublicId
    kind: Kind
    rating: float | None = None
    """The rating, any finite number: what its scale is, the data set says."""
    shown_in: str = ""
    """Id of the list that showed the movie: its exposure_id, or the request id of its answer."""
    share: float | None = None
    """Share of a watched movie that was watched, from 0 to 1; None where that is not known."""
    timestamp: int | None = None
    """When it happened, in seconds since 1970, from EARLIEST to now; None for the moment of recording."""

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
        if self.kind != "watched" and self.share is not None:
            raise InvalidFeedback("share", f"does not belong to a {self.kind}; leave it out")
        if self.share is not None and not (_finite(self.share) and 0 <= self.share <= 1):
            raise InvalidFeedback("share", f"{_shown(self.share)} is not a number from 0 to 1; correct it")
        if self.timestamp is not None:
            _moment("timestamp", self.timestamp)
        _text("shown_in", self.shown_in)

    def content(self) -> tuple[object, ...]:
        """The client's values, by which a repetition is told from a conflict."""
        return self.movie_id, self.kind, self.rating, self.shown_in, self.share, self.timestamp


@dataclass(frozen=True)
class LoggedEvent:
    """An event as the log holds it."""

    seq: int
    """Place in the log, from 1; never used again, even when the event is erased."""
    at_ms: int
    """When it happened, in milliseconds since 1970: the event's own timestamp, or else the server's time, which never
    lies before what the user did with the movie earlier, even where the clock was set back."""
    event: FeedbackEvent
    undone: bool = False
    """Whether it was taken back."""


@dataclass(frozen=True)
class Recorded:
    """The answer to an event."""

    seq: int
    """Its place in the log."""
    status: Status


@dataclass(frozen=True)
class ListContext:
    """The context of a shown list: its scenario and region, and the rules in force."""

    scenario: str = "home"
    region: str = ""
    """As the request named it, empty where it did not."""
    rules: str = ""
    """The version of the rules that held, empty where none did."""
    first_row: int = 0
    """Number of movies in the first row of a page of rows, which is the person's own list; 0 for a list."""

    @classmethod
    def read(cls, text: str) -> "ListContext | None":
        """The context that a log holds as JSON; None for what is none."""
        try:
            given = json.loads(text)
            found = cls(**{name: value for name, value in given.items() if name in cls.__dataclass_fields__})
        except (ValueError, TypeError, AttributeError):
            return None
        texts = all(isinstance(one, str) for one in (found.scenario, found.region, found.rules))
        return found if texts and type(found.first_row) is int and found.first_row >= 0 else None

    def written(self) -> str:
        """As JSON, as a log holds it."""
        return json.dumps(asdict(self), separators=(",", ":"))


@dataclass(frozen=True)
class Exposure:
    """A list that was shown to somebody.

    Raises InvalidFeedback, naming the field, for a value that the log does not take.
    """

    exposure_id: str
    """The server's own name of the list; each is kept once."""
    user_id: PublicId
    movie_ids: tuple[PublicId, ...]
    model: str = ""
    version: str = ""
    experiment: str = ""
    variant: str = ""
    """Empty for an interleaved list, which is of several."""
    teams: tuple[str, ...] = ()
    """Variant that contributed each movie of an interleaved list, "" where it is credited to none."""
    request_id: str = ""
    """Request id of the answer that held the list, which the client may have chosen."""
    propensities: tuple[float, ...] = ()
    """Probability of each movie of an explored list at its place, above 0 and at most 1."""
    inclusions: tuple[float, ...] = ()
    """Probability of each movie of an explored list to be anywhere in it."""
    context: ListContext = ListContext()
    at_ms: int = field(default_factory=now_ms, compare=False)
    """When it was shown, in milliseconds since 1970."""

    def __post_init__(self) -> None:
        _text("exposure_id", self.exposure_id, required=True)
        check_identifier("user_id", self.user_id)
        if len(self.movie_ids) > MAX_LIST:
            raise InvalidFeedback("movie_ids", f"has {len(self.movie_ids)} movies; a list has at most {MAX_LIST}")
        for movie_id in self.movie_ids:
            check_identifier("movie_ids", movie_id)
        for name in ("model", "version", "experiment", "variant", "request_id"):
            _text(name, getattr(self, name))
        for team in self.teams:
            _text("teams", team)
        if self.teams and len(self.teams) != len(self.movie_ids):
            raise InvalidFeedback(
                "teams", f"has {len(self.teams)} names for {len(self.movie_ids)} movies; give each one"
            )
        for name in ("propensities", "inclusions"):
            _probabilities(name, getattr(self, name), len(self.movie_ids))


class ShownList(NamedTuple):
    """A shown list as a log holds it: unchecked, since the log may have been changed by hand.

    movie_ids, propensities, inclusions, context: None where they cannot be read; propensities and inclusions are empty
    for a list that was not explored.
    """

    exposure_id: str
    user_id: PublicId
    at_ms: int
    movie_ids: list[PublicId] | None
    model: str
    version: str
    request_id: str
    propensities: list[float] | None
    inclusions: list[float] | None
    context: ListContext | None = ListContext()


@dataclass(frozen=True)
class UserState:
    """The current state of one person's feedback, without what was undone.

    Of several ratings of a movie, and several times that it was watched, the one of the latest second counts, of equals
    the one that was recorded last.
    """

    ratings: dict[PublicId, float] = field(default_factory=dict)
    """Movie -> its newest rating, the most recently rated last."""
    clicked: frozenset[PublicId] = frozenset()
    not_interested: frozenset[PublicId] = frozenset()
    erasure: int = 0
    """Number of the person's newest erasure, 0 without one: what was trained on data that took in an older erasure
    must not be asked about this person. The feedback above was given after it."""
    watched: dict[PublicId, float | None] = field(default_factory=dict)
    """Movie -> share that was watched, None where that is not known; the most recently watched last."""
    added_to_list: frozenset[PublicId] = frozenset()
    rated_at: dict[PublicId, int] = field(default_factory=dict, compare=False)
    """Movie -> the second at which it got that rating."""
    known: bool = True
    """Whether the log could be read; else nothing above but `erasure` is known, which is ERASURE_UNKNOWN in doubt."""

    @cached_property
    def seen(self) -> frozenset[PublicId]:
        """Movies that the person has rated or watched, any share of them."""
        return frozenset(self.ratings).union(self.watched)

    @property
    def dismissed(self) -> frozenset[PublicId]:
        """Movies that the person does not want to be shown."""
        return self.not_interested

    @property
    def masked(self) -> frozenset[PublicId]:
        """Movies that are not to be recommended: seen or dismissed.

        A click and "added to list" leave theirs in: they were looked at, or are meant to be watched.
        """
        return self.dismissed | self.seen

    @property
    def said(self) -> bool:
        """True where there is any feedback."""
        return bool(self.masked or self.clicked or self.added_to_list)


_NOT_IN_IDS = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")

ERASURE_UNKNOWN = MAX_ID
"""A number above every erasure's: no model has heeded it, so that none is asked about this person."""


def check_identifier(name: str, value: object) -> None:
    """Raises InvalidFeedback unless the value is a whole number from 0 to 2^63-1, or a text that an id may be."""
    if isinstance(value, str):
        if not value or len(value) > LONGEST_ID or _NOT_IN_IDS.search(value):
            raise InvalidFeedback(
                name, f"{_shown(value)} is not a text of 1 to {LONGEST_ID} characters without control characters"
            )
    elif type(value) is not int or not 0 <= value <= MAX_ID:
        raise InvalidFeedback(name, f"{_shown(value)} is not a whole number from 0 to 2^63-1; correct it")


def _text(name: str, value: object, required: bool = False) -> None:
    if not isinstance(value, str) or (required and not value):
        raise InvalidFeedback(name, f"{_shown(value)} is not a text of 1 to {MAX_TEXT} characters; give one")
    if len(value) > MAX_TEXT:
        raise InvalidFeedback(name, f"is {len(value)} characters long; give at most {MAX_TEXT}")
    if not value.isprintable():
        raise InvalidFeedback(name, f"{value!a} holds characters that cannot be printed; leave them out")


def _probabilities(name: str, values: tuple[float, ...], movies: int) -> None:
    if values and len(values) != movies:
        raise InvalidFeedback(name, f"has {len(values)} numbers for {movies} movies; give each one")
    for value in values:
        if not (_finite(value) and 0 < value <= 1):
            raise InvalidFeedback(name, f"{_shown(value)} is not a probability above 0 and at most 1; correct it")


def check_not_ahead(event: FeedbackEvent) -> None:
    """Raises InvalidFeedback for an event of the future, but for a client's clock that runs a little ahead."""
    if event.timestamp is not None and event.timestamp > now_ms() // 1000 + AHEAD_SECONDS:
        raise InvalidFeedback("timestamp", f"{_shown(event.timestamp)} lies in the future; give seconds since 1970")


def _moment(name: str, value: object) -> None:
    if type(value) is not int or value < EARLIEST:
        raise InvalidFeedback(name, f"{_shown(value)} is not a time in seconds since 1970, from 1971 on; correct it")


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
