"""Errors of the API: always JSON, always one sentence, never a stack trace."""

import logging
import re
from http import HTTPStatus

from flask import Response
from werkzeug.exceptions import HTTPException

from movierec_engine.api.error_codes import FEEDBACK_UNAVAILABLE, NOT_YET, STORE_UNAVAILABLE, error_body
from movierec_engine.api.incoming import REQUEST_ID, incoming
from movierec_engine.api.rendering import json_response, page, wants_page
from movierec_engine.errors import NotYetError, StoreError
from movierec_engine.feedback import FeedbackError, LogAway, LogBusy
from movierec_engine.serving.list_options import ListOptionError

log = logging.getLogger(__name__)

PAGES = {
    400: ("That address does not fit", "Something in it is not as it must be."),
    401: ("That is not for everybody", "An API key is needed for it."),
    403: ("That is not for everybody", "Another API key is needed for it."),
    404: ("There is no such page", "The address may be mistyped, or what it named is gone."),
    405: ("That is not possible here", "The address is right, but not for what was asked of it."),
    429: ("A moment, please", "There were too many requests from here."),
    500: ("Something went wrong", "The server failed on this request; its log says why."),
    503: ("Nothing to recommend from yet", "No model is ready to answer."),
}
"""Status -> title of its page, and what it says where the error says nothing itself."""


WORDS = {"user_id": "user", "movie_id": "id", "year_from": "From year", "year_to": "To year"}
"""Parameter -> what people read of it on a page; client.js has them, too."""
PARAMETERS = re.compile(rf"\b({'|'.join(WORDS)})\b")


class ApiError(Exception):
    """An answer other than 200.

    status: the HTTP status. message: one sentence. parameter: the name of the parameter at fault, if there is one.
    headers: of the answer, such as Retry-After. code: None for the status's own, of CODES.
    """

    def __init__(
        self,
        status: int,
        message: str,
        parameter: str | None = None,
        headers: dict[str, str] | None = None,
        code: str | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.parameter, self.headers = status, message, parameter, headers or {}
        self.code = code


def answer_to(error: Exception) -> Response:
    """The answer where an error ended a request: what was wrong, as JSON; as a page outside of /api for a browser."""
    if isinstance(error, NotYetError):
        error = ApiError(503, str(error), headers={"Retry-After": "10"}, code=NOT_YET)
    if isinstance(error, ApiError):
        response = _answer(error.status, error.message, error.parameter, error.code)
        response.headers.update(error.headers)
        return response
    if isinstance(error, ListOptionError):
        return _answer(422, str(error), error.option)
    if isinstance(error, StoreError):
        log.error("%s", error)
        said = "the artifact store cannot be read at the moment; the server's log says why"
        return _answer(503, said, code=STORE_UNAVAILABLE)
    if isinstance(error, FeedbackError):  # whose log is kept by whoever asked it, for many answers at once
        return _feedback_answer(error)
    if isinstance(error, HTTPException):
        return _http_answer(error)
    log.error("request %s failed", incoming().get(REQUEST_ID, "-"), exc_info=error)
    return _answer(500, "the server failed on this request; its log has the details under this request id")


def _feedback_answer(error: FeedbackError) -> Response:
    said = "the feedback log cannot be used at the moment; the server's log says why"
    if isinstance(error, LogBusy):
        said = "the feedback log is held by another process; nothing was recorded, send it again under the same key"
    elif isinstance(error, LogAway):
        said = "the feedback database does not answer; send it again under the same key, which is recorded once"
    response = _answer(503, said, code=FEEDBACK_UNAVAILABLE)
    response.headers["Retry-After"] = "1"
    return response


def _http_answer(error: HTTPException) -> Response:
    status = error.code or 500
    allowed = sorted((error.valid_methods or []) if hasattr(error, "valid_methods") else [])
    hint = f"; allowed are {', '.join(allowed)}" if allowed else ""
    response = _answer(status, f"{HTTPStatus(status).phrase.lower()}{hint}; GET / lists the endpoints")
    if allowed:
        response.headers["Allow"] = ", ".join(allowed)
    return response


def _answer(status: int, message: str, parameter: str | None = None, code: str | None = None) -> Response:
    if not incoming().get("PATH_INFO", "").startswith("/api") and wants_page():
        return _error_page(status, message)
    return json_response({"error": error_body(status, message, parameter, code)}, status)


def _error_page(status: int, message: str) -> Response:
    """The page of an error: its sentence without the advice for programs at its end."""
    title, hint = PAGES.get(status, PAGES[500])
    said = PARAMETERS.sub(lambda name: WORDS[name[0]], message.split("; GET /", maxsplit=1)[0])
    said = hint if said.lower() == HTTPStatus(status).phrase.lower() else f"{said[:1].upper()}{said[1:]}."
    named = incoming().get(REQUEST_ID, "")
    return page("error.html.j2", status, number=status, title=title, message=said, request_id=named)
