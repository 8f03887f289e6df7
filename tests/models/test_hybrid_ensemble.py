"""Fusion against sums written out, and weights that are learned on validation and never lose to a member there."""

from pathlib import Path

import numpy as np
import pytest
from families import camps_with_validation, ensemble, fused, learned
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.stats import rankdata

from movierec_engine import pipeline
from movierec_engine.config import load_settings
from movierec_engine.errors import ConfigError, StoreError
from movierec_engine.models import ItemCF, load_model
from movierec_engine.models.ensemble.fused_scorer import scorer_from_arrays
from movierec_engine.models.ensemble.fusion import STACKED, fuse, normalised
from movierec_engine.models.ensemble.hybrid import HybridEnsembleConfig
from movierec_engine.models.fold_in.base import Basis
from movierec_engine.models.fold_in.fused import FusedFoldIn
from movierec_engine.retrieval.index import RetrievalIndex
from movierec_engine.retrieval.joined_vectors import JoinedVectors
from movierec_engine.store import ArtifactStore, Slot

SCORES = hnp.arrays(np.float32, (2, 3, 7), elements=st.sampled_from([-2.0, 0.0, 0.5, 1.0, 3.0]))


@given(SCORES)
def test_every_normalisation_is_its_definition_for_each_user(scores: np.ndarray) -> None:
    found = {name: normalised(scores, name) for name in ("z_score", "min_max", "rank", "rrf")}
    for member in range(2):
        for user in range(3):
            own = scores[member, user].astype(np.float64)
            place = rankdata(-own, method="ordinal")
            spread, width = own.std(), np.ptp(own)
            expected = {
                "z_score": (own - own.mean()) / spread if spread else own * 0,
                "min_max": (own - own.min()) / width if width else own * 0,
                "rank": 1 - (place - 1) / 6,
                "rrf": 61 / (60 + place),
            }
            for name, values in expected.items():
                assert found[name][member, user] == pytest.approx(values, abs=1e-5), name
    assert np.array_equal(normalised(scores, STACKED), np.concatenate([found["z_score"], found["rrf"]]))


def test_fusion_adds_with_each_users_own_weights() -> None:
    scores = np.array([[[0, 1], [0, 1]], [[1, 0], [1, 0]]], dtype=np.float32)
    fused = fuse(scores, np.array([[1, 0], [0.25, 0.75]], dtype=np.float32), "min_max")
    assert fused.tolist() == [[0, 1], [0.75, 0.25]]


@pytest.mark.parametrize("method", ["weighted_average", "rrf", "stacking"])
def test_a_saved_ensemble_scores_with_no_other_file(method: str, tmp_path: Path) -> None:
    members, validation = camps_with_validation()
    model = fused(members, fusion_method=method)
    model.combine(members, learned(model, validation))
    model.save(tmp_path / "hybrid")
    again = load_model(tmp_path / "hybrid")
    users = np.arange(120)
    assert np.array_equal(again.score_users(users), model.score_users(users))
    assert again.exact_vectors == (method == "weighted_average")


def test_an_active_user_is_weighed_by_the_weights_of_active_users() -> None:
    members, _ = camps_with_validation()
    model = fused(members[:2])
    alone = np.zeros((4, 2))
    alone[:2, 0] = alone[2:, 1] = 1
    model.combine(members[:2], alone)
    activity = np.diff(model.history.indptr)
    for user in (int(np.argmin(activity)), int(np.argmax(activity))):
        own = normalised(np.stack([m.score_users(np.array([user])) for m in members[:2]]), "z_score")
        expected = own[0] if activity[user] < 20 else own[1]
        assert model.score_users(np.array([user])) == pytest.approx(expected, abs=1e-5)
    assert activity.min() < 20 <= activity.max(), "both kinds of users were there"


@pytest.mark.parametrize(
    "config",
    [
        {"models": ("ease",)},
        {"models": ("ease", "ease")},
        {"models": ("ease", "als"), "fusion_method": "vote"},
        {"models": ("ease", "als"), "normalization": "softmax"},
        {"models": ("ease", "als"), "fusion_method": "stacking", "learn_weights": False},
        {"models": ("ease", "als"), "missing": "ignore"},
    ],
)
def test_unusable_settings_are_refused(config: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=r"model\."):
        HybridEnsembleConfig(**config)  # type: ignore[arg-type]


