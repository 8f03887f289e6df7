from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse
from scipy.optimize import minimize

from movierec_engine.data.dataset import Dataset
from movierec_engine.data.id_map import IdMap
from movierec_engine.data.interactions import Interactions
from movierec_engine.errors import ConfigError
from movierec_engine.models import ALS
from movierec_engine.models.classic import als, least_squares
from worlds import interactions_of

RNG = np.random.default_rng(2)
PAIRS = np.array([(u, i) for u in range(9) for i in range(7) if RNG.random() < 0.4] + [(8, 0)])


def small_train() -> Interactions:
    return interactions_of(np.unique(PAIRS, axis=0), IdMap(np.arange(9)), IdMap(np.arange(7)))


def objective(config: als.ALSConfig, x: np.ndarray, users: np.ndarray, items: np.ndarray) -> float:
    """The paper's objective, written out over all pairs."""
    scores = users @ items.T
    fit = (x * (1 - scores) ** 2).sum() + config.alpha0 * (scores**2).sum()
    user_weight = (x.sum(axis=1) + config.alpha0 * x.shape[1]) ** config.nu
    item_weight = (x.sum(axis=0) + config.alpha0 * x.shape[0]) ** config.nu
    penalty = (user_weight * (users**2).sum(axis=1)).sum() + (item_weight * (items**2).sum(axis=1)).sum()
    return float(fit + config.l2 * penalty)


@pytest.mark.parametrize("nu", [0.0, 0.5, 1.0])
def test_each_half_sweep_minimises_the_papers_objective(nu: float) -> None:
    """A general-purpose optimiser, started elsewhere, finds the same item vectors for the user vectors given."""
    train = small_train()
    config = als.ALSConfig(embedding_dim=3, alpha0=0.3, l2=0.05, nu=nu, epochs=4, steps=8)
    model = ALS(config)
    model.fit(Dataset(train))
    x, users = train.matrix().toarray().astype(float), model.user_factors.astype(float)
    found = minimize(lambda items: objective(config, x, users, items.reshape(7, 3)), np.zeros(21), tol=1e-12).x
    assert np.allclose(model.item_factors, found.reshape(7, 3), atol=2e-4)


def test_the_fit_is_so_many_sweeps_from_small_random_vectors() -> None:
    """Users against items, then items against users, each row's ridge regression written out; a turn is free."""
    x = small_train().matrix().toarray().astype(float)
    config = als.ALSConfig(embedding_dim=3, alpha0=0.3, l2=0.05, nu=0.5, epochs=2, steps=8, init_std=0.5, seed=4)

    def solved(rows: np.ndarray, fixed: np.ndarray) -> np.ndarray:
        strength = config.l2 * (rows.sum(axis=1) + config.alpha0 * rows.shape[1]) ** config.nu
        own = [np.linalg.inv(fixed[row > 0].T @ fixed[row > 0] + config.alpha0 * fixed.T @ fixed + s * np.eye(3))
               for row, s in zip(rows, strength, strict=True)]  # fmt: skip
        return np.stack([inverse @ fixed.T @ row for inverse, row in zip(own, rows, strict=True)])

    items = 0.5 / np.sqrt(3) * np.random.default_rng(4).standard_normal((7, 3))
    for _ in range(2):
        users = solved(x, items)
        items = solved(x.T, users)
    model = ALS(config).fit(Dataset(small_train()))
    for ours, one, other in (
        (model.user_factors @ model.item_factors.T, users, items),
        (model.user_factors @ model.user_factors.T, users, users),
        (model.item_factors @ model.item_factors.T, items, items),
    ):
        assert np.allclose(ours, one @ other.T, atol=1e-4)


def test_more_sweeps_never_raise_the_objective() -> None:
    train = small_train()
    x = train.matrix().toarray().astype(float)
    values = []
    for epochs in (1, 2, 4, 8, 16):
        config = als.ALSConfig(embedding_dim=3, alpha0=0.4, l2=0.01, epochs=epochs)
        model = ALS(config)
        model.fit(Dataset(train))
        values.append(objective(config, x, model.user_factors.astype(float), model.item_factors.astype(float)))
    assert all(later <= earlier + 1e-5 for earlier, later in pairwise(values))


def test_folding_in_a_trained_users_history_is_one_more_half_sweep() -> None:
    train = small_train()
    model = ALS(als.ALSConfig(embedding_dim=3, epochs=60))
    model.fit(Dataset(train))
    assert np.allclose(model.fold_in(train.matrix()), model.score_users(np.arange(9)), atol=1e-3), "at the fixed point"


