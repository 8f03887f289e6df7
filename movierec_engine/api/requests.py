"""Requests of clients: a model an endpoint, whose fields give its types, limits and description."""

from typing import Annotated, Any, Self, get_args

from pydantic import AfterValidator, Field, ValidationInfo, WithJsonSchema, model_validator

from movierec_engine.api.known_ids import MUST_BE, MovieId, MovieIdentifier, UserId, UserIdentifier
from movierec_engine.api.parameters import (
    AnswerId,
    AtMost,
    Cursor,
    Flag,
    Genres,
    History,
    IdempotencyKey,
    ModelName,
    OneOf,
    Rating,
    RequestModel,
    Share,
    TopK,
    Year,
    refuse,
    text,
)
from movierec_engine.data.id_map import PublicId
from movierec_engine.feedback.events import EARLIEST, Kind
from movierec_engine.recommending.dials import DIVERSITY_OVER, Dials
from movierec_engine.recommending.rules.document import SCENARIOS
from movierec_engine.serving.known_ids import MAX_ID
from movierec_engine.serving.list_options import ListOptions

DEFAULT_TOP_K = 10
DEFAULT_TASTE = 0.5
"""How much of a person's taste is mixed into similar movies: benchmarks/results/similar_taste.md."""
MOST_EXPLAINED = 50
"""Movies of one list that are explained: benchmarks/results/explanation_cost.md."""
MOST_EVENTS = 100
"""Feedback events in one request."""
_SYNONYMS = {"clicked": "click", "dismissed": "not_interested"}
EventKind = Annotated[
    str,
    OneOf((*get_args(Kind), *_SYNONYMS)),
    AfterValidator(lambda said: _SYNONYMS.get(said, said)),
    Field(
        description="What the user did; `clicked` and `dismissed` are other words for `click` and `not_interested`. A "
        "movie that was rated, watched or dismissed is recommended no more."
    ),
]
_Moment = Annotated[
    int,
    Field(
        strict=True,
        ge=EARLIEST,
        le=MAX_ID,
        json_schema_extra={MUST_BE: f"a whole number of seconds since 1970, from {EARLIEST} to now"},
    ),
]
_Movies = Annotated[tuple[MovieIdentifier, ...], AtMost("max_history")]


class NoParameters(RequestModel):
    """The request of an endpoint without parameters."""


class ForModel(RequestModel):
    """A request that a model answers."""

    model: ModelName | None = None
    """The model that answers, by its newest version; without it the default one does."""


class Filters(RequestModel):
    """Filters of a list's movies; the list has top_k of them wherever that many are left.

    A filter is a field here, and a line in `allowed_movies`.
    """

    genres: Genres = ()
    """Genres of which a movie must have at least one."""
    genres_not: Genres = ()
    """Genres of which a movie may have none."""
    year_from: Year | None = None
    """The earliest year; a movie without a known year is left out."""
    year_to: Year | None = None
    """The latest year; a movie without a known year is left out."""
    candidates: _Movies = ()
    """Movies among which the list is chosen, by public id; empty for all."""

    @property
    def filtered(self) -> bool:
        """True if any filter is set."""
        given = self.model_fields_set & _FILTERS
        return bool(given) and any(getattr(self, name) not in ((), None) for name in given)

    @model_validator(mode="after")
    def _check_years(self) -> Self:
        if self.year_from is not None and self.year_to is not None and self.year_from > self.year_to:
            refuse(422, "year_from", f"year_from {self.year_from} is after year_to {self.year_to}; swap them")
        return self


_FILTERS = frozenset(Filters.model_fields)


class ListRequest(Filters, ForModel):
    """A request for a list of movies."""

    top_k: TopK = Field(default=DEFAULT_TOP_K, examples=[10])
    """Length of the list."""
    exclude: _Movies = ()
    """Movies that are left out, by public id."""


class RuledRequest(RequestModel):
    """A request for a list under an editor's rules."""

    region: Annotated[str, text(40)] | None = None
    """Where the list is shown, as rules on availability name it; without it, what is shown in some regions only is left
    out."""


