"""Endpoints: what each asks, does and answers, in one place for Flask, for OpenAPI and for the docs page."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from flask import Flask, Response, request

from movierec_engine.api.access import ApiKeys
from movierec_engine.api.config import OPEN, READ, ServingConfig
from movierec_engine.api.parameters import parameters_of
from movierec_engine.api.rendering import json_response
from movierec_engine.api.request_parsing import read

JSON = "application/json"
Answer = Mapping[str, Any] | Response
"""A dictionary is rendered as JSON with the request id."""


@dataclass(frozen=True)
class Endpoint:
    """One path of the API."""

    path: str
    """In Flask's syntax, such as /api/movie/<movie_id>."""
    asks: type[Any]
    """A dataclass of `parameter` fields."""
    answer: Callable[[Any], Answer]
    topic: str
    methods: tuple[str, ...] = ("GET",)
    schema: str | None = None
    """The name of the answer's schema, of schemas.py; None for what is not JSON."""
    content: str = JSON
    scope: str = OPEN
    """The scope of the API key that is asked for where the server has any."""
    of_people: Callable[[Any], bool] | None = None
    """Of a typed request to an OPEN endpoint: whether its answer tells of a person, so that a key to READ is needed."""
    limited: bool = True
    """Whether the rate limit holds."""

    @property
    def name(self) -> str:
        return self.answer.__name__

    @property
    def summary(self) -> str:
        """The first paragraph of the handler's docstring."""
        return " ".join(inspect.getdoc(self.answer).split("\n\n")[0].split())  # type: ignore[union-attr]

    def example(self) -> dict[str, Any]:
        """A value as JSON for each parameter that has one."""
        return {name: one.example for name, one in parameters_of(self.asks).items() if one.example is not None}


@dataclass
class Topic:
    """Endpoints that belong together.

    topic = Topic("movies")

    @topic.endpoint("/api/movie/<movie_id>", MovieRequest, schema="Movie")
    def movie(asked: MovieRequest) -> Answer:
        "One sentence for the description."
        return service.movie(asked.movie_id)
    """

    name: str
    endpoints: list[Endpoint] = field(default_factory=list)

    def endpoint(self, path: str, asks: type[Any], **options: Any) -> Callable[[Callable[[Any], Answer]], Any]:
        """Make a function of a typed request an endpoint; the options are Endpoint's other fields."""

        def decorate(answer: Callable[[Any], Answer]) -> Callable[[Any], Answer]:
            self.endpoints.append(Endpoint(path, asks, answer, self.name, **options))
            return answer

        return decorate


def register(app: Flask, endpoints: Sequence[Endpoint], limits: ServingConfig, keys: ApiKeys) -> None:
    """Let an application answer endpoints: check the key, read the request, call, render."""
    for endpoint in endpoints:
        app.add_url_rule(
            endpoint.path, endpoint.name, _view(endpoint, limits, keys), methods=endpoint.methods,
            provide_automatic_options=False,
        )  # fmt: skip


def _view(endpoint: Endpoint, limits: ServingConfig, keys: ApiKeys) -> Callable[..., Response]:
    def view(**path: str) -> Response:
        asked = request._get_current_object()  # type: ignore[attr-defined]
        keys.require(asked, endpoint.scope)
        typed = read(endpoint.asks, asked, path, limits)
        if endpoint.of_people and endpoint.of_people(typed):
            keys.require(asked, READ)
        answer = endpoint.answer(typed)
        return answer if isinstance(answer, Response) else json_response(answer)

    return view
