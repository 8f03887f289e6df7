"""What lists are like, against the definitions written out item by item."""

import math
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from movierec_engine.data.catalogue import Catalogue
from movierec_engine.data.id_map import IdMap
from movierec_engine.evaluation.metrics import beyond_accuracy as beyond
from worlds import interactions_of

N_USERS, N_ITEMS = 6, 8
TRAIN = interactions_of(
    np.array([(u, i) for u in range(N_USERS) for i in range(N_ITEMS - 1) if i <= u]),
    IdMap(np.arange(N_USERS)),
    IdMap(np.arange(N_ITEMS)),
)
CATALOGUE = Catalogue.of(TRAIN)
POPULARITY = [6, 5, 4, 3, 2, 1, 0, 0]


@st.composite
def some_lists(draw: st.DrawFn) -> np.ndarray:
    """Four lists of up to five different items, -1 where one has ended."""
    rows = [draw(st.lists(st.integers(0, N_ITEMS - 1), unique=True, max_size=5)) for _ in range(4)]
    return np.array([row + [-1] * (5 - len(row)) for row in rows], dtype=np.int32)


def shown(row: np.ndarray, k: int) -> list[int]:
    return [int(item) for item in row[:k] if item >= 0]


def test_the_catalogue_counts_train_interactions() -> None:
    assert CATALOGUE.popularity.tolist() == POPULARITY
    assert CATALOGUE.activity.tolist() == [1, 2, 3, 4, 5, 6]
    assert CATALOGUE.popularity_rank.tolist() == list(range(N_ITEMS))


@given(some_lists(), st.integers(1, 7))
def test_every_value_is_its_definition(lists: np.ndarray, k: int) -> None:
    share = [max(count, 1) / N_USERS for count in POPULARITY]
    novelty, popularity = beyond.novelty(lists, CATALOGUE, k), beyond.average_popularity(lists, CATALOGUE, k)
    for user, row in enumerate(lists):
        items = shown(row, k)
        bits = [-math.log2(share[item]) for item in items]
        assert novelty[user] == pytest.approx(sum(bits) / max(len(items), 1))
        shares = [POPULARITY[item] / N_USERS for item in items]
        assert popularity[user] == pytest.approx(sum(shares) / max(len(items), 1))
    exposure = sorted(sum(item in shown(row, k) for row in lists) for item in range(N_ITEMS))
    assert beyond.coverage(lists, N_ITEMS, k) == sum(count > 0 for count in exposure) / N_ITEMS
    apart = sum(abs(x - y) for x in exposure for y in exposure)  # half the relative mean difference
    expected = apart / (2 * N_ITEMS * sum(exposure)) if sum(exposure) else 0
    assert beyond.gini(lists, N_ITEMS, k) == pytest.approx(expected)


VECTORS = hnp.arrays(np.float32, (N_ITEMS, 3), elements=st.sampled_from([0.0, 1.0, -2.0, 0.5]))


@given(some_lists(), VECTORS, st.integers(1, 7))
def test_diversity_is_the_mean_distance_of_all_pairs(lists: np.ndarray, vectors: np.ndarray, k: int) -> None:
    diversity = beyond.intra_list_diversity(lists, vectors, k)
    for user, row in enumerate(lists):
        distances = []
        for a, b in permutations(shown(row, k), 2):
            size = np.linalg.norm(vectors[a]) * np.linalg.norm(vectors[b])
            distances.append(1 - (vectors[a] @ vectors[b] / size if size else 0))
        assert diversity[user] == pytest.approx(np.mean(distances) if distances else 0, abs=1e-5)


def test_equal_lists_are_concentrated_and_disjoint_ones_are_even() -> None:
    same = np.tile(np.array([[0, 1]], dtype=np.int32), (4, 1))
    assert beyond.gini(same, N_ITEMS, 2) == pytest.approx(1 - 2 / N_ITEMS)
    apart = np.arange(N_ITEMS, dtype=np.int32).reshape(4, 2)
    assert beyond.gini(apart, N_ITEMS, 2) == pytest.approx(0)
    assert beyond.coverage(apart, N_ITEMS, 2) == 1


def test_a_hit_among_the_users_most_popular_items_is_no_surprise() -> None:
    row, rank, more_popular = np.array([0, 0, 1, 2]), np.array([1, 4, 2, 0]), np.array([0, 5, 4, -1])
    relevant = np.array([2, 1, 1])
    assert beyond.serendipity(row, rank, more_popular, relevant, k=5).tolist() == [1 / 5, 0, 0]
    assert beyond.serendipity(row, rank, more_popular, relevant, k=4).tolist() == [1 / 4, 1 / 4, 0]


def test_embeddings_put_items_with_the_same_users_together_and_keep_unknown_ones_at_zero() -> None:
    camps = [(u, i) for u in range(10) for i in range(8) if u % 2 == i % 2]
    catalogue = Catalogue.of(interactions_of(np.array(camps), IdMap(np.arange(10)), IdMap(np.arange(9))))
    unit = catalogue.embeddings[:8] / np.linalg.norm(catalogue.embeddings[:8], axis=1, keepdims=True)
    cosine = unit @ unit.T
    assert cosine[0, 2] == pytest.approx(1, abs=1e-5)
    assert cosine[0, 1] == pytest.approx(0, abs=1e-5)
    assert not catalogue.embeddings[8].any()
