"""From a dictionary to the answer's bytes."""

from collections.abc import Mapping
from typing import Any

import orjson
from flask import Response, render_template, request

from movierec_engine.api.incoming import ANSWERED, REQUEST_ID, incoming


def json_response(body: Mapping[str, Any], status: int = 200) -> Response:
    """An answer of JSON, with the request's id; a NaN or an infinity becomes null."""
    environ = incoming()
    if "model" in body and (lists := [body] if "source" in body else body.get("results")):
        environ[ANSWERED] = body["model"], [one["source"] for one in lists]
    named = {**body, "request_id": environ.get(REQUEST_ID, "")}
    return Response(to_json(named), status, content_type="application/json")


def page(template: str, status: int = 200, **context: Any) -> Response:
    """An answer of HTML."""
    return Response(render_template(template, **context), status, mimetype="text/html")


def wants_page() -> bool:
    """True if the request comes from a browser's address bar or a link: it takes HTML rather than JSON."""
    accepted = request.accept_mimetypes
    return accepted["text/html"] > accepted["application/json"]


def to_json(body: Mapping[str, Any]) -> bytes:
    """UTF-8; half a surrogate pair, which a client's JSON can smuggle in, becomes a question mark."""
    try:
        return orjson.dumps(body)
    except TypeError:
        return orjson.dumps(_encodable(body))


def _encodable(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, Mapping):
        return {_encodable(str(name)): _encodable(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_encodable(part) for part in value]
    return value if value is None or (isinstance(value, int | float) and abs(value) < 2**63) else str(value)
