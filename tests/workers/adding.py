"""A worker for tests, importable by the processes that host it."""

import time
from typing import Any

import numpy as np

from movierec_engine.errors import DataError
from movierec_engine.reporting.progress import advance


class Adding:
    """Adds to what it was made with."""

    def __init__(self, number: Any) -> None:
        self.number = number

    def plus(self, other: Any) -> Any:
        if isinstance(self.number, int):
            advance(self.number, 10, "numbers")
        return self.number + other

    def row(self, width: int) -> Any:
        return np.full((1, width), self.number, dtype=np.float32)

    def total(self, array: Any) -> float:
        assert isinstance(array, np.ndarray) and not array.flags.writeable
        return float(array.sum())

    def refuse(self) -> None:
        if self.number:
            raise DataError(f"worker {self.number} refuses; ask another")
        time.sleep(60)

    def fail(self) -> None:
        raise ZeroDivisionError(f"of {self.number}")

    def wait(self) -> None:
        time.sleep(60)
