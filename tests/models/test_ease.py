from pathlib import Path

import numpy as np
import pytest
from scipy import sparse
from scipy.optimize import minimize

from movierec_engine.data.dataset import Dataset
from movierec_engine.data.id_map import IdMap
from movierec_engine.errors import ConfigError
from movierec_engine.models import EASE
from movierec_engine.models.classic.ease import mirror_upper
from movierec_engine.models.likeness import CentredCosines
from worlds import interactions_of

PAIRS = np.array([(0, 0), (0, 1), (1, 0), (1, 2), (2, 1), (2, 2), (2, 3), (3, 3), (3, 0)])
TRAIN = interactions_of(PAIRS, IdMap(np.arange(4)), IdMap(np.arange(4)))


def test_the_weights_minimise_the_papers_objective() -> None:
    """A general-purpose optimiser, which knows nothing of the closed form, finds the same B."""
    x, l2 = TRAIN.matrix().toarray().astype(float), 2.5
    free = ~np.eye(4, dtype=bool)

    def objective(values: np.ndarray) -> float:
        weights = np.zeros((4, 4))
        weights[free] = values
        return float(((x - x @ weights) ** 2).sum() + l2 * (weights**2).sum())

    expected = np.zeros((4, 4))
    expected[free] = minimize(objective, np.zeros(12), tol=1e-12).x
    model = EASE(EASE.Config(l2=l2))
    model.fit(Dataset(TRAIN))
    assert np.allclose(model.weights, expected, atol=1e-4)
    assert (np.diag(model.weights) == 0).all()


def test_an_item_of_the_history_adds_its_weight() -> None:
    """By hand: X^T X + I = [[3, 1], [1, 2]], P = [[2, -1], [-1, 3]] / 5, so B_01 = 1/3 and B_10 = 1/2."""
    train = interactions_of(np.array([(0, 0), (0, 1), (1, 0)]), IdMap(np.arange(2)), IdMap(np.arange(2)))
    model = EASE(EASE.Config(l2=1.0, prior=0))
    model.fit(Dataset(train))
    unseen, seen = model.explain_user(1, 1), model.explain_user(0, 0)
    assert unseen.items.tolist() == [0]
    assert unseen.contributions == pytest.approx([1 / 3])
    assert seen.items.tolist() == [1, 0]
    assert seen.contributions == pytest.approx([1 / 2, 0]), "an item says nothing for itself"
    assert (unseen.base, seen.base) == pytest.approx((0, 0), abs=1e-6)


def test_items_are_alike_that_are_recommended_for_like_histories() -> None:
    """Two items are compared by what each item of a history adds to their scores: the columns of B."""
    rng = np.random.default_rng(4)
    pairs = np.argwhere(rng.random((40, 9)) < np.linspace(0.1, 0.8, 9))
    train = interactions_of(pairs, IdMap(np.arange(40)), IdMap(np.arange(9)))
    model = EASE(EASE.Config(l2=3.0, prior=0))
    model.fit(Dataset(train))
    asymmetry = np.abs(model.weights - model.weights.T).max()
    assert asymmetry > 0.1, "or rows would do as well"
    expected = CentredCosines(np.ascontiguousarray(model.weights.T), model.popularity)(np.arange(9))
    assert model.similarity()(np.arange(9)) == pytest.approx(expected, abs=1e-6)
    unit = np.zeros((9, 9), dtype=np.float32)
    np.fill_diagonal(unit, 1)
    assert model.fold_in(sparse.csr_matrix(unit)) == pytest.approx(model.weights, abs=1e-6)
    assert model.query_vectors(np.arange(40)) @ model.item_vectors().T == pytest.approx(
        train.matrix().toarray() @ model.weights, abs=1e-5
    )


def test_the_default_penalty_grows_with_the_root_of_an_items_mean_interactions() -> None:
    """Nine interactions of four items: 40 sqrt(9 / 4) = 60."""
    assert EASE().fit(Dataset(TRAIN)).l2 == pytest.approx(60)
    assert EASE(l2=7.0).fit(Dataset(TRAIN)).l2 == 7


def test_items_have_neighbours_in_large_catalogues_or_where_they_are_asked_for() -> None:
    default, three = EASE.Config(), EASE.Config(neighbours=3)
    assert [default.neighbours_of(n) for n in (4, 20_000, 20_001, 59_047)] == [None, None, 200, 200]
    assert [three.neighbours_of(n) for n in (4, 5, 59_047)] == [None, 3, 3]
    with pytest.raises(ConfigError, match=r"model\.neighbours=1"):
        EASE.Config(neighbours=1)


def test_sparse_weights_score_explain_and_compare_as_the_same_weights_do_dense(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    train = interactions_of(np.argwhere(rng.random((40, 15)) < 0.4), IdMap(np.arange(40)), IdMap(np.arange(15)))
    model = EASE(l2=3.0, neighbours=4).fit(Dataset(train))
    dense = EASE(l2=3.0).fit(Dataset(train))
    dense.rows = model.rows.toarray()
    model.save(tmp_path)
    for one in (model, EASE.load(tmp_path)):
        assert one.score_users(np.arange(40)) == pytest.approx(dense.score_users(np.arange(40)), abs=1e-6)
        assert one.fold_in(train.matrix()[:3]) == pytest.approx(dense.fold_in(train.matrix()[:3]), abs=1e-6)
        assert one.explain_user(2, 5).contributions == pytest.approx(dense.explain_user(2, 5).contributions, abs=1e-6)
        assert np.array_equal(one.most_similar(np.arange(15), 3)[0], dense.most_similar(np.arange(15), 3)[0])


@pytest.mark.parametrize("l2", [0.0, -1.0, float("nan")])
def test_a_penalty_that_is_none_is_refused(l2: float) -> None:
    with pytest.raises(ConfigError, match=r"model\.l2="):
        EASE.Config(l2=l2)


@pytest.mark.parametrize("size", [1, 255, 256, 257, 600])
def test_mirroring_repeats_the_upper_triangle_below_the_diagonal(size: int) -> None:
    matrix = np.random.default_rng(0).normal(size=(size, size)).astype(np.float32)
    expected = np.triu(matrix) + np.triu(matrix, 1).T
    mirror_upper(matrix)
    assert np.array_equal(matrix, expected)
