"""The OpenAPI 3.1 description of endpoints, from the same parameters that read the requests."""

import json
import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlencode

from movierec_engine import __version__
from movierec_engine.api.config import OPEN, ServingConfig
from movierec_engine.api.endpoints import JSON, Endpoint
from movierec_engine.api.errors import CODES
from movierec_engine.api.parameters import Parameter, parameters_of
from movierec_engine.api.request_parsing import WITH_BODY
from movierec_engine.api.schemas import SCHEMAS

Described = dict[str, Any]

EXAMPLES_AT = "http://localhost:5000"
"""The server that the examples ask, by default where `movierec serve` listens."""

_PATH_PARAMETER = re.compile(r"<(\w+)>")
_MEANINGS = {
    400: "A parameter is malformed, missing or unknown.",
    401: "The API key is missing or wrong.",
    403: "The API key's scope does not reach so far.",
    404: "What is asked for is not there.",
    409: "The idempotency key was used before, for something else or for what was undone or erased since.",
    413: "The body is too large.",
    415: "The body is no JSON.",
    422: "A value is well-formed but not possible.",
    429: "Too many requests; Retry-After says when to ask again.",
    503: "There is nothing to serve yet.",
}


def describe(endpoints: Iterable[Endpoint], limits: ServingConfig) -> Described:
    """The description of an API."""
    paths: Described = {}
    for endpoint in endpoints:
        methods = paths.setdefault(_PATH_PARAMETER.sub(r"{\1}", endpoint.path), {})
        for method in endpoint.methods:
            methods[method.lower()] = _operation(endpoint, method, limits)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Movierec",
            "version": __version__,
            "summary": "Movie recommendations, and what they come from.",
        },
        "servers": [{"url": limits.prefix or "/"}],
        "paths": paths,
        "components": {
            "schemas": SCHEMAS,
            "securitySchemes": {
                "key": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "A key of the scope that is needed, if the server has any keys.",
                }
            },
        },
    }


def example_request(endpoint: Endpoint, method: str) -> tuple[str, Described | None]:
    """A path with query string, and a body, that are answered on the bundled data."""
    known, values = parameters_of(endpoint.asks), endpoint.example()
    path = _PATH_PARAMETER.sub(lambda part: str(values[part[1]]), endpoint.path)
    open_values = {name: value for name, value in values.items() if known[name].where == "query"}
    if method in WITH_BODY:
        return path, open_values
    query = urlencode({name: _in_query(value) for name, value in open_values.items()}, safe=",:")
    return f"{path}?{query}" if query else path, None


def curl(endpoint: Endpoint, method: str) -> str:
    """The example as a command line."""
    path, body = example_request(endpoint, method)
    url = f'"{EXAMPLES_AT}{path}"'
    if body is None:
        return f"curl {url}" if method == "GET" else f"curl -X {method} {url}"
    return f"curl -X {method} {url} -H \"Content-Type: application/json\" -d '{json.dumps(body)}'"


def _operation(endpoint: Endpoint, method: str, limits: ServingConfig) -> Described:
    known = parameters_of(endpoint.asks).values()
    in_body = method in WITH_BODY
    operation: Described = {
        "operationId": endpoint.name if len(endpoint.methods) == 1 else f"{method.lower()}_{endpoint.name}",
        "tags": [endpoint.topic],
        "summary": endpoint.summary,
        "parameters": [_parameter(one, limits) for one in known if not in_body or one.where != "query"],
        "responses": _responses(endpoint, method),
        "x-example": curl(endpoint, method),
    }
    if in_body:
        operation["requestBody"] = _body(endpoint, [one for one in known if one.where == "query"], limits)
    if endpoint.scope != OPEN:
        operation["security"] = [{"key": []}]
    elif endpoint.of_people:
        operation["security"] = [{}, {"key": []}]  # without a key, too, for what is no person's
    return operation


def _parameter(one: Parameter, limits: ServingConfig) -> Described:
    described = {
        "name": one.shown_name,
        "in": one.where,
        "required": one.required,
        "description": one.meaning,
        "schema": _schema(one, limits),
        **one.kind.in_query,
    }
    return described if one.example is None else {**described, "example": one.example}


def _body(endpoint: Endpoint, known: list[Parameter], limits: ServingConfig) -> Described:
    schema = {
        "type": "object",
        "properties": {one.name: {**_schema(one, limits), "description": one.meaning} for one in known},
        "required": [one.name for one in known if one.required],
        "additionalProperties": False,
    }
    return {"required": True, "content": {JSON: {"schema": schema, "example": endpoint.example()}}}


def _schema(one: Parameter, limits: ServingConfig) -> Described:
    schema = one.kind.schema(limits)
    return schema if one.required or one.default is None else {**schema, "default": one.default}


def _responses(endpoint: Endpoint, method: str) -> Described:
    known = parameters_of(endpoint.asks)
    statuses = {400}
    if endpoint.scope != OPEN or endpoint.of_people:
        statuses |= {401, 403}
    if endpoint.limited:
        statuses.add(429)
    if method in WITH_BODY:
        statuses |= {413, 415, 422}
    if endpoint.topic != "operations":
        statuses.add(503)
    if {"model", "movie_id", "item_id", "user_id"} & set(known):
        statuses.add(404)
    if "idempotency_key" in known:
        statuses |= {404, 409}
    if {"genres", "kind"} & set(known):
        statuses.add(422)
    schema: Described = {"$ref": f"#/components/schemas/{endpoint.schema}"} if endpoint.schema else {"type": "string"}
    responses: Described = {
        "200": {"description": "The answer.", "content": {endpoint.content: {"schema": schema}}},
        **{
            str(status): {
                "description": f"{_MEANINGS[status]} code: {CODES[status]}",
                "content": {JSON: {"schema": {"$ref": "#/components/schemas/Error"}}},
            }
            for status in sorted(statuses)
        },
    }
    if endpoint.path == "/api/ready":
        responses["503"] = {
            "description": "There is nothing to answer from at the moment.",
            "content": {JSON: {"schema": schema}},
        }
    return responses


def _in_query(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return ",".join(map(_in_query, value)) if isinstance(value, list) else str(value)
