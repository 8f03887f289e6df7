"""WSGI middleware: request id, headers, count and time of every answer; the client's address and path behind proxies.

It is no hook of Flask's, since a header costs a hundredth here.
"""

import re
import secrets
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from werkzeug.middleware.proxy_fix import ProxyFix

from movierec_engine.api.headers import DATA_POLICY, NO_STORE, NOSNIFF
from movierec_engine.api.incoming import ANSWERED, ENDPOINT, REQUEST_ID, answering
from movierec_engine.api.metrics import Metrics

CORS_METHODS = ("GET", "POST", "PUT", "DELETE")
_GIVEN_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_PAGE_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src {pictures}; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_PAGE_HEADERS = (
    ("Referrer-Policy", "no-referrer"),
    ("X-Frame-Options", "DENY"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
)
_CORS_HEADERS = (
    ("Access-Control-Expose-Headers", "X-Request-ID, Retry-After"),
    ("Access-Control-Allow-Methods", ", ".join(CORS_METHODS)),
    ("Access-Control-Allow-Headers", "Authorization, Content-Type, Idempotency-Key, X-API-Key, X-Request-ID"),
    ("Access-Control-Max-Age", "600"),
)

Headers = list[tuple[str, str]]
Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class Envelope:
    """cors_origins: origins whose pages may read the answers. pictures: origins from which pages may load pictures.

    log: called with the environment, status and seconds.
    """

    def __init__(
        self,
        application: Application,
        metrics: Metrics,
        cors_origins: Sequence[str] = (),
        log: Callable[[dict[str, Any], int, float], None] | None = None,
        pictures: Sequence[str] = (),
    ) -> None:
        allowed = _PAGE_POLICY.format(pictures=" ".join(("'self'", "data:", *pictures)))
        self._page_headers = (("Content-Security-Policy", allowed), *_PAGE_HEADERS)
        self._application, self._metrics, self._origins, self._log = application, metrics, frozenset(cors_origins), log

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        started = time.perf_counter()
        given = environ.get("HTTP_X_REQUEST_ID")
        request_id = given if given and _GIVEN_ID.fullmatch(given) else secrets.token_hex(8)
        environ[REQUEST_ID] = request_id

        def start(status: str, headers: Headers, *error: Any) -> Any:
            self._add_headers(headers, request_id, environ.get("HTTP_ORIGIN"))
            seconds = time.perf_counter() - started
            number = int(status[:3])
            self._metrics.observe_request(
                environ.get(ENDPOINT, "unmatched"), environ["REQUEST_METHOD"], number, seconds
            )
            if ANSWERED in environ:
                model, sources = environ[ANSWERED]
                self._metrics.observe_lists(model, sources, seconds)
            if self._log is not None:
                self._log(environ, number, seconds)
            return start_response(status, headers, *error)

        with answering(environ):
            return self._application(environ, start)

    def _add_headers(self, headers: Headers, request_id: str, origin: str | None) -> None:
        page = stored = False
        for name, value in headers:
            if name == "Content-Type":
                page = value.startswith("text/html")
            elif name == "Cache-Control":
                stored = True
        headers.append(("X-Request-ID", request_id))
        headers.append(NOSNIFF)
        if page:
            headers.extend(self._page_headers)
        else:
            headers.append(DATA_POLICY)
        if not stored:
            headers.append(NO_STORE)
        if self._origins:
            headers.append(("Vary", "Origin"))
            if origin in self._origins:
                headers.append(("Access-Control-Allow-Origin", str(origin)))
                headers.extend(_CORS_HEADERS)


def behind_proxies(application: Application, trusted: int, prefix: str) -> Application:
    """An application that believes its proxies.

    trusted: how many proxies stand before it. Of each X-Forwarded-For, -Proto, -Host and -Prefix that many values are
    believed, from the end, and what a client wrote before them is not. prefix: where it is shown, such as `/movies`,
    whether the proxy hands it on or cuts it off.
    """
    if prefix:
        application = _below(application, prefix)
    if trusted:
        application = ProxyFix(application, x_for=trusted, x_proto=trusted, x_host=trusted, x_prefix=trusted)
    return application


def _below(application: Application, prefix: str) -> Application:
    def answer(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if path == prefix or path.startswith(f"{prefix}/"):
            environ["PATH_INFO"] = path[len(prefix) :] or "/"
        environ["SCRIPT_NAME"] = prefix
        return application(environ, start_response)

    return answer
