"""The request that is being answered, wherever its answer is made."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

REQUEST_ID = "movierec.request_id"
ENDPOINT = "movierec.endpoint"
ANSWERED = "movierec.answered"
"""Keys of the WSGI environment: the request's id, the rule that answers it, and the model of its lists with the source
of each, which the application sets."""

_ENVIRON: ContextVar[dict[str, Any] | None] = ContextVar("environ", default=None)


@contextmanager
def answering(environ: dict[str, Any]) -> Iterator[None]:
    """Make a WSGI environment the one that `incoming` gives."""
    token = _ENVIRON.set(environ)
    try:
        yield
    finally:
        _ENVIRON.reset(token)


def incoming() -> dict[str, Any]:
    """The WSGI environment of the request that is being answered; an empty one where none is."""
    environ = _ENVIRON.get()
    return {} if environ is None else environ
