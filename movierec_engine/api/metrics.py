"""Counters and latencies of all workers, in Prometheus' text format.

Each worker counts in memory and writes what it counted to a file of its own in a folder that they share, at most
`FLUSH_SECONDS` later; whoever is asked adds the others' files to its own numbers. What a worker that ended had counted
is kept in one file more, so that counters never fall.
"""

import json
import os
import threading
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

EXPOSITION = "text/plain; version=0.0.4; charset=utf-8"
FLUSH_SECONDS = 1.0
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
"""Upper bounds of the histogram's buckets."""
METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))
RETIRED = "retired.json"

HELP = {
    "movierec_requests_total": ("counter", "Answers, by endpoint, method and status."),
    "movierec_request_seconds": ("histogram", "Time from a request's reading to its answer, by endpoint."),
    "movierec_swaps_total": ("counter", "How often a worker took over another version for its default answers."),
    "movierec_served_info": ("gauge", "Workers that answer by default from this version."),
    "movierec_refused_versions": ("gauge", "Versions that a worker refuses to serve, the most of any worker."),
    "movierec_loaded_models": ("gauge", "Models in memory, over all workers."),
    "movierec_workers": ("gauge", "Workers that answer."),
}
Series = dict[str, float]
"""A series as it is written, such as `movierec_swaps_total` or `x{a="b"}` -> its value."""


class Metrics:
    """What this process counts. folder: where it is shared with other processes; None for a process alone."""

    def __init__(self, folder: Path | None = None, gauges: Callable[[], Series] = dict) -> None:
        self._folder, self._gauges = folder, gauges
        self._counters: Series = {}
        self._histograms: dict[str, list[float]] = {}
        self._lock = threading.Lock()
        self._endpoints: dict[tuple[str, str, int], str] = {}

    def count(self, name: str, by: float = 1.0, **labels: str) -> None:
        """Raise a counter, whose HELP says what it is."""
        series = written(name, labels)
        with self._lock:
            self._counters[series] = self._counters.get(series, 0.0) + by

    def observe_request(self, endpoint: str, method: str, status: int, seconds: float) -> None:
        """Count an answer. endpoint: of a few, never a path as a client wrote it."""
        if method not in METHODS:
            method = "other"
        labels = (endpoint, method, status)
        series = self._endpoints.get(labels)
        if series is None:
            series = written("movierec_requests_total", {"endpoint": endpoint, "method": method, "status": str(status)})
            self._endpoints[labels] = series
        place = bisect_left(SECONDS, seconds)
        with self._lock:
            self._counters[series] = self._counters.get(series, 0.0) + 1
            buckets = self._histograms.get(endpoint)
            if buckets is None:
                buckets = self._histograms[endpoint] = [0.0] * (len(SECONDS) + 2)
            buckets[place] += 1
            buckets[-1] += seconds

    def flush(self) -> None:
        """Share what was counted."""
        if self._folder is not None:
            with self._lock:
                mine = {
                    "counters": dict(self._counters),
                    "histograms": {k: list(v) for k, v in self._histograms.items()},
                }
            _write(self._folder / f"{os.getpid()}.json", {**mine, "gauges": self._gauges()})

    def exposition(self) -> str:
        """The numbers of all processes together."""
        with self._lock:
            mine = {"counters": dict(self._counters), "histograms": {k: list(v) for k, v in self._histograms.items()}}
        parts = [{**mine, "gauges": self._gauges()}]
        if self._folder is not None:
            own = f"{os.getpid()}.json"
            parts += [part for path in sorted(self._folder.glob("*.json")) if path.name != own if (part := _read(path))]
        return "".join(f"{line}\n" for line in _lines(_sum(parts)))


def retire(folder: Path, pid: int) -> None:
    """Keep what a worker that ended had counted; called by the process that started it."""
    path = folder / f"{pid}.json"
    if part := _read(path):
        kept = _sum([part, _read(folder / RETIRED) or {}])
        _write(folder / RETIRED, {**kept, "gauges": {}})
        path.unlink(missing_ok=True)


def written(name: str, labels: Mapping[str, str]) -> str:
    """A series in the text format."""
    if not labels:
        return name
    escaped = {
        label: value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n") for label, value in labels.items()
    }
    pairs = ",".join(f'{label}="{value}"' for label, value in escaped.items())
    return f"{name}{{{pairs}}}"


def _sum(parts: list[dict[str, Any]]) -> dict[str, Any]:
    counters: Series = {}
    gauges: Series = {}
    histograms: dict[str, list[float]] = {}
    for part in parts:
        for series, value in part.get("counters", {}).items():
            counters[series] = counters.get(series, 0.0) + value
        for series, value in part.get("gauges", {}).items():
            largest = series == "movierec_refused_versions"
            gauges[series] = max(gauges.get(series, 0.0), value) if largest else gauges.get(series, 0.0) + value
        for endpoint, buckets in part.get("histograms", {}).items():
            before = histograms.get(endpoint, [0.0] * len(buckets))
            histograms[endpoint] = [a + b for a, b in zip(before, buckets, strict=True)]
    return {"counters": counters, "gauges": gauges, "histograms": histograms}


def _lines(total: dict[str, Any]) -> Iterator[str]:
    for name, (kind, meaning) in HELP.items():
        yield f"# HELP {name} {meaning}"
        yield f"# TYPE {name} {kind}"
        if kind == "histogram":
            yield from _histogram_lines(name, total["histograms"])
            continue
        for series, value in sorted({**total["counters"], **total["gauges"]}.items()):
            if series.partition("{")[0] == name:
                yield f"{series} {value:.17g}"


def _histogram_lines(name: str, histograms: dict[str, list[float]]) -> Iterator[str]:
    for endpoint, buckets in sorted(histograms.items()):
        running = 0.0
        for bound, count in zip((*SECONDS, "+Inf"), buckets[:-1], strict=True):
            running += count
            yield f"{written(f'{name}_bucket', {'endpoint': endpoint, 'le': str(bound)})} {running:.17g}"
        yield f"{written(f'{name}_sum', {'endpoint': endpoint})} {buckets[-1]:.17g}"
        yield f"{written(f'{name}_count', {'endpoint': endpoint})} {running:.17g}"


def _read(path: Path) -> dict[str, Any] | None:
    try:
        part = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return part if isinstance(part, dict) else None


def _write(path: Path, part: dict[str, Any]) -> None:
    temporary = path.with_suffix(".incoming")
    try:
        temporary.write_text(json.dumps(part), encoding="utf-8")
        temporary.replace(path)
    except OSError:  # the folder is gone with the server, or full; counting is never worth a failed request
        return
