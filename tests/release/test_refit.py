"""Refitting: what is trained on all interactions, what the gate makes of it, and what answers when it goes wrong."""

import os
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from movierec_engine import pipeline, release
from movierec_engine.config import Settings, load_settings
from movierec_engine.data.dataset import Dataset
from movierec_engine.data.interactions import Interactions
from movierec_engine.data.split import Split
from movierec_engine.errors import MovierecError
from movierec_engine.evaluation.gate import ReleaseConfig
from movierec_engine.feedback import FeedbackError, FeedbackLogs
from movierec_engine.models import EASE
from movierec_engine.models.fitting import Epoch
from movierec_engine.models.registry import load_model
from movierec_engine.pipeline import model_checks
from movierec_engine.release import decisions, judging, manual, promotion, refit_checks
from movierec_engine.release.decisions import KEPT, PROMOTED, REFUSED, UNCHANGED, Decision
from movierec_engine.release.refit import epochs_kept, find_refitted_index, refit_index, refit_model
from movierec_engine.release.retention import prune
from movierec_engine.retrieval.index import RetrievalIndex
from movierec_engine.retrieval.masks import serving_mask
from movierec_engine.serving.index_reloader import IndexReloader
from movierec_engine.store import SERVING, Artifact, ArtifactStore, Slot, is_refitted, measured_index
from movierec_engine.training.config import EarlyStoppingConfig
from movierec_engine.training.state import EarlyStopping
from worlds import write_noisy_camps

TESTS = Path(__file__).parents[1]
METRIC = "ndcg@10"
MODELS = ("popularity", "ease", "gmf", "hybrid_ensemble")


FILTERED_OUT = 900
"""A user with one rating, whom the filters leave out of the split."""


@dataclass(frozen=True)
class Shop:
    """A store of measured models with popularity served as it was measured."""

    store: ArtifactStore

    def model(self, name: str) -> Artifact:
        return pipeline.find_trained_model(self.store, "camps", name)

    def index(self, name: str) -> Artifact:
        found = judging.newest_index(self.store, self.model(name))
        assert found is not None
        return found

    def split(self) -> Split:
        return pipeline.load_split(self.store.resolve(self.model("ease").parents["splits"]))

    def challenge(self, name: str = "ease", **settings: object) -> Decision:
        board = pipeline.rank_models(self.store, "camps", METRIC)
        config = ReleaseConfig(**{"above": (), **settings})  # type: ignore[arg-type]
        return release.decide_release(self.store, board, config, self.model(name))

    def promote(self, name: str, **settings: object) -> Decision:
        index = manual.find_index(self.store, "camps", name)
        return manual.promote(self.store, index, ReleaseConfig(**settings), METRIC)  # type: ignore[arg-type]

    @property
    def served(self) -> Artifact:
        found = self.store.pointed(SERVING, "camps")
        assert found is not None
        return found


def settings_of(model: str, root: Path) -> Settings:
    trainer = ["trainer.max_epochs=4", "trainer.early_stopping.metric=ndcg@10"]
    members = ["model.models=[ease,gmf]"] if model == "hybrid_ensemble" else []
    paths = [f"paths.checkpoints='{root / 'checkpoints'}'", f"data.dir='{root / 'ratings'}'", "data.name=camps"]
    return load_settings(
        [
            *trainer,
            *members,
            *paths,
            f"model={model}",
            "device=cpu",
            "logger.use_mlflow=false",
            "logger.use_wandb=false",
        ]
    )


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The store's folder, made once."""
    root = tmp_path_factory.mktemp("refit")
    write_noisy_camps(root / "ratings")
    with (root / "ratings" / "ratings.csv").open("a", encoding="utf-8") as file:
        file.write(f"{FILTERED_OUT},101,5,1000000000\n")
    shop = Shop(ArtifactStore(root / "store"))
    for model in MODELS:
        pipeline.run(shop.store, settings_of(model, root))
    assert shop.challenge("popularity", refit=False).verdict == PROMOTED
    return shop.store.root


@pytest.fixture
def shop(measured: Path, tmp_path: Path) -> Shop:
    return Shop(ArtifactStore(shutil.copytree(measured, tmp_path / "store")))


