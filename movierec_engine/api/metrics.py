"""Counters and latencies of all workers, in Prometheus' text format.

Several workers share them in the folder of PROMETHEUS_MULTIPROC_DIR, prometheus_client's own way, which the server sets
before it starts them; a process alone keeps them in memory. What a worker that ended had counted stays.
"""

import os
from collections.abc import Sequence
from typing import Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from movierec_engine.api.config import METRICS_VARIABLE

EXPOSITION = "text/plain; version=0.0.4; charset=utf-8"
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
"""Upper bounds of the histogram's buckets."""
METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))

COUNTERS = {
    "movierec_requests_total": ("Answers, by endpoint, method and status.", ("endpoint", "method", "status")),
    "movierec_swaps_total": ("How often a worker took over another version for its default answers.", ()),
    "movierec_feedback_events_total": ("Feedback events, by kind and by what became of them.", ("kind", "status")),
    "movierec_feedback_refused_total": ("Feedback events that were not recorded.", ()),
    "movierec_feedback_undone_total": ("Feedback events that were taken back.", ()),
    "movierec_exposures_total": ("Lists that were shown in an experiment.", ("experiment",)),
    "movierec_exposures_dropped_total": ("Lists that were shown and could not be noted.", ()),
}
GAUGES: dict[str, tuple[str, tuple[str, ...], Literal["livesum", "livemax"]]] = {
    "movierec_served_info": (
        "Workers that answer by default from this version.",
        ("model", "version", "measured_version", "device", "fingerprint"),
        "livesum",
    ),
    "movierec_refused_versions": ("Versions that a worker refuses to serve, the most of any worker.", (), "livemax"),
    "movierec_loaded_models": ("Models in memory, over all workers.", (), "livesum"),
    "movierec_workers": ("Workers that answer.", (), "livesum"),
}
"""Name -> what it says, its labels, and how the workers' values are put together."""

disable_created_metrics()  # type: ignore[no-untyped-call]


class Metrics:
    """Counters of one application."""

    def __init__(self) -> None:
        own = self._registry = CollectorRegistry()
        self._counters = {name: Counter(name, says, labels, registry=own) for name, (says, labels) in COUNTERS.items()}
        self._gauges = {
            name: Gauge(name, says, labels, multiprocess_mode=mode, registry=own)
            for name, (says, labels, mode) in GAUGES.items()
        }
        self._seconds = Histogram(
            "movierec_request_seconds",
            "Time from a request's reading to its answer, by endpoint.",
            ("endpoint",),
            buckets=SECONDS,
            registry=own,
        )
        self._list_seconds = Histogram(
            "movierec_list_seconds",
            "Time from a request's reading to its list, by model and source; of a batch an equal part for each list.",
            ("model", "source"),
            buckets=SECONDS,
            registry=own,
        )
        self._of_lists: dict[tuple[str, str], Histogram] = {}
        self._of_answers: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}

    def count(self, name: str, by: float = 1.0, **labels: str) -> None:
        """Raise one of COUNTERS."""
        counter = self._counters[name]
        (counter.labels(**labels) if labels else counter).inc(by)

    def show(self, name: str, value: float, **labels: str) -> None:
        """Set one of GAUGES for this process."""
        gauge = self._gauges[name]
        (gauge.labels(**labels) if labels else gauge).set(value)

    def observe_request(self, endpoint: str, method: str, status: int, seconds: float) -> None:
        """Count an answer. endpoint: of a few, never a path as a client wrote it."""
        if method not in METHODS:
            method = "other"
        known = self._of_answers.get((endpoint, method, status))
        if known is None:
            counter = self._counters["movierec_requests_total"].labels(endpoint, method, str(status))
            known = self._of_answers[endpoint, method, status] = (counter, self._seconds.labels(endpoint))
        known[0].inc()
        known[1].observe(seconds)

    def observe_lists(self, model: str, sources: Sequence[str], seconds: float) -> None:
        """Count the lists of one answer, and its time in equal parts. sources: of each list."""
        for source in sources:
            known = self._of_lists.get((model, source))
            if known is None:
                known = self._of_lists[model, source] = self._list_seconds.labels(model, source)
            known.observe(seconds / len(sources))

    def exposition(self) -> bytes:
        """The numbers of all processes together."""
        registry = self._registry
        if METRICS_VARIABLE in os.environ:
            registry = CollectorRegistry()
            MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        return generate_latest(registry)
