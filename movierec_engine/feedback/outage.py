"""Outages in a server's log: that something fails and that it works again, told without a line for each failure."""

import threading
import time

QUIET_SECONDS = 60.0
"""How long nothing more is told after an outage's begin: what fails and works in turn, as on a database with too few
connections, would fill the log."""


class Outage:
    """A spell in which something fails, told at its begin, at its end, and once more where its reason has changed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._told = ""  # the reason that the log was told in this spell
        self._quiet_until = float("-inf")
        self._failures = 0

    def begins(self, reason: str) -> bool:
        """Count a failure; whether the log is to be told of it now."""
        with self._lock:
            self._failures += 1
            now = time.monotonic()
            if reason == self._told or now < self._quiet_until:
                return False
            self._told, self._quiet_until = reason, now + QUIET_SECONDS
            return True

    def ends(self) -> int:
        """How many failures are over, with those of earlier spells that were not told; 0: there is nothing to tell."""
        if not self._told:  # as nearly always
            return 0
        with self._lock:
            told, self._told = self._told, ""
            if not told:
                return 0
            over, self._failures = self._failures, 0
            return over
