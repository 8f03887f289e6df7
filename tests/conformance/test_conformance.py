"""The suite that every model passes, on a checkerboard world.

Even users interact with even items and odd users with odd items, all but one withheld item a user: the diagonal.
The right recommendation is the withheld item, since everything else of the same parity is seen.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from devices import ACCELERATORS
from scipy import sparse

from movierec_engine.data.catalogue import Catalogue
from movierec_engine.data.dataset import Dataset
from movierec_engine.data.heldout import HeldOut
from movierec_engine.data.id_map import IdMap
from movierec_engine.data.interactions import OF_ORDER, Interactions
from movierec_engine.data.ratings import Movies
from movierec_engine.errors import StoreError
from movierec_engine.evaluation import Evaluator
from movierec_engine.models import (
    Popularity,
    Recommender,
    load_model,
    model_class,
    model_names,
    register_model,
    registry,
)
from movierec_engine.models.explanation import with_deletions
from movierec_engine.models.fitting import Fitting
from movierec_engine.models.gradient import GradientRecommender
from movierec_engine.retrieval.build import build_index
from movierec_engine.retrieval.config import RetrievalConfig
from movierec_engine.retrieval.rated import RatedMovies
from movierec_engine.training.config import TrainerConfig
from worlds import interactions_of

N = 20
COLD_USER, COLD_ITEM = N, N
"""One user and one item more, known by id but without train interactions."""


class Favourites(Popularity):
    """Popularity from outside and under another name: nothing here may go by a name."""

    name = "favourites"


TRAINED_WHERE = [
    *((name, "cpu") for name in (*model_names(), Favourites.name)),
    *(
        (name, device)
        for name in model_names()
        for device in ACCELERATORS
        if issubclass(model_class(name), GradientRecommender)
    ),
]
"""Models and devices: every model on the CPU, and those that train on an accelerator also on each that is here."""

NOT_PERSONAL = {Favourites.name, *(name for name in model_names() if not model_class(name).personal)}
PERSONAL = [(name, device) for name, device in TRAINED_WHERE if name not in NOT_PERSONAL]

SETTINGS = {
    "hybrid_ensemble": {"models": ("ease", "als", "item_cf"), "learn_weights": False},
    "sasrec": {"embedding_dim": 16, "dropout": 0.4},  # or else it learns twenty histories by heart
}
"""Of models that can't be fitted here by their defaults."""

BY_HISTORY_ALONE = ("ease", "item_cf", "als", "gf_cf", "lightgcn")
"""Models whose fold-in is a sum over the history and a prior, so that a new user's explanation has no base but that."""


@dataclass(frozen=True)
class World:
    train: Interactions
    withheld: Interactions

    @property
    def heldout(self) -> HeldOut:
        return HeldOut(self.withheld, self.train.matrix(), "train", Catalogue.of(self.train))


def checkerboard() -> World:
    pairs = np.array([(u, i) for u in range(N) for i in range(N) if (u + i) % 2 == 0])
    users, items = IdMap(np.arange(N + 1) * 3 + 1000), IdMap(np.arange(N + 1) * 7 + 5)
    diagonal = pairs[:, 0] == pairs[:, 1]
    train, withheld = (interactions_of(pairs[part], users, items) for part in (~diagonal, diagonal))
    moments = np.random.default_rng(0).permutation(len(train))  # or else what is next would be the next number
    return World(replace(train, timestamp=moments), withheld)


def history_of(*items: int) -> sparse.csr_matrix:
    """A new user's history, CSR [1, n_items]."""
    return sparse.csr_matrix((np.ones(len(items), dtype=np.float32), items, [0, len(items)]), (1, N + 1))


@cache
def fitted(name: str, device: str = "cpu") -> tuple[World, Recommender]:
    """The world and a model of it, which no test changes."""
    world = checkerboard()
    fitting = Fitting(TrainerConfig(max_epochs=40, learning_rate=0.02, batch_size=64), device, seed=1)
    return world, model_class(name)(**SETTINGS.get(name, {})).fit(Dataset(world.train), fitting)


