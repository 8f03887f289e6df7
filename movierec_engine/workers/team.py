"""A team of workers, whichever way its processes are run."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from movierec_engine.errors import MovierecError


class WorkerLost(MovierecError):
    """A worker has ended by itself: it was killed, its host is gone, or memory ran out."""


class Team(ABC):
    """Workers, numbered from 0, that do the same at the same time; a `with` ends them all.

    kind: the workers' class, which must be importable; each is made of its own arguments, in its own process.
    hosts: the network address of each worker's host.
    """

    size: int
    hosts: list[str]

    @abstractmethod
    def call(self, method: str, arguments: Sequence[tuple[Any, ...]]) -> list[Any]:
        """The results of a method of each worker with its own arguments, in the workers' order; all run at once.

        Raises WorkerLost where one has ended, and MovierecError for what a worker raised; the team can do nothing more
        then.
        """

    @abstractmethod
    def ask(self, number: int, method: str, *arguments: Any) -> Any:
        """The result of one worker's method, while others do something else; each may be asked by a thread of its own.

        Raises WorkerLost where it has ended or the team is closed meanwhile, and MovierecError for what it raised; it
        can do nothing more then.
        """

    @abstractmethod
    def gather(
        self, method: str, arguments: tuple[Any, ...], rows: Sequence[int], width: int
    ) -> tuple[Any, NDArray[np.float32]]:
        """The float32 rows that a method of each worker returns, one worker's below another's, [sum of rows, width].

        First what stands for them in arguments, which workers receive as this array, read-only, and which those of one
        host share; then the array itself. Raises what `call` does. rows: how many each worker returns.
        """

    @abstractmethod
    def close(self) -> None:
        """End every worker, at once."""

    def all(self, method: str, *arguments: Any) -> list[Any]:
        """`call` with the same arguments for every worker."""
        return self.call(method, [arguments] * self.size)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def even_parts(costs: NDArray[np.integer], parts: int) -> list[tuple[int, int]]:
    """First and last row, exclusive, of contiguous parts of about equal cost; a part may be empty.

    costs: [n], of each row.
    """
    ends = np.concatenate([[0], np.cumsum(costs)])
    cuts = np.searchsorted(ends, ends[-1] * np.arange(1, parts) / parts)
    return list(zip([0, *cuts.tolist()], [*cuts.tolist(), len(costs)], strict=True))
