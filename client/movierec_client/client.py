"""The client: a method for each endpoint of Movierec's API."""

from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, Self, Unpack
from urllib.parse import quote

import httpx

from movierec_client.answers import (
    BatchRecommendations,
    Erased,
    Experiments,
    FoundMovies,
    Home,
    Interview,
    Models,
    MovieDetails,
    Recommendations,
    RecordedFeedback,
    RowPage,
    ServerHealth,
    SimilarMovies,
    Undone,
    User,
)
from movierec_client.connection import Connection
from movierec_client.decoding import decode
from movierec_client.requests import (
    Event,
    Id,
    Kind,
    PersonalOptions,
    RuledOptions,
    Scenario,
    in_query,
    seen,
)
from movierec_client.retries import Retries
from movierec_client.rules_answers import RulesTrial, ScenarioRules

V1 = "/api/v1"
_CHANGES_NOTHING_TWICE = ("GET", "HEAD", "PUT", "DELETE")


class Client:
    """A client of a server, which threads may share; close it, or use it in a `with`.

        with Client("http://localhost:5000") as client:
            client.recommend(user_id=1, top_k=10).recommendations[0].title

    url: where the server stands, with the prefix that a proxy gives it. key: the API key, where the server has any.
    seconds: how long a call may take with its retries. attempt_seconds: how long one attempt may take.
    retries: how often and when something is asked again. http: a client of httpx with proxies or certificates of your
    own, which stays open.

    Every method raises NoAnswerError where nothing answers in time, a RefusedError where the server answers with an
    error, and UnreadableAnswerError where something else answers: MovierecErrors, each one sentence.
    """

    def __init__(
        self,
        url: str,
        key: str | None = None,
        *,
        seconds: float = 10.0,
        attempt_seconds: float = 3.0,
        retries: Retries | None = None,
        http: httpx.Client | None = None,
    ) -> None:
        if not url.startswith(("http://", "https://")):
            raise ValueError(f"the server's address {url!r} must begin with http:// or https://")
        self._http, self._own = http or httpx.Client(), http is None
        self._connection = Connection(url, key, seconds, attempt_seconds, retries or Retries(), self._http)

    def __repr__(self) -> str:
        return f"Client({self._connection.url!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the kept connections."""
        if self._own:
            self._http.close()

    def recommend(
        self,
        user_id: Id | None = None,
        *,
        history: Iterable[Id | tuple[Id, float]] | None = None,
        explain: bool = False,
        paged: bool = False,
        next: str | None = None,
        **options: Unpack[PersonalOptions],
    ) -> Recommendations:
        """The movies that a user, or somebody with a history, will like best of those not seen.

        history: of a person without an account, oldest first: movies, or (movie, rating). explain: with reasons. paged:
        whether the answer has `next`. next: of the page before, asked for with the same options; GoneError for one that
        is too old.
        """
        flags = {name: True for name, on in (("explain", explain), ("paged", paged)) if on}
        body = {**_who(user_id, history), **flags, "next": next, **options}
        return decode(Recommendations, self._ask(f"{V1}/recommend", body))

    def recommend_batch(self, user_ids: Sequence[Id], **options: Unpack[PersonalOptions]) -> BatchRecommendations:
        """Lists of many users, in the order given and all from one version."""
        return decode(BatchRecommendations, self._ask(f"{V1}/batch-recommend", {"user_ids": list(user_ids), **options}))

    def similar(
        self,
        movie_id: Id,
        *,
        user_id: Id | None = None,
        history: Iterable[Id | tuple[Id, float]] | None = None,
        taste: float | None = None,
        paged: bool = False,
        next: str | None = None,
        **options: Unpack[RuledOptions],
    ) -> SimilarMovies:
        """The movies most similar to one, to the taste of a user or of somebody with a history where one is given.

        taste: its share, from 0, the most similar, to 1. paged, next: as `recommend` has them.
        """
        told = None if history is None else list(history)
        whom = {"user_id": user_id, "history": told, "taste": taste, "paged": paged or None, "next": next}
        return decode(SimilarMovies, self._get(f"{V1}/similar/{_part(movie_id)}", **whom, **options))

    def home(
        self,
        user_id: Id | None = None,
        *,
        history: Iterable[Id | tuple[Id, float]] | None = None,
        rows: int | None = None,
        **options: Unpack[RuledOptions],
    ) -> Home:
        """A home page in rows, for a user, for somebody with a history, or for nobody in particular.

        rows: how many at most. top_k: movies of each.
        """
        return decode(Home, self._ask(f"{V1}/home", {**_who(user_id, history), "rows": rows, **options}))

    def home_row(
        self,
        row: str,
        user_id: Id | None = None,
        *,
        history: Iterable[Id | tuple[Id, float]] | None = None,
        next: str | None = None,
        **options: Unpack[RuledOptions],
    ) -> RowPage:
        """One row of a home page by its name, from its beginning or, by its `next`, continued."""
        return decode(
            RowPage, self._ask(f"{V1}/home/{_part(row)}", {**_who(user_id, history), "next": next, **options})
        )

    def movie(self, movie_id: Id) -> MovieDetails:
        """A movie, and whether models know it."""
        return decode(MovieDetails, self._get(f"{V1}/movie/{_part(movie_id)}"))

    def search(self, q: str, *, top_k: int | None = None) -> FoundMovies:
        """Movies by title, typos forgiven."""
        return decode(FoundMovies, self._get(f"{V1}/search", q=q, top_k=top_k))

    def user(self, user_id: Id, *, top_k: int | None = None, model: str | None = None) -> User:
        """A user's history, live feedback and taste. top_k: how much of the history. Needs a key of scope read."""
        return decode(User, self._get(f"{V1}/users/{_part(user_id)}", top_k=top_k, model=model))

    def record(self, *events: Event) -> RecordedFeedback:
        """Record what people did with movies, all of the events or none; on disk when this returns.

        Each counts once, by its key, however often it is sent. Needs a key of scope write.
        """
        return decode(RecordedFeedback, self._ask(f"{V1}/feedback", {"events": [one.as_json() for one in events]}))

    def undo(
        self, user_id: Id, *, key: str | None = None, movie_id: Id | None = None, kind: Kind | None = None
    ) -> Undone:
        """Take back one event by its key, or everything of one kind that was said of a movie. Needs scope write."""
        query = in_query({"user_id": user_id, "key": key, "movie_id": movie_id, "kind": kind})
        return decode(Undone, self._connection.send("DELETE", f"{V1}/feedback", query))

    def erase(self, user_id: Id) -> Erased:
        """Erase a user's feedback and stop personalising at once. Needs a key of scope admin."""
        return decode(Erased, self._connection.send("DELETE", f"{V1}/users/{_part(user_id)}"))

    def rules(self, scenario: Scenario) -> ScenarioRules:
        """The rules that lists of a scenario are made under, and the versions before. Needs a key of scope admin."""
        return decode(ScenarioRules, self._get(f"{V1}/rules/{scenario}"))

    def try_rules(
        self,
        scenario: Scenario,
        rules: Sequence[Mapping[str, Any]],
        *,
        user_ids: Sequence[Id] = (),
        users: int | None = None,
        region: str | None = None,
        top_k: int | None = None,
    ) -> RulesTrial:
        """The effect of rules on the lists of some users, or of the first `users`; nothing changes. Needs scope admin.

        BadRequestError, which names the rule, for rules that are not sound.
        """
        body = {"rules": [*rules], "user_ids": [*user_ids] or None, "users": users, "region": region, "top_k": top_k}
        return decode(RulesTrial, self._ask(f"{V1}/rules-dry-run/{scenario}", body))

    def publish_rules(
        self,
        scenario: Scenario,
        rules: Sequence[Mapping[str, Any]],
        *,
        by: str,
        note: str | None = None,
        based_on: str | None = None,
    ) -> ScenarioRules:
        """Let rules hold from now on. Needs a key of scope admin.

        by, note: who changes them and why. based_on: the version that the change is based on, `none` for none;
        ConflictError, and nothing has changed, where others hold by now. Sent again it makes no second version.
        """
        given = {"rules": [*rules], "by": by, "note": note, "based_on": based_on}
        body = {name: value for name, value in given.items() if value is not None}
        return decode(ScenarioRules, self._connection.send("PUT", f"{V1}/rules/{scenario}", body=body))

    def roll_back_rules(self, scenario: Scenario, to: str, *, by: str, note: str | None = None) -> ScenarioRules:
        """Let the rules of an earlier version hold again, as a new one. Needs a key of scope admin.

        to: its name, or the beginning of it. Sent again it makes no second version.
        """
        return decode(ScenarioRules, self._ask(f"{V1}/rules-rollback/{scenario}", {"to": to, "by": by, "note": note}))

    def interview(self, *, top_k: int | None = None, model: str | None = None) -> Interview:
        """The movies to ask a new user about, whose answers are a history for `recommend`."""
        return decode(Interview, self._get(f"{V1}/interview", top_k=top_k, model=model))

    def models(self) -> Models:
        """The models that can answer, with their versions and metrics, newest first."""
        return decode(Models, self._get(f"{V1}/models"))

    def experiments(self) -> Experiments:
        """The experiment that is running, and what experiments have found. Needs a key of scope read."""
        return decode(Experiments, self._get(f"{V1}/experiments"))

    def ready(self) -> ServerHealth:
        """Whether the server has something to answer from: `status` is `ok`. Asked once, without a retry."""
        answers = frozenset((200, 503))
        return decode(ServerHealth, self._connection.send("GET", f"{V1}/ready", repeatable=False, answers=answers))

    def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        repeatable: bool | None = None,
    ) -> dict[str, Any]:
        """The JSON of an endpoint that has no method here, such as `client.request("GET", "/api/v1/models")`.

        repeatable: whether it may be sent again where no answer came; by default all but POST and PATCH are.
        """
        repeatable = method in _CHANGES_NOTHING_TWICE if repeatable is None else repeatable
        return self._connection.send(method, path, in_query(dict(query or {})), body, headers, repeatable=repeatable)

    def _get(self, path: str, **query: Any) -> dict[str, Any]:
        return self._connection.send("GET", path, in_query(query))

    def _ask(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        given = {name: list(one) if isinstance(one, tuple) else one for name, one in body.items() if one is not None}
        return self._connection.send("POST", path, body=given)


def _who(user_id: Id | None, history: Iterable[Id | tuple[Id, float]] | None) -> dict[str, Any]:
    return {"user_id": user_id, **({} if history is None else {"history": seen(history)})}


def _part(public_id: Id) -> str:
    """An id as a part of a path."""
    return quote(str(public_id), safe="")
