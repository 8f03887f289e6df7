"""Popularity as the prior of models of items' weights: what they go by where train says little, and by how much."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse

from movierec_engine.data.dataset import Dataset
from movierec_engine.data.id_map import IdMap
from movierec_engine.data.interactions import Interactions
from movierec_engine.errors import ConfigError
from movierec_engine.evaluation import Evaluator
from movierec_engine.models import EASE, GFCF, ItemCF, Markov, Popularity, Recommender
from movierec_engine.models.classic.ease import unknown_shares
from movierec_engine.models.classic.long_histories import rooted
from movierec_engine.models.ensemble.hybrid import HybridEnsemble
from movierec_engine.models.fold_in import fold_in_from_arrays
from movierec_engine.models.fold_in.base import AGAINST, Basis
from movierec_engine.models.fold_in.prior import queries, strengths
from worlds import interactions_of

MODELS: dict[str, Callable[[], Recommender]] = {
    "ease": EASE,
    "ease with neighbours": lambda: EASE(neighbours=20),
    "item_cf": ItemCF,
    "user_cf": lambda: ItemCF(user_based=True),
    "gf_cf": GFCF,
}
OF_ITEMS = [name for name in MODELS if name != "user_cf"]
EVALUATOR = Evaluator([10], ("ndcg",))


def camps() -> Interactions:
    """Items 0 to 3 and 4 to 7 go together, 8 to 11 have been met alone, the last ones by the most people."""
    pairs = [(u, 4 * (u % 2) + (u // 2 + place) % 4) for u in range(40) for place in (0, 1)]
    alone = [item for item, count in ((8, 2), (9, 9), (10, 3), (11, 12)) for _ in range(count)]
    pairs += [(40 + place, item) for place, item in enumerate(alone)]
    return interactions_of(np.array(pairs), IdMap(np.arange(40 + len(alone))), IdMap(np.arange(12)))


CAMPS = camps()


def drawn(n_users: int, n_items: int, lengths: np.ndarray) -> Dataset:
    """Everybody has the popular items the more often, and those of their own fifth six times as often."""
    rng, pairs = np.random.default_rng(3), []
    for user in range(n_users):
        odds = np.arange(1, n_items + 1) ** -0.8
        odds[user % 5 :: 5] *= 6
        pairs += [(user, item) for item in rng.choice(n_items, lengths[user], replace=False, p=odds / odds.sum())]
    users, items = np.array(pairs).T
    return Dataset.from_frame({"user_id": users, "movie_id": rng.permutation(n_items)[items]})


def times_popularity(data: Dataset, model: Recommender) -> float:
    """ndcg@10 on validation, over that of popularity."""
    train, _ = data.split()
    own, floor = (
        EVALUATOR.evaluate(one.fit(train), train.validation, deep=False).metrics["ndcg@10"]
        for one in (model, Popularity())
    )
    return float(own / floor)


@pytest.mark.parametrize("name", [*MODELS, "markov"])
def test_data_of_few_interactions_a_user_is_served_as_well_as_by_popularity(name: str) -> None:
    lengths = 1 + np.random.default_rng(1).poisson(0.5, 3000)
    model = Markov() if name == "markov" else MODELS[name]()
    assert times_popularity(drawn(3000, 500, lengths), model) > 0.95


@pytest.mark.parametrize("name", [*OF_ITEMS, "markov"])
def test_a_few_users_of_nearly_everything_bring_nobody_below_popularity(name: str) -> None:
    lengths = np.full(800, 4)
    lengths[:4] = 380
    model = Markov() if name == "markov" else MODELS[name]()
    assert times_popularity(drawn(800, 400, lengths), model) > 0.9


def test_long_histories_count_as_much_as_those_of_five_times_the_mean() -> None:
    pairs = [(0, item) for item in range(60)] + [(user, user) for user in range(1, 21)]
    history = interactions_of(np.array(pairs), IdMap(np.arange(21)), IdMap(np.arange(60))).history("ones")
    weights = rooted(history).toarray() ** 2
    assert weights[0] == pytest.approx(np.full(60, (5 * (80 / 21) / 60) ** 2))
    assert np.array_equal(weights[1:], history.toarray()[1:])


@pytest.mark.parametrize("name", OF_ITEMS)
def test_what_no_weight_speaks_of_is_ordered_by_popularity(name: str) -> None:
    """User 0 has items 0 and 1, which say nothing of 8 to 11; trained, as a newcomer, and by the vectors."""
    model = MODELS[name]().fit(Dataset(CAMPS))
    folded_in, scorer = model.fold_in(model.history[[0]])[0], model.fold_in_scorer()
    again = fold_in_from_arrays(scorer.arrays(), Basis(scorer.basis.vectors, model.history))
    assert np.array_equal(again.scores(model.history[[0]])[0], folded_in)
    ways = [model.score_users(np.array([0]))[0], folded_in]
    if model.exact_vectors:
        ways.append((model.query_vectors(np.array([0])) @ model.item_vectors().T)[0])
    for scores in ways:
        assert (8 + np.argsort(-scores[8:])).tolist() == [11, 9, 10, 8]
        assert scores[[2, 3]].min() > scores[4:8].max(), "of equally popular ones those that it speaks for come first"
        assert scores == pytest.approx(folded_in, abs=1e-6)


@pytest.mark.parametrize("name", MODELS)
def test_popularity_is_no_items_reason_but_the_base_of_a_score(name: str) -> None:
    model = MODELS[name]().fit(Dataset(CAMPS))
    why = model.explain_user(0, 11)
    assert why.score > 0
    assert np.abs(why.contributions).max() < 1e-6
    assert why.base == pytest.approx(why.score, abs=1e-6)
    assert why.exact


@pytest.mark.parametrize("name", MODELS)
def test_without_a_prior_there_is_none_and_an_older_saved_model_has_none(name: str, tmp_path: Path) -> None:
    model = MODELS[name]()
    kind, settings = type(model), {**vars(model.config), "prior": 0.0}
    plain = kind(**settings).fit(Dataset(CAMPS))
    assert plain.score_users(np.array([0]))[0, 8:] == pytest.approx(np.zeros(4), abs=1e-6)
    plain.save(tmp_path)
    older = (tmp_path / "model.json").read_text(encoding="utf-8").replace('"prior": 0.0', '"prior": 5.0')
    (tmp_path / "model.json").write_text(older, encoding="utf-8")
    loaded, users = kind.load(tmp_path), np.arange(10)
    assert np.array_equal(loaded.score_users(users), plain.score_users(users))


@pytest.mark.parametrize("name", OF_ITEMS)
def test_a_dislike_says_nothing_against_what_is_popular(name: str) -> None:
    model = MODELS[name]().fit(Dataset(CAMPS))
    scorer = model.fold_in_scorer()
    liked, disliked = (sparse.csr_matrix(np.isin(np.arange(12), of)[None], dtype=np.float32) for of in ([0], [4, 5]))
    scores, of_likes = (scorer.taste_scores(liked, one)[0] for one in (disliked, sparse.csr_matrix((1, 12))))
    assert scores[8:] == pytest.approx(of_likes[8:], abs=1e-6)
    lowered = AGAINST * scorer.contributions(disliked, np.array([6, 7])).sum(axis=1)
    assert of_likes[6:8] - scores[6:8] == pytest.approx(lowered, abs=1e-6)


def test_ease_is_drawn_to_popularity_by_as_much_as_train_leaves_open() -> None:
    """By what minimises |X - X B|^2 + l2 |B - c 1 q^T|^2, the diagonal free, less the same with c = 0."""
    x, l2 = CAMPS.matrix().toarray().astype(float), 7.0
    model = EASE(l2=l2, prior=3.0).fit(Dataset(CAMPS))
    m, q = x.sum() / len(x), x.sum(axis=0) / x.sum()
    c = 3.0 * 10 / (m * (10 + m))
    gram = x.T @ x
    free, drawn_to_q = (
        np.linalg.solve(gram + l2 * np.eye(12), gram + l2 * weight * np.outer(np.ones(12), q)) for weight in (0, c)
    )
    scores = x @ (model.weights + drawn_to_q - free)
    assert model.score_users(np.arange(len(x))) == pytest.approx(scores, abs=1e-3 * c * q.max())
    assert unknown_shares(sparse.csr_matrix(x), l2) == pytest.approx(
        np.linalg.solve(gram + l2 * np.eye(12), np.full(12, l2)), abs=1e-3
    )


def test_the_less_is_told_of_people_the_more_popularity_counts() -> None:
    """What a mean user's items weigh together is prior 10 / (10 + m)."""
    for each in (1, 10, 90):
        history = sparse.csr_matrix(np.ones((4, each), dtype=np.float32))
        r = strengths(2.0, history, np.ones(each))
        assert r is not None
        assert queries(history, r).toarray()[:, -1] == pytest.approx(np.full(4, 2 * 10 / (10 + each)))


