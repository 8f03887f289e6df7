"""Errors of the API: always JSON, always one sentence, never a stack trace."""

from http import HTTPStatus

from flask import Flask, Response, g, jsonify
from werkzeug.exceptions import HTTPException

from movierec_engine.errors import StoreError

_CODES = {
    400: "bad_request",
    404: "not_found",
    405: "method_not_allowed",
    413: "body_too_large",
    415: "unsupported_media_type",
    422: "unprocessable",
    503: "nothing_to_serve",
}


class ApiError(Exception):
    """An answer other than 200.

    status: the HTTP status. message: one sentence. parameter: the name of the parameter at fault, if there is one.
    """

    def __init__(self, status: int, message: str, parameter: str | None = None) -> None:
        super().__init__(message)
        self.status, self.message, self.parameter = status, message, parameter


def register_error_answers(app: Flask) -> None:
    """Answer every error of an application as JSON."""

    @app.errorhandler(ApiError)
    def api_error(error: ApiError) -> tuple[Response, int]:
        return _answer(error.status, error.message, error.parameter)

    @app.errorhandler(StoreError)
    def store_error(error: StoreError) -> tuple[Response, int]:
        app.logger.error("%s", error)
        return _answer(503, "the artifact store cannot be read at the moment; the server's log says why")

    @app.errorhandler(HTTPException)
    def http_error(error: HTTPException) -> tuple[Response, int]:
        status = error.code or 500
        allowed = sorted((error.valid_methods or []) if hasattr(error, "valid_methods") else [])
        hint = f"; allowed are {', '.join(allowed)}" if allowed else ""
        response, _ = _answer(status, f"{HTTPStatus(status).phrase.lower()}{hint}; GET / lists the endpoints")
        if allowed:
            response.headers["Allow"] = ", ".join(allowed)
        return response, status

    @app.errorhandler(Exception)
    def unexpected(error: Exception) -> tuple[Response, int]:
        app.logger.exception("request %s failed", g.get("request_id", "-"))
        return _answer(500, "the server failed on this request; its log has the details under this request id")


def _answer(status: int, message: str, parameter: str | None = None) -> tuple[Response, int]:
    error = {"code": _CODES.get(status, f"http_{status}"), "message": message, "parameter": parameter}
    return jsonify(error=error, request_id=g.get("request_id", "")), status