def test_a_refitted_model_is_what_its_settings_give_on_all_interactions(shop: Shop) -> None:
    """The oracle takes the ratings as they were filtered, before any split."""
    interactions = shop.store.require(Slot("interactions", "camps"))
    ratings = pq.read_table(interactions.folder / "interactions.parquet")
    everything = Interactions.load(interactions.folder)
    made = refit_model(shop.store, shop.model("ease"))
    refitted = load_model(made.folder)
    measured = EASE.load(shop.model("ease").folder)
    expected = EASE(replace(measured.config, popularity_weight=measured.popularity_weight)).fit(Dataset(everything))
    assert made.facts["interactions"] == len(ratings)
    users = np.arange(len(refitted.users))
    assert np.allclose(refitted.score_users(users), expected.score_users(users), atol=1e-5)
    assert not np.allclose(refitted.score_users(users), measured.score_users(users), atol=1e-2)


def test_gradient_models_are_trained_for_the_epochs_that_were_kept_without_looking_at_validation(shop: Shop) -> None:
    trained = shop.model("gmf")
    measured = pq.read_table(trained.folder / "history.parquet").to_pylist()
    best = max(measured, key=lambda row: row[METRIC])["epoch"]
    made = refit_model(shop.store, trained)
    history = pq.read_table(made.folder / "history.parquet")
    assert len(history) == made.facts["epochs"] == best
    assert history.column_names == ["epoch", "loss", "seconds"]
    shutil.rmtree(made.folder)
    again = refit_model(shop.store, trained)
    assert again.files["model.safetensors"] == made.files["model.safetensors"], "the same seed, the same bits"


def test_an_ensemble_keeps_its_weights_and_takes_its_members_refitted(shop: Shop) -> None:
    made = refit_model(shop.store, shop.model("hybrid_ensemble"))
    before, after = load_model(shop.model("hybrid_ensemble").folder), load_model(made.folder)
    assert np.array_equal(before.weights, after.weights)
    assert before.normalization == after.normalization
    assert after.history.nnz == len(shop.split().everything())
    for name, member in zip(("ease", "gmf"), after.members, strict=True):
        alone = refit_model(shop.store, shop.model(name))
        assert made.parents[name] == alone.reference
        assert np.array_equal(member.item_vectors(), load_model(alone.folder).item_vectors())


@given(st.lists(st.sampled_from([0.1, 0.2, 0.21, 0.3]), min_size=1, max_size=12), st.sampled_from([0.0, 0.05]))
def test_the_epochs_kept_are_those_whose_weights_the_loop_restored(values: list[float], min_delta: float) -> None:
    stopping = EarlyStopping(EarlyStoppingConfig(metric="m", min_delta=min_delta))
    for number, value in enumerate(values, start=1):
        stopping.update(Epoch(number, 0.0, 0.0, {"m": value}), _NoNetwork())  # type: ignore[arg-type]
    history = [{"epoch": number, "m": value} for number, value in enumerate(values, start=1)]
    assert epochs_kept(history, stopping.config) == stopping.best_epoch
    assert epochs_kept(history, EarlyStoppingConfig(enabled=False)) == len(values)


class _NoNetwork:
    def state_dict(self) -> dict[str, object]:
        return {}


def test_a_refitted_index_stands_for_the_measured_one_and_is_never_the_newest(shop: Shop) -> None:
    index = shop.index("ease")
    made = refit_index(shop.store, index)
    assert is_refitted(made) and not is_refitted(index)
    assert measured_index(made) == measured_index(index) == index.reference
    assert made.parents["trained_model"] == index.parents["trained_model"]
    assert shop.store.latest(index.slot) == shop.index("ease") == index
    assert made.facts["fold_in_min_items"] == index.facts["fold_in_min_items"]
    assert refit_index(shop.store, index) == made, "it is used again"
    (made.folder / "index.faiss").write_bytes(b"half")
    assert find_refitted_index(shop.store, index) is None
    again = refit_index(shop.store, index)
    assert again != made and again.parents["refitted_model"] == made.parents["refitted_model"]


