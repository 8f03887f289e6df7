"""Answers of Dagster's webserver to the dashboard's question."""

from typing import Any

NOW = 1_800_000_000.0


def run(job: str, pools: tuple[str, ...] = (), **tags: str) -> dict[str, Any]:
    return {
        "runId": f"run of {job}",
        "jobName": job,
        "status": "STARTED",
        "creationTime": NOW - 60,
        "startTime": None,
        "endTime": None,
        "allPools": list(pools),
        "tags": [{"key": key.replace("__", "/"), "value": value} for key, value in tags.items()],
    }


def instance(**changes: Any) -> dict[str, Any]:
    return {
        "daemonHealth": {"allDaemonStatuses": []},
        "runQueueConfig": {"maxConcurrentRuns": 4, "tagConcurrencyLimitsYaml": ""},
        "poolConfig": {"defaultPoolLimit": 1},
        "concurrencyLimits": [],
        **changes,
    }


def answer(
    failed: list[dict[str, Any]] | None = None, sensors: list[dict[str, Any]] | None = None, stopped: bool = False
) -> dict[str, Any]:
    daemons = [{"daemonType": "SENSOR", "required": True, "healthy": not stopped}]
    return {
        "running": {"results": []},
        "waiting": {"results": []},
        "failed": {"results": failed or []},
        "instance": instance(daemonHealth={"allDaemonStatuses": daemons}),
        "repositoriesOrError": {"nodes": [{"schedules": [], "sensors": sensors or []}]},
    }