@pytest.fixture(scope="module", autouse=True)
def favourites() -> Iterator[None]:
    """For as long as this suite runs."""
    register_model(Favourites)
    yield
    del registry._registered[Favourites.name]


@pytest.fixture(scope="module", params=TRAINED_WHERE, ids="-".join)
def case(request: pytest.FixtureRequest) -> tuple[World, Recommender]:
    return fitted(*request.param)


@pytest.fixture(scope="module", params=PERSONAL, ids="-".join)
def personal_case(request: pytest.FixtureRequest) -> tuple[World, Recommender]:
    return fitted(*request.param)


def test_the_withheld_item_is_recommended_first(personal_case: tuple[World, Recommender]) -> None:
    world, model = personal_case
    evaluation = Evaluator(k_values=[1]).evaluate(model, world.heldout)
    assert evaluation.metrics["hit_rate@1"] == 1


def test_scores_are_float32_of_the_asked_users_and_all_items(case: tuple[World, Recommender]) -> None:
    _, model = case
    users = np.array([4, 0, 4])
    scores = model.score_users(users)
    assert scores.dtype == np.float32
    assert scores.shape == (3, N + 1)
    assert np.allclose(scores[0], scores[2], atol=1e-5)
    assert np.allclose(scores[1], model.score_users(np.array([0]))[0], atol=1e-6)


def test_scores_are_the_inner_products_of_the_vectors(case: tuple[World, Recommender]) -> None:
    _, model = case
    users = np.arange(N)
    products = model.query_vectors(users) @ model.item_vectors().T
    assert np.allclose(products, model.score_users(users), atol=1e-5 if model.exact_vectors else 0.05)


def test_evaluation_never_holds_more_scores_than_its_budget(
    case: tuple[World, Recommender], monkeypatch: pytest.MonkeyPatch
) -> None:
    world, model = case
    asked = []
    score = model.score_users
    untied = np.random.default_rng(0).random(N + 1, dtype=np.float32) / 1000  # a block's size decides the last bits

    def spied(users: np.ndarray) -> np.ndarray:
        asked.append(len(users))
        return score(users) + untied

    monkeypatch.setattr(model, "score_users", spied)
    whole = Evaluator(k_values=[3]).evaluate(model, world.heldout)
    asked.clear()
    monkeypatch.setattr("movierec_engine.evaluation.rankings._BLOCK_BYTES", 4 * (N + 1) * 3)
    blocks = Evaluator(k_values=[3]).evaluate(model, world.heldout)
    assert max(asked) == 3
    assert sum(asked) == N
    assert blocks.metrics == pytest.approx(whole.metrics)


def test_a_pair_is_scored_for_serving_as_the_model_scores_it(case: tuple[World, Recommender]) -> None:
    _, model = case
    scorer = model.pair_scorer()
    assert (scorer is None) == model.exact_vectors
    if scorer:
        items = np.array([3, 0, N, 7])
        for user in range(N):
            difference = scorer.scores(user, items) - model.score_users(np.array([user]))[0, items]
            assert np.ptp(difference) < 1e-4, "equal up to a constant that does not change the order"


def test_a_saved_model_scores_equally_to_the_bit(case: tuple[World, Recommender], tmp_path: Path) -> None:
    _, model = case
    model.save(tmp_path)
    loaded = load_model(tmp_path)
    users = np.arange(N + 1)
    assert np.array_equal(loaded.score_users(users), model.score_users(users))
    assert np.array_equal(loaded.fold_in(model.history), model.fold_in(model.history))
    assert loaded.config == model.config
    assert loaded.users == model.users
    assert loaded.items == model.items


