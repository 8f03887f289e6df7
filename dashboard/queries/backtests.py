"""Backtests: a model trained up to a moment and tested on what came next, window by window."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from dashboard.queries.parquet import records
from dashboard.queries.store_files import newest
from movierec_engine.pipeline.backtest import ALL, METRICS_FILE, WINDOWS_FILE, WITH_HISTORY
from movierec_engine.reporting import numbers
from movierec_engine.store import kinds

GROUPS = {ALL: "all users", WITH_HISTORY: "users with a history"}
SINCE = "since then"
"""Name of the time after the last window."""


@dataclass(frozen=True)
class Backtest:
    """The newest backtest of a model on a device; windows and measures are the rows of its files."""

    model: str
    device: str
    fingerprint: str
    """Backtests with the same one are of the same windows."""
    data: str
    created_at: str
    windows: tuple[dict[str, Any], ...]
    measures: tuple[dict[str, Any], ...]

    def values(self, metric: str, users: str) -> list[dict[str, Any]]:
        """Rows of a metric by window, with the moment from which it was tested."""
        start = {row["window"]: row["test_from"] for row in self.windows}
        return [
            {**row, "from": numbers.day(start[row["window"]])}
            for row in self.measures
            if row["metric"] == metric and row["users"] == users and row["window"] in start
        ]

    def window_at(self, instant: str) -> str:
        """The day from which the window was tested that an ISO instant falls into; "" before the first one."""
        at = datetime.fromisoformat(instant).timestamp()
        starts = sorted(float(row["test_from"]) for row in self.windows)
        if at < starts[0]:
            return ""
        ends = [float(row["test_until"]) for row in self.windows if row.get("test_until") is not None]
        if ends and at >= max(ends):
            return SINCE
        return numbers.day(max(start for start in starts if start <= at))


def backtests(root: Path, data: str) -> list[Backtest]:
    """The newest readable one of every model and device on a data set, newest first."""
    found = []
    for made in sorted(newest(root, kinds.BACKTEST, data), key=lambda one: one.version, reverse=True):
        windows = records('SELECT * FROM parquet_file(?) ORDER BY "window"', str(made.folder / WINDOWS_FILE))
        measures = records(
            'SELECT "window", users, count, metric, value, low, high FROM parquet_file(?) ORDER BY "window"',
            str(made.folder / METRICS_FILE),
        )
        if windows and measures:
            model, device = made.slot.model, made.slot.device
            found.append(
                Backtest(model, device, made.fingerprint, data, made.created_at, tuple(windows), tuple(measures))
            )
    return found