class PagedRequest(RequestModel):
    """A request for a list that can be continued page by page."""

    paged: Flag = False
    """Whether the answer has `next`, by which the list continues."""
    next: Cursor | None = None
    """Cursor that the page before gave as `next`, with the same parameters: the answer is what is best of the rest,
    without what was shown, whatever was rated or dismissed in between. The history, the length and what is excluded
    may change. Above 3,500 characters send it by POST."""

    @property
    def continues(self) -> bool:
        """True if the answer has `next`."""
        return self.paged or self.next is not None

    @property
    def which(self) -> dict[str, Any]:
        """The parameters that identify the list, as opposed to its person and its length."""
        return {"list": type(self).__name__, **self.model_dump(exclude=_NOT_WHICH)}


_NOT_WHICH = {"user_id", "history", "exclude", "top_k", "explain", "strict", "paged", "next"}


class PersonalRequest(RuledRequest, ListRequest):
    """A request for a person's list, with dials and a share of movies that no model knows."""

    diversity: Share = 0.0
    """From 0, the model's own order, to 1: away from movies that are like one in the list."""
    novelty: Share = 0.0
    """From 0, the model's own order, to 1: towards movies that few users have."""
    decade_balance: Share = 0.0
    """From 0, the model's own order, to 1: towards the shares of decades in the person's history."""
    genre_balance: Share = 0.0
    """From 0, the model's own order, to 1: towards the shares of genres in the person's history."""
    diversity_over: Annotated[str, OneOf(DIVERSITY_OVER)] = "genres"
    """The similarity of movies for `diversity`: by genres or embeddings."""
    cold_items: Share = 0.0
    """Share of the list that goes to movies that no model knows, by their genres and years."""
    scenario: Annotated[str, OneOf(SCENARIOS)] = "home"
    """The rules that hold: those of this scenario."""
    strict: Flag = Field(default=False, examples=[False])
    """Whether an unknown user is a 404 instead of being shown popular movies."""

    @property
    def options(self) -> ListOptions:
        """The options of each person's list."""
        dials = Dials(self.diversity, self.novelty, self.decade_balance, self.genre_balance, self.diversity_over)
        return ListOptions(self.top_k, dials, frozenset(self.exclude), self.filtered, self.cold_items)


def _refuse_user_with_history(user_id: PublicId | None, history: History | None) -> None:
    if user_id is not None and history is not None:
        refuse(422, "history", "a user has a history already; give user_id or history")


class RecommendRequest(PagedRequest, PersonalRequest):
    user_id: UserIdentifier | None = Field(default=None, examples=[1])
    """The user's public id; or give a history."""
    history: History | None = None
    """The history of a person without an account, oldest first: movie ids such as {movie}, or with a rating of the
    data's scale, {rated}. In a query string a backslash stands before a comma, colon or backslash of an id."""
    explain: Flag = Field(
        default=False, description=f"Whether each movie comes with its reasons; at most {MOST_EXPLAINED} movies then."
    )

    @model_validator(mode="after")
    def _check_person(self) -> Self:
        if self.user_id is None and self.history is None:
            refuse(400, "user_id", "user_id is missing; give it, or a history")
        _refuse_user_with_history(self.user_id, self.history)
        if self.explain and self.top_k > MOST_EXPLAINED:
            refuse(422, "top_k", f"at most {MOST_EXPLAINED} movies are explained; ask for a smaller top_k")
        return self


class BatchRequest(PersonalRequest):
    user_ids: Annotated[tuple[UserIdentifier, ...], Field(min_length=1), AtMost("max_batch")] = Field(examples=[[1, 7]])
    """The users' public ids."""

    @model_validator(mode="after")
    def _check_size(self, info: ValidationInfo) -> Self:
        movies = len(self.user_ids) * self.top_k
        if info.context is not None and movies > info.context.limits.max_batch_movies:
            refuse(
                422,
                "user_ids",
                f"{len(self.user_ids)} users times top_k {self.top_k} are {movies} movies, at most "
                f"{info.context.limits.max_batch_movies} are answered; ask for fewer users or a smaller top_k",
            )
        return self


