"""What a client may ask, as typed values: a field says what is accepted, and what the description says of it."""

from dataclasses import MISSING, dataclass, fields
from typing import Any, ClassVar, get_args

from movierec_engine.api.catalogue import Filters
from movierec_engine.api.config import ServingConfig
from movierec_engine.api.errors import ApiError
from movierec_engine.api.parameters import (
    Choice,
    Flag,
    Identifier,
    Integer,
    ListOf,
    Number,
    ObjectOf,
    RatedMovie,
    Rating,
    Text,
    idempotency_key,
    model_name,
    parameter,
    unprocessable,
)
from movierec_engine.feedback.events import EARLIEST, Kind
from movierec_engine.recommending.dials import DIVERSITY_OVER, Dials

DEFAULT_TOP_K = 10
MOST_EXPLAINED = 50
"""Movies of one list that are explained: benchmarks/results/explanation_cost.md."""
MOST_EVENTS = 100
"""Feedback events in one request."""
MOST_GENRES = 20
_YEARS = Integer(1800, 2200)


def _user_id() -> Any:
    return parameter(Identifier(), "The user's public id.", example=1)


def _top_k() -> Any:
    return parameter(
        Integer(1, lambda limits: limits.max_top_k), "Length of the list.", default=DEFAULT_TOP_K, example=10
    )


def _model() -> Any:
    return parameter(
        model_name(), "The model that answers, by its newest version; without it the default one does.", default=None
    )


def _movie_id() -> Any:
    return parameter(Identifier(), "The movie's public id.", where="path", example=10)


def _dial(meaning: str) -> Any:
    return parameter(Number(), f"From 0, the model's own order, to 1: {meaning}", default=0.0)


@dataclass(frozen=True, kw_only=True)
class NoParameters:
    """Of an endpoint that takes none."""


@dataclass(frozen=True, kw_only=True)
class FilteredRequest:
    """Of a list that can be narrowed; it has top_k movies wherever that many are left."""

    top_k: int = _top_k()
    model: str | None = _model()
    exclude: tuple[int, ...] = parameter(
        ListOf(Identifier(), lambda limits: limits.max_history, least=0),
        "Movies that are left out, by public id.",
        default=(),
    )
    genres: tuple[str, ...] = parameter(
        ListOf(Text(40), MOST_GENRES, least=0), "Genres of which a movie must have at least one.", default=()
    )
    genres_not: tuple[str, ...] = parameter(
        ListOf(Text(40), MOST_GENRES, least=0), "Genres of which a movie may have none.", default=()
    )
    year_from: int | None = parameter(
        _YEARS, "The earliest year; a movie without a known year is left out.", default=None
    )
    year_to: int | None = parameter(_YEARS, "The latest year; a movie without a known year is left out.", default=None)

    @property
    def filtered(self) -> bool:
        """Whether genres or years are asked for."""
        return bool(self.genres or self.genres_not) or self.year_from is not None or self.year_to is not None

    @property
    def filters(self) -> Filters:
        return Filters(self.genres, self.genres_not, self.year_from, self.year_to)

    def check(self, limits: ServingConfig) -> None:
        if self.year_from is not None and self.year_to is not None and self.year_from > self.year_to:
            unprocessable(f"year_from {self.year_from} is after year_to {self.year_to}; swap them", "year_from")


