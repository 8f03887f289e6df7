"""Endpoints: what each asks, does and answers, in one place for Flask, for OpenAPI and for the docs page."""

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from flask import Flask, Response, request
from werkzeug.routing import BaseConverter
from werkzeug.wrappers import Request

from movierec_engine.api.access import ApiKeys
from movierec_engine.api.config import OPEN, READ, ServingConfig
from movierec_engine.api.parameters import RequestModel
from movierec_engine.api.rendering import json_response
from movierec_engine.api.request_parsing import Ids, RequestParser
from movierec_engine.serving.known_ids import KnownIds

JSON = "application/json"
ROOT, VERSION = "/api/", "v1/"
"""Where data is answered, and the version of the API that the address of each such endpoint has after it."""
Answer = Mapping[str, Any] | Response
"""A dictionary is rendered as JSON with the request id."""
View = Callable[[Request, Mapping[str, str]], Response]
"""Answers a request, given the parameters that stand in its path by name. Raises ApiError for one that does not fit."""


@dataclass(frozen=True)
class Endpoint:
    """One path of the API. What it asks and answers are the annotations of its function."""

    path: str
    """In Flask's syntax and without the version, such as /api/movie/<movie_id>; an alias of its address."""
    answer: Callable[[Any], Answer]
    topic: str
    methods: tuple[str, ...] = ("GET",)
    answers: type[Any] | None = None
    """The model of the answer, of answers.py, where the function returns a Response of it."""
    content: str = JSON
    scope: str = OPEN
    """The scope of the API key that is asked for where the server has any."""
    of_people: Callable[[Any], bool] | None = None
    """Whether the answer to a typed request tells of a person, so that the endpoint, if OPEN, needs a key to READ."""
    limited: bool = True
    """Whether the rate limit holds."""

    @property
    def name(self) -> str:
        return self.answer.__name__

    @property
    def address(self) -> str:
        """The path with the version of the API, such as /api/v1/movie/<movie_id>; a page's is its path."""
        return f"{ROOT}{VERSION}{self.path.removeprefix(ROOT)}" if self.path.startswith(ROOT) else self.path

    @property
    def paths(self) -> tuple[str, ...]:
        """Where it is answered: its address and its path."""
        return tuple(dict.fromkeys((self.address, self.path)))

    @property
    def asks(self) -> type[RequestModel]:
        """The model of its requests."""
        asked: type[RequestModel] = inspect.get_annotations(self.answer)["asked"]
        return asked

    @property
    def schema(self) -> type[Any] | None:
        """The model of its answers; None for what is not JSON, or described elsewhere."""
        returned = inspect.get_annotations(self.answer)["return"]
        return self.answers if returned is Response else returned

    @property
    def in_path(self) -> tuple[str, ...]:
        """The parameters that stand in its path."""
        return tuple(re.findall(r"<(\w+)>", self.path))

    @property
    def summary(self) -> str:
        """The first paragraph of the handler's docstring."""
        return " ".join(inspect.getdoc(self.answer).split("\n\n")[0].split())  # type: ignore[union-attr]


@dataclass
class Topic:
    """Endpoints that belong together.

    topic = Topic("movies")

    @topic.endpoint("/api/movie/<movie_id>")
    def movie(asked: MovieRequest) -> MovieDetails:
        "One sentence for the description."
        return service.movie(asked.movie_id)
    """

    name: str
    endpoints: list[Endpoint] = field(default_factory=list)

    def endpoint(self, path: str, **options: Any) -> Callable[[Callable[[Any], Answer]], Any]:
        """Make a function of a typed request an endpoint; the options are Endpoint's other fields."""

        def decorate(answer: Callable[[Any], Answer]) -> Callable[[Any], Answer]:
            self.endpoints.append(Endpoint(path, answer, self.name, **options))
            return answer

        return decorate


def register(
    app: Flask,
    endpoints: Sequence[Endpoint],
    limits: ServingConfig,
    keys: ApiKeys,
    ids: Ids = lambda model: KnownIds(),
) -> list[tuple[Endpoint, View]]:
    """Let an application answer endpoints, at their addresses and paths; each with what answers its requests.

    ids: asks for the ids and ratings of the data set that is served at the moment; numbers unless given.
    """
    app.url_map.converters["default"] = _InPath
    views = [(endpoint, _view(endpoint, limits, keys, ids)) for endpoint in endpoints]
    for endpoint, view in views:
        function = _of_flask(view)
        for path in endpoint.paths:
            app.add_url_rule(path, endpoint.name, function, methods=endpoint.methods, provide_automatic_options=False)
    return views


class _InPath(BaseConverter):
    """A parameter at the end of a path, which may hold slashes, as ids may; fixed paths come first."""

    regex, weight, part_isolating = ".+", 200, False


def _view(endpoint: Endpoint, limits: ServingConfig, keys: ApiKeys, ids: Ids) -> View:
    """Check the key, read the request, call, render."""
    parser = RequestParser(endpoint.asks, limits, endpoint.in_path, ids)

    def view(asked: Request, path: Mapping[str, str]) -> Response:
        keys.require(asked, endpoint.scope)
        typed = parser.read(asked, path)
        if endpoint.of_people and endpoint.of_people(typed):
            keys.require(asked, READ)
        answer = endpoint.answer(typed)
        return answer if isinstance(answer, Response) else json_response(answer)

    return view


def _of_flask(view: View) -> Callable[..., Response]:
    """A view of the request that Flask has at the moment."""
    return lambda **path: view(request._get_current_object(), path)  # type: ignore[attr-defined]
