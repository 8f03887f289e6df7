from dataclasses import replace

import numpy as np
import pytest
import surprise
from scipy.optimize import minimize
from surprise import Reader

from movierec_engine.data.dataset import Dataset
from movierec_engine.data.id_map import IdMap
from movierec_engine.data.interactions import Interactions
from movierec_engine.errors import ConfigError, EmptyDataError, MovierecError
from movierec_engine.models.classic import svd
from movierec_engine.models.classic.svd import SVD, SVDConfig
from worlds import interactions_of

N_USERS, N_ITEMS = 12, 9
RNG = np.random.default_rng(3)
RATINGS = np.where(RNG.random((N_USERS, N_ITEMS)) < 0.5, RNG.integers(1, 11, (N_USERS, N_ITEMS)) / 2, 0)
RATINGS[0, :8], RATINGS[:, 0], RATINGS[:, 8] = 3.0, 4.0, 0  # item 8 has no rating; user 0 has the others in order


def rated_train() -> Interactions:
    user, item = np.nonzero(RATINGS)
    return Interactions(
        user=user.astype(np.int32),
        item=item.astype(np.int32),
        rating=RATINGS[user, item].astype(np.float32),
        timestamp=np.arange(len(user), dtype=np.int64),
        users=IdMap(np.arange(N_USERS)),
        items=IdMap(np.arange(N_ITEMS)),
    )


def binary_train() -> Interactions:
    return interactions_of(np.argwhere(RATINGS > 0), IdMap(np.arange(N_USERS)), IdMap(np.arange(N_ITEMS)))


def fitted(train: Interactions, **settings: object) -> SVD:
    model = SVD(SVDConfig(**settings))  # type: ignore[arg-type]
    model.fit(Dataset(train))
    return model


@pytest.mark.parametrize("biased", [True, False])
def test_scores_are_the_unclipped_predictions_of_surprise(biased: bool) -> None:
    """Surprise reads the ratings by its own way in, where item 8 is unknown."""
    rows = [(int(u), int(i), float(RATINGS[u, i]), None) for u, i in np.argwhere(RATINGS > 0)]
    trainset = surprise.Dataset(Reader(rating_scale=(0.5, 5))).construct_trainset(rows)
    settings = {"n_factors": 5, "n_epochs": 30, "lr_all": 0.01, "reg_all": 0.03, "init_std_dev": 0.1, "biased": biased}
    theirs = surprise.SVD(random_state=11, **settings).fit(trainset)
    ours = fitted(rated_train(), feedback="explicit", seed=11, **settings)
    scores = ours.score_users(np.arange(N_USERS))
    for u in range(N_USERS):
        for i in range(N_ITEMS - 1):
            assert scores[u, i] == pytest.approx(theirs.predict(u, i, clip=False).est, abs=1e-5)
        if biased:
            assert scores[u, 8] == pytest.approx(theirs.predict(u, 8, clip=False).est, abs=1e-5), "mu + b_u"
    assert (ours.item_factors[8, :5] == 0).all()
    assert ours.item_factors[8, -1] == 0


@pytest.mark.parametrize("biased", [True, False])
def test_folding_in_minimises_the_objective_of_the_ratings(biased: bool) -> None:
    """A general-purpose optimiser finds the same scores over a new user's factors and bias."""
    model = fitted(rated_train(), feedback="explicit", n_factors=3, reg_all=0.1, biased=biased)
    x = model.item_factors.astype(float)
    history, n = np.flatnonzero(RATINGS[4]), np.count_nonzero(RATINGS[4])

    def scores(values: np.ndarray) -> np.ndarray:
        return np.asarray(x[:, :3] @ values[:3] + x[:, 4] + model.mean + (values[3] if biased else 0))

    def objective(values: np.ndarray) -> float:
        return float(((RATINGS[4, history] - scores(values)[history]) ** 2).sum() + n * 0.1 * (values**2).sum())

    found = minimize(objective, np.zeros(4), tol=1e-12).x
    assert np.allclose(model.fold_in(model.history[[4]])[0], scores(found), atol=1e-4)


