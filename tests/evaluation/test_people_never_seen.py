"""Strong generalization: models are measured on users whom they have never seen, and leaks of these are found."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import sparse

from movierec_engine.data.config import DataConfig
from movierec_engine.data.dataset import Dataset
from movierec_engine.data.heldout import HeldOut
from movierec_engine.data.id_map import IdMap
from movierec_engine.data.ratings import Ratings
from movierec_engine.data.split import Split, split
from movierec_engine.errors import MovierecError
from movierec_engine.evaluation import Evaluator
from movierec_engine.evaluation.canaries import (
    DEPTH,
    falls_to_the_floor,
    future_item_stays_unknown,
    memory_is_train,
    ndcg_of_random_order,
    parts_are_disjoint,
    plant_future_item,
    shuffle_train,
)
from movierec_engine.evaluation.given_lists import GivenLists
from movierec_engine.evaluation.protocols import Protocol
from movierec_engine.evaluation.rankings import rank_users
from movierec_engine.models import Popularity, Recommender, model_class
from movierec_engine.models.fitting import Fitting
from movierec_engine.training.config import TrainerConfig
from movierec_engine.tuning.users import share_of
from worlds import interactions_of, joined

EVALUATOR = Evaluator((5, 20), ("ndcg", "recall", "capped_recall"))
MODELS = ("item_cf", "user_cf", "svd", "ease", "als", "gmf", "lightgcn", "recvae", "hybrid_ensemble")
SETTINGS = {
    "user_cf": {"user_based": True},
    "recvae": {"hidden_dim": 32, "latent_dim": 16, "num_layers": 2},
    "hybrid_ensemble": {"models": ("ease", "als")},
}


def camps() -> Split:
    """300 users with 16 to 32 of 120 items, mostly of their own parity; 90 of them are test users, 90 validation's."""
    rng = np.random.default_rng(3)
    item = np.arange(120)
    pairs = []
    for user in range(300):
        chance = np.where(item % 2 == user % 2, 1.0, 0.05) / (10 + item)
        pairs += [(user, i) for i in rng.choice(item, rng.integers(16, 33), replace=False, p=chance / chance.sum())]
    world = interactions_of(np.array(pairs), IdMap(np.arange(300)), IdMap(item * 3))
    world = replace(world, rating=rng.choice([3.0, 4.0, 5.0], len(world)).astype(np.float32))
    return split(world, DataConfig("camps", split="users", train_ratio=0.4, val_ratio=0.3), Ratings(world.to_table()))


SPLIT = camps()


def fitted(name: str, parts: Split = SPLIT, **settings: object) -> Recommender:
    trainer = TrainerConfig(max_epochs=8, batch_size=1024, learning_rate=0.02)
    fitting = Fitting(trainer, seed=1, evaluator=Evaluator((10,), ("ndcg",)))
    model = model_class("item_cf" if name == "user_cf" else name)(**{**SETTINGS.get(name, {}), **settings})
    return model.fit(Dataset(parts.train, parts.validation_heldout()), fitting)


class Oracle(Popularity):
    """Knows by a person's history what they have in test."""

    def fold_in(self, histories: sparse.csr_matrix) -> NDArray[np.float32]:
        known, wanted = SPLIT.test_heldout().histories("ones"), SPLIT.test.matrix()
        of = {known[[user]].indices.tobytes(): user for user in np.unique(SPLIT.test.user)}
        return np.asarray(wanted[[of[row.indices.tobytes()] for row in histories]].toarray())


def test_an_oracle_of_histories_has_everything_right() -> None:
    metrics = EVALUATOR.evaluate(Oracle().fit(Dataset(SPLIT.train)), SPLIT.test_heldout()).metrics
    assert metrics["ndcg@5"] == metrics["capped_recall@5"] == metrics["recall@20"] == 1
    assert metrics["recall@5"] < 1, "more than five are to be found of some"


def test_popularity_is_what_counting_by_hand_gives() -> None:
    found = EVALUATOR.evaluate(fitted("popularity"), SPLIT.test_heldout())
    assert SPLIT.fold_in is not None
    count = np.bincount(SPLIT.train.item, minlength=120)
    for place, user in enumerate(found.users):
        known = set(SPLIT.fold_in.item[SPLIT.fold_in.user == user].tolist())
        wanted = set(SPLIT.test.item[SPLIT.test.user == user].tolist())
        left = [item for item in range(120) if item not in known]
        ranked = sorted(left, key=lambda item: (-count[item], item in wanted))[:5]
        hits = len(wanted.intersection(ranked))
        assert found.per_user["recall@5"][place] == pytest.approx(hits / len(wanted))
        assert found.per_user["capped_recall@5"][place] == pytest.approx(hits / min(5, len(wanted)))
    assert len(found.users) == 90 and found.users_without_history == 0


@pytest.mark.parametrize("name", MODELS)
def test_a_model_serves_people_whom_it_has_never_seen_better_than_popularity_does(name: str) -> None:
    model = fitted(name)
    assert not model.history[np.unique(SPLIT.test.user)].nnz
    reached, floor = (EVALUATOR.evaluate(one, SPLIT.test_heldout()).metrics for one in (model, fitted("popularity")))
    worst = 0.0 if name == "svd" else floor["ndcg@20"]  # which predicts ratings, and these are drawn at random
    assert reached["ndcg@20"] > worst
    for epoch in model.epochs:
        assert 0 < epoch.metrics["ndcg@10"] < 1, "validation users are folded in after every epoch"


