"""A device's hybrid ensemble: the members that it fuses, its report, its index and its release."""

import dagster as dg
import pytest
from dagster_runs import EASE, execute, latest, prepare, sentence

from movierec_assets.definitions import defs
from movierec_assets.jobs import MODEL
from movierec_assets.partitions import partition_key
from movierec_engine.store import SERVING, ArtifactStore


@pytest.mark.slow
def test_the_hybrid_of_a_device_fuses_its_partitions_and_is_ranked_and_indexed(
    instance: dg.DagsterInstance, store: ArtifactStore, overrides: list[str]
) -> None:
    prepare(store, overrides)
    for assets, partition in ((MODEL, EASE), (MODEL, partition_key("cpu", "als"))):
        assert execute(instance, overrides, assets, partition).success
    materialized = defs.resolve_job_def("hybrid").execute_in_process(
        instance=instance,
        partition_key="cpu",
        run_config={
            "resources": {"settings": {"config": {"overrides": [*overrides, "model.models=[ease,als]"]}}},
        },
    )
    assert materialized.success
    hybrid = latest(store, "trained_model", "hybrid_ensemble", "cpu")
    for member in ("ease", "als"):
        assert hybrid.parents[member] == latest(store, "trained_model", member, "cpu").reference
    for kind in ("evaluation_report", "faiss_index"):
        assert latest(store, kind, "hybrid_ensemble", "cpu").parents["trained_model"] == hybrid.reference
    assert {row["model"] for row in latest(store, "leaderboard").facts["rows"]} == {"ease", "als", "hybrid_ensemble"}
    assert store.pointed(SERVING, "camps"), "the job releases the best of them all"


def test_a_hybrid_without_its_members_names_them_if_they_are_not_to_be_trained(
    instance: dg.DagsterInstance, store: ArtifactStore, overrides: list[str]
) -> None:
    prepare(store, overrides)
    asked = [*overrides, "model.models=[ease,als]", "model.missing=error"]
    result = defs.resolve_job_def("hybrid").execute_in_process(
        instance=instance,
        partition_key="cpu",
        run_config={"resources": {"settings": {"config": {"overrides": asked}}}},
        raise_on_error=False,
    )
    assert not result.success
    assert "no ease on cpu is trained on this split" in sentence(result)
