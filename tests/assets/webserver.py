"""Dagster's webserver as its pages use it: asked through GraphQL."""

import json
import urllib.request
from dataclasses import dataclass
from typing import Any

import dagster as dg
from waiting import soon

from movierec_assets.sensors import sentence_of

LAUNCH = """
mutation ($params: ExecutionParams!) {
  launchRun(executionParams: $params) {
    __typename
    ... on LaunchRunSuccess { run { runId } }
    ... on PythonError { message }
    ... on RunConfigValidationInvalid { errors { message } }
  }
}
"""
TERMINATE = """
mutation ($id: String!, $policy: TerminateRunPolicy!) {
  terminateRun(runId: $id, terminatePolicy: $policy) {
    __typename
    ... on TerminateRunFailure { message }
    ... on PythonError { message }
  }
}
"""
STATUS = "query ($id: ID!) { runOrError(runId: $id) { ... on Run { status } } }"
LOADED = "{ workspaceOrError { ... on Workspace { locationEntries { locationOrLoadError { __typename } } } } }"


@dataclass(frozen=True)
class Webserver:
    """A running webserver, and the settings of the runs that it is asked for."""

    port: int
    overrides: list[str]
    address: str = "127.0.0.1"

    def ask(self, query: str, **variables: Any) -> Any:
        """The one value of an answer."""
        body = json.dumps({"query": query, "variables": variables}).encode()
        url = f"http://{self.address}:{self.port}/graphql"
        request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as response:
            answer = json.load(response)
        assert "errors" not in answer, answer
        (value,) = answer["data"].values()
        return value

    @property
    def answers(self) -> bool:
        """True once it answers, with the definitions or without."""
        try:
            return self.ask("{ version }") is not None
        except OSError:
            return False

    @property
    def loaded(self) -> bool:
        """True once it answers and has the definitions."""
        try:
            entries = self.ask(LOADED)["locationEntries"]
        except OSError:
            return False
        return [(one["locationOrLoadError"] or {}).get("__typename") for one in entries] == ["RepositoryLocation"]

    @property
    def settings(self) -> dict[str, Any]:
        return {"resources": {"settings": {"config": {"overrides": self.overrides}}}}

    def launch(self, job: str, config: dict[str, Any], partition: str = "", assets: tuple[str, ...] = ()) -> str:
        """Launch a job, or some of its assets; the run's id."""
        selector: dict[str, Any] = {
            "repositoryName": "__repository__",
            "repositoryLocationName": "movierec",
            "pipelineName": job,
        }
        if assets:
            selector["assetSelection"] = [{"path": [name]} for name in assets]
        tags = [{"key": "dagster/partition", "value": partition}] if partition else []
        params = {"selector": selector, "runConfigData": config, "executionMetadata": {"tags": tags}}
        launched = self.ask(LAUNCH, params=params)
        assert launched["__typename"] == "LaunchRunSuccess", launched
        return str(launched["run"]["runId"])

    def run(self, job: str, config: dict[str, Any], partition: str = "") -> str:
        """Launch a job and wait for its end; its status."""
        return self.ended(self.launch(job, config, partition))

    def status(self, run_id: str) -> str:
        return str(self.ask(STATUS, id=run_id)["status"])

    def ended(self, run_id: str) -> str:
        """The status in which a run ends."""
        states = ("SUCCESS", "FAILURE", "CANCELED")
        return soon(lambda: next((one for one in states if one == self.status(run_id)), None))

    def terminate(self, run_id: str, policy: str = "SAFE_TERMINATE") -> str:
        """*Terminate*, or with MARK_AS_CANCELED_IMMEDIATELY *Force termination*; the name of the answer."""
        return str(self.ask(TERMINATE, id=run_id, policy=policy)["__typename"])

    def sentences(self) -> str:
        """What failed steps of all runs have said."""
        with dg.DagsterInstance.get() as instance:
            events = [
                record.get_dagster_event()
                for run in instance.get_runs()
                for record in instance.all_logs(run.run_id, dg.DagsterEventType.STEP_FAILURE)
            ]
            return " ".join(sentence_of(event) for event in events)
