"""Asking other servers in the background, so that no page waits for one."""

import threading
import time
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar


class Answer(Protocol):
    @property
    def asked_at(self) -> float: ...


A = TypeVar("A", bound=Answer)


class Asking(Generic[A]):
    """Asks again whenever the last answer is older than `seconds`, in a thread of its own."""

    def __init__(self, ask: Callable[[], A], seconds: float) -> None:
        self._ask, self._seconds = ask, seconds
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._answer: A | None = None

    def latest(self, patience: float) -> A | None:
        """The newest answer; waits so many seconds at most where there is none yet."""
        with self._lock:
            old = self._answer is None or time.time() - self._answer.asked_at >= self._seconds
            if old and (self._thread is None or not self._thread.is_alive()):
                self._thread = threading.Thread(target=self._work, daemon=True)
                self._thread.start()
            waiting = self._thread if self._answer is None else None
        if waiting is not None:
            waiting.join(patience)
        return self._answer

    def _work(self) -> None:
        self._answer = self._ask()