def test_a_refit_leaves_out_who_was_erased_since_the_split(shop: Shop) -> None:
    """Of the model, its members and the index, the ratings outside the split among them; a refit of before is none."""
    index, before = shop.index("hybrid_ensemble"), refit_index(shop.store, shop.index("hybrid_ensemble"))
    everything = shop.split().everything()
    gone, stays = everything.users.ids[[2, 5]].tolist(), everything.users.ids[[0, 1, 3, 4, 6]].tolist()
    log = FeedbackLogs(shop.store.root).of("camps")
    log.erase(10**6)
    assert find_refitted_index(shop.store, index) == before, "nobody whom it knows"
    for user in gone:
        log.erase(user)
    assert find_refitted_index(shop.store, index) is None
    made = refit_index(shop.store, index)
    assert find_refitted_index(shop.store, index) == refit_index(shop.store, index) == made != before
    ensemble = shop.store.resolve(made.parents["refitted_model"])
    members = [shop.store.resolve(ensemble.parents[name]) for name in ("ease", "gmf")]
    of_others = everything.select(~np.isin(everything.user, [2, 5]))
    for model in (ensemble, *members):
        own = load_model(model.folder)
        assert set(own.users.ids.tolist()) == set(everything.users.ids.tolist()) - set(gone)
        assert (own.history.nnz, model.facts["left_out_users"]) == (len(of_others), 2)
    built = RetrievalIndex.load(made.folder)
    assert [built.users.place(user) for user in gone] == [None, None]
    assert [len(built.rated.by(user)[0]) > 0 for user in (*gone, *stays)] == [False, False, *[True] * 5]
    assert len(built.rated.by(FILTERED_OUT)[0]) == 1
    log.erase(FILTERED_OUT)
    assert find_refitted_index(shop.store, index) is None
    again = refit_index(shop.store, index)
    assert len(RetrievalIndex.load(again.folder).rated.by(FILTERED_OUT)[0]) == 0
    assert model_checks.nothing_rated_is_served(shop.store, again).passed
    assert refit_checks.refit_agrees(shop.store, made).numbers["agreement"] > 0.5
    assert load_model(members[0].folder).history[2].nnz == everything.matrix()[3].nnz, "user 3 took the place of 2"


def test_after_an_erasure_a_model_that_was_trained_before_it_is_promoted_without_the_person(shop: Shop) -> None:
    gone = int(shop.split().train.users.ids[2])
    FeedbackLogs(shop.store.root).of("camps").erase(gone)
    decision = shop.challenge()
    assert decision.verdict == PROMOTED, decision.sentence
    assert len(RetrievalIndex.load(shop.served.folder).rated.by(gone)[0]) == 0
    check = model_checks.nothing_rated_is_served(shop.store, shop.served)
    with_filtered_out = len(shop.split().everything().users) + 1
    assert check.passed and check.numbers["users"] == with_filtered_out - 1


def test_who_was_erased_stays_left_out_once_the_log_is_moved_away_and_a_broken_log_refits_nothing(shop: Shop) -> None:
    index, users = shop.index("ease"), shop.split().train.users.ids
    file = shop.store.root / "feedback" / "camps" / "feedback.db"
    FeedbackLogs(shop.store.root).of("camps").erase(int(users[2]))
    for path in file.parent.glob("feedback.db*"):
        path.unlink()
    made = refit_index(shop.store, index)
    assert RetrievalIndex.load(made.folder).users.place(int(users[2])) is None
    file.write_bytes(b"no database" * 100)
    with pytest.raises(FeedbackError):
        refit_index(shop.store, index)


def test_the_gate_serves_the_refitted_version_and_names_both(shop: Shop) -> None:
    decision = shop.challenge()
    assert decision.verdict == PROMOTED
    assert shop.served.reference == decision.served
    assert measured_index(shop.served) == decision.challenger == shop.index("ease").reference
    assert decision.sentence.endswith("it is served refitted on all interactions")
    names = [check["name"] for check in decision.evidence["refit_checks"]]
    assert {"index_is_whole", "index_finds_the_best", "refit_is_finite", "refit_agrees", "refit_costs_alike"} <= {
        *names
    }
    assert all(check["passed"] for check in decision.evidence["refit_checks"])
    pointer = shop.store.pointer(SERVING, "camps")
    assert pointer is not None
    assert pointer["evidence"]["refitted_model"] == shop.served.parents["refitted_model"]
    answering = IndexReloader(shop.store).current("ease")
    assert answering is not None and answering.artifact == shop.served, "by its name, too"
    assert shop.challenge().verdict == UNCHANGED
    made = len(decisions.decisions(shop.store, "camps"))
    assert shop.promote("ease").verdict == UNCHANGED
    assert len(decisions.decisions(shop.store, "camps")) == made


def test_what_answers_was_trained_on_everything_and_shows_none_of_it(shop: Shop) -> None:
    shop.challenge()
    index, everything = RetrievalIndex.load(shop.served.folder), shop.split().everything()
    assert index.history.nnz == len(everything)
    known = everything.matrix()
    for user in range(len(index.users)):
        assert not set(index.recommend(user, 10, serving_mask(index)(user))[0]) & set(known[user].indices)


