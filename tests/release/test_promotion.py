"""The gate, over models whose every user's metric is given."""

import json
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from release_world import GOOD, METRIC, NEW, NOISE, World

from movierec_engine.errors import MovierecError, StoreError
from movierec_engine.release import decisions, manual
from movierec_engine.release.decisions import KEPT, PROMOTED, REFUSED, UNCHANGED
from movierec_engine.serving.index_reloader import IndexReloader
from movierec_engine.store import SERVING, Artifact, ArtifactStore, Slot, kinds, replace_file

TESTS = Path(__file__).parents[1]


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(ArtifactStore(tmp_path / "store"))


@pytest.fixture
def ease_served(world: World) -> World:
    """popularity and ease were measured, and ease is the champion."""
    world.train("popularity", GOOD - 0.1)
    world.train("ease", GOOD)
    assert world.challenge().verdict == PROMOTED
    assert world.served == "ease"
    return world


def test_the_first_release_is_the_best_of_the_leaderboard(world: World) -> None:
    world.train("popularity", GOOD - 0.1)
    best = world.train("gmf", GOOD)
    decision = world.challenge()
    assert decision.verdict == PROMOTED
    assert world.served_model == best.reference
    assert "nothing was served" in decision.sentence
    assert decision.champion == ""


def test_a_better_challenger_becomes_champion_and_the_evidence_says_by_how_much(ease_served: World) -> None:
    ease_served.train("gmf", GOOD + 0.05 + NOISE)
    decision = ease_served.challenge()
    assert decision.verdict == PROMOTED
    assert ease_served.served == "gmf"
    (row,) = [row for row in decision.evidence["comparisons"] if row["role"] == "champion"]
    assert row["mean_a"] == pytest.approx(0.35)
    assert row["mean_b"] == pytest.approx(0.3)
    assert row["difference"] == pytest.approx(0.05)
    assert row["low"] <= 0.05 <= row["high"]
    assert row["wins"] == row["users"] == 60
    assert max(row["p_bootstrap"], row["p_wilcoxon"]) < 0.01


def test_an_equal_challenger_becomes_champion(ease_served: World) -> None:
    assert ease_served.challenge(ease_served.train("gmf", GOOD)).verdict == PROMOTED
    assert ease_served.served == "gmf"


def test_a_worse_challenger_stays_out_and_it_is_said_why(ease_served: World) -> None:
    before = ease_served.store.storage.pointer_file(SERVING, "camps").read_bytes()
    decision = ease_served.challenge(ease_served.train("gmf", GOOD - 0.01))
    assert decision.verdict == KEPT
    assert "ease on cpu stays" in decision.sentence
    assert "0.2900 against 0.3000" in decision.sentence
    assert ease_served.store.storage.pointer_file(SERVING, "camps").read_bytes() == before


def test_what_is_served_already_is_not_decided_again(ease_served: World) -> None:
    made = len(decisions.decisions(ease_served.store, "camps"))
    assert ease_served.challenge().verdict == UNCHANGED
    assert len(decisions.decisions(ease_served.store, "camps")) == made


def test_a_newer_index_of_the_champion_is_served(ease_served: World) -> None:
    model = ease_served.store.require(Slot("trained_model", "camps", "ease", "cpu"))
    newer = ease_served.index(model)
    assert ease_served.challenge().verdict == PROMOTED
    assert ease_served.store.pointed(SERVING, "camps") == newer


def test_a_challenger_has_to_match_the_configured_baselines(world: World) -> None:
    world.train("als", GOOD)
    gmf = world.train("gmf", GOOD - 0.01)
    assert world.challenge(gmf).verdict == KEPT
    assert world.served == ""
    assert world.challenge(gmf, above=("popularity",)).verdict == PROMOTED


def test_a_baseline_that_was_not_measured_is_named_and_stops_nothing_unless_asked(world: World) -> None:
    world.train("ease", GOOD)
    strict = world.challenge(require_above=True)
    assert strict.verdict == KEPT
    assert "popularity was not measured" in strict.sentence
    decision = world.challenge()
    assert decision.verdict == PROMOTED
    assert decision.evidence["baselines_missing"] == ["popularity", "als"]
    assert "popularity, als not measured" in decision.sentence
    world.train("popularity", GOOD - 0.1)
    strict = world.challenge(world.train("gmf", GOOD), require_above=True)
    assert (strict.verdict, strict.evidence["baselines_missing"]) == (KEPT, ["als"])


