"""Leases: locks in an object store, by compare-and-swap.

A lease is an object that its holder replaces every few seconds. Whoever finds it unchanged for `LEASE_SECONDS` of its
own clock takes it over, so no two hosts' clocks are compared. The holder changes nothing in the store any more once
its last renewal is older than `TRUSTED_SECONDS`: what it began by then has ended before anybody takes over.
"""

import json
import logging
import os
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from movierec_engine.errors import StoreError
from movierec_engine.store import process
from movierec_engine.store.objects import AwayError, Objects
from movierec_engine.store.permission import asking
from movierec_engine.store.storage import LostRaceError

log = logging.getLogger(__name__)

LEASE_SECONDS = 30.0
RENEW_SECONDS = 5.0
TRUSTED_SECONDS = 10.0
_FREE = ""


@contextmanager
def hold(objects: Objects, key: str, timeout: float) -> Iterator[None]:
    """Be the only one who holds a lease.

    Raises StoreError when another one still holds it after `timeout` seconds, and in the body, at the next change of
    the store, when it was lost to somebody else.
    """
    lease = _Lease(objects, key)
    lease.acquire(timeout)
    ended = threading.Event()
    renewing = threading.Thread(target=lease.renew_until, args=(ended,), name="lease", daemon=True)
    renewing.start()
    try:
        with asking(lease.require):
            yield
    finally:
        ended.set()
        renewing.join()
        lease.release()


class _Lease:
    def __init__(self, objects: Objects, key: str) -> None:
        self._objects, self._key = objects, key
        self._tag: str | None = None
        self._renewed, self._lost = 0.0, False

    def acquire(self, timeout: float) -> None:
        deadline, wait = time.monotonic() + timeout, 0.02
        seen, since = "", time.monotonic()
        while True:
            found = self._objects.read(self._key)
            now = time.monotonic()
            holder, tag = (_holder(found[0]), found[1]) if found else (_FREE, None)
            if holder != _FREE and tag != seen:
                seen, since = str(tag), now
            if holder == _FREE or now - since > LEASE_SECONDS:
                try:
                    return self._write(tag)
                except LostRaceError:  # another one was quicker
                    continue
            if now > deadline:
                raise StoreError(
                    f"{self._objects.url}/{self._key}: another process has held it for {timeout:g} s ({holder}); "
                    "wait, or end it"
                )
            time.sleep(wait * (0.5 + secrets.randbelow(100) / 100))
            wait = min(2 * wait, 0.5)

    def renew_until(self, ended: threading.Event) -> None:
        while not ended.wait(RENEW_SECONDS):
            try:
                self._write(self._tag)
            except AwayError as error:
                log.warning("a lease cannot be renewed and is tried again: %s", error)
            except LostRaceError:
                self._lost = True
                return

    def require(self) -> None:
        """Raises StoreError unless the lease is this process's for long enough to make a change."""
        if self._lost or time.monotonic() - self._renewed > TRUSTED_SECONDS:
            raise StoreError(
                f"{self._objects.url}/{self._key} could not be renewed in time, so another process may go on in its "
                "place; nothing more is changed here; look at what was done, and try again"
            )

    def release(self) -> None:
        if not self._lost:
            try:
                self._objects.write(
                    self._key, json.dumps({"holder": _FREE, "of": secrets.token_hex(8)}).encode(), self._tag
                )
            except StoreError as error:  # it runs out by itself
                log.warning("a lease cannot be given back: %s", error)

    def _write(self, tag: str | None) -> None:
        started = time.monotonic()
        self._tag = self._objects.write(self._key, _content(f"{process.place()}-{os.getpid()}"), tag)
        self._renewed = started


def _content(holder: str) -> bytes:
    """A lease's content, which is never the same twice."""
    return json.dumps({"holder": holder, "of": secrets.token_hex(8)}).encode()


def _holder(content: bytes) -> str:
    try:
        return str(json.loads(content)["holder"])
    except (ValueError, KeyError, TypeError):
        return "unknown"
