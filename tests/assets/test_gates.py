"""The checks of the assets: what they look at, and what they stop."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import dagster as dg
import numpy as np
import pytest
from dagster_runs import EASE, POPULARITY, evaluations, execute, prepare, span

from movierec_assets import checks
from movierec_assets.jobs import DATA, MODEL, RELEASE
from movierec_assets.materialize import materialize
from movierec_assets.partitions import partition_key
from movierec_engine.config import load_settings
from movierec_engine.data.graph import InteractionGraph, build_graph
from movierec_engine.data.interactions import Interactions
from movierec_engine.errors import MovierecError
from movierec_engine.evaluation.canaries import Finding
from movierec_engine.pipeline import model_checks
from movierec_engine.release import decisions
from movierec_engine.store import SERVING, Artifact, ArtifactStore, Slot
from worlds import write_noisy_camps


def test_every_data_step_is_checked_with_its_asset(
    instance: dg.DagsterInstance, store: ArtifactStore, overrides: list[str]
) -> None:
    found = evaluations(execute(instance, overrides, DATA))
    assert {name for name, check in found.items() if not check.passed} == set()
    assert found.keys() == {
        "ratings_are_valid",
        "few_duplicates",
        "data_have_not_drifted",
        "volume_has_not_jumped",
        "movies_are_valid",
        "movies_have_titles",
        "interactions_are_valid",
        "few_are_dropped",
        "parts_are_disjoint",
        "graph_is_train",
    }


STOPS = {
    "raw_ratings": {"ratings_are_valid"},
    "raw_movies": {"movies_are_valid"},
    "interactions": {"interactions_are_valid"},
    "splits": {"parts_are_disjoint"},
    "interaction_graph": {"graph_is_train"},
    "trained_model": {"loss_is_finite", "ancestors_saw_the_same"},
    "evaluation_report": {"report_adds_up", "nothing_seen_is_recommended"},
    "faiss_index": {"index_finds_the_best", "serving_parity", "nothing_rated_is_served"},
    "hybrid_ensemble": {
        *("report_adds_up", "nothing_seen_is_recommended"),
        *("index_finds_the_best", "serving_parity", "nothing_rated_is_served"),
    },
    "refitted_release": set(),
}
"""Asset -> its checks after which nothing goes on; the others warn, and of refits the gate itself refuses."""
WARNS = {
    "raw_ratings": {"few_duplicates", "data_have_not_drifted", "volume_has_not_jumped"},
    "raw_movies": {"movies_have_titles"},
    "interactions": {"few_are_dropped"},
    "trained_model": {"loss_falls", "reaches_popularity"},
    "refitted_release": {"index_finds_the_best", "refit_is_finite", "refit_agrees", "refit_costs_alike"},
}


def test_the_checks_that_find_something_wrong_stop_the_line_and_the_others_warn() -> None:
    found: dict[tuple[str, bool], set[str]] = {}
    for spec in (spec for definition in checks.CHECKS for spec in definition.check_specs):
        found.setdefault((spec.asset_key.to_user_string(), spec.blocking), set()).add(spec.name)
    assert {asset: found.get((asset, True), set()) for asset in STOPS} == STOPS
    assert {asset: names for (asset, blocking), names in found.items() if not blocking} == WARNS
    specs = [spec for definition in checks.CHECKS for spec in definition.check_specs]
    parity = next(one for one in specs if (one.asset_key.path, one.name) == (["faiss_index"], "serving_parity"))
    assert [one.asset_key.path for one in parity.additional_deps] == [["evaluation_report"]], "whose lists it looks at"


def test_a_check_has_the_gates_thresholds_of_the_run() -> None:
    release = {"min_recall": 0.5, "min_agreement": 0.25, "max_refit_cost": 7.0}
    settings = load_settings(["device=cpu", *(f"release.{name}={value}" for name, value in release.items())])
    told: dict[str, object] = {}
    for check in (*checks.INDEX, *checks.REFIT):
        told |= check.given(settings)
    assert told == release
    assert [len(one.given(settings)) for one in checks.REFIT] == [1, 0, 1, 1]


@pytest.mark.parametrize(
    ("judge", "factory", "severity"),
    [
        (checks.wrong, "Flat", "ERROR"),
        (checks.unusual, "Flat", "WARN"),
        (checks.refused, "Flat", "ERROR"),
        (checks.wrong_unless_approximate, "Flat", "ERROR"),
        (checks.wrong_unless_approximate, "HNSW32", "WARN"),
    ],
)
def test_a_check_that_fails_is_as_grave_as_it_is_judged(
    store: ArtifactStore, judge: Callable[[Artifact], dg.AssetCheckSeverity], factory: str, severity: str
) -> None:
    """Of two partitions one fails, and stands first in the words."""
    made = {
        key: store.publish(
            Slot("faiss_index", "camps", key, "cpu"), str, key=key, fingerprint="", facts={"factory": factory}
        )
        for key in ("als", "ease")
    }

    def examined(store: ArtifactStore, artifact: Artifact) -> Finding:
        good = artifact.slot.model == "als"
        return Finding("examined", good, "it is good" if good else "it is bad", {"number": 1.0})

    check = checks.ArtifactCheck("faiss_index", examined, judge)
    result = check.result(store, made, dg.AssetKey("faiss_index"), None)  # type: ignore[arg-type]
    assert (result.passed, result.severity.value) == (False, severity)
    assert result.description == "ease: it is bad\nals: it is good"
    assert set(result.metadata) == {"als number", "ease number", checks.FAILING}
    alone = check.result(store, {"als": made["als"]}, dg.AssetKey("faiss_index"), None)  # type: ignore[arg-type]
    assert alone.passed
    assert set(alone.metadata) == {"number"}


def test_a_graph_with_a_foreign_edge_ends_the_line_before_training(
    instance: dg.DagsterInstance, store: ArtifactStore, overrides: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def leaking(train: Interactions) -> InteractionGraph:
        stranger = np.setdiff1d(np.arange(train.n_items), train.matrix()[0].indices)[:1]
        row = train.select(np.array([0]))
        everything = np.concatenate([train.item, stranger])
        more = {name: np.concatenate([getattr(train, name), getattr(row, name)]) for name in ("rating", "timestamp")}
        user = np.concatenate([train.user, np.zeros(1, dtype=np.int32)])
        return build_graph(replace(train, user=user, item=everything.astype(np.int32), **more))

    monkeypatch.setattr("movierec_engine.pipeline.data.build_graph", leaking)
    result = execute(instance, overrides, (*DATA, "trained_model"), EASE)
    assert not result.success
    check = evaluations(result)["graph_is_train"]
    assert not check.passed
    assert "have 2 that train has not" in (check.description or "")
    assert store.latest(Slot("trained_model", "camps", "ease", "cpu")) is None


def parity_broken(monkeypatch: pytest.MonkeyPatch, model: str) -> None:
    """Let the API's code answer with the reverse of a model's lists."""
    true = model_checks.answered_lists

    def reversed_lists(store: ArtifactStore, index: Artifact, users: list[int], k: int) -> object:
        answers = true(store, index, users, k)
        return {user: answer[::-1] for user, answer in answers.items()} if index.slot.model == model else answers

    monkeypatch.setattr(model_checks, "answered_lists", reversed_lists)


def test_a_blocking_check_stops_what_follows_and_the_old_release_stays_served(
    instance: dg.DagsterInstance, store: ArtifactStore, overrides: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare(store, overrides)
    assert execute(instance, overrides, (*MODEL, *RELEASE), POPULARITY).success
    served = store.pointed(SERVING, "camps")
    parity_broken(monkeypatch, "ease")
    result = execute(instance, overrides, (*MODEL, *RELEASE), EASE)
    assert not result.success
    assert not evaluations(result)["serving_parity"].passed
    assert not result.asset_materializations_for_node("serving_release")
    assert store.pointed(SERVING, "camps") == served
    with pytest.raises(
        MovierecError, match=r"faiss_index fails its check serving_parity: cpu\|ease: served lists differ"
    ):
        materialize(["ease"], "cpu", overrides, instance)


@pytest.mark.slow
def test_a_refit_that_fails_its_check_is_shown_and_refused_by_the_gate_with_its_reason(
    instance: dg.DagsterInstance, store: ArtifactStore, overrides: list[str], tmp_path: Path
) -> None:
    write_noisy_camps(tmp_path / "noisy")
    overrides = [*(one for one in overrides if "data.dir" not in one), f"data.dir='{tmp_path / 'noisy'}'"]
    prepare(store, overrides)
    assert execute(instance, overrides, (*MODEL, *RELEASE), POPULARITY).success
    served = store.pointed(SERVING, "camps")
    strict = [*overrides, "release.min_agreement=1.0"]
    result = execute(instance, strict, (*MODEL, *RELEASE), EASE)
    assert result.success, "the release records what it found"
    found = evaluations(result)
    assert [name for name in ("refit_is_finite", "refit_agrees", "refit_costs_alike") if not found[name].passed] == [
        "refit_agrees"
    ]
    assert store.pointed(SERVING, "camps") == served
    (refused,) = [one for one in decisions.decisions(store, "camps") if one.verdict == decisions.REFUSED]
    assert "failed refit_agrees" in refused.sentence


@pytest.mark.slow
def test_the_checks_of_a_range_look_at_each_of_its_partitions_and_name_the_one_that_fails(
    instance: dg.DagsterInstance, store: ArtifactStore, overrides: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare(store, overrides)
    parity_broken(monkeypatch, "popularity")
    result = execute(instance, overrides, MODEL, tags=span("cpu|popularity", "cpu|item_cf"))
    found = evaluations(result)
    assert {name for name, check in found.items() if not check.passed} == {"serving_parity"}
    words = (found["serving_parity"].description or "").splitlines()
    assert [line.partition(":")[0] for line in words] == ["cpu|popularity", "cpu|item_cf"]
    assert {"cpu|popularity different", "cpu|item_cf different"} <= found["serving_parity"].metadata.keys()


@pytest.mark.slow
def test_a_partition_that_fails_a_check_is_not_hidden_by_one_that_passes_it(
    instance: dg.DagsterInstance, store: ArtifactStore, overrides: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare(store, overrides)
    with monkeypatch.context() as broken:
        parity_broken(broken, "popularity")
        assert not execute(instance, overrides, MODEL, POPULARITY).success
    other = execute(instance, overrides, MODEL, partition_key("cpu", "item_cf"))
    assert other.success, "the other's finding stops nothing here"
    found = evaluations(other)["serving_parity"]
    assert (found.passed, found.severity.value) == (False, "WARN")
    assert "faiss_index/camps/popularity/cpu, of an earlier run: " in (found.description or "")
    assert evaluations(execute(instance, overrides, MODEL, POPULARITY))["serving_parity"].passed