def test_after_the_data_changed_the_retrained_champion_stands_in_for_the_champion(ease_served: World) -> None:
    """The old numbers are of other users: the challenger's are higher, and yet it is worse than ease on the same."""
    retrained = ease_served.train("ease", GOOD + 0.3, NEW)
    decision = ease_served.challenge(ease_served.train("gmf", GOOD + 0.2, NEW))
    assert decision.verdict == KEPT
    (row,) = [row for row in decision.evidence["comparisons"] if row["role"] == "champion's successor"]
    assert row["trained_model"] == retrained.reference
    assert decision.evidence["fingerprint"] != decision.evidence["champion_fingerprint"]
    assert ease_served.challenge().challenger_model == retrained.reference
    assert ease_served.served_model == retrained.reference, "the champion's own successor has only the floors to pass"


def test_the_successor_has_the_champions_settings_if_one_has(world: World) -> None:
    world.train("gmf", GOOD, config={"factors": 8})
    world.challenge()
    same = world.train("gmf", GOOD, NEW, config={"factors": 8})
    world.train("gmf", GOOD - 0.2, NEW, config={"factors": 1}, key="trial")
    decision = world.challenge(world.train("item_cf", GOOD - 0.1, NEW))
    assert decision.verdict == KEPT
    assert decision.evidence["comparisons"][0]["trained_model"] == same.reference


def test_without_a_successor_the_baselines_of_the_new_data_decide(ease_served: World) -> None:
    ease_served.train("popularity", GOOD, NEW)
    assert ease_served.challenge(ease_served.train("gmf", GOOD - 0.1, NEW)).verdict == KEPT
    decision = ease_served.challenge(ease_served.train("gmf", GOOD + 0.1, NEW))
    assert decision.verdict == PROMOTED
    assert "ease on cpu was not trained again" in decision.sentence


def test_with_nothing_to_compare_with_on_new_data_the_champion_stays(ease_served: World) -> None:
    decision = ease_served.challenge(ease_served.train("gmf", GOOD + 0.3, NEW))
    assert decision.verdict == KEPT
    assert "neither ease nor a baseline" in decision.sentence
    assert ease_served.served == "ease"


def test_a_damaged_index_is_refused_and_the_api_goes_on_with_the_old_one(ease_served: World) -> None:
    releases = IndexReloader(ease_served.store)
    better = ease_served.train("gmf", GOOD + 0.1)
    index = ease_served.store.require(Slot("faiss_index", "camps", "gmf", "cpu"))
    (index.folder / "index.faiss").write_bytes(b"half")
    decision = ease_served.challenge()
    assert decision.verdict == REFUSED
    assert "checksum" in decision.sentence
    served = releases.current()
    assert served is not None and served.model == "ease"
    with pytest.raises(StoreError, match="checksum"):
        ease_served.promote("gmf", force=True)
    ease_served.index(better)
    assert ease_served.challenge().verdict == PROMOTED


def test_a_model_without_an_index_is_refused(ease_served: World) -> None:
    ease_served.train("gmf", GOOD + 0.1, index=False)
    decision = ease_served.challenge()
    assert (decision.verdict, ease_served.served) == (REFUSED, "ease")
    assert "has no index" in decision.sentence


def test_low_recall_is_refused_unless_configured(ease_served: World) -> None:
    ease_served.train("gmf", GOOD + 0.1, recall=0.95)
    decision = ease_served.challenge()
    assert decision.verdict == REFUSED
    assert "is 0.9500 of exact search" in decision.sentence
    assert ease_served.challenge(min_recall=0.9).verdict == PROMOTED


def leaking(world: World, trained: Artifact, passed: bool) -> None:
    world.store.publish(
        trained.slot.beside("leak_canaries"),
        lambda folder: None,
        key="canaries",
        fingerprint=trained.fingerprint,
        parents={"trained_model": trained},
        facts={"passed": passed, "findings": [{"name": "memory_is_train", "passed": passed, "sentence": ""}]},
    )


def test_a_model_whose_newest_canaries_failed_is_refused(ease_served: World) -> None:
    better = ease_served.train("gmf", GOOD + 0.1)
    leaking(ease_served, better, passed=True)
    leaking(ease_served, better, passed=False)
    decision = ease_served.challenge()
    assert decision.verdict == REFUSED
    assert "memory_is_train" in decision.sentence
    leaking(ease_served, better, passed=True)
    assert ease_served.challenge().verdict == PROMOTED


