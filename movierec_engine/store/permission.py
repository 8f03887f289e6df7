"""Permission to change the store: whoever orders the work can say that what it makes is no longer wanted."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_ask: ContextVar[Callable[[], None] | None] = ContextVar("ask", default=None)


@contextmanager
def asking(ask: Callable[[], None]) -> Iterator[None]:
    """Call `ask` before each change that the body makes to any store: a version, a pointer, a deletion.

    It raises where the change is not to be made. Whoever was to be asked outside the body is asked too.
    """
    outer = _ask.get()

    def both() -> None:
        if outer:
            outer()
        ask()

    token = _ask.set(both)
    try:
        yield
    finally:
        _ask.reset(token)


def ask_permission() -> None:
    """Calls the check installed by `asking`, which raises if the work is no longer wanted; else does nothing."""
    if ask := _ask.get():
        ask()
