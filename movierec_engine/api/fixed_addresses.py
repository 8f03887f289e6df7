"""Data at fixed addresses, answered without what Flask does for each request.

Its routing, contexts and signals are a good part of the time that an answer takes otherwise. Flask answers what is not
found here: pages, addresses with parameters in them, HEAD and OPTIONS, and what does not exist.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from werkzeug.wrappers import Request

from movierec_engine.api.access import RateLimit
from movierec_engine.api.endpoints import JSON, ROOT, Endpoint, View
from movierec_engine.api.errors import answer_to
from movierec_engine.api.incoming import ENDPOINT
from movierec_engine.api.middleware import Application
from movierec_engine.api.request_parsing import MAX_BODY_BYTES


class _Request(Request):
    max_content_length = MAX_BODY_BYTES


class FixedAddresses:
    """application: answers everything else."""

    def __init__(self, application: Application, views: Sequence[tuple[Endpoint, View]], rate: RateLimit) -> None:
        self._application, self._rate = application, rate
        self._found = {
            (method, path): (endpoint, view)
            for endpoint, view in views
            if endpoint.path.startswith(ROOT) and endpoint.content == JSON and not endpoint.in_path
            for method in endpoint.methods
            for path in endpoint.paths
        }

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        found = self._found.get((environ["REQUEST_METHOD"], environ["PATH_INFO"]))
        if found is None:
            return self._application(environ, start_response)
        endpoint, view = found
        environ[ENDPOINT] = endpoint.path
        try:
            if endpoint.limited:
                self._rate.take(environ.get("REMOTE_ADDR") or "")
            response = view(_Request(environ, populate_request=False), {})
        except Exception as error:  # as Flask's handler of all errors does
            response = answer_to(error)
        return response(environ, start_response)
