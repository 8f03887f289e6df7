"""The contract of a feedback log, of one data set, which the SQLite and the PostgreSQL log keep alike.

Ids mean something within their data set alone, so every data set has its own log. An event is durable before it is
acknowledged, and recorded once by its user and key, however often it is sent.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Literal, Protocol

import pyarrow as pa

from movierec_engine.data.id_map import PublicId
from movierec_engine.feedback.erasures import Erasure
from movierec_engine.feedback.errors import IdempotencyConflict, UnknownEvent
from movierec_engine.feedback.events import Exposure, FeedbackEvent, Kind, LoggedEvent, Recorded, ShownList, UserState
from movierec_engine.feedback.intake import Intake

By = Literal["experiment, variant, model", "model, version"]
"""The columns of exposures by which lists and their feedback are counted."""
PAGE = 1000
"""Events that are read or copied at once."""


class FeedbackLog(Protocol):
    """Appends to a log and reads it; safe to share among threads, and over a fork.

    The log is made by the first event, exposure or erasure; reading makes none. Every method raises FeedbackError, in
    one sentence, when the log is damaged, of a newer release, busy for a second, away, or cannot be written.
    """

    @property
    def where(self) -> str:
        """The file, or the database's address without its password."""
        ...

    def record(self, events: Sequence[FeedbackEvent]) -> list[Recorded]:
        """Append the events, all or none; they are on disk when this returns.

        Raises IdempotencyConflict when their user used a key before, for something else or for what is undone or erased
        since, and InvalidFeedback for an event of the future.
        """
        ...

    def undo(self, user_id: PublicId, key: str) -> int:
        """Take one event back, as if it had not been recorded; on disk when this returns.

        How many are taken back: 1, or 0 where it was already. Raises UnknownEvent where the user has no such key.
        """
        ...

    def undo_all(self, user_id: PublicId, movie_id: PublicId, kind: Kind) -> int:
        """Take back whatever of one kind a user said of a movie, such as that it is not of interest.

        How many events are taken back. Raises UnknownEvent where there never was any.
        """
        ...

    def expose(self, exposures: Sequence[Exposure]) -> None:
        """Note which lists were shown; a power cut may lose the newest, so that nothing waits for the disk.

        Lists from before their user's erasure are left out.
        """
        ...

    def erase(self, user_id: PublicId) -> Erasure:
        """Delete the user's events and exposures, and remember that this was done; on disk when this returns."""
        ...

    def state(self, user_id: PublicId) -> UserState:
        """Look up the user's current feedback, for every request."""
        ...

    def state_without_log(self, user_id: PublicId) -> UserState:
        """A user's state while the log cannot be read: whether they were erased, and the last known feedback."""
        ...

    @property
    def begun(self) -> bool:
        """False if the log is empty and this is cheap to know. Asked for each list."""
        ...

    def newest_seq(self) -> int:
        """The highest place that was ever given, 0 before the first; it never falls, not even by an erasure."""
        ...

    def newest_erasure(self) -> int:
        """The number of the newest erasure, 0 before the first."""
        ...

    def people(self) -> list[PublicId]:
        """Everybody who has said something, or was erased, each once."""
        ...

    def erased_since(self, number: int) -> list[PublicId]:
        """Everybody whose erasure has a higher number."""
        ...

    def count_since(self, seq: int, kind: Kind | None = None) -> int:
        """Count the events, of one kind or of all, after a place in the log; undone ones do not count."""
        ...

    def events(self, after: int = 0) -> Iterator[LoggedEvent]:
        """The events after a place in the log, in its order, read a page at a time."""
        ...

    def intake(self, user_type: pa.DataType | None = None, movie_type: pa.DataType | None = None) -> Intake:
        """Read what training takes in: ratings and erasures, by ids of the data set's types, int64 unless given."""
        ...

    def check(self) -> None:
        """Raises FeedbackError when the log is damaged anywhere that can be told by reading it."""
        ...

    def check_writable(self) -> None:
        """Raises FeedbackError unless an event could be recorded at this moment; does not wait."""
        ...

    def close(self) -> None:
        """Close connections; the next use opens new ones."""
        ...

    def list_counts(self, by: By, liked_from: float) -> list[tuple[Any, ...]]:
        """Rows of the columns `by` and lists, users, clicks, likes, lists clicked, lists liked, ordered by the former.

        Clicks are movies of a list that were clicked, likes those whose newest rating is at least `liked_from`; each
        counts once a list. See summary.py for which events answer a list.
        """
        ...

    def drafted(self) -> list[tuple[str, list[str], PublicId, int, int]]:
        """Interleaved lists, rows experiment, names of its variants in order, user, day since 1970, lists."""
        ...

    def credited(self) -> list[tuple[str, list[str], PublicId, int, str, int]]:
        """Clicks on interleaved lists, rows experiment, names of its variants in order, user, day, variant, clicks."""
        ...

    def counts_by_day(self, days: int) -> list[tuple[str, str, int]]:
        """Events and lists shown of the last days, rows day (YYYY-MM-DD, UTC), kind, number; without undone ones."""
        ...

    def likes_by_day(self, since_ms: int, ratings_since_ms: int, liked_from: float) -> list[tuple[PublicId, int, int]]:
        """Rows movie, day since 1970, people: how many liked it, each counted once, on the day of their newest like.

        A like is a rating of at least `liked_from` since one moment, or since another a click, a movie that was watched
        or one that was added to a list; ratings before the former are in the data that were trained on. Undone ones do
        not count.
        """
        ...

    def totals(self) -> dict[str, int]:
        """Kind -> number of its events that were not undone; `list_shown` -> number of exposures."""
        ...

    def exposures(self) -> Iterator[ShownList]:
        """Every list that was shown, in the order of their names, read a page at a time."""
        ...

    def impressions(self) -> dict[PublicId, int]:
        """Movie -> how many lists have shown it, those of people who were erased since included."""
        ...

    def newest_answers(self) -> list[tuple[str, str, str]]:
        """Each (experiment, model, version) that answered; a model's versions in the order of their newest answers."""
        ...


