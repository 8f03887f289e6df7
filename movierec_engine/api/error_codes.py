"""Codes of the API's errors, and the part of an answer that has one; for the worker, too, which imports no Flask."""

CODES = {
    400: "bad_request",
    401: "key_needed",
    403: "scope_needed",
    404: "not_found",
    405: "method_not_allowed",
    409: "conflict",
    410: "gone",
    413: "body_too_large",
    414: "address_too_long",
    415: "unsupported_media_type",
    422: "unprocessable",
    429: "too_many_requests",
    431: "headers_too_large",
    500: "server_error",
    503: "nothing_to_serve",
}
"""Status -> code in the body of its answer, unless the error has one of its own."""
FEEDBACK_UNAVAILABLE, STORE_UNAVAILABLE = "feedback_unavailable", "store_unavailable"
"""Codes of a 503 where lists may well be answered: the feedback log, or the artifact store, cannot be used."""
NOT_YET = "not_yet"
"""Code of a 503 where what is asked for is still being made, as the places of new movies are after a start."""
TOOK_TOO_LONG = "took_too_long"
"""Code of a 503 where the answer took longer than an answer may."""


def error_body(status: int, message: str, parameter: str | None = None, code: str | None = None) -> dict[str, object]:
    """The member `error` of an answer."""
    return {"code": code or CODES.get(status, f"http_{status}"), "message": message, "parameter": parameter}
