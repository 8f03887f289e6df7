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
    Interview,
    Models,
    MovieDetails,
    Recommendations,
    RecordedFeedback,
    ServerHealth,
    SimilarMovies,
    Undone,
    User,
)
from movierec_client.connection import Connection
from movierec_client.decoding import decode
from movierec_client.requests import Event, Id, Kind, ListOptions, PersonalOptions, in_query, seen
from movierec_client.retries import Retries

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
        **options: Unpack[PersonalOptions],
    ) -> Recommendations:
        """The movies that a user, or somebody with a history, will like best of those not seen.

        history: of a person without an account, oldest first: movies, or (movie, rating). explain: with reasons.
        """
        who = {"user_id": user_id} if history is None else {"user_id": user_id, "history": seen(history)}
        body = {**who, **({"explain": True} if explain else {}), **options}
        return decode(Recommendations, self._ask(f"{V1}/recommend", body))

    def recommend_batch(self, user_ids: Sequence[Id], **options: Unpack[PersonalOptions]) -> BatchRecommendations:
        """Lists of many users, in the order given and all from one version."""
        return decode(BatchRecommendations, self._ask(f"{V1}/batch-recommend", {"user_ids": list(user_ids), **options}))

    def similar(self, movie_id: Id, **options: Unpack[ListOptions]) -> SimilarMovies:
        """The movies most similar to one."""
        return decode(SimilarMovies, self._get(f"{V1}/similar/{_part(movie_id)}", **options))

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


def _part(public_id: Id) -> str:
    """An id as a part of a path."""
    return quote(str(public_id), safe="")
