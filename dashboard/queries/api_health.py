"""Health of the API: its own endpoints, asked in the background, so that no page waits for it."""

import json
import os
import re
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from typing import Any

from movierec_engine.tracking.server import without_credentials

TIMEOUT_SECONDS = 1.5
MOST_BYTES = 2_000_000
_SERIES = re.compile(r"(\w+)(?:\{(.*)\})? (\S+)")
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


def address() -> str:
    """The API's address: MOVIEREC_API_URL, without a user and a password, else port 5000 of this machine."""
    return without_credentials(os.environ.get("MOVIEREC_API_URL") or "http://127.0.0.1:5000").rstrip("/")


@dataclass(frozen=True)
class EndpointTraffic:
    """Requests to one endpoint since the API's start. seconds: median and 95th percentile, None where unknown."""

    endpoint: str
    requests: int
    errors: int
    """Answers of status 500 or more."""
    refused: int
    """Answers of status 400 to 499."""
    mean: float | None
    median: float | None
    p95: float | None


@dataclass(frozen=True)
class Health:
    """The API's answer, or why there is none."""

    asked_at: float
    ready: bool = False
    status: str = ""
    serving: dict[str, Any] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    endpoints: tuple[EndpointTraffic, ...] = ()
    workers: int | None = None
    lists: dict[str, int] = field(default_factory=dict)
    """Source of a list (personal, fold-in, popularity) -> lists since the API's start."""
    problem: str = ""


def ask(url: str) -> Health:
    """Ask /api/ready and /metrics; /api/health says the same as /api/ready, and always with status 200."""
    now = time.time()
    if not url.startswith(("http://", "https://")):
        return Health(now, problem="MOVIEREC_API_URL does not begin with http:// or https://")
    try:
        status, body = _get(f"{url}/api/ready")
        said = json.loads(body)
        serving, refused = said.get("serving"), said.get("refused")
        return Health(
            now,
            ready=status == 200,
            status=str(said.get("status", "")),
            serving=serving if isinstance(serving, dict) else {},
            refused={str(k): str(v) for k, v in refused.items()} if isinstance(refused, dict) else {},
            **_numbers(url),
        )
    except (OSError, ValueError, AttributeError) as error:
        reason = getattr(error, "reason", None) or error
        return Health(now, problem=str(reason) or type(error).__name__)


def _numbers(url: str) -> dict[str, Any]:
    try:
        status, text = _get(f"{url}/metrics")
    except OSError:
        return {}
    if status != 200:
        return {}
    return {"endpoints": tuple(endpoints(text)), "workers": _gauge(text, "movierec_workers"), "lists": sources(text)}


def sources(exposition: str) -> dict[str, int]:
    """Lists by what they came from, over all models, from Prometheus' text format."""
    found: dict[str, int] = {}
    for name, labels, value in _series(exposition):
        if name == "movierec_list_seconds_count" and (source := labels.get("source")):
            found[source] = found.get(source, 0) + int(value)
    return found


def endpoints(exposition: str) -> list[EndpointTraffic]:
    """Requests and latencies by endpoint, the most asked first, from Prometheus' text format."""
    statuses: dict[str, dict[str, float]] = {}
    buckets: dict[str, list[tuple[float, float]]] = {}
    sums: dict[str, float] = {}
    for name, labels, value in _series(exposition):
        endpoint = labels.get("endpoint", "")
        if name == "movierec_requests_total":
            own = statuses.setdefault(endpoint, {})
            own[labels.get("status", "")] = own.get(labels.get("status", ""), 0.0) + value
        elif name == "movierec_request_seconds_bucket":
            buckets.setdefault(endpoint, []).append((float(labels.get("le", "inf").replace("+Inf", "inf")), value))
        elif name == "movierec_request_seconds_sum":
            sums[endpoint] = value
    found = []
    for endpoint, own in statuses.items():
        total = sum(own.values())
        steps = sorted(buckets.get(endpoint, []))
        found.append(
            EndpointTraffic(
                endpoint,
                int(total),
                int(sum(count for status, count in own.items() if status >= "500")),
                int(sum(count for status, count in own.items() if "400" <= status < "500")),
                sums[endpoint] / total if endpoint in sums and total else None,
                quantile(steps, 0.5),
                quantile(steps, 0.95),
            )
        )
    return sorted(found, key=lambda one: -one.requests)


def quantile(buckets: list[tuple[float, float]], q: float) -> float | None:
    """The q-quantile of a histogram of cumulative counts by ascending upper bound, as Prometheus has it; None for none.

    Linear within a bucket; what lies beyond the last finite bound counts as that bound.
    """
    if not buckets or buckets[-1][1] <= 0:
        return None
    wanted, low, before = q * buckets[-1][1], 0.0, 0.0
    for bound, count in buckets:
        if count >= wanted:
            if bound == float("inf"):
                return low
            return low + (bound - low) * (wanted - before) / (count - before) if count > before else bound
        low, before = bound, count
    return low


def _series(exposition: str) -> list[tuple[str, dict[str, str], float]]:
    found = []
    for line in exposition.splitlines():
        if match := _SERIES.fullmatch(line):
            try:
                found.append((match[1], dict(_LABEL.findall(match[2] or "")), float(match[3])))
            except ValueError:
                continue
    return found


def _gauge(exposition: str, name: str) -> int | None:
    return next((int(value) for own, _, value in _series(exposition) if own == name), None)


def _get(url: str) -> tuple[int, str]:
    """Status and body, asked with MOVIEREC_API_KEY if that is set. Raises OSError where nobody answers in time."""
    key = os.environ.get("MOVIEREC_API_KEY", "")
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {key}"} if key else {})
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as answer:
            return answer.status, answer.read(MOST_BYTES).decode("utf-8", "replace")
    except urllib.error.HTTPError as error:
        return error.code, error.read(MOST_BYTES).decode("utf-8", "replace")
