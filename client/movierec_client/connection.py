"""Sending: one request until it is answered, its retries or its time are used up."""

import json
import time
from collections.abc import Mapping
from typing import Any

import httpx

from movierec_client.errors import NoAnswerError, RefusedError, UnreadableAnswerError, refusal_of
from movierec_client.requests import Query
from movierec_client.retries import AGAIN, Retries, seconds_of

_SHORTEST = 0.001


class Connection:
    """Sends requests below an address, by a pool of kept connections that threads may share.

    key: the API key. seconds: for a request with its retries. attempt_seconds: for one attempt, so that an answer that
    is lost on the way leaves time for another.
    """

    def __init__(
        self, url: str, key: str | None, seconds: float, attempt_seconds: float, retries: Retries, http: httpx.Client
    ) -> None:
        self.url = url.rstrip("/")
        self._seconds, self._attempt_seconds, self._retries, self._http = seconds, attempt_seconds, retries, http
        self._headers = {"Accept": "application/json", **({"Authorization": f"Bearer {key}"} if key else {})}

    def send(
        self,
        method: str,
        path: str,
        query: Query | None = None,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        *,
        repeatable: bool = True,
        answers: frozenset[int] = frozenset((200,)),
    ) -> dict[str, Any]:
        """The answer's JSON object.

        repeatable: whether it may be sent again, since it changes nothing or the same once. answers: statuses that are
        answers and no errors.

        Raises NoAnswerError, a RefusedError by its status, or UnreadableAnswerError.
        """
        content = None if body is None else json.dumps(body, default=_plain).encode()
        kind = {} if body is None else {"Content-Type": "application/json"}
        ends = time.monotonic() + self._seconds
        for attempt in range(1, self._retries.attempts + 1):
            request = self._http.build_request(
                method,
                f"{self.url}{path}",
                params=query or None,
                content=content,
                headers={**self._headers, **kind, **(headers or {})},
            )
            failure: NoAnswerError | RefusedError
            try:
                response = self._attempt(request, ends)
            except httpx.RequestError as error:
                failure = NoAnswerError(self._sentence(method, path, attempt, error))
                failure.__cause__ = error
            else:
                if response.status_code in answers:
                    return _object(response, f"{method} {path}")
                failure = _refusal(response, f"{method} {path}")
                if response.status_code not in AGAIN:
                    raise failure
            after = failure.retry_after if isinstance(failure, RefusedError) else None
            pause = self._retries.pause(attempt, after)
            if not repeatable or attempt == self._retries.attempts or time.monotonic() + pause >= ends:
                raise failure
            time.sleep(pause)
        raise AssertionError("the last attempt returns or raises")

    def _attempt(self, request: httpx.Request, ends: float) -> httpx.Response:
        """One attempt, whose answer is read whole; raises httpx.TransportError where it does not come in time."""
        ends = min(ends, time.monotonic() + self._attempt_seconds)
        request.extensions["timeout"] = httpx.Timeout(max(_SHORTEST, ends - time.monotonic())).as_dict()
        response = self._http.send(request, stream=True)
        try:
            parts = []
            for part in response.iter_bytes():
                parts.append(part)
                if time.monotonic() > ends:
                    raise httpx.ReadTimeout("the answer comes too slowly", request=request)
        finally:
            response.close()
        return httpx.Response(response.status_code, headers=_without_coding(response.headers), content=b"".join(parts))

    def _sentence(self, method: str, path: str, attempt: int, error: Exception) -> str:
        often = "1 attempt" if attempt == 1 else f"{attempt} attempts"
        why = str(error) or type(error).__name__
        return f"{method} {path}: no answer from {self.url} after {often} ({why}); is the server running there?"


def _plain(value: Any) -> Any:
    """A NumPy scalar, such as an id of a data frame, as a Python one."""
    if hasattr(value, "item"):
        return value.item()
    raise TypeError(f"{value!r} cannot be sent as JSON")


def _without_coding(headers: httpx.Headers) -> list[tuple[str, str]]:
    """Headers of a body that is decoded by now."""
    left_out = ("content-encoding", "content-length", "transfer-encoding")
    return [(name, value) for name, value in headers.items() if name.lower() not in left_out]


def _object(response: httpx.Response, asked: str) -> dict[str, Any]:
    try:
        found = response.json()
    except ValueError as error:
        raise UnreadableAnswerError(f"{asked}: the answer is no JSON: {_beginning(response)}") from error
    if not isinstance(found, dict):
        raise UnreadableAnswerError(f"{asked}: the answer is no JSON object: {_beginning(response)}")
    return found


def _refusal(response: httpx.Response, asked: str) -> RefusedError:
    """The error of an answer, with the API's own sentence where it has one."""
    status, details = response.status_code, {}
    try:
        found = response.json()["error"]
        details = found if isinstance(found, dict) else {}
    except (ValueError, KeyError, TypeError):
        pass
    said = details.get("message")
    if not said:
        to = response.headers.get("Location")
        said = f"the server leads to {to}, give the client that address" if to else _beginning(response)
    return refusal_of(status)(
        f"{asked}: {status}: {said}",
        status=status,
        code=str(details.get("code") or ""),
        parameter=details.get("parameter"),
        request_id=response.headers.get("X-Request-ID"),
        retry_after=seconds_of(response.headers.get("Retry-After")),
    )


def _beginning(response: httpx.Response) -> str:
    text = " ".join(response.text.split())
    return text if len(text) <= 80 else f"{text[:77]}..." if text else "an empty answer"
