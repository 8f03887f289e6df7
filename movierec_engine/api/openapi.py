"""The OpenAPI 3.1 description of endpoints, from the models that read the requests and those of the answers."""

import json
import re
from collections.abc import Container, Iterable
from typing import Any, Union
from urllib.parse import quote, urlencode

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema

from movierec_engine import __version__
from movierec_engine.api.answers import Error
from movierec_engine.api.config import OPEN, READ, SCOPES, ServingConfig
from movierec_engine.api.endpoints import JSON, Endpoint
from movierec_engine.api.error_codes import CODES, FEEDBACK_UNAVAILABLE, NOT_YET, STORE_UNAVAILABLE, TOOK_TOO_LONG
from movierec_engine.api.known_ids import with_ids
from movierec_engine.api.parameters import schema_of
from movierec_engine.api.request_parsing import WITH_BODY
from movierec_engine.serving.known_ids import KnownIds

Described = dict[str, Any]

EXAMPLES_AT = "http://localhost:5000"
"""The server that the examples ask, by default where `movierec serve` listens."""

ALIAS = (
    "What stands below /api/v1/ stays: answers may get further fields, but no field, parameter or status goes or "
    "changes its meaning. Each address has an alias without the version, such as /api/recommend."
)
_SCHEMAS = "#/components/schemas/"
_REQUEST_ID = {"type": "string", "description": "Also in the header X-Request-ID."}
_KEY = "an API key of scope {}, where the server has any"
_PATH_PARAMETER = re.compile(r"<(\w+)>")
_MEANINGS = {
    400: "A parameter is malformed, missing or unknown.",
    401: "The API key is missing or wrong.",
    403: "The API key's scope does not reach so far.",
    404: "What is asked for is not there.",
    409: "The idempotency key was used before, for something else or for what was undone or erased since; or somebody "
    "else has changed the rules meanwhile.",
    410: "The cursor is too old, or of another index version; ask for the list again without it.",
    413: "The body is too large.",
    414: "The request line is too long; give a history in the body of a POST.",
    415: "The body is no JSON.",
    422: "A value is well-formed but not possible.",
    429: "Too many requests; Retry-After says when to ask again.",
    431: "The headers are too large.",
    503: "There is nothing to serve yet; or the feedback log, or the artifact store, cannot be used at the moment "
    f"(code: {FEEDBACK_UNAVAILABLE}, {STORE_UNAVAILABLE}); or what is asked for is still being made (code: {NOT_YET}), "
    f"or takes too long to answer (code: {TOOK_TOO_LONG}).",
}


def describe(endpoints: Iterable[Endpoint], limits: ServingConfig, ids: KnownIds | None = None) -> Described:
    """The description of an API, with the ids of the data set that it serves, where it serves one."""
    paths: Described = {}
    answers = {Error}
    for endpoint in endpoints:
        methods = paths.setdefault(_PATH_PARAMETER.sub(r"{\1}", endpoint.address), {})
        for method in endpoint.methods:
            methods[method.lower()] = _operation(endpoint, method, limits, ids)
        if endpoint.schema:
            answers.add(endpoint.schema)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Movierec",
            "version": __version__,
            "summary": "Movie recommendations, and what they come from.",
            "description": ALIAS,
        },
        "servers": [{"url": limits.prefix or "/"}],
        "paths": paths,
        "components": {
            "schemas": with_ids(_answer_schemas(answers), ids),
            "securitySchemes": {
                "key": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": f"A key of the scope needed, or of a later one of {', '.join(SCOPES[1:])}, where "
                    "the server has any.",
                }
            },
        },
    }


def example_request(
    endpoint: Endpoint, method: str, limits: ServingConfig, ids: KnownIds | None = None
) -> tuple[str, Described | None]:
    """A path with query string, and a body, that are answered on the bundled data, or by ids of the served data."""
    parameters = schema_of(endpoint.asks, limits, ids)["properties"]
    values = {name: one["examples"][0] for name, one in parameters.items() if "examples" in one}
    path = _PATH_PARAMETER.sub(lambda part: quote(str(values.pop(part[1])), safe=""), endpoint.address)
    if method in WITH_BODY:
        return path, values
    query = urlencode({name: _in_query(value) for name, value in values.items()}, safe=",:")
    return f"{path}?{query}" if query else path, None


def _curl(method: str, path: str, body: Described | None) -> str:
    """The example as a command line."""
    url = f'"{EXAMPLES_AT}{path}"'
    if body is None:
        return f"curl {url}" if method == "GET" else f"curl -X {method} {url}"
    return f"curl -X {method} {url} -H \"Content-Type: application/json\" -d '{json.dumps(body)}'"


