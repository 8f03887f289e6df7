"""From a request to a model of `requests.py`: the query string, the path, headers and the JSON body, strictly."""

import difflib
import json
import re
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from typing import Any, Generic, NoReturn, TypeVar
from urllib.parse import unquote_plus

from pydantic import TypeAdapter, ValidationError
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.wrappers import Request

from movierec_engine.api.config import ServingConfig
from movierec_engine.api.errors import ApiError
from movierec_engine.api.known_ids import Context, Schema
from movierec_engine.api.parameters import NULL, RequestModel, must_be, schema_of
from movierec_engine.data.written_ids import split, unescaped
from movierec_engine.serving.known_ids import KnownIds

T = TypeVar("T", bound=RequestModel)
Ids = Callable[[object], KnownIds | None]
"""By the model that a request names, or None."""

MAX_BODY_BYTES = 1 << 20
MOST_PARAMETERS = 2100
"""Parameters of a query string at most; each entry of a list may be written as one."""
WITH_BODY = ("POST", "PUT", "PATCH")

_DIGITS = re.compile(r"[0-9]{1,19}")
_NUMBER = re.compile(r"-?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,3})?")
_FLAGS = {"true": True, "false": False, "1": True, "0": False}


class RequestParser(Generic[T]):
    """Reads the requests of one endpoint.

    path: the parameters that stand in its path. ids: asks for the ids and ratings of the data set that is served at the
    moment, by the model that a request names, if it does.
    """

    def __init__(
        self,
        model: type[T],
        limits: ServingConfig,
        path: Collection[str] = (),
        ids: Ids = lambda model: KnownIds(),
    ) -> None:
        self._validate: Callable[..., T] = TypeAdapter(model).validator.validate_python
        self._model, self._limits = model, limits
        self._context = Context(limits, None)
        self._schema = schema_of(model, limits, None)
        self._ids = _no_ids if self._schema == schema_of(model, limits, KnownIds()) else ids
        self._headers = {one.alias for one in model.model_fields.values() if one.alias}
        self._from_text = {name: _from_text(part) for name, part in self._schema["properties"].items()}
        self._lists = {name for name, part in self._schema["properties"].items() if part.get("type") == "array"}
        self._known = [name for name in self._from_text if name not in path and name not in self._headers]

    def read(self, request: Request, path: Mapping[str, str]) -> T:
        """A request. path: the parts of the path by parameter.

        Raises ApiError that names the parameter for all that does not fit.
        """
        values: dict[str, Any] = {name: self._from_text[name](text) for name, text in path.items()}
        for name in self._headers:
            if (text := request.headers.get(name)) is not None:
                values[name] = text
        if request.method in WITH_BODY:
            values.update(self._require_known(_body(request)))
        else:
            for name, texts in self._require_known(_query(request)).items():
                if len(texts) > 1 and name not in self._lists:
                    raise ApiError(400, f"{name!r} is given {len(texts)} times; give it once", name)
                values[name] = self._from_text[name](",".join(texts))
        ids = self._ids(values.get("model"))
        try:
            return self._validate(values, context=self._context_of(ids))
        except ValidationError as error:
            raise self._refusal(error, ids) from error

    def _context_of(self, ids: KnownIds | None) -> Context:
        """The context of the last request, as long as the same data set is served."""
        context = self._context
        if context.ids is not ids:
            context = self._context = Context(self._limits, ids)
        return context

    def _require_known(self, given: Mapping[str, Any]) -> Mapping[str, Any]:
        for name in given:
            if name not in self._known:
                close = difflib.get_close_matches(name[:64], self._known, n=1)
                hints = [f"did you mean {close[0]}?"] if close else []
                hints.append(f"known are {', '.join(self._known)}" if self._known else "leave it out")
                raise ApiError(400, f"there is no parameter {name[:64]!r}; {' '.join(hints)}", name[:64])
        return given

    def _refusal(self, error: ValidationError, ids: KnownIds | None) -> ApiError:
        """One sentence about the first invalid parameter, or else about a missing one."""
        whole = schema_of(self._model, self._limits, ids)
        errors = error.errors(include_url=False, include_input=False)
        first = next((one for one in errors if one["type"] != "missing" or len(one["loc"]) > 1), errors[0])
        kind, place, about = first["type"], first["loc"], first.get("ctx", {})
        name = _written(place)
        if kind == "refused":
            within = f"{name}." if name else ""
            return ApiError(about["status"], f"{within}{about['message']}", f"{within}{about['parameter']}")
        if kind == "extra_forbidden":
            known = ", ".join(_object(_part(whole, place[:-1]))["properties"])
            return ApiError(400, f"there is no {name[:128]}; known are {known}", _written(place[:-1]))
        schema = _part(whole, place)
        match kind:
            case "missing":
                said = "is missing"
            case "too_short":
                said = f"must have at least {_entries(schema['minItems'])}"
            case "too_long":
                said = f"must have at most {_entries(schema['maxItems'])}"
            case "string_too_short" | "string_too_long":
                said = f"must have {schema['minLength']} to {schema['maxLength']} characters"
            case _:
                said = f"must be {must_be(schema)}"
        return ApiError(422 if kind == "too_long" else 400, f"{name} {said}", name)


