"""Workers as processes of this machine, which end with the process that started them."""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from movierec_engine.errors import MovierecError
from movierec_engine.reporting.progress import advance
from movierec_engine.workers.large_arrays import packed
from movierec_engine.workers.team import Team, WorkerLost

DONE, FAILED, PLACE = "done", "failed", "place"
"""Kinds of a process's messages: a method's result, the error that it raised, or how far it is."""
_SHARED_MEMORY = Path("/dev/shm")
_LEAST_SHARED = 2**30
"""Free bytes from which on shared memory is taken: of a container it has 64 MB, unless it is given more."""


@dataclass(frozen=True)
class SharedArray:
    """An array in a file that processes map; unpickled it is the array itself, read-only."""

    path: Path

    def __reduce__(self) -> tuple[Any, ...]:
        return np.load, (self.path, "r")


class LocalTeam(Team):
    """One process a worker, each with its share of the machine's cores as torch's threads.

    A process is started anew rather than by `multiprocessing`, which would run the program's main module again.
    """

    def __init__(self, kind: type, arguments: Iterable[tuple[Any, ...]], size: int, threads: int = 0) -> None:
        """threads: of each worker; 0: OMP_NUM_THREADS, or else the cores that this process may use, divided."""
        self.size, self.hosts = size, ["127.0.0.1"] * size
        self._processes: list[subprocess.Popen[bytes]] = []
        self._connections: list[Connection] = []
        self._arrays: list[Path] = []
        self._folder = Path(tempfile.mkdtemp(prefix="movierec-workers-", dir=_home_of_arrays()))
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        usual = os.environ.get("OMP_NUM_THREADS") or str(max(1, cores // self.size))
        path = os.pathsep.join(one for one in sys.path if one)
        environment = {**os.environ, "OMP_NUM_THREADS": str(threads or usual), "PYTHONPATH": path}
        try:
            for _ in range(size):
                ours, theirs = socket.socketpair()
                command = [sys.executable, "-m", "movierec_engine.workers.process"]
                command += [str(theirs.fileno()), str(self._folder)]
                self._processes.append(subprocess.Popen(command, pass_fds=[theirs.fileno()], env=environment))
                theirs.close()
                self._connections.append(Connection(ours.detach()))
            self._call((kind, own, None) for own in arguments)
        except BaseException:
            self.close()
            raise

    def call(self, method: str, arguments: Sequence[tuple[Any, ...]]) -> list[Any]:
        return self._call((method, own, None) for own in arguments)

    def ask(self, number: int, method: str, *arguments: Any) -> Any:
        connection = self._connections[number]
        try:
            connection.send_bytes(packed((method, arguments, None), self._folder))
            while True:
                what, value = connection.recv()
                if what == FAILED:
                    raise value
                if what == DONE:
                    return value
        except (EOFError, OSError) as error:
            raise self._lost([number]) from error

    def gather(
        self, method: str, arguments: tuple[Any, ...], rows: Sequence[int], width: int
    ) -> tuple[Any, NDArray[np.float32]]:
        """Each worker writes its own rows into one file; only the newest two are kept."""
        path = self._folder / f"{len(self._arrays)}.npy"
        for old in self._arrays[-2:-1]:
            old.unlink(missing_ok=True)
        self._arrays.append(path)
        begin = np.lib.format.open_memmap(path, "w+", np.float32, (sum(rows), width)).offset
        places = [(path, begin + 4 * width * before) for before in accumulate(rows, initial=0)]
        self._call((method, arguments, place) for place in places[: self.size])
        return SharedArray(path), np.load(path, "r")

    def close(self) -> None:
        for process in self._processes:
            process.kill()
        for process in self._processes:
            process.wait()
        for connection in self._connections:
            connection.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _call(self, messages: Iterable[tuple[Any, tuple[Any, ...], tuple[Path, int] | None]]) -> list[Any]:
        """The workers' answers. messages: for each, method, arguments and, for an answer in a file, the place there."""
        results: dict[int, Any] = {}
        try:
            for connection, message in zip(self._connections, messages, strict=True):
                connection.send_bytes(packed(message, self._folder))
            while waiting := [one for number, one in enumerate(self._connections) if number not in results]:
                for number in [self._connections.index(one) for one in wait(waiting) if isinstance(one, Connection)]:
                    what, value = self._connections[number].recv()
                    if what == PLACE:
                        advance(*value)
                    elif what == FAILED:
                        raise value
                    else:
                        results[number] = value
        except (EOFError, OSError) as error:
            raise self._lost(range(self.size)) from error
        return [results[number] for number in range(self.size)]

    def _lost(self, among: Iterable[int]) -> WorkerLost:
        for number in among:
            try:
                code = self._processes[number].wait(timeout=1)
            except subprocess.TimeoutExpired:
                continue
            how = f"was ended by signal {-code}" if code < 0 else f"ended with exit code {code}"
            return WorkerLost(f"worker {number + 1} of {self.size} {how}")
        return WorkerLost(f"one of {self.size} workers is gone")


def _home_of_arrays() -> Path | None:
    """Where arrays are shared: in shared memory, or for want of it in the folder of temporary files."""
    room = os.access(_SHARED_MEMORY, os.W_OK) and shutil.disk_usage(_SHARED_MEMORY).free >= _LEAST_SHARED
    return _SHARED_MEMORY if room else None


def sendable(error: BaseException, trace: str) -> MovierecError:
    """An error as one that every process can unpickle: those for people as they are, others with their trace."""
    if isinstance(error, MovierecError) and type(error).__init__ is Exception.__init__:
        return error
    return MovierecError(str(error) if isinstance(error, MovierecError) else f"a worker failed:\n{trace}")
