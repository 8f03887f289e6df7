"""Runs are routed by tags of their device, however they are started."""

import json
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
import yaml
from dagster._core.remote_origin import RegisteredCodeLocationOrigin, RemoteJobOrigin, RemoteRepositoryOrigin
from dagster._core.run_coordinator import SubmitRunContext
from dagster._core.storage.tags import (
    ASSET_PARTITION_RANGE_END_TAG,
    ASSET_PARTITION_RANGE_START_TAG,
    PARTITION_NAME_TAG,
)
from dagster._core.test_utils import create_run_for_test, instance_for_test
from dagster._core.workspace.context import WorkspaceProcessContext

from movierec_assets.automation import DEVICE
from movierec_assets.device_queue import DeviceQueue

CLUSTER = Path(__file__).parents[2] / "deploy" / "dagster" / "cluster" / "dagster.yaml"
ORIGIN = RemoteJobOrigin(RemoteRepositoryOrigin(RegisteredCodeLocationOrigin("movierec"), "repository"), "everything")
GPU = {"container_config": {"resources": {"limits": {"nvidia.com/gpu": 1}}}}


@pytest.fixture(scope="module")
def instance() -> Iterator[dg.DagsterInstance]:
    """An instance with the queue that is shipped for a cluster."""
    shipped = yaml.safe_load(CLUSTER.read_text(encoding="utf-8"))
    with instance_for_test({name: shipped[name] for name in ("run_coordinator", "concurrency")}) as instance:
        yield instance


def queued(instance: dg.DagsterInstance, tags: dict[str, str]) -> dict[str, str]:
    """The tags of a run once it is in the queue, beyond Dagster's own."""
    run = create_run_for_test(instance, "everything", tags=tags, remote_job_origin=ORIGIN)
    workspace: WorkspaceProcessContext | None = None  # the queue looks at the run alone
    instance.run_coordinator.submit_run(SubmitRunContext(run, workspace))  # type: ignore[arg-type]
    found = instance.get_run_by_id(run.run_id)
    assert found is not None
    assert found.status is dg.DagsterRunStatus.QUEUED
    return {name: value for name, value in found.tags.items() if name.startswith(("movierec/", "dagster-k8s/"))}


def test_a_run_for_a_device_gets_the_tags_that_send_it_there(instance: dg.DagsterInstance) -> None:
    cuda = {DEVICE: "cuda", "dagster-k8s/config": json.dumps(GPU)}
    assert queued(instance, {PARTITION_NAME_TAG: "cuda|lightgcn"}) == cuda
    assert queued(instance, {PARTITION_NAME_TAG: "cuda"}) == cuda, "as of the hybrid ensemble"
    ends = (ASSET_PARTITION_RANGE_START_TAG, ASSET_PARTITION_RANGE_END_TAG)
    assert queued(instance, dict(zip(ends, ("cuda|als", "cuda|svd"), strict=True))) == cuda
    assert queued(instance, {PARTITION_NAME_TAG: "cpu|lightgcn"}) == {DEVICE: "cpu"}


def test_a_run_for_several_devices_or_none_and_what_it_says_itself_stay(instance: dg.DagsterInstance) -> None:
    ends = (ASSET_PARTITION_RANGE_START_TAG, ASSET_PARTITION_RANGE_END_TAG)
    assert queued(instance, dict(zip(ends, ("cpu|als", "cuda|als"), strict=True))) == {}
    assert queued(instance, {}) == {}
    own = {DEVICE: "cuda", "dagster-k8s/config": "{}"}
    assert queued(instance, {PARTITION_NAME_TAG: "cuda|als", **own}) == own


def test_a_queued_run_waits_for_a_code_server_that_is_started_again(instance: dg.DagsterInstance) -> None:
    assert isinstance(instance.run_coordinator, DeviceQueue)
    limits = instance.get_concurrency_config().run_queue_config
    assert limits is not None
    assert limits.max_user_code_failure_retries * limits.user_code_failure_retry_delay == 600
    assert limits.max_concurrent_runs == 50, "beside the limits of the file"