def test_an_item_of_the_history_adds_its_share_of_the_solution() -> None:
    """By hand, d = 1, h = (1, 2, 3), history {0, 1}: M = .5 (1 + 4 + 9) + (1 + 4) + 2 (2 + .5 * 3) = 19.

    Item 2 gets 3/19 (1 + 2); the trained vector .5 gives 1.5, so the rest of that is the base.
    """
    model = ALS(als.ALSConfig(embedding_dim=1, alpha0=0.5, l2=2.0))
    model.set_history(interactions_of(np.array([(0, 0), (0, 1)]), IdMap(np.arange(1)), IdMap(np.arange(3))))
    model.item_factors, model.user_factors = np.array([[1], [2], [3]], np.float32), np.array([[0.5]], np.float32)
    folded_in, trained = model.explain_history(model.history, 2), model.explain_user(0, 2)
    for why in (folded_in, trained):
        assert why.items.tolist() == [1, 0]
        assert why.contributions == pytest.approx([6 / 19, 3 / 19], rel=1e-5)
    assert (folded_in.score, folded_in.base) == pytest.approx((9 / 19, 0), abs=1e-6)
    assert (trained.score, trained.base) == pytest.approx((1.5, 1.5 - 9 / 19), rel=1e-5)
    seen = model.explain_history(model.history, 1)
    assert seen.contributions == pytest.approx([4 / 19, 2 / 19], rel=1e-5), "an item speaks for itself, too"


def test_small_blocks_give_the_same_vectors(monkeypatch: pytest.MonkeyPatch) -> None:
    train = small_train()
    whole, blocks = ALS(als.ALSConfig(embedding_dim=4)), ALS(als.ALSConfig(embedding_dim=4))
    whole.fit(Dataset(train))
    monkeypatch.setattr(least_squares, "_BLOCK_FLOATS", 1)
    blocks.fit(Dataset(train))
    scores, expected = (model.score_users(np.arange(9)) for model in (blocks, whole))
    assert np.allclose(scores, expected, atol=1e-5)
    monkeypatch.setattr(least_squares, "_BLOCK_FLOATS", 2**20)
    monkeypatch.setattr(least_squares, "_BLOCK_GATHERED", 5 * 4)  # of 4 dimensions
    blocks.fit(Dataset(train))
    assert np.allclose(blocks.score_users(np.arange(9)), expected, atol=1e-5)


def test_conjugate_gradients_find_the_solution_of_each_rows_system() -> None:
    rng = np.random.default_rng(1)
    rows = sparse.csr_matrix((rng.random((12, 30)) < np.linspace(0, 0.9, 12)[:, None]).astype(np.float32))
    strength, alpha0 = rng.uniform(0.5, 2, 12), 0.2
    fixed, start = (rng.normal(size=(n, 6)).astype(np.float32) for n in (30, 12))
    diagonal, turn = least_squares.eigenbasis(least_squares.gram(fixed))
    fixed, start = fixed @ turn, start @ turn
    exact = [
        np.linalg.solve(alpha0 * fixed.T @ fixed + own.T @ own + strength[u] * np.eye(6), own.sum(axis=0))
        for u, own in enumerate(fixed[rows.indices[begin:end]] for begin, end in pairwise(rows.indptr))
    ]
    many, few, one = (
        least_squares.solve_rows(rows, fixed, start.copy(), alpha0 * diagonal, strength, steps, np.ones(30, dtype=int))
        for steps in (8, 3, 1)
    )
    assert many == pytest.approx(np.array(exact), abs=1e-4)
    assert not many[0].any() or np.abs(many[0]).max() < 1e-6, "a row without entries"
    errors = [np.linalg.norm(found - exact) for found in (start, one, few)]
    assert errors[1] < 0.5 * errors[0]
    assert errors[2] < 0.1 * errors[0]


def test_the_gram_matrix_of_many_rows_is_as_exact_as_in_double_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = np.random.default_rng(3).normal(size=(1_000, 5)).astype(np.float32)
    exact = vectors.astype(np.float64).T @ vectors.astype(np.float64)
    for rows in (1, 7, 1_000, 2**13):
        monkeypatch.setattr(least_squares, "_GRAM_ROWS", rows)
        assert least_squares.gram(vectors) == pytest.approx(exact, rel=1e-5, abs=1e-4)
    assert not least_squares.gram(vectors[:0]).any()


def test_turning_to_the_eigenbasis_changes_no_inner_product() -> None:
    fixed, start = (np.random.default_rng(n).normal(size=(n, 4)).astype(np.float32) for n in (9, 7))
    diagonal, turn = least_squares.eigenbasis(least_squares.gram(fixed))
    turned, other = fixed @ turn, start @ turn
    gram = turned.T @ turned
    assert turned @ other.T == pytest.approx(fixed @ start.T, abs=1e-5)
    assert gram == pytest.approx(np.diag(diagonal), abs=1e-4)


