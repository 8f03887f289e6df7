"""What comes next: every model is asked by the history, leaks of the future are found, and nothing is mixed up."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import sparse

from movierec_engine.data.config import NEXT, DataConfig
from movierec_engine.data.dataset import Dataset
from movierec_engine.data.heldout import HeldOut
from movierec_engine.data.id_map import IdMap
from movierec_engine.data.interactions import Interactions
from movierec_engine.data.ratings import Ratings
from movierec_engine.data.split import Split, split
from movierec_engine.evaluation import Evaluator
from movierec_engine.evaluation.canaries import (
    DEPTH,
    future_item_stays_unknown,
    memory_is_train,
    parts_are_disjoint,
    plant_future_item,
)
from movierec_engine.evaluation.order_canaries import (
    histories_end_before_the_next_item,
    order_counts_for_models_of_order_alone,
)
from movierec_engine.evaluation.protocols import Protocol
from movierec_engine.evaluation.rankings import rank_users
from movierec_engine.evaluation.segments import segment_table, segments
from movierec_engine.models import Popularity, Recommender, model_class
from movierec_engine.models.fitting import Fitting
from movierec_engine.reporting.comparable import EvaluationSetup
from movierec_engine.training.config import TrainerConfig
from movierec_engine.tuning.users import share_of
from worlds import interactions_of, joined

ITEMS = 60
EVALUATOR = Evaluator((1, 5, 20), ("hit_rate", "ndcg", "mrr", "coverage"))


def walks() -> Interactions:
    """240 users who begin anywhere and go on to the next of 60 items, or one time in four leap."""
    rng = np.random.default_rng(5)
    rows: list[tuple[int, int, int]] = []
    for user in range(240):
        at, time = int(rng.integers(ITEMS)), int(rng.integers(1_000_000))
        seen: set[int] = set()
        for _ in range(int(rng.integers(4, 30))):
            while at in seen:
                at = int(rng.integers(ITEMS))
            seen.add(at)
            rows.append((user, at, time))
            time += int(rng.choice([5, 900, 20_000, 60_000]))
            at = int(rng.integers(ITEMS)) if rng.random() < 0.25 else (at + 1) % ITEMS
    table = np.array(rows)
    world = interactions_of(table[:, :2], IdMap(np.arange(240)), IdMap(np.arange(ITEMS) * 3))
    return replace(world, timestamp=table[:, 2].astype(np.int64))


def parted(strategy: str) -> Split:
    settings = {"train_ratio": 0.5, "val_ratio": 0.2}
    return split(WORLD, DataConfig("walks", split=strategy, **settings), Ratings(WORLD.to_table()))  # type: ignore[arg-type]


WORLD = walks()
SPLITS = {strategy: parted(strategy) for strategy in NEXT}


class Successor(Popularity):
    """Knows order and nothing else: the item after the newest one of a history comes first."""

    def fit(self, data: Dataset, fitting: Fitting | None = None) -> "Successor":
        super().fit(data, fitting)
        self.set_history(data.train, "places")
        return self

    def fold_in(self, histories: sparse.csr_matrix) -> NDArray[np.float32]:
        scores = np.tile(self.popularity / 1e6, (histories.shape[0], 1))
        for row, own in enumerate(histories):
            scores[row, (own.indices[own.data.argmax()] + 1) % ITEMS] = 1
        return np.asarray(scores, dtype=np.float32)


class Told(Successor):
    """Lists the newest item of a history, whatever it is: right where the history holds the answer."""

    def fold_in(self, histories: sparse.csr_matrix) -> NDArray[np.float32]:
        scores = np.zeros(histories.shape, dtype=np.float32)
        for row, own in enumerate(histories):
            scores[row, own.indices[own.data.argmax()]] = 1
        return scores


def fitted(name: str, parts: Split, **settings: object) -> Recommender:
    trainer = TrainerConfig(max_epochs=6, batch_size=1024, learning_rate=0.02)
    fitting = Fitting(trainer, seed=1, evaluator=Evaluator((10,), ("ndcg",)))
    own = {"models": ("ease", "item_cf")} if name == "hybrid_ensemble" else {}
    return model_class(name)(**{**own, **settings}).fit(Dataset(parts.train, parts.validation_heldout()), fitting)


@pytest.mark.parametrize("strategy", NEXT)
def test_a_model_of_order_is_right_as_often_as_people_go_on_by_one(strategy: str) -> None:
    parts = SPLITS[strategy]
    model = Successor().fit(Dataset(parts.train))
    for heldout in (parts.validation_heldout(), parts.test_heldout()):
        found = EVALUATOR.evaluate(model, heldout)
        before = WORLD.select(np.isin(WORLD.user, heldout.interactions.user))
        for place, user in enumerate(found.users):
            own = before.select(before.user == user)
            asked = heldout.interactions.user == user
            time = heldout.interactions.timestamp[asked][0]
            newest = own.item[own.timestamp < time][own.timestamp[own.timestamp < time].argmax()]
            right = (newest + 1) % ITEMS == heldout.interactions.item[asked][0]
            assert found.per_user["hit_rate@1"][place] == found.per_user["ndcg@1"][place] == right
        assert 0.5 < found.metrics["mrr@5"] < 1 and found.users_without_history == 0
        assert 0 < found.metrics["coverage@1"] <= 1


@pytest.mark.parametrize(
    ("name", "strategy"),
    [
        ("ease", "next_item"),
        ("popularity", "next_item_after"),
        ("gmf", "next_item_after"),
        ("hybrid_ensemble", "next_item_after"),
    ],
)
def test_models_of_sets_are_asked_by_the_same_history(name: str, strategy: str) -> None:
    parts = SPLITS[strategy]
    model, heldout = fitted(name, parts), parts.test_heldout()
    rankings = rank_users(model, heldout, 5, deep=False)
    known = parts.before_test()
    for user, shown in zip(rankings.users[:5], rankings.lists, strict=False):
        history = known.select(known.user == user).history(model.history_values)[[user]]
        scores = model.fold_in(history)[0]
        scores[history.indices] = -np.inf
        assert sorted(scores[shown].tolist(), reverse=True) == pytest.approx(np.sort(scores)[::-1][:5].tolist())
    of_order = EVALUATOR.evaluate(fitted("markov", parts), heldout).metrics
    assert 0 < EVALUATOR.evaluate(model, heldout).metrics["ndcg@20"] < of_order["ndcg@20"]
    for epoch in model.epochs:
        assert 0 < epoch.metrics["ndcg@10"] < 1, "validation's histories are folded in after every epoch"


@pytest.mark.parametrize("strategy", NEXT)
def test_a_history_that_holds_its_answer_is_found_and_gives_impossible_figures(strategy: str) -> None:
    parts = SPLITS[strategy]
    assert histories_end_before_the_next_item(parts).passed
    told = replace(parts, train=joined(parts.train, parts.test))
    found = histories_end_before_the_next_item(told)
    assert not found.passed and found.numbers["told"] == len(parts.test)
    late = replace(parts.train, timestamp=np.full(len(parts.train), WORLD.timestamp.max() + 1))
    assert histories_end_before_the_next_item(replace(parts, train=late)).numbers["late"] > 0
    twice = parts.test.select(np.array([0]))
    twice = replace(twice, item=(twice.item + 1) % ITEMS)
    assert histories_end_before_the_next_item(replace(parts, test=joined(parts.test, twice))).numbers["several"] == 1
    heldout = told.test_heldout()
    unmasked = replace(heldout, seen=parts.test_heldout().seen)
    model = Told().fit(Dataset(parts.train))
    assert EVALUATOR.evaluate(model, unmasked).metrics["hit_rate@1"] == 1, "who is told the answer knows it"
    assert EVALUATOR.evaluate(model, heldout).metrics["hit_rate@20"] == 0, "and the mask hides what is told"


@pytest.mark.parametrize(
    "leak",
    [
        lambda parts: replace(parts, train=joined(parts.train, parts.test.select(np.array([3])))),
        lambda parts: replace(parts, validation=joined(parts.validation, parts.test.select(np.array([3])))),
        lambda parts: replace(parts, fold_in=joined(parts.fold_in, parts.test.select(np.array([3])))),
        lambda parts: replace(parts, later=joined(parts.later, parts.test.select(np.array([3])))),
    ],
    ids=["train", "validation", "fold_in", "later"],
)
def test_an_item_in_two_parts_is_found(leak: Callable[[Split], Split]) -> None:
    parts = SPLITS["next_item_after"]
    assert parts_are_disjoint(parts).passed
    found = parts_are_disjoint(leak(parts))
    assert not found.passed and found.numbers["shared_pairs"] == 1


def test_what_happened_after_its_part_is_found() -> None:
    parts = SPLITS["next_item_after"]
    late = replace(parts, train=replace(parts.train, timestamp=parts.train.timestamp + 10**6))
    assert parts_are_disjoint(late).numbers["late_train"] > 0


@pytest.mark.parametrize(
    ("name", "strategy"), [("ease", "next_item"), ("popularity", "next_item"), ("popularity", "next_item_after")]
)
def test_an_item_that_only_test_has_stays_unknown_unless_test_is_trained_on(name: str, strategy: str) -> None:
    planted = plant_future_item(SPLITS[strategy], seed=1)
    asked = planted.heldout()
    assert asked.fold_in is not None and not (asked.fold_in.item == planted.item).any()
    finding = future_item_stays_unknown(rank_users(fitted(name, planted.split), asked, DEPTH, deep=True), planted)
    assert finding.passed, finding.sentence
    cheat = fitted(name, replace(planted.split, train=joined(planted.split.train, planted.split.test)))
    assert not future_item_stays_unknown(rank_users(cheat, asked, DEPTH, deep=True), planted).passed
    assert not memory_is_train(cheat, planted.split).passed


class Reversed(Successor):
    """Says that it knows order, and looks at the items alone."""

    def fold_in(self, histories: sparse.csr_matrix) -> NDArray[np.float32]:
        return np.asarray(Popularity.fold_in(self, histories))


def test_a_random_order_changes_the_lists_of_models_of_order_and_of_no_others() -> None:
    train = SPLITS["next_item"].train
    for name in ("popularity", "ease"):
        finding = order_counts_for_models_of_order_alone(fitted(name, SPLITS["next_item"]), train, seed=1)
        assert finding.passed and finding.numbers["changed"] == 0, finding.sentence
    for model in (Successor().fit(Dataset(train)), fitted("markov", SPLITS["next_item"])):
        of_order = order_counts_for_models_of_order_alone(model, train, seed=1)
        assert of_order.passed and of_order.numbers["changed"] > 0.5 * of_order.numbers["users"]
    assert not order_counts_for_models_of_order_alone(Reversed().fit(Dataset(train)), train, seed=1).passed
    model = Successor().fit(Dataset(train))
    model.history_values = "ones"
    model.fold_in = lambda histories: Successor.fold_in(model, train.history("places")[: histories.shape[0]])  # type: ignore[method-assign]
    assert order_counts_for_models_of_order_alone(model, train, seed=1).numbers["changed"] == 0


def test_a_shuffled_history_leaves_the_figures_of_a_set_model_and_moves_those_of_an_order_model() -> None:
    parts = SPLITS["next_item"]
    heldout = parts.test_heldout()
    assert heldout.fold_in is not None
    rng = np.random.default_rng(2)
    shuffled = replace(heldout, fold_in=replace(heldout.fold_in, timestamp=rng.permutation(heldout.fold_in.timestamp)))
    figures: Callable[[Recommender, HeldOut], Any] = lambda model, part: EVALUATOR.evaluate(model, part).metrics  # noqa: E731
    ease, successor = fitted("ease", parts), Successor().fit(Dataset(parts.train))
    assert figures(ease, heldout) == figures(ease, shuffled)
    assert figures(successor, heldout)["ndcg@5"] > 2 * figures(successor, shuffled)["ndcg@5"]


@pytest.mark.parametrize("strategy", NEXT)
def test_users_are_divided_by_the_length_of_the_history_and_the_time_since_its_end(strategy: str) -> None:
    parts = SPLITS[strategy]
    rankings = rank_users(Successor().fit(Dataset(parts.train)), parts.test_heldout(), 5, deep=True)
    known = parts.before_test()
    of_users = {kind: {} for kind in ("length", "gap")}  # type: dict[str, dict[int, str]]
    for segment in segments(rankings):
        if segment.kind in of_users:
            of_users[segment.kind] |= dict.fromkeys(rankings.users[segment.users].tolist(), segment.name)
    for user in rankings.users.tolist():
        own = known.select(known.user == user)
        low, _, high = of_users["length"][user].replace(" or more", " to 999").partition(" to ")
        assert int(low) <= len(own) <= int(high)
        gap = parts.test.timestamp[parts.test.user == user][0] - own.timestamp.max()
        least, most = {"within a minute": (0, 60), "within an hour": (61, 3600)}.get(
            of_users["gap"][user], (3601, 86400)
        )
        assert least <= gap <= most
    assert not any(segment.kind == "activity" for segment in segments(rankings))
    assert {row["kind"] for row in segment_table(rankings, (5,)).to_pylist()} >= {"length", "gap", "popularity"}
    places = replace(rankings.heldout.fold_in, timestamp=np.zeros(len(rankings.heldout.fold_in), np.int64))  # type: ignore[arg-type,type-var]
    asked = replace(rankings.heldout.interactions, timestamp=np.ones(len(rankings.heldout.interactions), np.int64))
    timeless = replace(rankings, heldout=replace(rankings.heldout, fold_in=places, interactions=asked))
    assert not any(segment.kind == "gap" for segment in segments(timeless)), "places are no times"


def test_against_a_sample_the_same_histories_are_folded_in() -> None:
    parts = SPLITS["next_item"]
    sampled = Protocol.parse("uniform:20").of(parts.test_heldout())
    model = fitted("ease", parts)
    full, few = (EVALUATOR.evaluate(model, one).metrics["ndcg@5"] for one in (parts.test_heldout(), sampled))
    assert few > full


def test_a_share_of_the_users_is_asked_for_its_own_next_items() -> None:
    parts = SPLITS["next_item_after"]
    part = share_of(Dataset(parts.train, parts.validation_heldout()), 0.5, seed=1)
    validation = part.validation
    assert isinstance(validation, HeldOut) and validation.asks_for_next and validation.fold_in is not None
    assert set(validation.interactions.user) <= set(validation.fold_in.user)
    assert 0 < EVALUATOR.evaluate(model_class("ease")().fit(part), validation).metrics["ndcg@20"] < 1


def test_set_ups_are_called_by_what_they_ask() -> None:
    names = [EvaluationSetup("ml-1m", "full", "0123", strategy, 671, 1).name for strategy in ("random", *NEXT)]
    assert names == [
        "random split · 671 users · 1 model · 0123",
        "next item · 671 users · 1 model · 0123",
        "next item after one moment · 671 users · 1 model · 0123",
    ]
    name = EvaluationSetup("ml-1m", "sampled_given", "0123", "random", 5, 8, datetime.now(UTC).isoformat()).name
    assert name == "random split · sampled ranking against given candidates · 5 users · 8 models · today · 0123"