@pytest.mark.parametrize("biased", [True, False])
def test_folding_in_on_implicit_feedback_minimises_the_expected_objective(biased: bool) -> None:
    model = fitted(binary_train(), n_factors=3, reg_all=0.1, negatives=2, biased=biased)
    x, seen = model.item_factors.astype(float), RATINGS[4] > 0
    n, m = seen.sum(), model.negatives
    drawn = m * n / (~seen).sum()

    def scores(values: np.ndarray) -> np.ndarray:
        return np.asarray(x[:, :3] @ values[:3] + x[:, 4] + model.mean + (values[3] if biased else 0))

    def objective(values: np.ndarray) -> float:
        error = (seen - scores(values)) ** 2
        return float(error[seen].sum() + drawn * error[~seen].sum() + (1 + m) * n * 0.1 * (values**2).sum())

    found = minimize(objective, np.zeros(4), tol=1e-12).x
    assert np.allclose(model.fold_in(model.history[[4]])[0], scores(found), atol=1e-4)


@pytest.mark.parametrize("biased", [True, False])
def test_an_item_adds_what_its_rating_says_beyond_mean_and_bias(biased: bool) -> None:
    """The fold-in is linear in the ratings: with the one that mean and bias predict, an item adds nothing."""
    model = fitted(rated_train(), feedback="explicit", n_factors=3, reg_all=0.1, biased=biased)
    history, predicted = model.history[[4]], model.mean + model.item_factors[:, -1]
    why = model.explain_history(history, 0)
    for item, contribution in zip(why.items, why.contributions, strict=True):
        as_predicted = history.copy()
        as_predicted.data[as_predicted.indices == item] = predicted[item]
        assert why.score - model.fold_in(as_predicted)[0, 0] == pytest.approx(contribution, abs=1e-5)
    assert why.base == pytest.approx(predicted[0], abs=1e-5), "mu + b_i"
    trained = model.explain_user(4, 0)
    assert np.array_equal(trained.contributions, why.contributions)
    assert trained.base - why.base == pytest.approx(trained.score - why.score, abs=1e-5)


def test_on_implicit_feedback_the_pull_of_what_was_not_chosen_is_the_base() -> None:
    """A person who chose items of r = mu + b_i would have no reasons left, and the score of that is the base."""
    model = fitted(binary_train(), n_factors=3, reg_all=0.1)
    why, neutral = model.explain_history(model.history[[4]], 0), model.history[[4]]
    neutral.data = model.mean + model.item_factors[neutral.indices, -1]
    assert why.base == pytest.approx(model.fold_in(neutral)[0, 0], abs=1e-5)


def test_folding_in_at_the_fixed_point_gives_a_trained_users_scores() -> None:
    settings = {"n_factors": 3, "n_epochs": 4000, "lr_all": 0.01, "reg_all": 0.1}
    model = fitted(rated_train(), feedback="explicit", **settings)
    assert np.allclose(model.fold_in(model.history), model.score_users(np.arange(N_USERS)), atol=0.05)


def test_the_negatives_are_items_without_an_interaction() -> None:
    pairs = np.array([(user, (3 * user + k) % 9) for user in range(6) for k in range(2)])
    train = interactions_of(pairs, IdMap(np.arange(6)), IdMap(np.arange(9)))
    model, other = SVD(SVDConfig(negatives=3)), SVD(SVDConfig(negatives=3, seed=7))
    for each in (model, other):
        each.set_history(train)
    samples = model.samples(train)
    sampled = list(samples.all_ratings())
    assert sorted(other.samples(train).all_ratings()) != sorted(sampled), "the seed decides which are drawn"
    assert len(sampled) == 4 * len(train)
    assert samples.global_mean == 0.25
    for user in range(6):
        liked = set(pairs[pairs[:, 0] == user, 1])
        assert {item for of, item, value in sampled if of == user and value == 1} == liked
        assert not liked & {item for of, item, value in sampled if of == user and value == 0}