def state_of(rows: Iterable[Sequence[Any]], erasure: int) -> UserState:
    """A user's state from rows kind, movie, rating, share, second of the events that count, the newest last."""
    ratings: dict[PublicId, float] = {}
    rated_at: dict[PublicId, int] = {}
    watched: dict[PublicId, float | None] = {}
    of_kind: dict[str, set[PublicId]] = {"click": set(), "not_interested": set(), "added_to_list": set()}
    for kind, movie_id, rating, share, second in rows:
        if kind == "rating":
            ratings.pop(movie_id, None)
            ratings[movie_id], rated_at[movie_id] = rating, second
        elif kind == "watched":
            watched.pop(movie_id, None)
            watched[movie_id] = share
        else:
            of_kind[kind].add(movie_id)
    return UserState(
        ratings,
        frozenset(of_kind["click"]),
        frozenset(of_kind["not_interested"]),
        erasure,
        watched,
        frozenset(of_kind["added_to_list"]),
        rated_at,
    )


def require_repetition(event: FeedbackEvent, content: Sequence[object], undone_ms: int | None) -> None:
    """Raises IdempotencyConflict unless a recorded event's content is the same and it was not undone."""
    if tuple(content) != event.content():
        raise conflict(event, "for something else")
    if undone_ms is not None:
        raise conflict(event, "for feedback that was undone")


def conflict(event: FeedbackEvent, what_for: str) -> IdempotencyConflict:
    """The error for a key that was used before."""
    return IdempotencyConflict(
        f"the idempotency key {event.key!r} was used before, {what_for}; send a new key with new feedback"
    )


def nothing_to_undo(user_id: PublicId) -> UnknownEvent:
    """The error for undoing an event that the user never sent."""
    return UnknownEvent(f"user {user_id} has given no such feedback; there is nothing to undo")