def _no_ids(model: object) -> None:
    """The id lookup of requests without ids: no ids are known, so that these requests do not wait for an index."""


def _from_text(schema: Schema) -> Callable[[str], Any]:
    """A reader of a schema's values from a query string or a path; a text that is none stays one, and is refused."""
    if "anyOf" in schema:
        return _rated_movie if "object" in (part.get("type") for part in schema["anyOf"]) else str
    match schema["type"]:
        case "integer":
            return lambda text: int(text) if _DIGITS.fullmatch(text) else text
        case "number":
            return lambda text: float(text) if _NUMBER.fullmatch(text) else text
        case "boolean":
            return lambda text: _FLAGS.get(text.lower(), text)
        case "array":
            entry = _from_text(schema["items"])
            entry = unescaped if entry is str else entry
            return lambda text: [entry(part) for part in split(text, ",")] if text else []
    return str


def _rated_movie(text: str) -> dict[str, Any]:
    """`318` or `318:4.5`."""
    movie, *rating = split(text, ":", 1)
    values: dict[str, Any] = {"movie_id": unescaped(movie)}
    return {**values, "rating": float(rating[0]) if _NUMBER.fullmatch(rating[0]) else rating[0]} if rating else values


def _written(place: tuple[int | str, ...]) -> str:
    """A path within a body as text, such as events[0].rating."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place).lstrip(".")


def _part(schema: Schema, place: tuple[int | str, ...]) -> Schema:
    """The schema of a part."""
    for one in place:
        schema = schema["items"] if isinstance(one, int) else _object(schema)["properties"][one]
    return schema


def _object(schema: Schema) -> Schema:
    return next((part for part in schema.get("anyOf", ()) if part.get("type") == "object"), schema)


def _entries(count: int) -> str:
    return f"{count} entry" if count == 1 else f"{count} entries"


def _query(request: Request) -> Mapping[str, list[str]]:
    text: str = request.environ.get("QUERY_STRING", "")
    if not text:
        return {}
    values: dict[str, list[str]] = {}
    try:
        if not text.isascii():
            raise ValueError("raw bytes, where a client should have written %XX")
        if text.count("&") >= MOST_PARAMETERS:
            raise ValueError("too many parameters")
        escaped = "%" in text or "+" in text
        for pair in filter(None, text.split("&")):
            name, _, value = pair.partition("=")
            if escaped:
                name, value = unquote_plus(name, errors="strict"), unquote_plus(value, errors="strict")
            values.setdefault(name, []).append(value)
    except ValueError as error:
        raise ApiError(
            400, f"the query string is not percent-encoded UTF-8 of at most {MOST_PARAMETERS} parameters"
        ) from error
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
        body = json.loads(
            raw.decode("utf-8"),
            object_pairs_hook=_without_duplicates,
            parse_float=_number,
            parse_constant=_no_number,
        )
    except (ValueError, RecursionError) as error:
        raise ApiError(400, f"the body is not valid JSON in UTF-8: {_why_no_json(error)}") from error
    if not isinstance(body, dict):
        raise ApiError(400, 'the body must be a JSON object such as {"user_id": 1}')
    return body


def _too_large() -> ApiError:
    return ApiError(413, f"the body is larger than {MAX_BODY_BYTES} bytes; split it into several requests")


def _why_no_json(error: ValueError | RecursionError) -> str:
    """The error in a body that is not JSON, and its remedy."""
    match error:
        case UnicodeDecodeError():
            return f"byte {error.start} is no UTF-8; encode it so"
        case json.JSONDecodeError():
            return (
                f"{error.msg[:1].lower()}{error.msg[1:]} at line {error.lineno}, column {error.colno}; correct it there"
            )
        case RecursionError():
            return "it is nested too deeply; send a flat object"
    return "a whole number in it has too many digits; none of a request has more than 19"


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = {name: NULL if value is None else value for name, value in pairs}
    if len(values) != len(pairs):
        name, _ = Counter(name for name, _ in pairs).most_common(1)[0]
        raise ApiError(400, f"{name[:64]!r} is given several times in one object of the body; give it once", name[:64])
    return values


def _number(text: str) -> int | float:
    """2.0 is the whole number 2, as in JSON Schema: a client whose numbers are all doubles has no other way."""
    number = float(text)
    return int(number) if number.is_integer() else number


def _no_number(name: str) -> NoReturn:
    raise ApiError(400, f"the body holds {name}, which is no number of JSON; leave it out")