def test_negatives_do_not_outnumber_the_items_that_a_user_has_not_got() -> None:
    """With 8 of 12 items each, one zero an interaction draws each of the other 4 twice; with 2 of 12, up to 5 would."""
    drawn = []
    for each in (8, 2):
        pairs = np.array([(user, (user + k) % 12) for user in range(12) for k in range(each)])
        model = SVD(SVDConfig(negatives=8))
        model.set_history(interactions_of(pairs, IdMap(np.arange(12)), IdMap(np.arange(12))))
        drawn.append(model.negatives)
    assert drawn == [1, 5]


def test_each_pass_over_implicit_feedback_takes_all_samples_in_another_order() -> None:
    model = SVD(SVDConfig(negatives=3))
    model.set_history(binary_train())
    samples = model.samples(binary_train())
    first, second = list(samples.all_ratings()), list(samples.all_ratings())
    assert first != second
    assert sorted(first) == sorted(second)


def test_a_trained_user_of_implicit_feedback_is_folded_in() -> None:
    model = fitted(binary_train(), n_factors=3)
    assert np.allclose(model.fold_in(model.history), model.score_users(np.arange(N_USERS)), atol=1e-6)


@pytest.mark.parametrize(("n_users", "n_items", "each"), [(2000, 12, 4), (400, 150, 8)])
def test_data_without_structure_is_ranked_about_by_popularity(n_users: int, n_items: int, each: int) -> None:
    """Likes drawn by one law: a small catalogue, where steps leave noise, and a larger one, where vectors do.

    Lists are compared by the mean chance of their five items with those of the most popular ones.
    """
    rng = np.random.default_rng(0)
    chance = 1 / np.arange(1, n_items + 1) ** 0.8
    chance /= chance.sum()
    pairs = [(user, item) for user in range(n_users) for item in rng.choice(n_items, each, replace=False, p=chance)]
    train = interactions_of(np.array(pairs), IdMap(np.arange(n_users)), IdMap(np.arange(n_items)))
    model = fitted(train)
    popular = np.tile(model.popularity.astype(float), (n_users, 1))
    unseen = np.where(model.history.toarray() > 0, -np.inf, 0)
    lists = (
        np.argsort(-(scores + unseen), axis=1)[:, :5] for scores in (model.score_users(np.arange(n_users)), popular)
    )
    likes = [chance[items].sum(axis=1).mean() for items in lists]
    assert likes[0] > 0.9 * likes[1]


def test_a_strength_relative_to_the_noise_leaves_no_dimension_of_it() -> None:
    """12 items each of 150, drawn by one law: at relative_reg=1 the vectors vanish, and at a tenth they do not."""
    rng = np.random.default_rng(0)
    pairs = [(user, item) for user in range(400) for item in rng.choice(150, 12, replace=False)]
    train = interactions_of(np.array(pairs), IdMap(np.arange(400)), IdMap(np.arange(150)))
    spread = [fitted(train, relative_reg=relative).item_factors[:, :100].std() for relative in (1.0, 0.1)]
    assert spread[0] < 0.02 * spread[1]


