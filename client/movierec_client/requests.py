"""Parts of requests: the options of lists, and events of feedback."""

import re
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Literal, TypedDict

Id = int | str
"""The id of a user or a movie: a number or a text, as the data has it."""
Query = list[tuple[str, str | int | float | bool | None]]
"""A query string, as httpx takes it."""
Scenario = Literal["home", "similar", "mail"]
"""Uses of lists, each with rules of its own."""
Kind = Literal["rating", "watched", "added_to_list", "click", "not_interested"]


class ListOptions(TypedDict, total=False):
    """Options of a list of movies; what is left out is as the server's settings have it."""

    top_k: int
    """Length of the list."""
    model: str
    """The model that answers; without it the promoted one does."""
    exclude: Sequence[Id]
    """Movies that are left out."""
    genres: Sequence[str]
    """Genres of which a movie must have at least one."""
    genres_not: Sequence[str]
    """Genres of which a movie may have none."""
    year_from: int
    year_to: int
    candidates: Sequence[Id]
    """Movies among which the list is chosen; without it all."""


class RuledOptions(ListOptions, total=False):
    """Options of a list that an editor's rules hold for."""

    region: str
    """Where the list is shown; without it, what is shown in some regions only is left out."""


class PersonalOptions(RuledOptions, total=False):
    """Options of a list for a person. The shares go from 0, the model's own order, to 1."""

    diversity: float
    """Away from movies that are like one in the list."""
    diversity_over: Literal["genres", "embeddings"]
    """The similarity of movies for `diversity`."""
    novelty: float
    """Towards movies that few users have."""
    decade_balance: float
    """Towards the shares of decades in the person's history."""
    genre_balance: float
    """Towards the shares of genres in the person's history."""
    cold_items: float
    """Share of the list for movies that no model knows."""
    scenario: Scenario
    """The rules that hold: those for `home` unless given."""
    strict: bool
    """Whether an unknown user is a NotFoundError instead of being shown popular movies."""


def new_key() -> str:
    """An idempotency key that nobody else has."""
    return uuid.uuid4().hex


@dataclass(frozen=True)
class Event:
    """A person's feedback on a movie.

    Its key is its identity: of one user the server records a key once, however often it is sent. So keep the event, not
    what it was made of, where sending may be repeated by a later process.
    """

    user_id: Id
    movie_id: Id
    kind: Kind
    rating: float | None = None
    """The rating, on the scale of the data set, which GET /api/v1/openapi.json says; 0.5 to 5 for MovieLens."""
    share: float | None = None
    """Share of a `watched` movie that was watched, from 0 to 1."""
    timestamp: int | None = None
    """When it happened, in seconds since 1970; None for the moment at which the server records it."""
    exposure_id: str | None = None
    """Exposure id of the answer that showed the movie, where it had one."""
    request_id: str | None = None
    """Request id of the answer that showed the movie, where no exposure_id was kept."""
    key: str = field(default_factory=new_key)

    def as_json(self) -> dict[str, Any]:
        """The event as the API takes it."""
        given = {one.name: getattr(self, one.name) for one in fields(self)}
        return {name: value for name, value in given.items() if value is not None}


def seen(history: Iterable[Id | tuple[Id, float]]) -> list[Any]:
    """A history as the API takes it: movies, or movies with their ratings."""
    return [{"movie_id": one[0], "rating": one[1]} if isinstance(one, tuple) else one for one in history]


def in_query(options: dict[str, Any]) -> Query:
    """Options as a query string has them.

    In a list a backslash stands before a comma, colon or backslash of an id, and a colon before the rating of a movie.
    """
    query: Query = []
    for name, value in options.items():
        if isinstance(value, bool):
            query.append((name, str(value).lower()))
        elif isinstance(value, Iterable) and not isinstance(value, str):
            query.append((name, ",".join(map(_entry, value))))
        elif value is not None:
            query.append((name, str(value)))
    return query


def _entry(one: Any) -> str:
    """An entry of a list: an id, or (movie, rating)."""
    if isinstance(one, tuple):
        return f"{_entry(one[0])}:{one[1]}"
    return re.sub(r"([\\,:])", r"\\\1", str(one))