def test_the_history_is_folded_in_as_the_model_folds_it_in() -> None:
    """Ratings where the model takes them, and each user's own history, whatever the blocks."""
    model = fitted("item_cf", feedback="explicit")
    heldout = SPLIT.test_heldout()
    rankings = rank_users(model, heldout, 5, deep=False)
    assert model.uses_ratings
    for user, shown in zip(rankings.users[:9], rankings.lists, strict=False):
        history = SPLIT.fold_in.ratings_matrix()[[user]]  # type: ignore[union-attr]
        scores = model.fold_in(history)[0]
        scores[history.indices] = -np.inf
        assert sorted(scores[shown].tolist(), reverse=True) == pytest.approx(np.sort(scores)[::-1][:5].tolist())


def test_a_model_that_has_met_them_is_refused_in_one_sentence() -> None:
    met = Popularity().fit(Dataset(joined(SPLIT.train, SPLIT.fold_in)))
    with pytest.raises(MovierecError, match=r"^popularity was trained on \d+ of \d+ users who are to be new to it"):
        EVALUATOR.evaluate(met, SPLIT.test_heldout())


@pytest.mark.parametrize(
    "leak",
    [
        lambda parts: replace(parts, train=joined(parts.train, parts.test.select(np.array([7])))),
        lambda parts: replace(parts, train=joined(parts.train, parts.fold_in.select(np.array([7])))),
        lambda parts: replace(parts, validation=joined(parts.validation, parts.test.select(np.array([7])))),
    ],
    ids=["test in train", "history in train", "test user in validation"],
)
def test_a_held_out_user_in_another_part_is_found(leak: Callable[[Split], Split]) -> None:
    assert parts_are_disjoint(SPLIT).passed
    moved = leak(SPLIT)
    found = parts_are_disjoint(moved)
    assert not found.passed and found.numbers["shared_users"] == 1
    if len(moved.train) > len(SPLIT.train):
        assert not memory_is_train(Popularity().fit(Dataset(moved.train)), SPLIT).passed


@pytest.mark.parametrize("name", ["popularity", "ease", "als"])
def test_an_item_that_only_test_users_have_stays_unknown_unless_they_are_trained_on(name: str) -> None:
    planted = plant_future_item(SPLIT, seed=1)
    asked = planted.heldout()
    assert asked.fold_in is not None and not (asked.fold_in.item == planted.item).any()
    finding = future_item_stays_unknown(rank_users(fitted(name, planted.split), asked, DEPTH, deep=True), planted)
    assert finding.passed, finding.sentence
    others = np.unique(planted.split.train.user)[: len(planted.holders)]  # what test users have, under other names
    leaked = planted.split.test.select(planted.split.test.item == planted.item)
    cheat = fitted(name, replace(planted.split, train=joined(planted.split.train, replace(leaked, user=others))))
    assert not future_item_stays_unknown(rank_users(cheat, asked, DEPTH, deep=True), planted).passed


def test_without_preferences_fold_in_falls_to_the_floor() -> None:
    evaluator, test = Evaluator((DEPTH,), ("ndcg",)), SPLIT.test_heldout()
    floor = evaluator.evaluate(fitted("popularity"), test)
    unordered = ndcg_of_random_order(floor.rankings)
    for parts, falls in ((shuffle_train(SPLIT, seed=4), True), (SPLIT, False)):
        reached = evaluator.evaluate(fitted("ease", parts), test).per_user[f"ndcg@{DEPTH}"]
        found = falls_to_the_floor(reached, floor.per_user[f"ndcg@{DEPTH}"], unordered)
        assert found.passed == falls, found.sentence


def test_lists_of_another_system_are_measured_on_the_same_people() -> None:
    heldout = SPLIT.test_heldout()
    lists = {"user": [], "item": [], "rank": []}  # type: dict[str, list[int]]
    for user in np.unique(SPLIT.test.user):
        for rank, item in enumerate(SPLIT.test.items.ids[SPLIT.test.item[SPLIT.test.user == user]], start=1):
            for name, value in (("user", int(user)), ("item", int(item)), ("rank", rank)):
                lists[name].append(value)
    found = EVALUATOR.evaluate_lists(GivenLists.of(lists, heldout), heldout)
    assert found.metrics["ndcg@5"] == 1 and found.users_without_history == 0


def test_against_a_sample_the_same_people_are_folded_in() -> None:
    sampled = Protocol.parse("uniform:20").of(SPLIT.test_heldout())
    full, few = (EVALUATOR.evaluate(fitted("ease"), one).metrics["ndcg@5"] for one in (SPLIT.test_heldout(), sampled))
    assert few > full


def test_a_share_of_the_users_folds_in_its_own_validation_users() -> None:
    whole = Dataset(SPLIT.train, SPLIT.validation_heldout())
    part = share_of(whole, 0.5, seed=1)
    assert isinstance(part.validation, HeldOut) and part.validation.fold_in is not None
    folded = np.unique(part.validation.interactions.user)
    assert 25 < len(folded) < 65 and set(folded) <= set(part.validation.fold_in.user)
    assert not np.isin(part.train.user, folded).any()
    model = model_class("ease")().fit(part)
    assert 0 < EVALUATOR.evaluate(model, part.validation).metrics["ndcg@5"] < 1
