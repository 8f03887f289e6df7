"""Optuna's journal of a study as an object, so that whichever host opens the study goes on with it."""

import json
from collections.abc import Iterable
from typing import Any

from optuna.storages.journal import BaseJournalBackend

from movierec_engine.store.objects import Objects


class ObjectJournal(BaseJournalBackend):
    """A JSON object a line, for each operation on the study.

    The whole is replaced each time, some KB for each trial so far, by compare-and-swap: a process that lost its lease
    to another one, and goes on all the same, changes nothing any more.
    """

    def __init__(self, objects: Objects, key: str) -> None:
        self._objects, self._key = objects, key
        found = objects.read(key)
        self._lines: list[bytes] = found[0].splitlines() if found else []
        self._tag = found[1] if found else None

    def read_logs(self, log_number_from: int) -> Iterable[dict[str, Any]]:
        return [json.loads(line) for line in self._lines[log_number_from:]]

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Raises LostRaceError where another process has written meanwhile, AwayError while the store is away."""
        lines = [*self._lines, *(json.dumps(log).encode() for log in logs)]
        self._tag = self._objects.write(self._key, b"\n".join(lines), self._tag)
        self._lines = lines
