"""Each canary stays quiet for honest models, and each is alarmed by a leak that was put there on purpose."""

from dataclasses import replace

import numpy as np
import pytest

from movierec_engine.data.config import DataConfig
from movierec_engine.data.dataset import Dataset
from movierec_engine.data.graph import build_graph
from movierec_engine.data.id_map import IdMap
from movierec_engine.data.interactions import Interactions, positives
from movierec_engine.data.ratings import Ratings
from movierec_engine.data.readers import read_ratings
from movierec_engine.data.split import Split, split
from movierec_engine.data.split_strategies import global_time_parts, random_parts
from movierec_engine.evaluation import Evaluator
from movierec_engine.evaluation.canaries import (
    BLANKS,
    DEPTH,
    Finding,
    Planted,
    falls_to_the_floor,
    future_item_stays_unknown,
    graph_is_train,
    memory_is_train,
    ndcg_of_random_order,
    parts_are_disjoint,
    plant_future_item,
    shuffle_train,
)
from movierec_engine.evaluation.metrics.accuracy import ndcg
from movierec_engine.evaluation.rankings import Rankings, rank_users
from movierec_engine.models import Popularity, Recommender, model_class
from movierec_engine.models.fitting import Fitting
from movierec_engine.training.config import TrainerConfig
from worlds import interactions_of, joined

HONEST = ("popularity", "item_cf", "svd", "ease", "als", "gf_cf", "gmf", "lightgcn")


def camps() -> Interactions:
    """300 users with 16 to 32 of 120 items, the first ones and those of their own parity more often.

    The last public id is the largest that there is.
    """
    rng = np.random.default_rng(3)
    item = np.arange(120)
    pairs = []
    for user in range(300):
        chance = np.where(item % 2 == user % 2, 1.0, 0.1) / (10 + item)
        chosen = rng.choice(item, rng.integers(16, 33), replace=False, p=chance / chance.sum())
        pairs += [(user, i) for i in chosen]
    users, items = IdMap(np.arange(300)), IdMap(2**63 - 1 - item[::-1])
    world = interactions_of(rng.permutation(np.array(pairs)), users, items)
    return replace(world, rating=rng.choice([3.0, 4.0, 5.0], len(world)).astype(np.float32))


def parted(part: np.ndarray, boundaries: dict[str, int], strategy: str) -> Split:
    return Split(*(WORLD.select(part == number) for number in range(3)), strategy, boundaries)


WORLD = camps()
SPLIT = parted(random_parts(WORLD, 0.8, 0.1, seed=1), {}, "random")
TIMED = parted(*global_time_parts(WORLD, 0.8, 0.1), "global_time")


def fitted(name: str, parts: Split) -> Recommender:
    """A model fitted to the train part, by gradient for a few epochs."""
    trainer = TrainerConfig(max_epochs=30, batch_size=1024, learning_rate=0.02)
    fitting = Fitting(trainer, seed=1, evaluator=Evaluator((10,), ("ndcg",)))
    return model_class(name)().fit(Dataset(parts.train, parts.validation_heldout()), fitting)


def planted_finding(model: Recommender, planted: Planted) -> Finding:
    return future_item_stays_unknown(rank_users(model, planted.heldout(), DEPTH, deep=True), planted)


def floor_finding(model: Recommender, parts: Split) -> Finding:
    models = model, fitted("popularity", parts)
    rankings = [rank_users(one, parts.test_heldout(), DEPTH, deep=True) for one in models]
    reached, floor = (ndcg(one.hits, one.relevant, DEPTH) for one in rankings)
    return falls_to_the_floor(reached, floor, ndcg_of_random_order(rankings[1]))


# The parts


@pytest.mark.parametrize("parts", [SPLIT, TIMED], ids=["random", "global_time"])
def test_parts_of_the_splits_are_disjoint(parts: Split) -> None:
    assert parts_are_disjoint(parts).passed


def test_a_pair_in_two_parts_is_found() -> None:
    shared = replace(SPLIT, train=joined(SPLIT.train, SPLIT.test.select(np.array([7]))))
    finding = parts_are_disjoint(shared)
    assert not finding.passed
    assert finding.numbers["shared_pairs"] == 1


@pytest.mark.parametrize("strategy", ["global_time", "rolling_origin"])
@pytest.mark.parametrize(
    ("part", "boundary", "number"),
    [("train", "validation_from", "late_train"), ("validation", "test_from", "late_validation")],
)
def test_a_row_later_than_its_part_is_found(strategy: str, part: str, boundary: str, number: str) -> None:
    times = getattr(TIMED, part).timestamp.copy()
    times[5] = TIMED.boundaries[boundary]
    late = replace(TIMED, strategy=strategy, **{part: replace(getattr(TIMED, part), timestamp=times)})
    finding = parts_are_disjoint(late)
    assert not finding.passed
    assert finding.numbers[number] == 1


# The graph and the memory


def test_the_graph_of_train_is_train() -> None:
    assert graph_is_train(build_graph(SPLIT.train), SPLIT.train).passed