def test_a_damaged_measurement_keeps_the_champion(ease_served: World) -> None:
    better = ease_served.train("gmf", GOOD + 0.1)
    (better.folder / "validation_users.parquet").write_bytes(b"half")
    decision = ease_served.challenge()
    assert decision.verdict == KEPT
    assert "cannot be compared" in decision.sentence


@pytest.mark.parametrize("damage", ["pointer", "index"])
def test_a_damaged_champion_gives_way_to_what_passes_the_baselines(ease_served: World, damage: str) -> None:
    index = ease_served.store.pointed(SERVING, "camps")
    assert index is not None
    if damage == "pointer":
        replace_file(ease_served.store.storage.pointer_file(SERVING, "camps"), "{")
    else:
        manual.pin(ease_served.store, "camps", "holds nothing that cannot answer")
        (index.folder / "index.faiss").write_bytes(b"half")
        with pytest.raises(StoreError, match="checksum"):
            ease_served.roll_back(to=index.version)
    with pytest.raises(StoreError, match="there is nothing to pin"):
        manual.pin(ease_served.store, "camps")
    decision = ease_served.challenge(ease_served.train("gmf", GOOD), above=("popularity",))
    assert decision.verdict == PROMOTED
    assert decision.evidence["champion_damage"]
    assert ease_served.served == "gmf"


def test_the_evidence_names_how_many_trials_were_spent_on_each_model(ease_served: World) -> None:
    ease_served.store.publish(
        Slot("sweep", "camps"),
        lambda folder: pq.write_table(pa.table({"model": ["gmf"] * 3 + ["ease"]}), folder / "trials.parquet"),
        key="sweep",
        fingerprint="",
    )
    decision = ease_served.challenge(ease_served.train("gmf", GOOD))
    assert decision.evidence["tuning_trials"] == {"gmf": 3, "ease": 1, "popularity": 0}


def test_a_metric_of_its_own_decides_if_configured(ease_served: World) -> None:
    decision = ease_served.challenge(ease_served.train("gmf", GOOD + 0.1), metric="recall@10")
    assert decision.verdict == KEPT
    assert "no recall@10 of every user" in decision.sentence


def test_what_is_pinned_stays_until_it_is_unpinned_or_forced(ease_served: World) -> None:
    store = ease_served.store
    manual.pin(store, "camps", "a demonstration")
    ease_served.train("gmf", GOOD + 0.1)
    decision = ease_served.challenge()
    assert (decision.verdict, ease_served.served) == (KEPT, "ease")
    assert "a demonstration" in decision.sentence
    with pytest.raises(MovierecError, match=r"pinned since .*a demonstration"):
        ease_served.promote("gmf")
    ease_served.promote("gmf", force=True)
    assert ease_served.served == "gmf"
    assert decisions.pin_of(store, "camps") is None
    with pytest.raises(MovierecError, match="nothing of camps is pinned"):
        manual.unpin(store, "camps")
    ease_served.roll_back()
    manual.pin(store, "camps")
    manual.unpin(store, "camps")
    ease_served.train("item_cf", GOOD + 0.2)
    assert ease_served.challenge().verdict == PROMOTED


def test_a_person_may_promote_a_worse_model_and_the_record_says_so(ease_served: World) -> None:
    decision = ease_served.promote("popularity", reason="a test", origin={"dagster_run_id": "r1"})
    assert ease_served.served == "popularity"
    (kept,) = [one for one in decisions.decisions(ease_served.store, "camps") if one.by == "hand"]
    assert kept == decision
    assert (kept.reason, kept.origin) == ("a test", {"dagster_run_id": "r1"})
    assert "though next to champion ease on cpu it is lower" in kept.sentence


def test_rolling_back_goes_back_and_the_gate_does_not_undo_it(ease_served: World) -> None:
    ease_served.train("gmf", GOOD + 0.1)
    ease_served.challenge()
    assert ease_served.roll_back(reason="people complain").verdict == "rolled back"
    assert ease_served.served == "ease"
    decision = ease_served.challenge()
    assert (decision.verdict, ease_served.served) == (KEPT, "ease")
    assert "rolled back from" in decision.sentence
    again = ease_served.train("gmf", GOOD + 0.1)
    assert ease_served.challenge(again).verdict == KEPT, "the same settings on the same data, trained again"
    ease_served.train("gmf", GOOD + 0.1, key="other-settings")
    assert ease_served.challenge().verdict == PROMOTED


