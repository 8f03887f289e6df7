"""The threads of small matrix products."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import RLock

from threadpoolctl import threadpool_limits

_SETTING_THREADS = RLock()


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Products on one thread: small ones are done before a second one, on a busy machine, gets its turn.

    The number is the process' own, so that one at a time sets it, and sets it back.
    """
    with _SETTING_THREADS, threadpool_limits(1, "blas"):
        yield