def test_a_graph_with_one_edge_of_test_is_found() -> None:
    leaky = build_graph(joined(SPLIT.train, SPLIT.test.select(np.array([0]))))
    finding = graph_is_train(leaky, SPLIT.train)
    assert not finding.passed
    assert finding.numbers["foreign"] == 2, "both directions"


def test_a_graph_without_an_edge_of_train_is_found() -> None:
    finding = graph_is_train(build_graph(SPLIT.train.select(np.arange(1, len(SPLIT.train)))), SPLIT.train)
    assert (finding.passed, finding.numbers["missing"]) == (False, 2)


def test_a_graph_with_degrees_of_test_is_found() -> None:
    """The edges are train's, but one is weighed as if its user had one interaction more."""
    adjacency = build_graph(SPLIT.train).adjacency.copy()
    degree = adjacency.indptr[1] - adjacency.indptr[0]
    adjacency.data[0] *= np.sqrt(degree / (degree + 1))
    finding = graph_is_train(replace(build_graph(SPLIT.train), adjacency=adjacency), SPLIT.train)
    assert (finding.passed, finding.numbers["misweighted"]) == (False, 1)


@pytest.mark.parametrize("share", [1, 0.5])
def test_a_model_that_remembers_train_or_a_share_of_it_is_honest(share: float) -> None:
    model = fitted("svd", replace(SPLIT, train=SPLIT.train.select(np.arange(int(share * len(SPLIT.train))))))
    assert memory_is_train(model, SPLIT).passed


def test_a_model_that_remembers_test_is_found() -> None:
    model = fitted("ease", SPLIT)
    model.set_history(joined(SPLIT.train, SPLIT.test))
    finding = memory_is_train(model, SPLIT)
    assert (finding.passed, finding.numbers["foreign"]) == (False, len(SPLIT.test))


def test_a_model_of_other_items_is_found() -> None:
    finding = memory_is_train(fitted("popularity", plant_future_item(SPLIT, seed=0).split), SPLIT)
    assert not finding.passed
    assert "other users or items" in finding.sentence


# The planted item

PLANTED = plant_future_item(SPLIT, seed=4)


def test_the_planted_item_is_in_test_alone_for_half_of_its_users() -> None:
    planted = PLANTED.split
    for before, after in zip(SPLIT.parts()[:2], planted.parts()[:2], strict=True):
        assert np.array_equal(after.user, before.user) and np.array_equal(after.item, before.item)
    new = planted.test.item == PLANTED.item
    assert np.array_equal(planted.test.user[new], PLANTED.holders)
    assert len(PLANTED.holders) == 150
    assert set(PLANTED.holders) < set(SPLIT.test.user)
    assert (planted.test.timestamp[new] == WORLD.timestamp.max()).all()
    assert planted.train.n_items == SPLIT.train.n_items + BLANKS + 1 == PLANTED.item + 1
    assert not np.isin(PLANTED.blanks, np.concatenate([part.item for part in planted.parts()])).any()


def test_a_planted_split_by_time_stays_one() -> None:
    assert parts_are_disjoint(plant_future_item(TIMED, seed=0).split).passed


def test_an_item_that_is_not_recommended_at_all_stands_last() -> None:
    """Its holders are not shown it and the others have it at rank 5: no leak, and the other way round it is one."""
    rankings = rank_users(fitted("popularity", PLANTED.split), PLANTED.heldout(), DEPTH, deep=True)
    holds = np.isin(rankings.users, PLANTED.holders)
    nowhere = np.zeros(rankings.lists.shape, dtype=np.int32)
    honest = replace(rankings, rank=np.where(holds, 0, 5).astype(np.int32), lists=nowhere)
    finding = future_item_stays_unknown(honest, PLANTED)
    assert finding.passed
    assert finding.numbers["rank_of_holders"] == len(PLANTED.heldout().interactions.items)
    leaking = replace(honest, rank=np.where(holds, 5, 0).astype(np.int32))
    assert not future_item_stays_unknown(leaking, PLANTED).passed


@pytest.mark.parametrize("name", HONEST)
def test_an_honest_model_does_not_find_the_planted_item(name: str) -> None:
    assert planted_finding(fitted(name, PLANTED.split), PLANTED).passed


@pytest.mark.parametrize("name", HONEST)
def test_a_model_that_was_fitted_on_test_finds_the_planted_item(name: str) -> None:
    split = PLANTED.split
    finding = planted_finding(fitted(name, replace(split, train=joined(split.train, split.test))), PLANTED)
    assert not finding.passed, finding.sentence


def found(higher: int = 0, recommended: int = 0, blank: int = 0) -> Finding:
    """The finding where so many holders have the item one rank above all other users, and lists show it, or a blank.

    There are 150 holders and 150 others.
    """
    heldout = PLANTED.heldout()
    users = np.arange(300)
    rank = np.full(300, 50, dtype=np.int32)
    rank[PLANTED.holders[:higher]] = 49
    lists = np.zeros((300, DEPTH), dtype=np.int32)
    lists[:recommended, 3] = PLANTED.item
    lists[:blank, 4] = PLANTED.blanks[0]
    item = np.full(300, PLANTED.item, dtype=np.int32)
    return future_item_stays_unknown(Rankings(users, lists, users, item, rank, np.zeros_like(rank), heldout), PLANTED)


