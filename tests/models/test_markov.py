"""Transitions against sums written out, and what an order of a history changes."""

from pathlib import Path

import numpy as np
import pytest
from families import model_of
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from movierec_engine.data.dataset import Dataset
from movierec_engine.data.id_map import IdMap
from movierec_engine.data.interactions import Interactions
from movierec_engine.errors import ConfigError
from movierec_engine.models import Markov
from movierec_engine.models.fold_in.markov import by_recency
from movierec_engine.models.sequence import markov
from movierec_engine.models.sequence.markov import MarkovConfig, transition_weights

HISTORIES = [[2, 0, 1, 4], [0, 1, 3], [3, 2], [1], [4, 0, 2, 1, 3]]
N_ITEMS = 6
DAY = 86_400


def train_of(histories: list[list[int]] = HISTORIES, n_items: int = N_ITEMS) -> Interactions:
    """Each item a day after the one before it."""
    user = np.repeat(np.arange(len(histories)), [len(one) for one in histories]).astype(np.int32)
    days = np.concatenate([np.arange(len(one)) for one in histories])
    return Interactions(
        user=user,
        item=np.concatenate(histories).astype(np.int32),
        rating=np.ones(len(user), dtype=np.float32),
        timestamp=days * DAY,
        users=IdMap(np.arange(len(histories))),
        items=IdMap(np.arange(n_items)),
    )


def history_of(items: list[int], n_items: int = N_ITEMS) -> sparse.csr_matrix:
    """Oldest first."""
    places = np.arange(1, len(items) + 1, dtype=np.float32)
    return sparse.csr_matrix((places, (np.zeros(len(items), dtype=np.int32), items)), (1, n_items))


def counted(histories: list[list[int]], config: MarkovConfig, n_items: int = N_ITEMS) -> np.ndarray:
    """n of the docstring, pair by pair."""
    found = np.zeros((n_items, n_items))
    for history in histories:
        for place, item in enumerate(history):
            for gap, other in enumerate(history[place + 1 : place + 1 + config.window], start=1):
                found[item, other] += gap**-config.gap_decay
                found[other, item] += config.backward * gap**-config.gap_decay
    return found


def shrinkage_of(histories: list[list[int]], config: MarkovConfig, n_items: int = N_ITEMS) -> float:
    if config.shrinkage is not None:
        return config.shrinkage
    interactions = sum(map(len, histories))
    return config.relative_shrinkage * (1 + 20 / (interactions / len(histories))) * (1 + 20 / (interactions / n_items))


def weights_of(histories: list[list[int]], config: MarkovConfig, n_items: int = N_ITEMS) -> np.ndarray:
    """W of the docstring."""
    n, shrinkage = counted(histories, config, n_items), shrinkage_of(histories, config, n_items)
    arriving = n.sum(axis=0) + shrinkage
    scaled = n * (arriving.mean() / arriving) ** config.exponent
    return np.asarray(scaled / (n.sum(axis=1, keepdims=True) + shrinkage))


@pytest.mark.parametrize(
    "config",
    [
        MarkovConfig(),
        MarkovConfig(window=1, backward=0.0, shrinkage=2.0, exponent=0.0),
        MarkovConfig(window=2, gap_decay=0.0, backward=1.0, decay=0.5, half_life_days=2.0),
    ],
)
def test_a_score_is_the_sum_over_the_history_of_what_people_went_on_to(config: MarkovConfig) -> None:
    model = Markov(config).fit(Dataset(train_of()))
    n = counted(HISTORIES, config)
    age = np.array([[4 - place for place in range(len(one))] for one in HISTORIES], dtype=object)
    popularity = np.zeros(N_ITEMS)
    for history, days in zip(HISTORIES, age, strict=True):
        for item, back in zip(history, days, strict=True):
            popularity[item] += 0.5 ** (back / config.half_life_days) if config.half_life_days else 1
    prior = popularity / popularity.sum()
    shrinkage = shrinkage_of(HISTORIES, config)
    rest = shrinkage / (n.sum(axis=1, keepdims=True) + shrinkage)
    shares = weights_of(HISTORIES, config)
    following = shares + rest * prior
    for user, history in enumerate(HISTORIES):
        expected = sum((1 + back) ** -config.decay * following[item] for back, item in enumerate(reversed(history)))
        assert model.score_users(np.array([user]))[0] == pytest.approx(expected, abs=1e-6)
        assert model.fold_in(history_of(history))[0] == pytest.approx(expected, abs=1e-6)
        why = model.explain_user(user, 3)
        each = {item: (1 + back) ** -config.decay * shares[item, 3] for back, item in enumerate(reversed(history))}
        assert dict(zip(why.items.tolist(), why.contributions, strict=True)) == pytest.approx(each, abs=1e-6)
        assert why.base == pytest.approx(expected[3] - sum(each.values()), abs=1e-6), "popularity"