class HomeRequest(RuledRequest, ListRequest):
    """A request for the home page of a user, of somebody with a history, or of nobody in particular."""

    user_id: UserIdentifier | None = Field(default=None, examples=[1])
    """The user's public id; or give a history, or neither for a page that is nobody's."""
    history: History | None = None
    """The history of a person without an account, as /api/recommend takes it."""
    rows: Annotated[int, Field(strict=True, ge=1, le=20)] = 8
    """Rows at most."""

    @property
    def which(self) -> dict[str, Any]:
        """The parameters that say which movies a row is of."""
        return {name: getattr(self, name) for name in ("model", "region", *sorted(_FILTERS))}

    @model_validator(mode="after")
    def _check_person(self) -> Self:
        _refuse_user_with_history(self.user_id, self.history)
        return self


class RowRequest(HomeRequest):
    """A request for one row of a home page, from its beginning or continued."""

    row: Annotated[str, text(300)] = Field(examples=["trending"])
    """The row's name, as /api/home has it: `trending`, `genre:Crime`, `because:{movie}`."""
    next: Cursor | None = None
    """Cursor that /api/home gave as the row's `next`, or its page before, with the same parameters: the answer is what
    is best of the rest, without what the page showed. The history, the length and what is excluded may change."""


_RulesGiven = Annotated[
    Any,
    WithJsonSchema({"type": "array", "items": {"type": "object", "properties": {}}}),
    Field(description="The rules, as docs/guides/rules.md describes them.", examples=[[]]),
]
_Who = Annotated[str, text(100)]


class RulesRequest(RequestModel):
    scenario: Annotated[str, OneOf(SCENARIOS)] = Field(examples=["home"])
    """Use of the lists that the rules are for."""


class TryRulesRequest(RulesRequest):
    rules: _RulesGiven
    user_ids: Annotated[tuple[UserIdentifier, ...], AtMost("max_batch")] = ()
    """Whose lists are made; without any, those of the first `users`."""
    users: Annotated[int, Field(strict=True, ge=1, le=500)] = 100
    """How many users' lists are made."""
    region: Annotated[str, text(40)] | None = None
    """Where the lists are shown."""
    top_k: TopK = DEFAULT_TOP_K
    """Length of the lists."""


class PublishRulesRequest(RulesRequest):
    rules: _RulesGiven
    by: _Who = Field(examples=["anna"])
    """Who changes them, for the audit trail."""
    note: Annotated[str, text(500)] = "-"
    """Why."""
    based_on: Annotated[str, text(100, "[A-Za-z0-9._:-]+", "the name of a version, or none")] | None = None
    """The version that the change is based on, or `none`: where another one holds by now, nothing changes."""


class RollBackRulesRequest(RulesRequest):
    to: Annotated[str, text(100, "[A-Za-z0-9._:-]+", "the name of a version")] = Field(
        examples=["20260102T150405000Z-0123456789ab-cdef"]
    )
    """The version whose rules hold again, or the beginning of its name; GET /api/v1/rules/SCENARIO lists them."""
    by: _Who = Field(examples=["anna"])
    """Who does it, for the audit trail."""
    note: Annotated[str, text(500)] = "-"
    """Why."""


class SimilarRequest(RuledRequest, PagedRequest, ListRequest):
    item_id: MovieId = Field(examples=[10])
    user_id: UserIdentifier | None = None
    """Whose taste is mixed in, and whose movies are left out; or give a history."""
    history: History | None = None
    """The history of a person without an account, as /api/recommend takes it."""
    taste: Share = DEFAULT_TASTE
    """With a user or a history: from 0, the movies that are most similar, to 1: of these those whom the person will
    like best."""

    @model_validator(mode="after")
    def _check_person(self) -> Self:
        _refuse_user_with_history(self.user_id, self.history)
        return self


class MovieRequest(RequestModel):
    movie_id: MovieId = Field(examples=[10])


class SearchRequest(RequestModel):
    q: Annotated[str, text(200)] = Field(examples=["heat 1995"])
    """Words of a title, perhaps with a year; case, accents, articles, punctuation and small typos are forgiven."""
    top_k: TopK = Field(default=DEFAULT_TOP_K, examples=[10])
    """Length of the list."""