@dataclass(frozen=True, kw_only=True)
class PersonalRequest(FilteredRequest):
    """Of lists for people, who can turn dials and ask for movies that no model knows."""

    diversity: float = _dial("away from movies that are like one in the list.")
    novelty: float = _dial("towards movies that few users have.")
    decade_balance: float = _dial("towards the shares of decades in the person's history.")
    genre_balance: float = _dial("towards the shares of genres in the person's history.")
    diversity_over: str = parameter(
        Choice(DIVERSITY_OVER), "What `diversity` takes movies to be alike in.", default="genres"
    )
    cold_items: float = parameter(
        Number(), "Share of the list that goes to movies that no model knows, by their genres and years.", default=0.0
    )
    strict: bool = parameter(
        Flag(), "Whether an unknown user is a 404 instead of being shown popular movies.", default=False, example=False
    )

    @property
    def dials(self) -> Dials:
        return Dials(self.diversity, self.novelty, self.decade_balance, self.genre_balance, self.diversity_over)

    @property
    def plain(self) -> bool:
        """Whether the list is the model's own."""
        return not (
            self.exclude or self.filtered or self.diversity or self.novelty
            or self.decade_balance or self.genre_balance or self.cold_items
        )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class RecommendRequest(PersonalRequest):
    user_id: int | None = parameter(Identifier(), "The user's public id; or give a history.", default=None, example=1)
    history: tuple[tuple[int, float | None], ...] | None = parameter(
        ListOf(RatedMovie(), lambda limits: limits.max_history, least=0),
        "What somebody without an account has seen: movie ids such as 318, or with a rating, 318:4.5.",
        default=None,
    )
    explain: bool = parameter(
        Flag(), f"Whether each movie comes with its reasons; at most {MOST_EXPLAINED} movies then.", default=False
    )

    def check(self, limits: ServingConfig) -> None:
        super().check(limits)
        if self.user_id is None and self.history is None:
            raise ApiError(400, "user_id is missing; give it, or a history", "user_id")
        if self.user_id is not None and self.history is not None:
            unprocessable("a user has a history already; give user_id or history", "history")
        if self.explain and self.top_k > MOST_EXPLAINED:
            unprocessable(f"at most {MOST_EXPLAINED} movies are explained; ask for a smaller top_k", "top_k")


@dataclass(frozen=True, kw_only=True)
class BatchRequest(PersonalRequest):
    user_ids: tuple[int, ...] = parameter(
        ListOf(Identifier(), lambda limits: limits.max_batch), "The users' public ids.", example=[1, 7]
    )

    def check(self, limits: ServingConfig) -> None:
        super().check(limits)
        movies = len(self.user_ids) * self.top_k
        if movies > limits.max_batch_movies:
            unprocessable(
                f"{len(self.user_ids)} users times top_k {self.top_k} are {movies} movies, at most "
                f"{limits.max_batch_movies} are answered; ask for fewer users or a smaller top_k",
                "user_ids",
            )


@dataclass(frozen=True, kw_only=True)
class SimilarRequest(FilteredRequest):
    item_id: int = _movie_id()


@dataclass(frozen=True, kw_only=True)
class MovieRequest:
    movie_id: int = _movie_id()


@dataclass(frozen=True, kw_only=True)
class SearchRequest:
    q: str = parameter(
        Text(200),
        "Words of a title, perhaps with a year; case, accents, articles, punctuation and small typos are forgiven.",
        example="heat 1995",
    )
    top_k: int = _top_k()


@dataclass(frozen=True, kw_only=True)
class UserRequest:
    user_id: int = parameter(Identifier(), "The user's public id.", where="path", example=1)
    model: str | None = _model()
    top_k: int = parameter(
        Integer(1, lambda limits: limits.max_history), "How much of the history is shown, newest first.", default=100
    )


@dataclass(frozen=True, kw_only=True)
class EraseRequest:
    user_id: int = parameter(Identifier(), "The user's public id.", where="path", example=4)


@dataclass(frozen=True, kw_only=True)
class InterviewRequest:
    model: str | None = _model()
    top_k: int = parameter(Integer(1, 50), "Questions at most.", default=5)


class FeedbackKind(Choice):
    """What a user did: a kind of the log's, or another word for one."""

    synonyms: ClassVar[dict[str, str]] = {"clicked": "click", "dismissed": "not_interested"}

    def of_json(self, value: object, name: str, limits: ServingConfig) -> str:
        said = super().of_json(value, name, limits)
        return self.synonyms.get(said, said)


def _kind(default: Any = MISSING, example: Any = None) -> Any:
    return parameter(
        FeedbackKind((*get_args(Kind), *FeedbackKind.synonyms)),
        "What the user did; `clicked` and `dismissed` are other words for `click` and `not_interested`. A movie that "
        "was rated, watched or dismissed is recommended no more.",
        default=default,
        example=example,
    )


def _rating(example: Any = None) -> Any:
    return parameter(Rating(), "Of a rating.", default=None, example=example)


def _share() -> Any:
    return parameter(
        Number(), "Of `watched`, where it is known: the share that was watched, from 0 to 1.", default=None
    )


def _timestamp() -> Any:
    return parameter(
        Integer(EARLIEST),
        "When it happened, in seconds since 1970 and not in the future; without it, now. Of several ratings of a movie "
        "the latest counts.",
        default=None,
    )