def test_a_person_may_promote_again_what_was_rolled_back_from(ease_served: World) -> None:
    ease_served.promote("popularity")
    ease_served.roll_back()
    ease_served.promote("popularity")
    store = ease_served.store
    assert decisions.rolled_back_from(store, "camps") == set()
    popularity = decisions.served_reference(store, "camps")
    ease = ease_served.roll_back().served
    assert decisions.rolled_back_indices(store, "camps") == {popularity}
    ease_served.roll_back(to=popularity)
    assert decisions.rolled_back_indices(store, "camps") == {ease}
    assert decisions.rolled_back_from(store, "camps") == {
        decisions.key_of(store.resolve(ease).parents["trained_model"])
    }


def test_there_is_an_end_to_rolling_back(ease_served: World) -> None:
    with pytest.raises(StoreError, match="no earlier releases"):
        ease_served.roll_back()
    with pytest.raises(StoreError, match="models list"):
        ease_served.roll_back(to="1999")


def test_any_kept_version_may_be_rolled_back_to(ease_served: World) -> None:
    index = ease_served.store.require(Slot("faiss_index", "camps", "popularity", "cpu"))
    ease_served.roll_back(to=index.parents["trained_model"].split("/")[-1])
    assert ease_served.store.pointed(SERVING, "camps") == index


def test_the_order_of_releases_is_a_stack_of_promotions_and_rollbacks(world: World) -> None:
    """Against the plain definition: promoting puts on top, rolling back takes off."""
    names = ("popularity", "ease", "als", "gmf")
    for name in names:
        world.train(name, GOOD)
    rng = np.random.default_rng(3)
    stack: list[str] = []
    for _ in range(25):
        if len(stack) > 1 and rng.random() < 0.4:
            steps = int(rng.integers(1, len(stack)))
            if stack[-1 - steps] == stack[-1]:
                continue
            del stack[-steps:]
            world.roll_back(steps=steps)
        else:
            name = str(rng.choice(names))
            if stack[-1:] != [name]:
                stack.append(name)
            world.promote(name)
        assert [reference.split("/")[2] for reference in decisions.releases(world.store, "camps")] == stack
        assert world.served == stack[-1]


def test_decisions_at_the_same_time_are_made_one_after_another(ease_served: World) -> None:
    """Each names as champion what the one before it has served, though four threads decide at once."""
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(ease_served.promote, ["popularity", "ease"] * 6))
    made = decisions.decisions(ease_served.store, "camps")
    assert len(made) > 2
    assert all(decisions.carried_out(ease_served.store, made))


KILLED_BEFORE_THE_POINTER = """
import os, signal, sys
from movierec_engine.store import ArtifactStore
from release_world import World

ArtifactStore.point = lambda *args: os.kill(os.getpid(), signal.SIGKILL)
World(ArtifactStore(sys.argv[1])).challenge()
"""


@pytest.mark.slow
def test_a_decision_that_is_killed_before_the_pointer_moves_is_harmless_and_made_again(ease_served: World) -> None:
    ease_served.train("gmf", GOOD + 0.1)
    store = ease_served.store
    before = store.storage.pointer_file(SERVING, "camps").read_bytes()
    program = [sys.executable, "-c", KILLED_BEFORE_THE_POINTER, str(store.root)]
    environment = {**os.environ, "PYTHONPATH": str(TESTS)}
    assert subprocess.run(program, env=environment, check=False).returncode == -signal.SIGKILL
    assert store.storage.pointer_file(SERVING, "camps").read_bytes() == before
    made = decisions.decisions(store, "camps")
    assert [one.verdict for one in made] == [PROMOTED, PROMOTED]
    assert decisions.carried_out(store, made) == [True, False]
    assert [reference.split("/")[2] for reference in decisions.releases(store, "camps")] == ["ease"]
    assert ease_served.challenge().verdict == PROMOTED
    assert ease_served.served == "gmf"
    assert decisions.carried_out(store, decisions.decisions(store, "camps")) == [True, False, True]
    assert [reference.split("/")[2] for reference in decisions.releases(store, "camps")] == ["ease", "gmf"]


