"""Errors of the API: always JSON, always one sentence, never a stack trace."""

from http import HTTPStatus

from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException

from movierec_engine.api.envelope import REQUEST_ID
from movierec_engine.api.rendering import json_response
from movierec_engine.errors import StoreError

CODES = {
    400: "bad_request",
    401: "key_needed",
    404: "not_found",
    405: "method_not_allowed",
    413: "body_too_large",
    415: "unsupported_media_type",
    422: "unprocessable",
    429: "too_many_requests",
    500: "server_error",
    503: "nothing_to_serve",
}
"""Status -> code in the body of its answer."""


class ApiError(Exception):
    """An answer other than 200.

    status: the HTTP status. message: one sentence. parameter: the name of the parameter at fault, if there is one.
    headers: of the answer, such as Retry-After.
    """

    def __init__(
        self, status: int, message: str, parameter: str | None = None, headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.parameter, self.headers = status, message, parameter, headers or {}


def register_error_answers(app: Flask) -> None:
    """Answer every error of an application as JSON."""

    @app.errorhandler(ApiError)
    def api_error(error: ApiError) -> Response:
        response = _answer(error.status, error.message, error.parameter)
        response.headers.update(error.headers)
        return response

    @app.errorhandler(StoreError)
    def store_error(error: StoreError) -> Response:
        app.logger.error("%s", error)
        return _answer(503, "the artifact store cannot be read at the moment; the server's log says why")

    @app.errorhandler(HTTPException)
    def http_error(error: HTTPException) -> Response:
        status = error.code or 500
        allowed = sorted((error.valid_methods or []) if hasattr(error, "valid_methods") else [])
        hint = f"; allowed are {', '.join(allowed)}" if allowed else ""
        response = _answer(status, f"{HTTPStatus(status).phrase.lower()}{hint}; GET / lists the endpoints")
        if allowed:
            response.headers["Allow"] = ", ".join(allowed)
        return response

    @app.errorhandler(Exception)
    def unexpected(error: Exception) -> Response:
        app.logger.exception("request %s failed", request.environ.get(REQUEST_ID, "-"))
        return _answer(500, "the server failed on this request; its log has the details under this request id")


def error_body(status: int, message: str, parameter: str | None = None) -> dict[str, object]:
    """The member `error` of an answer."""
    return {"code": CODES.get(status, f"http_{status}"), "message": message, "parameter": parameter}


def _answer(status: int, message: str, parameter: str | None = None) -> Response:
    return json_response({"error": error_body(status, message, parameter)}, status)