def test_weight_and_regularisation_follow_the_data_unless_they_are_given(tmp_path: Path) -> None:
    """By hand: 7 items and 9 users, and so 63 pairs; the variances of the normalised entries pair by pair."""
    train = small_train()
    density = len(train) / 63
    by_user, by_item = (np.bincount(index, minlength=n) for index, n in ((train.user, 9), (train.item, 7)))
    variance = np.outer(by_user / (by_user + 3 * density * 7), by_item / (by_item + 3 * density * 9)) / len(train)
    l2 = 0.2 * (variance[train.user].sum(axis=1).mean() ** 0.5 + variance[:, train.item].sum(axis=0).mean() ** 0.5)
    relative = ALS(relative_alpha0=3.0, relative_l2=0.2, embedding_dim=4)
    absolute = ALS(alpha0=3 * density, l2=l2, embedding_dim=4)
    for model in (relative, absolute):
        model.fit(Dataset(train))
        assert model.alpha0 == pytest.approx(3 * density)
        assert model.l2 == pytest.approx(l2)
        scorer = model.fold_in_scorer()
        assert (scorer.alpha0, scorer.l2) == (model.alpha0, model.l2)
    everybody = np.arange(9)
    assert relative.score_users(everybody) == pytest.approx(absolute.score_users(everybody), abs=1e-5)
    relative.save(tmp_path)
    loaded = ALS.load(tmp_path)
    assert (loaded.alpha0, loaded.l2) == (relative.alpha0, relative.l2)


def test_all_pairs_weigh_the_root_of_a_rows_interactions_and_at_least_7_5_times_the_observed() -> None:
    """By hand: 10 items a user and 1 an item at a density of 1 / 400; then all pairs but one, 100 in a row."""
    short = ALS(embedding_dim=2, epochs=1).fit(Dataset(groups_of_items()))
    assert short.alpha0 == pytest.approx(7.5 / 400)
    pairs = np.argwhere(np.ones((100, 100)))[:-1]
    long = ALS(embedding_dim=2, epochs=1).fit(
        Dataset(interactions_of(pairs, IdMap(np.arange(100)), IdMap(np.arange(100))))
    )
    assert long.alpha0 == pytest.approx(99.99**0.5 * 0.9999)


def test_the_regularisation_follows_the_length_of_rows_where_they_are_short() -> None:
    """By hand: rows of 10^.5 interactions take the most, .6; of 99.99 the least, .39; of 6 in between."""
    short = ALS(embedding_dim=2, epochs=1).fit(Dataset(groups_of_items()))
    assert short.l2 == pytest.approx(0.6 * short.noise)
    for size, expected in ((100, 0.39), (6, 0.39 * (8 / (35 / 6)) ** 0.5)):
        pairs = np.argwhere(np.ones((size, size)))[:-1]
        ids = IdMap(np.arange(size))
        model = ALS(embedding_dim=2, epochs=1).fit(Dataset(interactions_of(pairs, ids, ids)))
        assert model.l2 == pytest.approx(expected * model.noise)


def groups_of_items() -> Interactions:
    """400 users and 4,000 items in 40 groups; each user has 10 items, all of one group: a density of .25 %."""
    rng = np.random.default_rng(0)
    pairs = [(user, user % 40 + 40 * item) for user in range(400) for item in rng.choice(100, 10, replace=False)]
    return interactions_of(np.array(pairs), IdMap(np.arange(400)), IdMap(np.arange(4000)))


def test_the_defaults_recommend_from_a_users_group_in_a_large_catalogue() -> None:
    model = ALS().fit(Dataset(groups_of_items()))
    best = np.argsort(-model.score_users(np.arange(400)), axis=1)[:, :10]
    assert (best % 40 == np.arange(400)[:, None] % 40).mean() > 0.95


def test_vectors_that_end_at_0_are_said_in_one_sentence(caplog: pytest.LogCaptureFixture) -> None:
    ALS(alpha0=0.4, l2=0.012, epochs=4).fit(Dataset(groups_of_items()))
    assert [record.message for record in caplog.records if "leaves next to nothing" in record.message]
    caplog.clear()
    ALS(epochs=4).fit(Dataset(groups_of_items()))
    assert not caplog.records


def test_the_same_seed_gives_the_same_vectors_to_the_bit() -> None:
    first, same, other = (ALS(als.ALSConfig(embedding_dim=4, seed=seed)) for seed in (1, 1, 2))
    for model in (first, same, other):
        model.fit(Dataset(small_train()))
    assert np.array_equal(first.item_factors, same.item_factors)
    assert not np.array_equal(first.item_factors, other.item_factors)


@pytest.mark.parametrize(
    "settings",
    [{"embedding_dim": 0}, {"epochs": 0}, {"alpha0": 0.0}, {"l2": -1.0}, {"steps": 0}, {"relative_alpha0": 0.0}],
)
def test_values_out_of_range_are_refused(settings: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="model"):
        als.ALSConfig(**settings)  # type: ignore[arg-type]