def test_without_refitting_the_measured_version_is_served_and_turning_it_on_refits_it(shop: Shop) -> None:
    assert shop.challenge(refit=False).verdict == PROMOTED
    assert shop.served == shop.index("ease")
    assert shop.challenge(refit=False).verdict == UNCHANGED
    assert shop.challenge().verdict == PROMOTED
    assert measured_index(shop.served) == shop.index("ease").reference != shop.served.reference
    assert shop.challenge(refit=False).verdict == PROMOTED
    assert shop.served == shop.index("ease")


def test_a_refit_that_fails_a_check_leaves_the_champion_and_the_decision_says_why(shop: Shop) -> None:
    before = shop.served
    decision = shop.challenge(min_agreement=1.0)
    assert (decision.verdict, shop.served) == (REFUSED, before)
    assert (
        "popularity on cpu stays: ease on cpu, refitted on all interactions, failed refit_agrees" in decision.sentence
    )
    failed = [check["name"] for check in decision.evidence["refit_checks"] if not check["passed"]]
    assert failed == ["refit_agrees"]
    with pytest.raises(MovierecError, match=r"failed refit_agrees: .*; force serves it all the same"):
        shop.promote("ease", min_agreement=1.0)
    assert shop.challenge().verdict == PROMOTED


def test_the_lists_of_other_users_do_not_agree_and_numbers_that_are_none_are_found(shop: Shop) -> None:
    made = refit_index(shop.store, shop.index("ease"))
    assert refit_checks.refit_agrees(shop.store, made).numbers["agreement"] > 0.5
    index = RetrievalIndex.load(made.folder)
    others = np.roll(np.arange(len(index.users)), 1)
    turned = replace(index, queries=index.queries[others], history=index.history[others])
    parents = {name: shop.store.resolve(reference) for name, reference in made.parents.items()}
    other = shop.store.publish(
        made.slot, turned.save, key="turned", fingerprint="", parents=parents, facts=made.facts, newest=False
    )
    found = refit_checks.refit_agrees(shop.store, other, min_agreement=0.5)
    assert not found.passed, "odd users like odd movies"
    model = load_model(parents["refitted_model"].folder)
    model.weights[0, 0] = np.nan
    broken = shop.store.publish(parents["refitted_model"].slot, model.save, key="broken", fingerprint="")
    other = shop.store.publish(
        made.slot, index.save, key="nan", fingerprint="", parents=parents | {"refitted_model": broken}, newest=False
    )
    assert not refit_checks.refit_is_finite(shop.store, other).passed


def test_a_model_of_order_is_compared_with_its_refit_on_the_whole_history(shop: Shop, measured: Path) -> None:
    pipeline.run(shop.store, settings_of("markov", measured.parent))
    made = refit_index(shop.store, shop.index("markov"))
    everything = shop.split().everything()
    best = []
    for version in (shop.model("markov"), shop.store.resolve(made.parents["refitted_model"])):
        scores = load_model(version.folder).fold_in(everything.history("places"))
        scores[everything.matrix().nonzero()] = -np.inf
        best.append(np.argsort(-scores, axis=1, kind="stable")[:, :10])
    by_hand = np.mean([len(np.intersect1d(*lists)) / 10 for lists in zip(*best, strict=True)])
    found = refit_checks.refit_agrees(shop.store, made)
    assert found.passed and found.numbers["agreement"] == pytest.approx(by_hand, abs=0.01)


def test_a_training_that_fails_is_a_refusal_with_its_reason(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*arguments: object) -> Artifact:
        raise MovierecError("gmf: training diverged")

    monkeypatch.setattr(promotion, "refit_index", fails)
    before = shop.served
    decision = shop.challenge()
    assert (decision.verdict, shop.served) == (REFUSED, before)
    assert "refitted on all interactions, failed refit: gmf: training diverged" in decision.sentence


