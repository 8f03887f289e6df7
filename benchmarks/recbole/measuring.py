"""Measurements of both sides: wall time and memory of an evaluation, and their report to the parent.

Uses the standard library alone, since the two sides run in different environments.
"""

import ctypes
import gc
import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_STATUS = Path("/proc/self/status")
_CLEAR_REFS = Path("/proc/self/clear_refs")


@dataclass
class Cost:
    """Filled in when the measured block ends."""

    seconds: float = 0.0
    memory_mb: float = 0.0
    """Highest resident memory of the process above its level before the block."""


@contextmanager
def measured() -> Iterator[Cost]:
    """Measure a block. Linux keeps the highest resident memory of a process; here it starts anew with the block."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)  # what training has freed but not given back would hide what evaluation takes
    _CLEAR_REFS.write_text("5")
    before = _status_mb("VmRSS")
    cost = Cost()
    started = time.perf_counter()
    yield cost
    cost.seconds = time.perf_counter() - started
    cost.memory_mb = _status_mb("VmHWM") - before


def report(event: str, **values: Any) -> None:
    """One line of JSON on standard output."""
    sys.stdout.write(json.dumps({"event": event, **values}) + "\n")
    sys.stdout.flush()


def _status_mb(field: str) -> float:
    line = next(line for line in _STATUS.read_text().splitlines() if line.startswith(field + ":"))
    return int(line.split()[1]) / 1024
