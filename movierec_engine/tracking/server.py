"""A tracking server's address without its credentials, and calls to it that end within a time."""

import re
from collections.abc import Callable
from concurrent.futures import Future
from threading import Thread
from typing import TypeVar

T = TypeVar("T")
_PASSWORD = re.compile(r"([?&]password=)[^&\s#]*")
_USER_INFORMATION = re.compile(r"(\b[a-zA-Z][a-zA-Z0-9+.-]*://)[^/\s?#]*@")


def without_credentials(text: str) -> str:
    """A text whose addresses lack their user information: `https://user:password@host` becomes `https://host`."""
    return _PASSWORD.sub(r"\1", _USER_INFORMATION.sub(r"\1", text))


def within(seconds: float, call: Callable[[], T]) -> T:
    """Run `call` in a thread of its own, and return or raise what it does; a TimeoutError if it takes longer.

    A thread that hangs is left behind, and does not keep the process from ending.
    """
    outcome: Future[T] = Future()

    def work() -> None:
        try:
            outcome.set_result(call())
        except BaseException as error:
            outcome.set_exception(error)

    Thread(target=work, name="within", daemon=True).start()
    try:
        return outcome.result(seconds)
    except TimeoutError as error:
        if outcome.done():
            raise
        raise TimeoutError(f"no answer within {seconds:g} s") from error