@given(st.lists(st.permutations(range(N_ITEMS)).map(lambda order: order[:4]), min_size=1, max_size=5))
@settings(max_examples=20, deadline=None)
def test_transitions_are_counted_alike_in_blocks_of_any_size(histories: list[list[int]]) -> None:
    config, history = MarkovConfig(window=2), train_of(histories).history("places")
    whole, rest = transition_weights(history, config)
    assert whole.toarray() == pytest.approx(weights_of(histories, config), abs=1e-6)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(markov, "_BLOCK", 1)
        in_blocks = transition_weights(history, config)
    assert in_blocks[0].toarray() == pytest.approx(whole.toarray(), abs=1e-7)
    assert np.array_equal(in_blocks[1], rest)


def test_the_newest_item_counts_most_and_only_the_order_of_places_counts() -> None:
    model = Markov(backward=0.0, shrinkage=0.1).fit(Dataset(train_of([[0, 1], [0, 1], [2, 3], [2, 3]])))
    assert model.fold_in(history_of([2, 0]))[0].argmax() == 1
    assert model.fold_in(history_of([0, 2]))[0].argmax() == 3
    gaps = history_of([0, 2])
    gaps.data = np.array([0.5, 700.0], dtype=np.float32)
    assert np.array_equal(model.fold_in(gaps), model.fold_in(history_of([0, 2])))


def test_weights_fall_with_each_newer_item() -> None:
    histories = sparse.vstack([history_of([3, 1, 5]), history_of([]), history_of([0])], format="csr")
    found = by_recency(histories, 1.0).toarray()
    assert found == pytest.approx(np.array([[0, 1 / 2, 0, 1 / 3, 0, 1], [0] * 6, [1, 0, 0, 0, 0, 0]]), abs=1e-6)


def test_the_most_frequent_transitions_are_kept(tmp_path: Path) -> None:
    histories = [[0, 1], [0, 1], [0, 2], [1, 2]]
    model = Markov(backward=0.0, exponent=0.0, shrinkage=1.0, neighbours=1).fit(Dataset(train_of(histories, 3)))
    assert model.weights.toarray() == pytest.approx(np.array([[0, 2 / 4, 0], [0, 0, 1 / 2], [0, 0, 0]]))
    prior = np.array([3, 3, 2]) / 8
    assert model.fold_in(history_of([0], 3))[0] == pytest.approx(np.array([0, 1 / 2, 0]) + prior / 4)
    model.save(tmp_path)
    loaded = Markov.load(tmp_path)
    assert np.array_equal(loaded.history.toarray(), model.history.toarray()), "the order is kept"
    assert loaded.history_values == "places"


def test_items_are_kept_to_some_neighbours_in_large_catalogues_alone() -> None:
    default = MarkovConfig()
    assert [default.neighbours_of(n) for n in (5, 20_000, 20_001)] == [5, 20_000, 500]
    assert MarkovConfig(neighbours=3).neighbours_of(9) == 3


def test_a_list_of_items_is_read_oldest_first_and_a_repeated_one_at_its_last_place() -> None:
    model = Markov(backward=0.0, shrinkage=0.1).fit(Dataset(train_of([[0, 1], [0, 1], [2, 3], [2, 3]])))
    best = model.recommend_for({"a": [2, 0], "b": [0, 2], "c": [2, 0, 2], "d": {0: 5.0, 2: 1.0}}, k=1)
    assert best["movie_id"].to_pylist() == [1, 3, 3, 3]


def test_dislikes_are_no_part_of_an_order() -> None:
    scorer = model_of("markov").fold_in_scorer()
    liked, disliked = history_of([3, 7, 1], 40), history_of([9], 40)
    assert np.array_equal(scorer.taste_scores(liked, disliked), scorer.scores(liked))
    (why,) = scorer.taste_explanations(scorer.scores(liked)[0, [5]], liked, disliked, np.array([5]))
    assert dict(zip(why.items.tolist(), why.contributions, strict=True))[9] == 0


@pytest.mark.parametrize(
    "setting", [{"window": 0}, {"neighbours": 0}, {"decay": -1.0}, {"backward": float("nan")}, {"shrinkage": 0.0}]
)
def test_settings_that_are_none_are_refused_by_name(setting: dict[str, float]) -> None:
    (name,) = setting
    with pytest.raises(ConfigError, match=rf"model\.{name}="):
        MarkovConfig(**setting)  # type: ignore[arg-type]