def test_queries_are_histories_with_one_entry_more() -> None:
    histories = sparse.csr_matrix(np.array([[0, 2, 0, 1], [0, 0, 0, 0], [1, 0, 0, 0]], dtype=np.float32))
    found = queries(histories, np.array([0.5, 0.25, 1, 2], dtype=np.float32)).toarray()
    assert found.tolist() == [[0, 2, 0, 1, 2.5], [0, 0, 0, 0, 0], [1, 0, 0, 0, 0.5]]
    assert queries(histories, None) is histories


@pytest.mark.parametrize("model", [EASE, ItemCF, GFCF])
@pytest.mark.parametrize("prior", [-1.0, float("nan")])
def test_a_prior_that_is_none_is_refused(model: type[Recommender], prior: float) -> None:
    with pytest.raises(ConfigError, match=r"model\.prior="):
        model(prior=prior)


def test_the_default_ensemble_is_no_worse_than_popularity_where_its_other_members_are() -> None:
    assert "popularity" in HybridEnsemble().config.models
    train, _ = drawn(1000, 200, 1 + np.random.default_rng(1).poisson(0.5, 1000)).split()
    members = {"ease": EASE(prior=0), "item_cf": ItemCF(prior=0), "popularity": Popularity()}
    for one in members.values():
        one.fit(train)
    measured = [HybridEnsemble().start_from(members).fit(train).as_validated(), *members.values()]
    ensemble, *alone, floor = (
        EVALUATOR.evaluate(one, train.validation, deep=False).metrics["ndcg@10"] for one in measured
    )
    assert max(alone) < 0.8 * floor
    assert ensemble >= 0.99 * floor


@pytest.mark.parametrize("method", ["weighted_average", "rrf"])
def test_weights_that_nobody_learned_are_those_of_personal_members(method: str) -> None:
    members = {"ease": EASE(), "popularity": Popularity(), "item_cf": ItemCF()}
    for one in members.values():
        one.fit(Dataset(CAMPS))
    ensemble = HybridEnsemble(fusion_method=method, learn_weights=False).start_from(members).fit(Dataset(CAMPS))
    assert ensemble.weights.tolist() == [[0.5, 0, 0.5]] * 4
