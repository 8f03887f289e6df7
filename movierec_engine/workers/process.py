"""A local worker's process: `python -m movierec_engine.workers.process DESCRIPTOR FOLDER`, as `LocalTeam` starts it."""

import os
import queue
import shutil
import signal
import sys
import threading
import time
import traceback
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from movierec_engine.errors import MovierecError
from movierec_engine.reporting import numbers
from movierec_engine.reporting.progress import told
from movierec_engine.workers.large_arrays import packed
from movierec_engine.workers.local import DONE, FAILED, PLACE, sendable

Message = tuple[Any, tuple[Any, ...], tuple[Path, int] | None]
"""A method, or at first the worker's class, its arguments, and where in a file the array is to lie that it returns."""
_PLACE_SECONDS = 0.5
"""Least time between two words on how far the worker is."""


def main(descriptor: int, folder: str) -> None:
    """Make the object of the first message, then call its methods, until the other end is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; who started this one ends it
    connection = Connection(descriptor)
    messages: queue.SimpleQueue[Message] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(connection, messages, folder), daemon=True).start()
    last = [time.monotonic()]

    def tell(*place: Any) -> None:
        if time.monotonic() - last[0] > _PLACE_SECONDS:
            last[0] = time.monotonic()
            connection.send((PLACE, place))

    kind, own, _ = messages.get()
    try:
        with told(tell):
            worker = kind(*own)
            connection.send((DONE, None))
            while True:
                method, arguments, place = messages.get()
                result = getattr(worker, method)(*arguments)
                if place:
                    write_rows(result, *place)
                    result = None
                connection.send_bytes(packed((DONE, result), Path(folder)))
    except Exception as error:
        connection.send((FAILED, sendable(error, traceback.format_exc())))
        threading.Event().wait()  # until whoever started this one ends it


def write_rows(rows: NDArray[np.float32], path: Path, begin: int) -> None:
    """Write rows into a file from a byte on; raises MovierecError where there is no room."""
    try:
        with path.open("r+b") as file:
            file.seek(begin)
            file.write(np.ascontiguousarray(rows).data)
    except OSError as error:
        raise MovierecError(
            f"{path.parent.parent} has no room for {numbers.size(rows.nbytes)} of vectors that workers share "
            f"({error.strerror}); free some, or set fewer trainer.workers"
        ) from error


def _listen(connection: Connection, messages: "queue.SimpleQueue[Message]", folder: str) -> None:
    """Take in messages, and end this process, whatever it does, once the one that started it is gone.

    folder: of the arrays that are shared, which that one could not remove then.
    """
    try:
        while True:
            messages.put(connection.recv())
    except (EOFError, OSError):
        shutil.rmtree(folder, ignore_errors=True)
        os._exit(0)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
