"""The state of Dagster, from its webserver: runs that are on, that wait and for what, that failed, and what is off."""

import json
import os
import time
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import yaml  # type: ignore[import-untyped]

from movierec_engine.reporting import numbers
from movierec_engine.tracking.server import without_credentials

TIMEOUT_SECONDS = 5.0
MOST = 50
"""Runs of each kind that are asked for."""
FAILED = 5
"""The newest runs that failed."""
QUERY = """
query ($most: Int!, $failed: Int!) {
  running: runsOrError(filter: {statuses: [STARTING, STARTED, CANCELING]}, limit: $most) { ...runs }
  waiting: runsOrError(filter: {statuses: [QUEUED, NOT_STARTED]}, limit: $most) { ...runs }
  failed: runsOrError(filter: {statuses: [FAILURE]}, limit: $failed) {
    ... on Runs { results { ...run eventConnection(limit: 1000) { events {
      __typename
      ... on ExecutionStepFailureEvent { stepKey error { message } failureMetadata { description } }
      ... on RunFailureEvent { message }
    } } } }
  }
  instance {
    daemonHealth { allDaemonStatuses { daemonType required healthy } }
    runQueueConfig { maxConcurrentRuns tagConcurrencyLimitsYaml }
    poolConfig { defaultPoolLimit }
    concurrencyLimits { concurrencyKey limit }
  }
  repositoriesOrError { ... on RepositoryConnection { nodes {
    schedules { name scheduleState { ...instigation } }
    sensors { name sensorState { ...instigation } }
  } } }
}
fragment runs on RunsOrError { ... on Runs { results { ...run } } }
fragment run on Run { runId jobName status creationTime startTime endTime allPools tags { key value } }
fragment instigation on InstigationState {
  status ticks(limit: 1) { status timestamp skipReason error { message } }
}
"""
"""GraphQL query of Dagster 1.13; another version that lacks one of the fields answers with an error, which is shown."""


@dataclass(frozen=True)
class DagsterRun:
    """A run: what it makes, since when it is so, and what it waits for or why it failed."""

    run_id: str
    job: str
    partition: str
    started_by: str
    since: str
    why: str = ""
    to_do: str = ""


@dataclass(frozen=True)
class Automatic:
    """A schedule or a sensor, and what it said when it last looked."""

    name: str
    on: bool
    said: str = ""
    at: str = ""
    failed: bool = False


@dataclass(frozen=True)
class Work:
    """Dagster's answer, or why there is none."""

    asked_at: float
    running: tuple[DagsterRun, ...] = ()
    waiting: tuple[DagsterRun, ...] = ()
    failed: tuple[DagsterRun, ...] = ()
    automatic: tuple[Automatic, ...] = ()
    stopped: tuple[str, ...] = field(default=())
    """The daemons that have to run and do not."""
    problem: str = ""


def address() -> str:
    """Where people open Dagster: MOVIEREC_DAGSTER_URL without a user and a password, else port 3000 of this machine."""
    return without_credentials(os.environ.get("MOVIEREC_DAGSTER_URL") or "http://127.0.0.1:3000").rstrip("/")


def address_inside() -> str:
    """Where the dashboard asks: MOVIEREC_DAGSTER_INTERNAL_URL, as in a network of containers, else the same."""
    return without_credentials(os.environ.get("MOVIEREC_DAGSTER_INTERNAL_URL") or address()).rstrip("/")