def test_the_record_is_kept_as_json_and_survives_a_damaged_entry(ease_served: World) -> None:
    ease_served.promote("popularity")
    first, second = ease_served.store.versions(Slot(kinds.RELEASE_DECISION, "camps"))
    content = json.loads((second.folder / "decision.json").read_text())
    assert content["served"] == decisions.served_reference(ease_served.store, "camps")
    assert content["evidence"]["metric"] == METRIC
    assert second.facts["sentence"] == content["sentence"]
    assert second.fingerprint == content["evidence"]["fingerprint"] != ""
    damage = json.loads((first.folder / "decision.json").read_text()) | {"sentence": "something else"}
    (first.folder / "decision.json").write_text(json.dumps(damage))
    assert [one.reference for one in decisions.decisions(ease_served.store, "camps")] == [second.reference]


def test_the_pointer_names_the_decision_and_is_read_by_the_api(ease_served: World) -> None:
    pointer = ease_served.store.pointer(SERVING, "camps")
    assert pointer is not None
    assert {"reference", "since", "evidence"} == set(pointer)
    decision = ease_served.store.resolve(pointer["evidence"]["decision"])
    assert decision.facts["served"] == pointer["reference"]
    served = IndexReloader(ease_served.store).current()
    assert served is not None and served.artifact.reference == pointer["reference"]


def test_an_index_is_found_by_every_name_that_people_give_it(ease_served: World) -> None:
    index = ease_served.store.require(Slot("faiss_index", "camps", "ease", "cpu"))
    model = index.parents["trained_model"]
    version = model.split("/")[-1]
    for name in ("ease", "ease/cpu", f"ease/cpu/{version}", f"ease/cpu/{index.version}", model, index.reference):
        assert manual.find_index(ease_served.store, "camps", name) == index
    assert manual.find_index(ease_served.store, "camps", "ease", "cpu", version[:-2]) == index
    newer = ease_served.index(ease_served.store.resolve(model))
    assert manual.find_index(ease_served.store, "camps", model) == newer
    assert manual.find_kept(ease_served.store, "camps", version) == index, "which was served"
    for name in ("nope", "ease/cuda", "ease/cpu/1999", "faiss_index/camps/ease/cpu/1999"):
        with pytest.raises(StoreError):
            manual.find_index(ease_served.store, "camps", name)


def test_an_index_that_answers_otherwise_than_evaluated_is_refused_with_evidence_and_can_be_forced(
    ease_served: World,
) -> None:
    """As where a run's own check stopped it, and leaderboard and release are made later, by themselves."""
    ease_served.train("gmf", GOOD + 0.1, parity=False)
    decision = ease_served.challenge()
    assert decision.verdict == REFUSED
    assert ease_served.served == "ease"
    failed = [check["name"] for check in decision.evidence["checks"] if not check["passed"]]
    assert failed == ["serving_parity"]
    assert "served lists differ from evaluated lists for 2 of 3 users" in decision.sentence
    with pytest.raises(StoreError, match=r"failed serving_parity: .*; force serves it all the same"):
        ease_served.promote("gmf")
    forced = ease_served.promote("gmf", force=True)
    assert (forced.verdict, forced.evidence["forced"]) == (PROMOTED, True)
    assert ease_served.roll_back().verdict == decisions.ROLLED_BACK
    assert ease_served.roll_back(to=forced.served).verdict == decisions.ROLLED_BACK, "it was served before"


def test_an_older_model_is_compared_with_its_own_report(ease_served: World) -> None:
    older = ease_served.store.require(Slot("trained_model", "camps", "ease", "cpu"))
    ease_served.train("ease", GOOD, parity=False)
    assert ease_served.promote("popularity").verdict == PROMOTED
    assert ease_served.promote(older.reference.removeprefix("trained_model/camps/")).verdict == PROMOTED


def test_a_report_whose_lists_are_gone_is_no_parity(ease_served: World) -> None:
    model = ease_served.train("gmf", GOOD + 0.1)
    (report,) = ease_served.store.versions(Slot("evaluation_report", "camps", "gmf", "cpu"))
    (report.folder / "lists.parquet").write_bytes(b"damage")
    decision = ease_served.challenge(model)
    assert decision.verdict == REFUSED
    assert "failed serving_parity: its files cannot be read" in decision.sentence