def test_a_truncated_model_file_is_refused_by_name(case: tuple[World, Recommender], tmp_path: Path) -> None:
    _, model = case
    model.save(tmp_path)
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-40])
    with pytest.raises(StoreError, match="not a readable"):
        load_model(tmp_path)


def test_a_user_without_history_is_scored_by_popularity(case: tuple[World, Recommender]) -> None:
    world, model = case
    counts = np.bincount(world.train.item, minlength=N + 1)
    assert np.array_equal(model.score_users(np.array([COLD_USER]))[0], counts)
    assert np.array_equal(model.fold_in(sparse.csr_matrix((1, N + 1), dtype=np.float32))[0], counts)


def test_an_item_without_interactions_has_a_finite_score(case: tuple[World, Recommender]) -> None:
    _, model = case
    assert np.isfinite(model.score_users(np.arange(N))[:, COLD_ITEM]).all()


def test_fold_in_of_a_trained_users_history_recommends_what_the_user_gets(
    personal_case: tuple[World, Recommender],
) -> None:
    world, model = personal_case
    seen = world.train.matrix()[:N]
    folded = np.where(seen.toarray() > 0, -np.inf, model.fold_in(seen))
    assert np.array_equal(folded.argmax(axis=1), np.arange(N))


def test_an_explanation_adds_up_to_the_score(case: tuple[World, Recommender]) -> None:
    world, model = case
    scores, seen = model.score_users(np.arange(N)), world.train.matrix()
    for user, item in [(0, 0), (3, 3), (3, 6), (4, 2), (5, COLD_ITEM)]:  # user 4 has seen item 2
        why = model.explain_user(user, item)
        assert why.score == pytest.approx(scores[user, item], abs=1e-5)
        assert why.base + why.contributions.sum() == pytest.approx(why.score, rel=1e-4, abs=1e-6)
        assert sorted(why.items) == (seen[user].indices.tolist() if model.personal else [])
        assert why.items.dtype == np.int32
        assert (np.diff(why.contributions) <= 0).all()
        assert why.exact == model.exact_contributions


def test_a_new_users_explanation_is_of_the_score_of_fold_in(case: tuple[World, Recommender]) -> None:
    _, model = case
    history = history_of(0, 2, 4, 8)
    why = model.explain_history(history, 6)
    assert why.score == pytest.approx(model.fold_in(history)[0, 6], abs=1e-6)
    if model.name in BY_HISTORY_ALONE:
        scorer, nothing = model.fold_in_scorer(), sparse.csr_matrix(history.shape, dtype=np.float32)
        prior = scorer.scores(nothing) + scorer.prior(history)
        assert why.base == pytest.approx(prior[0, 6], abs=1e-4 * abs(why.score))


def test_without_the_strongest_reason_the_item_falls_back(personal_case: tuple[World, Recommender]) -> None:
    """The counterfactual: what an explanation names has an effect when it is taken away.

    A score by deletion has no level of its own, so there it is the lead over the catalogue's mean that falls. Where
    fold-in trains against all unseen items, the withheld one among them, a few users have no positive reason. A sum
    over a history in its order has a term for each place, so there an item that says nothing takes the reason's place:
    the other terms stay as they are.
    """
    _, model = personal_case
    explained, fell = 0, 0
    for user in range(N):
        why, history = model.explain_user(user, user), model.history[[user]]
        if why.contributions[0] > 0:
            explained += 1
            strongest = np.flatnonzero(history.indices == why.items[0])
            if why.exact and model.history_values in OF_ORDER:
                without = history.copy()
                without.indices[strongest] = COLD_ITEM
                others = model.explain_history(without, user)
                expected = dict(zip(why.items[1:], why.contributions[1:], strict=True)) | {COLD_ITEM: 0}
                assert dict(zip(others.items, others.contributions, strict=True)) == pytest.approx(expected)
                before, after = model.fold_in(sparse.vstack([history, without], format="csr"))
            else:
                before, after = model.fold_in(with_deletions(history, strongest))
            level = (0, 0) if why.exact else (before.mean(), after.mean())
            fell += bool(after[user] - level[1] < before[user] - level[0])
    assert explained == N if model.exact_contributions else explained > N / 2
    assert fell == explained