def ask(url: str) -> Work:
    """Ask the webserver, once."""
    now = time.time()
    if not url.startswith(("http://", "https://")):
        return Work(now, problem=f"{url} does not begin with http:// or https://")
    body = json.dumps({"query": QUERY, "variables": {"most": MOST, "failed": FAILED}}).encode()
    request = urllib.request.Request(f"{url}/graphql", body, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as answer:
            said = json.load(answer)
        if "errors" in said:
            return Work(now, problem=str(said["errors"][0]["message"]))
        return work(said["data"], now)
    except (OSError, ValueError, KeyError, TypeError) as error:
        return Work(now, problem=str(getattr(error, "reason", None) or error) or type(error).__name__)


def work(data: Mapping[str, Any], now: float) -> Work:
    """The answer to QUERY in the words of an operator."""
    running = _results(data["running"])
    instance = data["instance"]
    daemons = instance["daemonHealth"]["allDaemonStatuses"]
    stopped = tuple(str(one["daemonType"]).lower() for one in daemons if one["required"] and not one["healthy"])
    automatic = [
        _automatic(one["name"], one[state])
        for node in data["repositoriesOrError"].get("nodes", [])
        for kind, state in (("schedules", "scheduleState"), ("sensors", "sensorState"))
        for one in node[kind]
    ]
    return Work(
        now,
        running=tuple(_run(one, one["startTime"]) for one in running),
        waiting=tuple(
            _run(one, one["creationTime"], *waits_for(one, running, instance, stopped))
            for one in reversed(_results(data["waiting"]))
        ),
        failed=tuple(_run(one, one["endTime"], failure(one), _after(one)) for one in _results(data["failed"])),
        automatic=tuple(automatic),
        stopped=stopped,
    )


def waits_for(
    run: Mapping[str, Any], running: Sequence[Mapping[str, Any]], instance: Mapping[str, Any], stopped: Sequence[str]
) -> tuple[str, str]:
    """The reason that a run waits in the queue, by Dagster's limits, and the remedy."""
    if "queued_run_coordinator" in stopped:
        return "the daemon, which does not run", "start it: dagster-daemon run"
    queue = instance["runQueueConfig"] or {}
    most = queue.get("maxConcurrentRuns", -1)
    if 0 <= most <= len(running):
        return f"one of {most} runs to end, as more are not allowed at once", "concurrency.runs in dagster.yaml"
    limits = {one["concurrencyKey"]: one["limit"] for one in instance["concurrencyLimits"]}
    for pool in run["allPools"] or []:
        limit = limits.get(pool, (instance["poolConfig"] or {}).get("defaultPoolLimit"))
        there = [one for one in running if pool in (one["allPools"] or [])]
        if limit is not None and len(there) >= limit:
            names = numbers.listed([_name(one) for one in there])
            return f"a place in the pool {pool}, of which {names} {'has' if len(there) == 1 else 'have'} all {limit}", (
                "nothing, or terminate what has it; concurrency.pools in dagster.yaml"
            )
    tags = _tags(run)
    for rule in yaml.safe_load(queue.get("tagConcurrencyLimitsYaml") or "[]") or []:
        key, value = rule["key"], rule.get("value")
        if key not in tags or (isinstance(value, str) and value != tags[key]):
            continue
        each = isinstance(value, dict) and value.get("applyLimitPerUniqueValue")
        there = [one for one in running if key in _tags(one) and (not each or _tags(one)[key] == tags[key])]
        if len(there) >= rule["limit"]:
            names = numbers.listed([_name(one) for one in there])
            return f"{names}, as {key}={tags[key]} has {rule['limit']} at once", "nothing, or terminate what is on"
    return "its turn, within seconds", "nothing"


def failure(run: Mapping[str, Any]) -> str:
    """Why a run failed: the sentences of its failed steps, else the run's own."""
    events = run["eventConnection"]["events"]
    sentences = []
    for event in events:
        if event["__typename"] == "ExecutionStepFailureEvent":
            described = (event["failureMetadata"] or {}).get("description")
            message = described or str((event["error"] or {}).get("message", "")).strip()
            sentences.append(f"{event['stepKey']}: {message.splitlines()[0] if message else 'no reason given'}")
    whole = [str(event["message"]) for event in events if event["__typename"] == "RunFailureEvent"]
    return "; ".join(sentences or whole[-1:]) or "no reason given"


def _after(run: Mapping[str, Any]) -> str:
    if _tags(run).get("dagster/will_retry") == "true":
        return "nothing: it is tried again by itself"
    return "mend what it says, then Re-execute from failure in its page"


def _run(one: Mapping[str, Any], since: float | None, why: str = "", to_do: str = "") -> DagsterRun:
    tags = _tags(one)
    return DagsterRun(
        run_id=one["runId"],
        job="selected assets" if one["jobName"].startswith("__ASSET_JOB") else one["jobName"],
        partition=tags.get("dagster/partition", ""),
        started_by=tags.get("movierec/started_by") or tags.get("dagster/schedule_name") or "a person",
        since=_instant(since or one["creationTime"]),
        why=why,
        to_do=to_do,
    )


def _automatic(name: str, state: Mapping[str, Any]) -> Automatic:
    on = state["status"] == "RUNNING"
    if not state["ticks"]:
        return Automatic(name, on)
    (tick,) = state["ticks"]
    error = (tick["error"] or {}).get("message", "").strip()
    said = error.splitlines()[-1] if error else tick["skipReason"] or ""
    if tick["status"] == "SUCCESS":
        said = "started what it is for"
    return Automatic(name, on, said, _instant(tick["timestamp"]), tick["status"] == "FAILURE")


def _results(answer: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return list(answer.get("results", []))


def _tags(run: Mapping[str, Any]) -> dict[str, str]:
    return {one["key"]: one["value"] for one in run["tags"]}


def _name(run: Mapping[str, Any]) -> str:
    return " ".join(part for part in (run["jobName"], _tags(run).get("dagster/partition", "")) if part)


def _instant(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
