"""What Dagster's answer says of its runs, in the words of an operator."""

import pytest
from dagster_answers import NOW, answer, instance, run
from dagster_graphql.schema import create_schema
from graphql import parse, validate

from dashboard.queries import dagster_runs
from dashboard.queries.dagster_runs import Automatic, ask, waits_for, work

DEVICE_LIMIT = "- key: movierec/device\n  limit: 1\n  value:\n    applyLimitPerUniqueValue: true\n"
TRAINS = run("everything", ("training",), dagster__partition="cpu|ease", movierec__device="cpu")


def test_the_question_is_one_that_the_installed_dagster_takes() -> None:
    assert validate(create_schema().graphql_schema, parse(dagster_runs.QUERY)) == []


def test_a_run_waits_for_the_daemon_the_number_of_runs_its_pool_or_its_device() -> None:
    waiting = run("sweeps", ("training",), movierec__device="cpu")
    stopped = waits_for(waiting, [TRAINS], instance(), ["queued_run_coordinator"])
    assert stopped == ("the daemon, which does not run", "start it: dagster-daemon run")
    assert waits_for(waiting, [run("a")] * 4, instance(), [])[0].startswith("one of 4 runs to end")
    assert waits_for(waiting, [TRAINS], instance(), [])[0] == (
        "a place in the pool training, of which everything cpu|ease has all 1"
    )
    roomy = instance(
        concurrencyLimits=[{"concurrencyKey": "training", "limit": 2}],
        runQueueConfig={"maxConcurrentRuns": 4, "tagConcurrencyLimitsYaml": DEVICE_LIMIT},
    )
    assert waits_for(waiting, [TRAINS], roomy, [])[0] == "everything cpu|ease, as movierec/device=cpu has 1 at once"
    other = run("sweeps", ("training",), movierec__device="cuda")
    assert waits_for(other, [TRAINS], roomy, []) == ("its turn, within seconds", "nothing")
    assert waits_for(run("prune_store"), [TRAINS], instance(), []) == ("its turn, within seconds", "nothing")


def test_a_failed_run_says_why_and_whether_it_is_tried_again() -> None:
    events = [
        {
            "__typename": "ExecutionStepFailureEvent",
            "stepKey": "raw_ratings",
            "error": {"message": "dagster.Failure: too long"},
            "failureMetadata": {"description": "ratings.csv: line 12: rating 7.5 is outside 0.5-5.0"},
        },
        {"__typename": "RunFailureEvent", "message": "Steps failed: ['raw_ratings']."},
    ]
    failed = {**run("everything", dagster__partition="cpu|ease"), "eventConnection": {"events": events}}
    killed = {**run("hybrid", dagster__will_retry="true"), "eventConnection": {"events": events[1:]}}
    first, second = work(answer(failed=[failed, killed]), NOW).failed
    assert first.why == "raw_ratings: ratings.csv: line 12: rating 7.5 is outside 0.5-5.0"
    assert first.to_do == "mend what it says, then Re-execute from failure in its page"
    assert (second.why, second.to_do) == ("Steps failed: ['raw_ratings'].", "nothing: it is tried again by itself")


def test_what_starts_runs_says_whether_it_is_on_and_what_it_refused_and_why() -> None:
    said = "the retraining nightly_retraining:2026-03-01 has not begun yet; it takes this in"
    tick = {"status": "SKIPPED", "timestamp": NOW, "skipReason": said, "error": None}
    sensors = [
        {"name": "ratings_file", "sensorState": {"status": "RUNNING", "ticks": [tick]}},
        {"name": "lost_runs", "sensorState": {"status": "STOPPED", "ticks": []}},
    ]
    found = work(answer(sensors=sensors, stopped=True), NOW)
    assert found.automatic == (
        Automatic("ratings_file", True, said, "2027-01-15T08:00:00Z"),
        Automatic("lost_runs", False),
    )
    assert found.stopped == ("sensor",)


@pytest.mark.parametrize("url", ["http://127.0.0.1:9", "ftp://127.0.0.1"])
def test_an_address_where_nobody_answers_is_a_problem_and_no_error(url: str) -> None:
    assert ask(url).problem
