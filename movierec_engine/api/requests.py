"""What a client may ask, as typed values. Everything that does not fit is an ApiError that names the parameter."""

import difflib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flask import Request
from werkzeug.exceptions import RequestEntityTooLarge

from movierec_engine.api.config import ServingConfig
from movierec_engine.api.errors import ApiError

MAX_ID = 2**63 - 1
MAX_BODY_BYTES = 1 << 20
DEFAULT_TOP_K = 10
_DIGITS = re.compile(r"[0-9]{1,19}")
_MODEL_NAME = re.compile(r"[A-Za-z0-9._:-]{1,64}")


@dataclass(frozen=True)
class RecommendRequest:
    """`/api/recommend`: user_id, and optionally top_k, model, strict."""

    user_id: int
    top_k: int
    model: str | None
    strict: bool
    """An unknown user is then a 404 instead of being answered by popularity."""


@dataclass(frozen=True)
class SimilarRequest:
    """`/api/similar/<item_id>`: optionally top_k, model."""

    item_id: int
    top_k: int
    model: str | None


@dataclass(frozen=True)
class BatchRequest:
    """`/api/batch-recommend`: user_ids, and optionally top_k, model, strict."""

    user_ids: tuple[int, ...]
    top_k: int
    model: str | None
    strict: bool


def parse_recommend(request: Request, limits: ServingConfig) -> RecommendRequest:
    values = _values(request, ("user_id", "top_k", "model", "strict"))
    user_id = _identifier(_required(values, "user_id"), "user_id")
    return RecommendRequest(user_id, _top_k(values, limits), _model(values), _flag(values, "strict"))


def parse_similar(request: Request, item_id: str, limits: ServingConfig) -> SimilarRequest:
    values = _values(request, ("top_k", "model"))
    return SimilarRequest(_identifier(item_id, "item_id"), _top_k(values, limits), _model(values))


def parse_batch(request: Request, limits: ServingConfig) -> BatchRequest:
    values = _values(request, ("user_ids", "top_k", "model", "strict"))
    users = _required(values, "user_ids")
    if not isinstance(users, list) or not users:
        raise ApiError(400, "user_ids must be a list of at least one user id", "user_ids")
    if len(users) > limits.max_batch:
        raise ApiError(422, f"user_ids has {len(users)} entries, at most {limits.max_batch} are answered", "user_ids")
    user_ids = tuple(_identifier(user, f"user_ids[{place}]") for place, user in enumerate(users))
    return BatchRequest(user_ids, _top_k(values, limits), _model(values), _flag(values, "strict"))


def parse_movie_id(request: Request, movie_id: str) -> int:
    parse_nothing(request)
    return _identifier(movie_id, "movie_id")


def parse_nothing(request: Request) -> None:
    """Of a route without parameters: refuses any."""
    _values(request, ())


def _values(request: Request, known: tuple[str, ...]) -> Mapping[str, Any]:
    """The parameters of a request: of its query string, or of its JSON body if it is a POST."""
    values = _body(request) if request.method == "POST" else _query(request)
    for name in values:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            hint = (
                f"did you mean {close[0]}?" if close else f"known are {', '.join(known)}" if known else "leave it out"
            )
            raise ApiError(400, f"there is no parameter {name[:64]!r}; {hint}", name[:64])
    return values


def _query(request: Request) -> Mapping[str, Any]:
    try:
        given_values = request.args
    except UnicodeDecodeError as error:  # raw bytes, where a client should have written %XX
        raise ApiError(400, "the query string is not ASCII; percent-encode it as UTF-8") from error
    values = {}
    for name, given in given_values.lists():
        if len(given) > 1:
            raise ApiError(400, f"{name[:64]!r} is given {len(given)} times; give it once", name[:64])
        values[name] = given[0]
    return values


def _body(request: Request) -> Mapping[str, Any]:
    if request.query_string:
        raise ApiError(400, "a POST takes its parameters from the JSON body; leave the query string empty")
    if request.mimetype != "application/json":
        raise ApiError(415, "the body must be JSON; send it with Content-Type: application/json")
    try:
        raw = request.get_data()
    except RequestEntityTooLarge as error:
        raise _too_large() from error
    if request.content_length is None and len(raw) >= MAX_BODY_BYTES:  # a chunked body is cut off at the limit
        raise _too_large()
    try:
        body = json.loads(raw.decode("utf-8"), object_pairs_hook=_without_duplicates)
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


def _required(values: Mapping[str, Any], name: str) -> Any:
    if name not in values:
        raise ApiError(400, f"{name} is missing", name)
    return values[name]


def _identifier(value: Any, name: str) -> int:
    """A whole number from 0 to 2^63-1, written in ASCII digits or as a JSON integer."""
    if isinstance(value, str) and _DIGITS.fullmatch(value):
        value = int(value)
    if type(value) is not int or not 0 <= value <= MAX_ID:
        raise ApiError(400, f"{name} must be a whole number from 0 to 2^63-1", name)
    return value


def _top_k(values: Mapping[str, Any], limits: ServingConfig) -> int:
    value = values.get("top_k", DEFAULT_TOP_K)
    if isinstance(value, str) and _DIGITS.fullmatch(value):
        value = int(value)
    if type(value) is not int or not 1 <= value <= limits.max_top_k:
        raise ApiError(400, f"top_k must be a whole number from 1 to {limits.max_top_k}", "top_k")
    return value


def _model(values: Mapping[str, Any]) -> str | None:
    value = values.get("model")
    if value is not None and not (isinstance(value, str) and _MODEL_NAME.fullmatch(value)):
        raise ApiError(400, "model must be a model's name; GET /api/models lists them", "model")
    return value


def _flag(values: Mapping[str, Any], name: str) -> bool:
    value = values.get(name, False)
    flags = {"true": True, "false": False, "1": True, "0": False}
    if isinstance(value, str) and value.lower() in flags:
        return flags[value.lower()]
    if type(value) is not bool:
        raise ApiError(400, f"{name} must be true or false", name)
    return value