def test_ranks_that_are_higher_for_holders_are_more_than_chance() -> None:
    """With m holders above the rest, the sum of signs is normal with z = sqrt(m) or so: 3.09 stands for 0.001."""
    assert found(higher=8).passed, "all 8 are holders by chance once in 2^8 draws"
    assert not found(higher=12).passed, "once in 2^12"
    assert found().numbers["p"] == 1


def test_an_item_in_everybodys_list_is_found_unless_a_blank_is_there_too() -> None:
    assert found(recommended=30).passed, "a tenth of 300"
    assert not found(recommended=31).passed
    assert not found(recommended=300).passed
    assert found(recommended=300, blank=300).passed


# The shuffled train

SHUFFLED = shuffle_train(SPLIT, seed=4)


def test_shuffling_keeps_activity_and_popularity_and_nothing_else() -> None:
    for column in ("user", "item"):
        before, after = (np.bincount(getattr(parts.train, column)) for parts in (SPLIT, SHUFFLED))
        assert np.array_equal(before, after)
    own_camp = SHUFFLED.train.item % 2 == SHUFFLED.train.user % 2
    assert 0.45 < own_camp.mean() < 0.55, "from 0.9"
    assert SHUFFLED.test is SPLIT.test and SHUFFLED.validation is SPLIT.validation


@pytest.mark.parametrize("name", HONEST)
def test_an_honest_model_falls_to_the_floor_without_preferences(name: str) -> None:
    finding = floor_finding(fitted(name, SHUFFLED), SPLIT)
    assert finding.passed, finding.sentence


@pytest.mark.parametrize("name", ["item_cf", "ease", "gmf", "lightgcn"])
def test_a_model_that_real_preferences_reach_stays_above_the_floor(name: str) -> None:
    """The models that are better than popularity on this world at all; the others have nothing to lose."""
    finding = floor_finding(fitted(name, SPLIT), SPLIT)
    assert not finding.passed, finding.sentence


@pytest.mark.parametrize("name", ["ease", "als", "gmf"])
def test_a_model_that_was_given_the_real_test_stays_above_the_floor(name: str) -> None:
    """Models that remember a user's own items; item_cf and lightgcn go by neighbours, most of whom are shuffled."""
    cheat = fitted(name, replace(SHUFFLED, train=joined(SHUFFLED.train, SPLIT.test)))
    finding = floor_finding(cheat, SPLIT)
    assert not finding.passed, finding.sentence


def test_the_floor_is_the_better_of_popularity_and_a_random_order_with_a_margin_of_a_tenth() -> None:
    low, high = np.full(100, 0.1), np.full(100, 0.2)
    for popularity, unordered in ((low, high), (high, low)):
        assert falls_to_the_floor(high * 1.09, popularity, unordered).passed
        assert not falls_to_the_floor(high * 1.11, popularity, unordered).passed


def test_one_lucky_user_does_not_lift_a_model_above_the_floor() -> None:
    floor = np.full(100, 0.2)
    lucky = floor + np.where(np.arange(100) == 0, 0.8, 0) + 0.015
    assert lucky.mean() > 0.22
    assert falls_to_the_floor(lucky, floor, floor).passed
    assert falls_to_the_floor(lucky[:1], floor[:1], floor[:1]).passed, "of one user nothing can be said"


def test_a_random_order_has_the_mean_of_random_orders() -> None:
    class Random(Popularity):
        def score_known(self, users: np.ndarray) -> np.ndarray:
            return rng.random((len(users), len(self.items)), dtype=np.float32)

    rng, model = np.random.default_rng(0), Random()
    model.fit(Dataset(SPLIT.train))
    evaluations = [Evaluator((DEPTH,), ("ndcg",)).evaluate(model, SPLIT.test_heldout()) for _ in range(60)]
    means = [evaluation.metrics[f"ndcg@{DEPTH}"] for evaluation in evaluations]
    expected = ndcg_of_random_order(evaluations[0].rankings).mean()
    assert np.mean(means) == pytest.approx(expected, abs=4 * np.std(means) / np.sqrt(60))


# The bundled data


@pytest.fixture(scope="module")
def bundled() -> Split:
    config = DataConfig()
    ratings: Ratings = read_ratings(config)
    return split(positives(ratings, config), config, ratings)


@pytest.mark.slow
def test_quick_models_are_honest_on_the_bundled_data_and_leaks_are_found(bundled: Split) -> None:
    planted, shuffled = plant_future_item(bundled, seed=1), shuffle_train(bundled, seed=1)
    assert planted_finding(fitted("popularity", planted.split), planted).passed
    seen = replace(planted.split, train=joined(planted.split.train, planted.split.test))
    assert not planted_finding(fitted("popularity", seen), planted).passed
    assert floor_finding(fitted("item_cf", shuffled), bundled).passed
    assert not floor_finding(fitted("item_cf", bundled), bundled).passed