@pytest.mark.parametrize("feedback", ["explicit", "implicit"])
def test_samples_read_a_few_at_a_time_are_the_same(feedback: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = SVD(SVDConfig(feedback=feedback, negatives=3))
    model.set_history(rated_train(), "ratings" if feedback == "explicit" else "ones")
    whole = list(model.samples(rated_train()).all_ratings())
    monkeypatch.setattr(svd, "_AT_ONCE", 5)
    assert list(model.samples(rated_train()).all_ratings()) == whole


@pytest.mark.parametrize("feedback", ["explicit", "implicit"])
def test_the_same_seed_gives_the_same_vectors_to_the_bit(feedback: str) -> None:
    first, same, other = (fitted(rated_train(), feedback=feedback, seed=seed) for seed in (1, 1, 2))
    assert np.array_equal(first.user_factors, same.user_factors)
    assert np.array_equal(first.item_factors, same.item_factors)
    assert not np.array_equal(first.item_factors, other.item_factors)


def test_a_model_of_ratings_comes_back_from_its_folder(tmp_path) -> None:  # type: ignore[no-untyped-def]
    model = fitted(rated_train(), feedback="explicit")
    assert model.uses_ratings
    model.save(tmp_path)
    loaded = SVD.load(tmp_path)
    assert np.array_equal(loaded.score_users(np.arange(N_USERS)), model.score_users(np.arange(N_USERS)))
    assert np.array_equal(loaded.fold_in(model.history), model.fold_in(model.history))


def test_values_that_are_counts_are_no_ratings_unless_asked_for() -> None:
    train = rated_train()
    hours = replace(train, rating=(train.rating**9).astype(np.float32))
    by_default, of_ones = fitted(hours, seed=1), fitted(binary_train(), seed=1)
    assert by_default.history_values == "ones"
    assert np.array_equal(by_default.item_factors, of_ones.item_factors)


def test_a_diverging_descent_is_refused() -> None:
    with np.errstate(all="ignore"), pytest.raises(MovierecError, match=r"model\.lr_all=9"):
        fitted(rated_train(), feedback="explicit", lr_all=9.0)


def test_explicit_feedback_needs_ratings_that_differ() -> None:
    with pytest.raises(ConfigError, match=r"model\.feedback=explicit"):
        fitted(binary_train(), feedback="explicit")


@pytest.mark.parametrize(
    "settings",
    [
        {"n_factors": 0},
        {"n_epochs": 0},
        {"lr_all": 0.0},
        {"relative_lr": 0.0},
        {"reg_all": -0.1},
        {"relative_reg": 0.0},
        {"negatives": 0},
    ],
)
def test_values_out_of_range_are_refused(settings: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=f"model.{next(iter(settings))}="):
        SVDConfig(**settings)  # type: ignore[arg-type]


def test_users_of_few_interactions_learn_faster_by_default() -> None:
    """The rates are as 1 / sqrt(interactions of a user): .18 / 2 for four of each, and half of that for sixteen."""
    rates = []
    for each in (4, 16):
        pairs = np.array([(user, item) for user in range(3) for item in range(each)])
        train = interactions_of(pairs, IdMap(np.arange(3)), IdMap(np.arange(20)))
        rates.append(SVD(n_epochs=1).fit(Dataset(train)).lr_all)
    assert rates == pytest.approx([0.09, 0.045])


def test_who_has_everything_is_left_out_of_what_is_sampled_and_changes_no_vector_of_items() -> None:
    pairs = np.argwhere(RATINGS[:, :8] > 0)
    users, items = IdMap(np.arange(N_USERS)), IdMap(np.arange(8))  # user 0 has all of these
    with_all = fitted(interactions_of(pairs, users, items), lr_all=0.01, reg_all=0.02)
    without = fitted(interactions_of(pairs[pairs[:, 0] > 0], users, items), lr_all=0.01, reg_all=0.02)
    assert np.array_equal(with_all.item_factors, without.item_factors)
    assert np.isfinite(with_all.fold_in(with_all.history)).all() and np.isfinite(with_all.score([0])).all()


def test_data_of_which_everybody_has_everything_is_refused() -> None:
    pairs = np.array([(0, 0), (0, 1), (1, 0), (1, 1)])
    with pytest.raises(EmptyDataError, match="svd: every user of train has an interaction with every item"):
        fitted(interactions_of(pairs, IdMap(np.arange(2)), IdMap(np.arange(2))))
