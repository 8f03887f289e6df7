import numpy as np
import pytest

from movierec_engine.data.id_map import IdMap
from movierec_engine.models.classic import neighbour_regression
from movierec_engine.models.classic.neighbour_regression import common_users, neighbour_weights
from worlds import interactions_of

RNG = np.random.default_rng(4)
N, L2 = 12, 3.0
PAIRS = np.argwhere(RNG.random((50, N)) < np.linspace(0.1, 0.7, N))
X = interactions_of(PAIRS, IdMap(np.arange(50)), IdMap(np.arange(N))).matrix()
GRAM = (X.T @ X).toarray().astype(float)
CLOSENESS = GRAM / np.sqrt(GRAM.diagonal() + L2 / 20) * (1 - np.eye(N))


def by_hand(gram: np.ndarray, k: int) -> np.ndarray:
    """A regression an item, solved as a least-squares problem by numpy's own; of equally close items the first."""
    weights = np.zeros((N, N))
    for item in range(N):
        near = [other for other in np.argsort(-CLOSENESS[item], kind="stable")[:k] if CLOSENESS[item, other] > 0]
        system = gram[np.ix_(near, near)] + np.diag(GRAM.diagonal()[near] - gram.diagonal()[near] + L2)
        weights[near, item] = np.linalg.lstsq(system, GRAM[near, item], rcond=None)[0]
    return weights


@pytest.mark.parametrize("k", [2, 5, N - 1])
def test_the_weights_of_an_item_are_its_regression_on_the_items_most_similar_to_it(
    k: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(neighbour_regression, "BLOCK", 3 * N)  # several blocks of G, and of systems
    weights = neighbour_weights(X, L2, k)
    assert weights.toarray() == pytest.approx(by_hand(GRAM, k), abs=1e-6)
    assert weights.dtype == np.float32 and np.diff(weights.tocsc().indptr).max() <= k


def test_pairs_of_the_fewest_common_users_make_room_in_every_block_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbour_regression, "BLOCK", 3 * N)
    monkeypatch.setattr(neighbour_regression, "PAIRS", 6)
    counts = common_users(X, L2, 3)[0].toarray()
    least = counts[counts > 0].min()
    assert np.array_equal(counts, np.where(least <= GRAM, GRAM, 0))
    assert 2 * N < np.count_nonzero(counts) <= 6 * N < np.count_nonzero(GRAM)
    assert neighbour_weights(X, L2, 3).toarray() == pytest.approx(by_hand(counts.astype(float), 3), abs=1e-6)