def _operation(endpoint: Endpoint, method: str, limits: ServingConfig, ids: KnownIds | None) -> Described:
    schema = schema_of(endpoint.asks, limits, ids)
    headers = {one.alias for one in endpoint.asks.model_fields.values() if one.alias}
    where = {**dict.fromkeys(endpoint.in_path, "path"), **dict.fromkeys(headers, "header")}
    known, required = schema["properties"], schema.get("required", ())
    in_body = method in WITH_BODY
    path, example = example_request(endpoint, method, limits, ids)
    operation: Described = {
        "operationId": endpoint.name if len(endpoint.methods) == 1 else f"{method.lower()}_{endpoint.name}",
        "tags": [endpoint.topic],
        "summary": endpoint.summary,
        "parameters": [
            _parameter(name, one, where.get(name, "query"), name in required)
            for name, one in known.items()
            if not in_body or name in where
        ],
        "responses": _responses(endpoint, method, known),
        "x-example": _curl(method, path, example),
    }
    if in_body:
        body = {
            "type": "object",
            "properties": {name: one for name, one in known.items() if name not in where},
            "required": [name for name in required if name not in where],
            "additionalProperties": False,
        }
        operation["requestBody"] = {"required": True, "content": {JSON: {"schema": body, "example": example}}}
    if endpoint.scope != OPEN:
        operation["security"] = [{"key": [endpoint.scope]}]
        operation["description"] = f"Needs {_KEY.format(endpoint.scope)}."
    elif endpoint.of_people:
        operation["security"] = [{}, {"key": [READ]}]  # without a key, too, for what is no person's
        operation["description"] = f"With a `user_id` it needs {_KEY.format(READ)}."
    return operation


def _parameter(name: str, schema: Described, where: str, required: bool) -> Described:
    schema = dict(schema)
    described = {"name": name, "in": where, "required": required, "description": schema.pop("description")}
    if examples := schema.pop("examples", None):
        described["example"] = examples[0]
    if schema.get("type") == "array":
        described |= {"style": "form", "explode": False}
    return {**described, "schema": schema}


def _responses(endpoint: Endpoint, method: str, known: Container[str]) -> Described:
    statuses = {400, 414, 431}
    if endpoint.scope != OPEN or endpoint.of_people:
        statuses |= {401, 403}
    if endpoint.limited:
        statuses.add(429)
    if method in WITH_BODY:
        statuses |= {413, 415, 422}
    if endpoint.topic != "operations":
        statuses.add(503)
    if any(name in known for name in ("model", "movie_id", "item_id", "user_id")):
        statuses.add(404)
    if "Idempotency-Key" in known:
        statuses |= {404, 409}
    if endpoint.topic == "rules" and method in WITH_BODY:
        statuses.add(409)
    if "next" in known:
        statuses.add(410)
    if any(name in known for name in ("genres", "kind")):
        statuses.add(422)
    other = {"type": "object" if endpoint.content == JSON else "string"}
    answer = {"$ref": f"{_SCHEMAS}{endpoint.schema.__name__}"} if endpoint.schema else other
    responses: Described = {
        "200": {"description": "The answer.", "content": {endpoint.content: {"schema": answer}}},
        **{
            str(status): {
                "description": f"{_MEANINGS[status]} code: {CODES[status]}",
                "content": {JSON: {"schema": {"$ref": f"{_SCHEMAS}{Error.__name__}"}}},
            }
            for status in sorted(statuses)
        },
    }
    if endpoint.path == "/api/ready":
        responses["503"] = {
            "description": "There is nothing to answer from at the moment.",
            "content": {JSON: {"schema": answer}},
        }
    return responses


def _answer_schemas(answers: Iterable[type[Any]]) -> Described:
    """The schemas of answers, each with the request id that is added to it, and of their parts."""
    every: Any = Union[tuple(answers)]  # noqa: UP007  (of a tuple)
    schemas = TypeAdapter(every).json_schema(ref_template=f"{_SCHEMAS}{{model}}", schema_generator=_Untitled)["$defs"]
    for one in answers:
        schema = schemas[one.__name__]
        schema["properties"] = {**schema["properties"], "request_id": _REQUEST_ID}
        schema["required"] = [*schema["required"], "request_id"]
    return dict(sorted(schemas.items()))


class _Untitled(GenerateJsonSchema):
    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def _in_query(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return ",".join(map(_in_query, value)) if isinstance(value, list) else str(value)