def _key(meaning: str = "Idempotency key: of one user the same one is recorded once.") -> Any:
    return parameter(
        Text(128, pattern="[!-~]+", hint="1 to 128 visible ASCII characters, such as a UUID"), meaning, default=None
    )


def _shown_in(meaning: str) -> Any:
    return parameter(Text(64, pattern="[A-Za-z0-9._-]+", hint="an id of an answer"), meaning, default=None)


def _exposure_id() -> Any:
    return _shown_in("Of the answer that showed the movie, where it had one.")


def _request_id() -> Any:
    return _shown_in("Of the answer that showed the movie, for a client that does not keep its exposure_id.")


@dataclass(frozen=True, kw_only=True)
class FeedbackItem:
    """One event of several."""

    user_id: int = parameter(Identifier(), "The user's public id.")
    movie_id: int = parameter(Identifier(), "The movie's public id.")
    kind: str = _kind()
    rating: float | None = _rating()
    share: float | None = _share()
    timestamp: int | None = _timestamp()
    key: str | None = _key()
    exposure_id: str | None = _exposure_id()
    request_id: str | None = _request_id()

    def check(self, limits: ServingConfig) -> None:
        if self.kind == "rating" and self.rating is None:
            raise ApiError(400, "rating is missing; a rating needs one", "rating")
        for name, kind in (("rating", "rating"), ("share", "watched")):
            if self.kind != kind and getattr(self, name) is not None:
                unprocessable(f"{name} does not belong to a {self.kind}; leave it out", name)


@dataclass(frozen=True, kw_only=True)
class FeedbackRequest:
    """One event, or several in `events`."""

    user_id: int | None = parameter(Identifier(), "The user's public id.", default=None, example=1)
    movie_id: int | None = parameter(Identifier(), "The movie's public id.", default=None, example=10)
    kind: str | None = _kind(default=None, example="rating")
    rating: float | None = _rating(example=4.5)
    share: float | None = _share()
    timestamp: int | None = _timestamp()
    key: str | None = _key()
    exposure_id: str | None = _exposure_id()
    request_id: str | None = _request_id()
    events: tuple[FeedbackItem, ...] | None = parameter(
        ListOf(ObjectOf(FeedbackItem), MOST_EVENTS), "Several events, recorded all or none.", default=None
    )
    idempotency_key: str | None = parameter(
        idempotency_key(),
        "For an event without `key`; of several, each gets it with its place appended.",
        default=None,
        where="header",
    )

    def check(self, limits: ServingConfig) -> None:
        given = [one.name for one in fields(FeedbackItem) if getattr(self, one.name) is not None]
        if self.events is not None:
            if given:
                unprocessable(f"{given[0]} belongs into the events; leave it out beside them", given[0])
            return
        for name in ("user_id", "movie_id", "kind"):
            if name not in given:
                raise ApiError(400, f"{name} is missing; give it, or several events in events", name)
        self.items[0].check(limits)

    @property
    def items(self) -> tuple[FeedbackItem, ...]:
        """The events in the order given, each with a key where one was given."""
        if self.events is not None:
            return self.events
        one = {one.name: getattr(self, one.name) for one in fields(FeedbackItem)}
        return (FeedbackItem(**{**one, "key": self.key or self.idempotency_key}),)


@dataclass(frozen=True, kw_only=True)
class UndoRequest:
    """One event by its key, or whatever of one kind was said of a movie."""

    user_id: int = parameter(Identifier(), "The user's public id.", example=1)
    key: str | None = _key("The key of the event that is taken back; or give movie_id and kind.")
    movie_id: int | None = parameter(
        Identifier(), "The movie of which everything of `kind` is taken back.", default=None, example=10
    )
    kind: str | None = _kind(default=None, example="rating")

    def check(self, limits: ServingConfig) -> None:
        of_movie = {"movie_id": self.movie_id, "kind": self.kind}
        given = [name for name, value in of_movie.items() if value is not None]
        if self.key is not None and given:
            unprocessable(f"a key names one event already; leave {given[0]} out", given[0])
        if self.key is None and len(given) < len(of_movie):
            missing = next((name for name in of_movie if name not in given), "key") if given else "key"
            raise ApiError(400, f"{missing} is missing; give the key of an event, or movie_id and kind", missing)