def test_members_come_from_the_store_or_are_trained_or_named(small_data: list[str], tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path / "store")
    asked = [*small_data, "model=hybrid_ensemble", "model.models=[ease,item_cf]"]
    with pytest.raises(StoreError, match=r"no ease on cpu .* model\.missing=train"):
        pipeline.run(store, load_settings([*asked, "model.missing=error"]))
    ease = pipeline.run(store, load_settings([*small_data, "model=ease"]))["trained_model"]
    made = pipeline.run(store, load_settings(asked))
    assert made["trained_model"].parents["ease"] == ease.reference
    item_cf = store.require(Slot("trained_model", "camps", "item_cf", "cpu"))
    assert made["trained_model"].parents["item_cf"] == item_cf.reference
    assert isinstance(load_model(item_cf.folder), ItemCF)
    assert made["trained_model"].facts["seconds"] > ease.facts["seconds"] + item_cf.facts["seconds"]
    assert made["faiss_index"].facts["recall"] >= 0.99
    named = load_settings([*small_data, "model=hybrid_ensemble", f"model.models=[ease/cpu/{ease.version},item_cf]"])
    assert pipeline.run(store, named)["trained_model"].parents["ease"] == ease.reference
    assert pipeline.is_current(store, named, made["splits"])
    with pytest.raises(ConfigError, match="no model to combine"):
        pipeline.run(store, load_settings([*small_data, "model=hybrid_ensemble", "model.models=[ease,nope]"]))


@pytest.mark.parametrize(
    "config", [{"fusion_method": "rrf"}, {"fusion_method": "stacking"}, {"normalization": "rank"}], ids=str
)
def test_a_server_without_torch_scores_sums_of_ranks_exactly(config: dict[str, str], tmp_path: Path) -> None:
    members, validation = camps_with_validation()
    model = fused(members[:2], **config)
    model.combine(members[:2], learned(model, validation))
    scorer = model.pair_scorer()
    assert scorer is not None
    np.savez(tmp_path / "scorer.npz", **scorer.arrays())
    with np.load(tmp_path / "scorer.npz", allow_pickle=False) as arrays:
        again = scorer_from_arrays(dict(arrays), model.item_vectors(), model.fold_in_scorer())
    items = np.array([5, 0, 59])
    for user in (0, 1, 77):
        assert again.scores(user, items) == pytest.approx(model.score_users(np.array([user]))[0, items], abs=2e-3)


@pytest.mark.parametrize("members", [("ease", "als"), ("svd", "item_cf", "ease"), ("markov", "als"), ("als", "svd")])
def test_a_served_user_gets_the_products_with_all_vectors(members: tuple[str, ...]) -> None:
    """Be the members' sums over a history, with or without factors of symmetry, of order, or products alone."""
    model = ensemble(*members)
    vectors, users = model.item_vectors(), np.arange(len(model.users))
    basis = Basis(vectors, model.history)
    joined = JoinedVectors(vectors, FusedFoldIn.from_arrays(model.fold_in_scorer().arrays(), basis))
    for query in model.query_vectors(users):
        assert joined.products(query) == pytest.approx(vectors @ query, abs=1e-4)


def test_an_ensemble_with_a_member_of_no_vectors_is_served_as_it_was_measured(
    small_data: list[str], tmp_path: Path
) -> None:
    store = ArtifactStore(tmp_path / "store")
    quick = [*small_data, "trainer.max_epochs=2"]
    for model in ("ncf", "item_cf"):
        pipeline.run(store, load_settings([*quick, f"model={model}"]))
    made = pipeline.run(store, load_settings([*quick, "model=hybrid_ensemble", "model.models=[ncf,item_cf]"]))
    assert made["faiss_index"].facts["recall"] == 1
    index = RetrievalIndex.load(made["faiss_index"].folder)
    model, known = load_model(made["trained_model"].folder), pipeline.load_split(made["splits"]).known_before_test()
    for user in range(0, 60, 7):
        scores = model.score_users(np.array([user]))[0]
        scores[known[user].indices] = -np.inf
        _, values, source = index.recommend(user, 5, known[user].indices)
        assert source == "personal"
        assert values == pytest.approx(np.sort(scores)[::-1][:5], abs=1e-4)
