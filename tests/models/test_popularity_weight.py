"""Popularity beside what models learn: by a weight that validation decides."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from movierec_engine.data.dataset import Dataset
from movierec_engine.errors import ConfigError
from movierec_engine.evaluation import Evaluator
from movierec_engine.models import ALS, EASE, GFCF, GMF, NGCF, SVD, ItemCF, LightGCN, Markov, Popularity, SASRec
from movierec_engine.models.classic.prior_strength import PriorStrength
from movierec_engine.models.ensemble.hybrid import HybridEnsemble
from movierec_engine.models.fitting import Fitting
from movierec_engine.models.fold_in import fold_in_from_arrays
from movierec_engine.models.popularity_weight import PopularityWeighted
from movierec_engine.training.config import TrainerConfig

MODELS: dict[str, Callable[..., PopularityWeighted]] = {
    "als": lambda **given: ALS(embedding_dim=8, epochs=3, **given),
    "svd": lambda **given: SVD(n_factors=8, n_epochs=5, **given),
    "gmf": lambda **given: GMF(mf_dim=8, **given),
    "lightgcn": lambda **given: LightGCN(embedding_dim=8, num_layers=1, **given),
    "lightgcn of cosines": lambda **given: LightGCN(embedding_dim=8, num_layers=1, cosine=True, **given),
    "ngcf": lambda **given: NGCF(embedding_dim=8, hidden_dims=(8,), **given),
    "sasrec": lambda **given: SASRec(embedding_dim=8, num_blocks=1, max_length=20, **given),
}
OF_A_PRIOR: dict[str, Callable[..., PriorStrength]] = {
    "ease": lambda prior=6.0, **given: EASE(prior=prior, **given),
    "item_cf": lambda prior=30.0, **given: ItemCF(prior=prior, **given),
    "user_cf": lambda prior=30.0, **given: ItemCF(prior=prior, user_based=True, **given),
    "gf_cf": lambda prior=8.0, **given: GFCF(prior=prior, **given),
}
WEIGHT = 1.5
FEW_EPOCHS = Fitting(TrainerConfig(max_epochs=3))
EVALUATOR = Evaluator([10], ("ndcg",))


def drawn(n_users: int, n_items: int, mean: float, groups: int, crawlers: int = 0) -> Dataset:
    """Popularity falls as Zipf's law has it; items of a user's own group are drawn fifty times as often.

    The first users, crawlers, have all items but 20.
    """
    rng, pairs = np.random.default_rng(4), []
    for user in range(n_users):
        odds = np.arange(1, n_items + 1) ** -0.8
        odds[user % groups :: groups] *= 50
        length = n_items - 20 if user < crawlers else min(n_items, 1 + rng.poisson(mean - 1))
        pairs += [(user, item) for item in rng.choice(n_items, length, replace=False, p=odds / odds.sum())]
    users, items = np.array(pairs).T
    return Dataset.from_frame({"user_id": users, "movie_id": rng.permutation(n_items)[items]})


SHORT, _ = drawn(2500, 400, 1.5, 1).split()
TASTES, _ = drawn(150, 60, 12, 5).split()


def b_of(model: PopularityWeighted) -> np.ndarray:
    """weight * s * z, written out."""
    z = np.log(1 + np.bincount(TASTES.train.item, minlength=TASTES.train.n_items))
    return WEIGHT * model.popularity_scale * (z - z.mean()) / z.std()


@pytest.mark.parametrize("name", MODELS)
def test_the_prior_is_added_to_the_scores_of_everybody_and_to_what_an_index_holds(name: str, tmp_path: Path) -> None:
    without = MODELS[name](popularity_weight=0.0).fit(TASTES, FEW_EPOCHS)
    model = MODELS[name](popularity_weight=WEIGHT).fit(TASTES, FEW_EPOCHS)
    users = np.arange(TASTES.train.n_users)
    plain = without.score_known(users)
    assert model.popularity_scale == pytest.approx(np.median(plain.std(axis=1)), rel=0.1)
    expected = plain + b_of(model)
    close: dict[str, Any] = {"rtol": 1e-4, "atol": 1e-4}
    np.testing.assert_allclose(model.score_known(users), expected, **close)
    np.testing.assert_allclose(model.query_vectors(users) @ model.item_vectors().T, expected, **close)
    histories = TASTES.train.history(model.history_values)[:9]
    folded = without.fold_in(histories) + b_of(model)
    np.testing.assert_allclose(model.fold_in(histories), folded, **close)
    restored = fold_in_from_arrays(model.fold_in_scorer().arrays(), model.basis())
    np.testing.assert_allclose(restored.scores(histories), folded, **close)
    model.save(tmp_path)
    np.testing.assert_array_equal(type(model).load(tmp_path).score_known(users), model.score_known(users))


@pytest.mark.parametrize("name", MODELS)
def test_the_prior_is_no_reason_and_makes_no_items_alike(name: str) -> None:
    without = MODELS[name](popularity_weight=0.0).fit(TASTES, FEW_EPOCHS)
    model = MODELS[name](popularity_weight=WEIGHT).fit(TASTES, FEW_EPOCHS)
    for one, other in zip(without.most_similar(np.arange(5), 4), model.most_similar(np.arange(5), 4), strict=True):
        np.testing.assert_array_equal(one, other)
    plain, why = (one.explain_history(model.history[:1], 7) for one in (without, model))
    np.testing.assert_allclose(why.contributions, plain.contributions, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", ["als", "gmf"])
def test_where_rows_are_short_it_lifts_a_model_to_popularity(name: str) -> None:
    kind = {"als": ALS, "gmf": GMF}[name]
    popular, with_it, without = (
        EVALUATOR.evaluate(model.fit(SHORT), SHORT.validation).metrics["ndcg@10"]
        for model in (Popularity(), kind(), kind(popularity_weight=0.0))
    )
    assert without < 0.9 * popular
    assert with_it > 0.95 * popular


@pytest.mark.parametrize("name", OF_A_PRIOR)
def test_a_prior_is_made_stronger_by_the_weight(name: str, tmp_path: Path) -> None:
    users, kind = np.arange(TASTES.train.n_users), OF_A_PRIOR[name]
    first = kind(popularity_weight=0.0)
    model = kind(popularity_weight=WEIGHT).fit(TASTES)
    stronger = kind(prior=first.config.prior * (1 + 8 * WEIGHT), popularity_weight=0.0).fit(TASTES)
    np.testing.assert_allclose(model.score_users(users), stronger.score_users(users), rtol=1e-4, atol=1e-5)
    assert not np.allclose(model.score_users(users), first.fit(TASTES).score_users(users), rtol=1e-2)
    np.testing.assert_allclose(
        model.fold_in(model.history[:9]), stronger.fold_in(model.history[:9]), rtol=1e-4, atol=1e-5
    )
    model.save(tmp_path)
    loaded = type(model).load(tmp_path)
    np.testing.assert_array_equal(loaded.score_users(users), model.score_users(users))
    assert loaded.popularity_weight == WEIGHT
    refit = kind().fit_like(tmp_path, Dataset(TASTES.train))
    np.testing.assert_allclose(refit.score_users(users), model.score_users(users), rtol=1e-5, atol=1e-6)


def test_so_is_that_of_transitions(tmp_path: Path) -> None:
    users, plain, model = (
        np.arange(9),
        Markov(popularity_weight=0.0).fit(TASTES),
        Markov(popularity_weight=WEIGHT).fit(TASTES),
    )
    prior = plain.fold_in_scorer().queries(plain.history[:9]).toarray()[:, [-1]] * plain.prior
    np.testing.assert_allclose(model.score_users(users), plain.score_users(users) + 8 * WEIGHT * prior, rtol=1e-4)
    model.save(tmp_path)
    np.testing.assert_array_equal(Markov.load(tmp_path).score_users(users), model.score_users(users))


def test_a_few_users_of_nearly_everything_bring_no_filter_of_their_graph_below_popularity() -> None:
    data = drawn(1000, 500, 4, 1, crawlers=5).split()[0]
    popular, with_it, without = (
        EVALUATOR.evaluate(model.fit(data), data.validation).metrics["ndcg@10"]
        for model in (Popularity(), GFCF(), GFCF(popularity_weight=0.0))
    )
    assert without < 0.95 * popular
    assert with_it > 0.97 * popular


def test_without_a_prior_no_weight_makes_it_stronger() -> None:
    model, plain = (EASE(prior=0.0, popularity_weight=weight).fit(TASTES) for weight in (2.0, 0.0))
    assert model.popularity_weight == 0
    np.testing.assert_array_equal(model.score_users(np.arange(9)), plain.score_users(np.arange(9)))


def test_where_there_is_much_to_learn_it_has_no_weight() -> None:
    model = ALS(embedding_dim=16).fit(TASTES)
    assert model.popularity_weight == 0
    assert model.item_vectors().shape == (TASTES.train.n_items, 16)


def test_without_validation_it_has_no_weight_and_a_refit_takes_over_that_of_the_measured_model(tmp_path: Path) -> None:
    measured = ALS(embedding_dim=8).fit(SHORT)
    measured.save(tmp_path)
    alone = Dataset(SHORT.train)
    assert measured.popularity_weight > 0
    assert ALS(embedding_dim=8).fit(alone).popularity_weight == 0
    assert ALS(embedding_dim=8).fit_like(tmp_path, alone).popularity_weight == measured.popularity_weight


def test_an_ensemble_fuses_and_folds_in_what_its_members_score_with_it(tmp_path: Path) -> None:
    members = {name: MODELS[name](popularity_weight=WEIGHT).fit(TASTES, FEW_EPOCHS) for name in ("als", "gmf", "svd")}
    model = HybridEnsemble(models=tuple(members)).start_from(members).fit(TASTES)
    index_copy = fold_in_from_arrays(model.fold_in_scorer().arrays(), model.basis())
    histories = TASTES.train.history("ones")[:9]
    np.testing.assert_allclose(index_copy.scores(histories), model.fold_in(histories), rtol=1e-4, atol=1e-4)
    model.save(tmp_path)
    np.testing.assert_allclose(
        HybridEnsemble.load(tmp_path).score_users(np.arange(9)), model.score_users(np.arange(9)), rtol=1e-6
    )


def test_predicted_ratings_stay_what_they_are() -> None:
    rng = np.random.default_rng(0)
    frame = {
        "user_id": np.repeat(np.arange(30), 8),
        "movie_id": rng.integers(0, 20, 240),
        "rating": rng.integers(1, 6, 240),
    }
    data, _ = Dataset.from_frame(frame).split()
    model = SVD(feedback="explicit", popularity_weight=2.0).fit(data)
    assert model.popularity_weight == 0


def test_a_weight_below_0_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"model.popularity_weight=-1.* must not be below 0"):
        ALS(popularity_weight=-1.0)