@pytest.mark.parametrize("error", [MovierecError("gmf: training diverged"), RuntimeError("out of memory")])
def test_a_refit_that_fails_as_a_step_of_its_own_is_recorded_as_a_refusal(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fails(*arguments: object) -> Artifact:
        raise error

    monkeypatch.setattr(promotion, "refit_index", fails)
    before, made = shop.served, len(decisions.decisions(shop.store, "camps"))
    board = pipeline.rank_models(shop.store, "camps", METRIC)
    with pytest.raises(type(error), match=str(error)):
        release.refit_best(shop.store, board, ReleaseConfig(above=()), {"dagster_run_id": "run"})
    (decision,) = decisions.decisions(shop.store, "camps")[made:]
    assert (decision.verdict, shop.served) == (REFUSED, before)
    assert decision.sentence.endswith(f"refitted on all interactions, failed refit: {error}")


def test_people_decide_while_a_refit_is_made_and_their_pin_holds(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    def pinned_meanwhile(store: ArtifactStore, index: Artifact, origin: object) -> Artifact:
        manual.pin(store, "camps", "a demonstration")
        return refit_index(store, index)

    monkeypatch.setattr(promotion, "refit_index", pinned_meanwhile)
    before = shop.served
    decision = shop.challenge()
    assert (decision.verdict, shop.served) == (KEPT, before)
    assert "a demonstration" in decision.sentence


def test_rolling_back_goes_back_to_the_very_index_without_refitting(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.promote("ease")
    first = shop.served
    shop.promote("gmf")
    monkeypatch.delattr(promotion, "refit_index")
    monkeypatch.delattr(manual, "refit_index")
    manual.roll_back(shop.store, "camps", ReleaseConfig())
    assert shop.served == first
    assert shop.challenge("gmf").verdict == KEPT, "it was rolled back from"
    manual.roll_back(shop.store, "camps", ReleaseConfig(), to=shop.model("gmf").version)
    assert is_refitted(shop.served) and shop.served.slot.model == "gmf", "of its two indices, the one that was served"


def test_a_refitted_index_that_was_rolled_back_from_is_not_promoted_by_the_gate(shop: Shop) -> None:
    shop.challenge(refit=False)
    shop.challenge()
    manual.roll_back(shop.store, "camps", ReleaseConfig())
    assert shop.served == shop.index("ease")
    decision = shop.challenge()
    assert (decision.verdict, shop.served) == (KEPT, shop.index("ease"))
    assert "was rolled back from" in decision.sentence
    assert shop.promote("ease").verdict == PROMOTED
    assert is_refitted(shop.served)


def test_pruning_keeps_what_answers_what_vouches_for_it_and_all_that_both_were_made_from(shop: Shop) -> None:
    shop.promote("hybrid_ensemble")
    lineage = [shop.served]
    for one in lineage:
        lineage += [shop.store.resolve(reference) for reference in one.parents.values()]
    prune(shop.store, "camps", 1, ReleaseConfig(keep_releases=1))
    assert {one.slot.kind for one in lineage} >= {"faiss_index", "refitted_model", "trained_model", "raw_ratings"}
    for one in lineage:
        assert shop.store.resolve(one.reference).verify() == one
    assert shop.challenge("hybrid_ensemble").verdict == UNCHANGED


KILLED = """
import os, signal, sys
from movierec_engine import pipeline, release
from movierec_engine.evaluation.gate import ReleaseConfig
from movierec_engine.store import ArtifactStore, Slot

store, moment, calls = ArtifactStore(sys.argv[1]), int(sys.argv[2]), []
for name in ("publish", "point"):
    true = getattr(ArtifactStore, name)

    def counted(self, *arguments, true=true, **options):
        calls.append(name)
        if len(calls) > moment:
            os.kill(os.getpid(), signal.SIGKILL)
        return true(self, *arguments, **options)

    setattr(ArtifactStore, name, counted)
board, model = store.require(Slot("leaderboard", "camps")), pipeline.find_trained_model(store, "camps", "ease")
release.decide_release(store, board, ReleaseConfig(above=()), model)
"""


@pytest.mark.slow
@pytest.mark.parametrize("moment", range(4))
def test_a_kill_at_any_moment_leaves_the_old_release_and_what_was_made_is_used_again(shop: Shop, moment: int) -> None:
    """Before the refitted model, its index, the decision, and the pointer."""
    before, pointer = shop.served, shop.store.storage.pointer_file(SERVING, "camps").read_bytes()
    program = [sys.executable, "-c", KILLED, str(shop.store.root), str(moment)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(TESTS), str(TESTS.parent)])}
    assert subprocess.run(program, env=environment, check=False).returncode == -signal.SIGKILL
    assert shop.store.storage.pointer_file(SERVING, "camps").read_bytes() == pointer
    served = IndexReloader(shop.store).current()
    assert served is not None and served.artifact == before
    slot = shop.model("ease").slot.beside("refitted_model")
    made = shop.store.versions(slot)
    assert len(made) == min(moment, 1)
    assert shop.challenge().verdict == PROMOTED
    assert shop.store.versions(slot)[: len(made)] == made
    assert len(shop.store.versions(slot)) == 1
