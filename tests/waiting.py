"""Waiting in tests for what another thread or process does."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def soon(look: Callable[[], T | None], what: str = "", seconds: float = 300.0) -> T:
    """The first truthy answer of `look`, asked again and again; an AssertionError with `what` after `seconds`."""
    deadline = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {what or look}"
        time.sleep(0.05)
    return found
