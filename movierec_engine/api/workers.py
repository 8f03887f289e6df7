"""Messages between the workers of one server: each one's state, so that any of them can speak for all.

Each worker keeps a small file in a folder that only this server's user can read; who ends, loses it.
"""

import logging
import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

log = logging.getLogger(__name__)

FOLDER_VARIABLE = "MOVIEREC_WORKERS_FOLDER"
"""Where the files are; set by the server before it starts its workers."""


class Workers:
    """expected: how many workers the server has. draining: set once this one has been told to end."""

    def __init__(self, folder: Path | None, expected: int) -> None:
        self._folder, self.expected = folder, expected if folder else 1
        self._said = b""
        self.draining = threading.Event()

    @classmethod
    def of_environment(cls, expected: int) -> "Workers":
        folder = os.environ.get(FOLDER_VARIABLE)
        return cls(Path(folder) if folder else None, expected)

    def say(self, state: Mapping[str, Any]) -> None:
        """Tell the others how this worker is. state: with `status` and `refused`."""
        if self._folder is None:
            return
        content = orjson.dumps({"status": state["status"], "refused": state["refused"]})
        if content != self._said:
            unfinished = self._folder / f"{os.getpid()}.new"
            try:
                unfinished.write_bytes(content)
                unfinished.replace(self._folder / f"{os.getpid()}.json")
                self._said = content
            except OSError as error:  # a full disk, or a server that ends; said again after the next look at the store
                log.warning("the other workers cannot be told how this one is: %s", error)

    def others(self) -> list[dict[str, Any]]:
        """The last messages of the other workers."""
        if self._folder is None:
            return []
        found = []
        for path in sorted(self._folder.glob("*.json")):
            if path.stem != str(os.getpid()):
                try:
                    found.append(orjson.loads(path.read_bytes()))
                except FileNotFoundError:  # it has just ended
                    continue
        return found


def forget(folder: Path, pid: int) -> None:
    """Remove the message of a worker that has ended."""
    (folder / f"{pid}.json").unlink(missing_ok=True)