class UserRequest(ForModel):
    user_id: UserId = Field(examples=[1])
    top_k: Annotated[int, Field(strict=True, ge=1), AtMost("max_history")] = 100
    """How much of the history is shown, newest first."""


class EraseRequest(RequestModel):
    user_id: UserId = Field(examples=[4])


class InterviewRequest(ForModel):
    top_k: Annotated[int, Field(strict=True, ge=1, le=50)] = 5
    """Questions at most."""


class FeedbackItem(RequestModel):
    """One event of several."""

    user_id: UserId
    movie_id: MovieId
    kind: EventKind
    rating: Rating | None = None
    """The rating, on the data set's scale; for the kind `rating` alone."""
    share: Share | None = None
    """Share of a `watched` movie that was watched, from 0 to 1, where it is known."""
    timestamp: _Moment | None = None
    """When it happened, in seconds since 1970 and not in the future; without it, now. Of several ratings of a movie the
    latest counts."""
    key: IdempotencyKey | None = None
    """Idempotency key: of one user the same one is recorded once."""
    exposure_id: AnswerId | None = None
    """Exposure id of the answer that showed the movie, where it had one."""
    request_id: AnswerId | None = None
    """Request id of the answer that showed the movie, for a client that does not keep its exposure_id."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        self._check_event()
        return self

    def _check_event(self) -> None:
        if self.kind == "rating" and self.rating is None:
            refuse(400, "rating", "rating is missing; a rating needs one")
        for name, kind in (("rating", "rating"), ("share", "watched")):
            if self.kind != kind and getattr(self, name) is not None:
                refuse(422, name, f"{name} does not belong to a {self.kind}; leave it out")


class FeedbackRequest(FeedbackItem):
    """One event, or several in `events`."""

    user_id: UserId | None = Field(default=None, examples=[1])  # type: ignore[assignment]
    movie_id: MovieId | None = Field(default=None, examples=[10])  # type: ignore[assignment]
    kind: EventKind | None = Field(default=None, examples=["rating"])  # type: ignore[assignment]
    rating: Rating | None = Field(default=None, examples=[4.5])
    """The rating, on the data set's scale; for the kind `rating` alone."""
    events: Annotated[tuple[FeedbackItem, ...], Field(min_length=1, max_length=MOST_EVENTS)] | None = None
    """Several events, recorded all or none."""
    idempotency_key: IdempotencyKey | None = Field(default=None, alias="Idempotency-Key")
    """For an event without `key`; of several, each gets it with its place appended."""

    def _check_event(self) -> None:
        given = [name for name in FeedbackItem.model_fields if getattr(self, name) is not None]
        if self.events is not None:
            if given:
                refuse(422, given[0], f"{given[0]} belongs into the events; leave it out beside them")
            return
        for name in ("user_id", "movie_id", "kind"):
            if name not in given:
                refuse(400, name, f"{name} is missing; give it, or several events in events")
        super()._check_event()

    @property
    def items(self) -> tuple[FeedbackItem, ...]:
        """The events in the order given, each with a key where one was given."""
        if self.events is not None:
            return self.events
        one = {name: getattr(self, name) for name in FeedbackItem.model_fields}
        return (FeedbackItem(**{**one, "key": self.key or self.idempotency_key}),)


class UndoRequest(RequestModel):
    """One event by its key, or whatever of one kind was said of a movie."""

    user_id: UserId = Field(examples=[1])
    key: IdempotencyKey | None = None
    """The key of the event that is taken back; or give movie_id and kind."""
    movie_id: MovieIdentifier | None = Field(default=None, examples=[10])
    """The movie of which everything of `kind` is taken back."""
    kind: EventKind | None = Field(default=None, examples=["rating"])

    @model_validator(mode="after")
    def _check_named(self) -> Self:
        of_movie = {"movie_id": self.movie_id, "kind": self.kind}
        given = [name for name, value in of_movie.items() if value is not None]
        if self.key is not None and given:
            refuse(422, given[0], f"a key names one event already; leave {given[0]} out")
        if self.key is None and len(given) < len(of_movie):
            missing = next((name for name in of_movie if name not in given), "key") if given else "key"
            refuse(400, missing, f"{missing} is missing; give the key of an event, or movie_id and kind")
        return self
