"""Runs of the job `everything` in this process, and what they have made, found and said."""

import dagster as dg

from movierec_assets.definitions import defs
from movierec_assets.partitions import partition_key
from movierec_engine import pipeline
from movierec_engine.config import load_settings
from movierec_engine.store import Artifact, ArtifactStore, Slot

POPULARITY, EASE = partition_key("cpu", "popularity"), partition_key("cpu", "ease")


def execute(
    instance: dg.DagsterInstance,
    overrides: list[str],
    assets: tuple[str, ...],
    partition: str | None = None,
    tags: dict[str, str] | None = None,
) -> dg.ExecuteInProcessResult:
    """A run of some assets; one that fails is a result, too."""
    return defs.resolve_job_def("everything").execute_in_process(
        instance=instance,
        asset_selection=[dg.AssetKey(name) for name in assets],
        partition_key=partition,
        tags=tags,
        run_config={"resources": {"settings": {"config": {"overrides": overrides}}}},
        raise_on_error=False,
    )


def prepare(store: ArtifactStore, overrides: list[str]) -> None:
    """All data steps, by the engine's own functions: the same artifacts as the assets make, in a tenth of the time."""
    pipeline.prepare(store, load_settings([*overrides, "model=popularity", "device=cpu"]).data)


def span(start: str, end: str) -> dict[str, str]:
    """The tags of a run for a range of partitions."""
    return {"dagster/asset_partition_range_start": start, "dagster/asset_partition_range_end": end}


def sentence(result: dg.ExecuteInProcessResult) -> str:
    """The description of the failure that ended a run."""
    (failure,) = [event for event in result.all_events if event.is_step_failure]
    data = failure.step_failure_data
    assert data.user_failure_data is not None
    return data.user_failure_data.description or ""


def evaluations(result: dg.ExecuteInProcessResult) -> dict[str, dg.AssetCheckEvaluation]:
    """What the checks of a run found, by their names."""
    return {event.check_name: event for event in result.get_asset_check_evaluations()}


def latest(store: ArtifactStore, kind: str, model: str = "", device: str = "") -> Artifact:
    """The newest version of a slot of the data set camps, which has to be sound."""
    return store.require(Slot(kind, "camps", model, device)).verify()
