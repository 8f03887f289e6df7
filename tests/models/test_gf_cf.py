"""The graph filter against its formula, written out with dense matrices."""

import numpy as np
import pytest
from families import TRAIN, model_of
from scipy import sparse

from movierec_engine.data.dataset import Dataset
from movierec_engine.data.id_map import IdMap
from movierec_engine.errors import ConfigError
from movierec_engine.models.classic import gf_cf
from movierec_engine.models.classic.gf_cf import GFCF, item_graph, largest_entries, strongest_directions
from worlds import interactions_of

R = np.vstack([TRAIN.matrix().toarray(), np.ones(TRAIN.n_items)])
"""One more user has everything, so that any two items are neighbours."""
USERS = np.arange(len(R))
DATA = Dataset(interactions_of(np.argwhere(R), IdMap(USERS), TRAIN.items))


def filtered(k: int, shrinkage: float, p: float, t: float, a: float) -> np.ndarray:
    """R D_i^-p h(G) D_i^p, float64 [n_users, n_items]."""
    of_users, of_items = R.sum(axis=1) + shrinkage, R.sum(axis=0) + shrinkage
    graph = R / np.sqrt(of_users)[:, None] / np.sqrt(of_items)
    s, v = np.linalg.eigh(graph.T @ graph)
    s, v = s[::-1], v[:, ::-1]
    m_u, m_i = R.sum() / len(R), R.sum() / len(R.T)
    e = (m_u**0.5 + m_i**0.5) ** 2 / ((m_u + shrinkage) * (m_i + shrinkage))
    h = s.copy()
    h[:k] = s[:k] * np.exp(-t * (s[:k] - s[k - 1]) / e) + a * e * (s[:k] > 0.75 * e)
    return np.asarray(R / of_items**p @ (v * h) @ v.T * of_items**p)


@pytest.mark.parametrize(
    ("k", "shrinkage", "p", "t", "a"),
    [(8, 10, 0.25, 0.3, 1), (8, 0, 0.5, 0, 2), (3, 1, 0, 0.5, 0), (40, 4, 0.3, 0.2, 1)],
)
@pytest.mark.parametrize("dense", [True, False])
def test_scores_are_the_response_of_the_filter(
    k: int, shrinkage: float, p: float, t: float, a: float, dense: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not dense and k < 20:
        monkeypatch.setattr(gf_cf, "_DENSE", 1)
    settings = {"n_factors": k, "shrinkage": shrinkage, "exponent": p, "sharpening": t, "alpha": a}
    model = GFCF(**settings, neighbours=40, prior=0).fit(DATA)
    expected = filtered(k, shrinkage, p, t, a)
    assert np.allclose(model.score_users(USERS), expected, atol=1e-4 * expected.max())


def test_beside_the_directions_each_item_keeps_its_nearest() -> None:
    graph = sparse.csr_matrix(R / 7, dtype=np.float32)
    explained = np.random.default_rng(0).normal(size=(R.shape[1], 3)).astype(np.float32)
    found = item_graph(graph, 5, explained).toarray()
    whole = (graph.T @ graph).toarray()
    for row, own in enumerate(whole):
        kept = np.flatnonzero(found[row])
        assert len(kept) == 5
        assert np.sort(own[kept])[0] >= np.sort(own)[-5] - 1e-6
        assert np.allclose(found[row][kept], (own - explained @ explained[row])[kept], atol=1e-5)


def test_rows_with_few_entries_keep_all_of_them() -> None:
    rows = sparse.csr_matrix(np.array([[0, 3, 1, 2], [5, 0, 0, 0], [0, 0, 0, 0], [1, 2, 3, 4]], dtype=np.float32))
    kept = largest_entries(rows, 2).toarray()
    assert np.array_equal(kept, [[0, 3, 0, 2], [5, 0, 0, 0], [0, 0, 0, 0], [0, 0, 3, 4]])


@pytest.mark.parametrize("solved_densely_up_to", [1, 2500])
def test_directions_are_the_same_each_time_with_decided_signs(
    solved_densely_up_to: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gf_cf, "_DENSE", solved_densely_up_to)
    graph = sparse.csr_matrix(R, dtype=np.float32)
    values, vectors = strongest_directions(graph, 6)
    again = strongest_directions(graph, 6)
    assert np.array_equal(values, again[0])
    assert np.array_equal(vectors, again[1])
    assert (np.diff(values) <= 0).all()
    assert np.allclose(vectors.T @ vectors, np.eye(6), atol=1e-4)
    assert (vectors[np.abs(vectors).argmax(axis=0), np.arange(6)] > 0).all()


def test_what_rounding_made_is_no_direction() -> None:
    values, vectors = strongest_directions(sparse.csr_matrix(np.ones((4, 5), dtype=np.float32)), 3)
    assert values == pytest.approx([20])
    assert vectors[:, 0] == pytest.approx(np.full(5, 5**-0.5))


def test_a_new_user_gets_the_scores_of_a_trained_one_with_the_same_history() -> None:
    model = model_of("gf_cf")
    assert np.array_equal(model.fold_in(model.history[:7]), model.score_users(USERS[:7]))


def test_a_saved_model_holds_no_square_of_the_items() -> None:
    model = GFCF(n_factors=2, neighbours=3).fit(DATA)
    assert sum(array.size for array in model.tensors().values()) < 11 * R.shape[1]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"shrinkage": -1}, "model.shrinkage=-1 must not be below 0"),
        ({"prior": -1}, "model.prior=-1 must not be below 0"),
        ({"alpha": float("nan")}, "model.alpha=nan must not be below 0"),
        ({"exponent": 2}, "model.exponent=2 must be from 0 to 1"),
        ({"n_factors": 0}, "model.n_factors=0 must be at least 1"),
        ({"neighbours": 0}, "model.neighbours=0 must be at least 1"),
    ],
)
def test_a_setting_out_of_its_range_is_refused(settings: dict[str, float], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        GFCF(**settings)
