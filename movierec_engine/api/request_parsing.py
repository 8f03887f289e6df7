"""From a Flask request to a typed one: the query string, the path, headers and the JSON body, strictly."""

import difflib
import json
from collections.abc import Collection, Mapping
from functools import cache
from typing import Any, NoReturn, TypeVar
from urllib.parse import parse_qsl

from flask import Request
from werkzeug.exceptions import RequestEntityTooLarge

from movierec_engine.api.config import ServingConfig
from movierec_engine.api.errors import ApiError
from movierec_engine.api.parameters import Kind, ListOf, Parameter, parameters_of

T = TypeVar("T")

MAX_BODY_BYTES = 1 << 20
MOST_PARAMETERS = 2100
"""Of a query string, in which each entry of a list may be written as a parameter."""
WITH_BODY = ("POST", "PUT", "PATCH")


def read(kind: type[T], request: Request, path: Mapping[str, str], limits: ServingConfig) -> T:
    """A request of a dataclass of `parameter` fields; its method `check(limits)`, if it has one, sees it whole.

    path: the parts of the path by parameter. Raises ApiError that names the parameter for all that does not fit.
    """
    in_body = request.method in WITH_BODY
    given = _body(request) if in_body else _query(request)
    known, outside, required = _apart(kind)  # type: ignore[arg-type]  # every class is hashable
    values: dict[str, Any] = {}
    for parameter in outside:
        if parameter.where == "path":
            values[parameter.name] = parameter.kind.of_text(path[parameter.name], parameter.name, limits)
        elif (text := request.headers.get(parameter.shown_name)) is not None:
            values[parameter.name] = parameter.kind.of_text(text, parameter.shown_name, limits)
    for name, value in given.items():
        if name not in known:
            _refuse_unknown(name, known)
        if in_body:
            values[name] = known[name].of_json(value, name, limits)
        else:
            values[name] = known[name].of_text(_as_one(name, value, known[name]), name, limits)
    for parameter in required:
        if parameter.name not in values:
            raise ApiError(400, f"{parameter.shown_name} is missing", parameter.shown_name)
    made = kind(**values)
    if (check := getattr(made, "check", None)) is not None:
        check(limits)
    return made


@cache
def _apart(kind: type[Any]) -> tuple[dict[str, Kind[Any]], list[Parameter], list[Parameter]]:
    """What a query string or a body may hold, by name; the other parameters; and those that are required."""
    known = parameters_of(kind).values()
    return (
        {one.name: one.kind for one in known if one.where == "query"},
        [one for one in known if one.where != "query"],
        [one for one in known if one.required],
    )


def _refuse_unknown(name: str, known: Collection[str]) -> NoReturn:
    close = difflib.get_close_matches(name[:64], known, n=1)
    hints = [f"did you mean {close[0]}?"] if close else []
    hints.append(f"known are {', '.join(known)}" if known else "leave it out")
    raise ApiError(400, f"there is no parameter {name[:64]!r}; {' '.join(hints)}", name[:64])


def _as_one(name: str, values: list[str], kind: Kind[Any]) -> str:
    """A parameter of a query string, written once, or a list's entries in several: `history=318&history=296,593`."""
    if len(values) > 1 and not isinstance(kind, ListOf):
        raise ApiError(400, f"{name!r} is given {len(values)} times; give it once", name)
    return ",".join(values)


def _query(request: Request) -> Mapping[str, list[str]]:
    text: str = request.environ.get("QUERY_STRING", "")
    if not text:
        return {}
    try:
        if not text.isascii():
            raise ValueError("raw bytes, where a client should have written %XX")
        pairs = parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=MOST_PARAMETERS)
    except ValueError as error:
        raise ApiError(
            400, f"the query string is not percent-encoded UTF-8 of at most {MOST_PARAMETERS} parameters"
        ) from error
    values: dict[str, list[str]] = {}
    for name, text in pairs:
        values.setdefault(name, []).append(text)
    return values


def _body(request: Request) -> Mapping[str, Any]:
    if request.query_string:
        raise ApiError(400, "a POST takes its parameters from the JSON body; leave the query string empty")
    charset = request.mimetype_params.get("charset", "utf-8").lower()
    if request.mimetype != "application/json" or charset not in ("utf-8", "utf8"):
        raise ApiError(415, "the body must be JSON in UTF-8; send it with Content-Type: application/json")
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise ApiError(415, "the body must not be compressed; send it without Content-Encoding")
    try:
        raw = request.get_data()
    except RequestEntityTooLarge as error:
        raise _too_large() from error
    if request.content_length is None and len(raw) >= MAX_BODY_BYTES:  # a chunked body is cut off at the limit
        raise _too_large()
    try:
        body = json.loads(raw.decode("utf-8"), object_pairs_hook=_without_duplicates, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise ApiError(400, "the body is not valid JSON in UTF-8") from error
    if not isinstance(body, dict):
        raise ApiError(400, 'the body must be a JSON object such as {"user_id": 1}')
    return body


def _too_large() -> ApiError:
    return ApiError(413, f"the body is larger than {MAX_BODY_BYTES} bytes; split it into several requests")


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) != len(pairs):
        raise ValueError("a key is given twice")
    return values


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