def test_the_reasons_for_an_item_are_of_its_parity(personal_case: tuple[World, Recommender]) -> None:
    """The odd one out of six items is the weakest reason: always where scores are sums over the history, else often."""
    _, model = personal_case
    weakest = []
    for item in range(N):
        others = [other for other in range(N) if other % 2 == item % 2 and other != item][:5]
        why = model.explain_history(history_of((item + 1) % N, *others), item)
        weakest.append(why.items[-1] % 2 != item % 2 and why.contributions[0] > max(0, why.contributions[-1]))
    assert np.mean(weakest) == 1 if model.name in BY_HISTORY_ALONE else np.mean(weakest) > 1 / 3


def test_the_only_item_of_a_history_is_the_reason(personal_case: tuple[World, Recommender]) -> None:
    _, model = personal_case
    why = model.explain_history(history_of(2), 6)
    assert why.items.tolist() == [2]
    assert why.contributions[0] > 0


def test_a_score_without_a_history_is_all_base(case: tuple[World, Recommender]) -> None:
    _, model = case
    for why in (model.explain_user(COLD_USER, 3), model.explain_history(history_of(), 3)):
        assert (why.score, why.base, why.exact) == (model.popularity[3], model.popularity[3], True)
        assert len(why.items) == len(why.contributions) == 0


def test_a_loaded_model_explains_as_the_saved_one(case: tuple[World, Recommender], tmp_path: Path) -> None:
    _, model = case
    model.save(tmp_path)
    before, after = model.explain_user(3, 3), load_model(tmp_path).explain_user(3, 3)
    assert np.array_equal(before.items, after.items)
    assert np.array_equal(before.contributions, after.contributions)
    assert (before.score, before.base) == (after.score, after.base)


def test_indices_outside_the_vocabularies_are_refused(case: tuple[World, Recommender]) -> None:
    _, model = case
    for user, item, named in [(N + 1, 0, f"user {N + 1}"), (-1, 0, "user -1"), (0, N + 1, f"item {N + 1}")]:
        with pytest.raises(IndexError, match=f"there is no {named}; the model knows {N + 1}"):
            model.explain_user(user, item)
    with pytest.raises(IndexError, match="there is no item -1"):
        model.explain_history(history_of(2), -1)


def test_similar_items_share_their_parity(personal_case: tuple[World, Recommender]) -> None:
    _, model = personal_case
    items = np.arange(N)
    similar, scores = model.most_similar(items, 5)
    assert similar.shape == scores.shape == (N, 5)
    assert (similar % 2 == items[:, None] % 2).all()
    assert (similar != items[:, None]).all()
    assert (np.diff(scores, axis=1) <= 0).all()


def test_the_index_recommends_the_evaluators_list_by_public_ids(personal_case: tuple[World, Recommender]) -> None:
    world, model = personal_case
    ids = model.items.ids
    titles = {"movie_id": ids, "title": [str(i) for i in ids], "year": [None] * len(ids), "genres": [[]] * len(ids)}
    import pyarrow as pa

    from movierec_engine.data.ratings import MOVIES_SCHEMA

    movies = Movies(pa.table(titles, schema=MOVIES_SCHEMA))
    index = build_index(model, RatedMovies.of(world.train.to_table()), movies, RetrievalConfig(similar_items=5), "cpu")
    assert index.facts.recall == 1
    for user in range(N):
        items, _, source = index.recommend(user, 1, world.train.matrix()[[user]].indices)
        assert source == "personal"
        assert index.items.ids[items[0]] == 7 * user + 5
    assert index.recommend(COLD_USER, 1, np.empty(0, dtype=np.int64))[2] == "popularity"
