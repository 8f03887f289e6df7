"""Progress of long steps: a log line once a step takes a while, and one every few seconds from then on."""

import logging
import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from movierec_engine.reporting import numbers

log = logging.getLogger(__name__)

FIRST_SECONDS, EVERY_SECONDS = 2.0, 10.0
"""A step that ends before the first of these says nothing."""


class _Step:
    """A step that is on: what it does, since when, and how far it is."""

    def __init__(self, name: str) -> None:
        self.name, self.started, self.place = name, time.monotonic(), ""
        self.ended = threading.Event()

    def tell(self) -> None:
        """Log the place every few seconds until the step has ended; run in a thread."""
        wait = FIRST_SECONDS
        while not self.ended.wait(wait):
            log.info("%s%s, %s", self.name, self.place, numbers.duration(time.monotonic() - self.started))
            wait = EVERY_SECONDS


_on: ContextVar[_Step | None] = ContextVar("step", default=None)


@contextmanager
def step(name: str) -> Iterator[None]:
    """A long step, such as `fitting als`, for a `with` or above a function; a step within it takes its place."""
    mine = _Step(name)
    token = _on.set(mine)
    threading.Thread(target=mine.tell, daemon=True).start()
    try:
        yield
    finally:
        mine.ended.set()
        _on.reset(token)


class TimeIsUp(Exception):
    """A step has gone on beyond its time."""


_until: ContextVar[float] = ContextVar("until", default=math.inf)


@contextmanager
def until(moment: float) -> Iterator[None]:
    """Let the steps within raise TimeIsUp from where they next say how far they are, after a moment of `monotonic`."""
    token = _until.set(moment)
    try:
        yield
    finally:
        _until.reset(token)


Tell = Callable[[int, int, str], None]
_tell: ContextVar[Tell | None] = ContextVar("tell", default=None)


@contextmanager
def told(tell: Tell) -> Iterator[None]:
    """Hand on how far the steps within come, as a worker does to the process whose step it is."""
    token = _tell.set(tell)
    try:
        yield
    finally:
        _tell.reset(token)


def advance(done: int, total: int, unit: str) -> None:
    """Say how far the step that is on has come, `120 of 671 users`; nothing where none is on.

    Raises TimeIsUp where `until` says so.
    """
    if time.monotonic() > _until.get():
        raise TimeIsUp
    if tell := _tell.get():
        tell(done, total, unit)
    if running := _on.get():
        running.place = f": {done:,} of {total:,} {unit}"
