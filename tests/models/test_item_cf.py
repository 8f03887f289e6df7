import numpy as np
import pytest
import surprise
from scipy import sparse
from surprise import Reader

from movierec_engine.data.dataset import Dataset
from movierec_engine.data.id_map import IdMap
from movierec_engine.data.interactions import Interactions
from movierec_engine.errors import ConfigError
from movierec_engine.models.classic import neighbourhood
from movierec_engine.models.classic.item_cf import ItemCF
from movierec_engine.models.classic.neighbourhood import ItemCFConfig, item_baselines, similarity_blocks, strongest
from worlds import interactions_of

N_USERS, N_ITEMS = 30, 12
RNG = np.random.default_rng(7)
RATINGS = np.where(RNG.random((N_USERS, N_ITEMS)) < 0.4, RNG.integers(1, 11, (N_USERS, N_ITEMS)) / 2, 0)
RATINGS[:, 0], RATINGS[0, :] = 3.0, 3.5  # item 0 has equal ratings but one

WITH_RATINGS = ["cosine", "msd", "pearson", "pearson_baseline"]


def rated_train(ratings: np.ndarray = RATINGS) -> Interactions:
    user, item = np.nonzero(ratings)
    return Interactions(
        user=user.astype(np.int32),
        item=item.astype(np.int32),
        rating=ratings[user, item].astype(np.float32),
        timestamp=np.arange(len(user), dtype=np.int64),
        users=IdMap(np.arange(ratings.shape[0])),
        items=IdMap(np.arange(ratings.shape[1])),
    )


def binary_train() -> Interactions:
    return interactions_of(np.argwhere(RATINGS > 0), IdMap(np.arange(N_USERS)), IdMap(np.arange(N_ITEMS)))


def fitted(train: Interactions, **settings: object) -> ItemCF:
    """By the neighbours alone, unless a prior is given."""
    model = ItemCF(ItemCFConfig(**{"prior": 0.0, **settings}))  # type: ignore[arg-type]
    model.fit(Dataset(train))
    return model


def surprise_similarities(name: str, user_based: bool, shrinkage: float, min_support: int = 1) -> np.ndarray:
    """Surprise's own matrix, its inner ids put back into the order of our indices."""
    rows = [(int(u), int(i), float(RATINGS[u, i]), None) for u, i in np.argwhere(RATINGS > 0)]
    trainset = surprise.Dataset(Reader(rating_scale=(0.5, 5))).construct_trainset(rows)
    options = {"name": name, "user_based": user_based, "shrinkage": shrinkage, "min_support": min_support}
    algorithm = surprise.AlgoBase(sim_options=options)
    algorithm.fit(trainset)
    inner = trainset.to_inner_uid if user_based else trainset.to_inner_iid
    order = [inner(index) for index in range(N_USERS if user_based else N_ITEMS)]
    return np.asarray(algorithm.compute_similarities()[np.ix_(order, order)])


def all_similarities(model: ItemCF, train: Interactions) -> np.ndarray:
    """Of all pairs, before the strongest are kept; the diagonal is the formula's."""
    model.set_history(train, model.learns_from(train))
    rows, config = model.comparable(), model.config.of_history(model.history)
    return np.concatenate([block for _, block in similarity_blocks(rows, rows, config, model.uses_ratings)])


@pytest.mark.parametrize("user_based", [False, True])
@pytest.mark.parametrize("min_k", [1, 4])
@pytest.mark.parametrize(
    ("similarity", "shrinkage"), [(name, 0.0) for name in WITH_RATINGS] + [("pearson_baseline", 100.0)]
)
def test_similarities_are_those_of_surprise(similarity: str, shrinkage: float, min_k: int, user_based: bool) -> None:
    config = ItemCFConfig(
        similarity=similarity, shrinkage=shrinkage, min_k=min_k, user_based=user_based, feedback="explicit"
    )
    found = all_similarities(ItemCF(config), rated_train())
    expected = surprise_similarities(similarity, user_based, shrinkage, min_k)
    others = ~np.eye(len(expected), dtype=bool)
    assert np.abs(found - expected)[others].max() < 1e-6
    assert np.count_nonzero(expected[others]) > 20


@pytest.mark.parametrize("similarity", ["cosine", "msd", "pearson"])
def test_shrinkage_multiplies_by_the_share_of_common_users(similarity: str) -> None:
    plain, shrunk = (
        all_similarities(
            ItemCF(ItemCFConfig(similarity=similarity, shrinkage=shrinkage, feedback="explicit")), rated_train()
        )
        for shrinkage in (0.0, 10.0)
    )
    common = (RATINGS > 0).astype(float).T @ (RATINGS > 0)
    assert np.allclose(shrunk, plain * common / (common + 10), atol=1e-6)


def test_baselines_are_those_of_surprise() -> None:
    rows = [(int(u), int(i), float(RATINGS[u, i]), None) for u, i in np.argwhere(RATINGS > 0)]
    trainset = surprise.Dataset(Reader(rating_scale=(0.5, 5))).construct_trainset(rows)
    algorithm = surprise.AlgoBase(bsl_options={"method": "als"})
    algorithm.fit(trainset)
    _, item_bias = algorithm.compute_baselines()
    expected = [trainset.global_mean + item_bias[trainset.to_inner_iid(i)] for i in range(N_ITEMS)]
    assert np.allclose(item_baselines(rated_train().ratings_matrix()), expected, atol=1e-9)


def test_equal_ratings_correlate_with_nothing_whatever_their_rounding() -> None:
    ratings = np.where(RATINGS > 0, RATINGS, 0)
    for equal in (0.1, 0.7, 1.1, 2.3, 3.7, 4.9):
        ratings[:, 0] = equal
        model = fitted(rated_train(ratings), similarity="pearson", k=N_ITEMS)
        assert model.weights[0].nnz == 0
        assert np.isfinite(all_similarities(model, rated_train(ratings))).all()


@pytest.mark.parametrize(("alpha", "shrinkage"), [(0.0, 0.0), (0.5, 0.0), (0.6, 0.0), (0.6, 5.0)])
def test_the_implicit_cosine_counts_common_users_over_all_users(alpha: float, shrinkage: float) -> None:
    """And is multiplied by n / (n + shrinkage) of the n common users."""
    model = fitted(binary_train(), k=N_ITEMS, alpha=alpha, implicit_shrinkage=shrinkage)
    users_of = [set(np.flatnonzero(RATINGS[:, i])) for i in range(N_ITEMS)]
    for i in range(N_ITEMS):
        for j in range(N_ITEMS):
            common = len(users_of[i] & users_of[j])
            expected = common / (len(users_of[i]) ** (1 - alpha) * len(users_of[j]) ** alpha)
            expected *= common / max(1, common + shrinkage)
            assert model.weights[i, j] == pytest.approx(expected if i != j else 0, abs=1e-6)


@pytest.mark.parametrize("feedback", ["implicit", "explicit"])
def test_an_items_score_sums_its_kept_neighbours_in_the_history(feedback: str) -> None:
    model = fitted(rated_train(), k=3, feedback=feedback)
    similar, scores = all_similarities(model, rated_train()), model.score_users(np.arange(N_USERS))
    values = RATINGS if feedback == "explicit" else (RATINGS > 0)
    for i in range(N_ITEMS):
        neighbours = sorted((j for j in range(N_ITEMS) if j != i), key=lambda j: (-similar[i, j], j))[:3]
        expected = sum(similar[i, j] * values[:, j] for j in neighbours)
        assert np.allclose(scores[:, i], expected, atol=1e-5)


@pytest.mark.parametrize("feedback", ["implicit", "explicit"])
def test_a_users_scores_sum_the_histories_of_the_users_neighbours(feedback: str) -> None:
    model = fitted(rated_train(), k=3, feedback=feedback, user_based=True)
    similar, scores = all_similarities(model, rated_train()), model.score_users(np.arange(N_USERS))
    values = RATINGS if feedback == "explicit" else (RATINGS > 0)
    for u in range(N_USERS):
        neighbours = sorted((v for v in range(N_USERS) if v != u), key=lambda v: (-similar[u, v], v))[:3]
        assert np.allclose(scores[u], sum(similar[u, v] * values[v] for v in neighbours), atol=1e-5)


@pytest.mark.parametrize("similarity", WITH_RATINGS)
def test_a_new_user_has_the_similarities_of_a_trained_user_with_that_history(similarity: str) -> None:
    model = fitted(rated_train(), similarity=similarity, user_based=True, k=N_USERS, min_k=2, feedback="explicit")
    similar = np.maximum(all_similarities(model, rated_train()), 0)
    assert np.allclose(model.fold_in(model.history), similar @ RATINGS, atol=1e-4)


def test_a_new_user_of_an_item_based_model_scores_as_a_trained_user_with_that_history() -> None:
    model = fitted(rated_train(), feedback="explicit")
    assert np.array_equal(model.fold_in(model.history), model.score_users(np.arange(N_USERS)))


@pytest.mark.parametrize("similarity", WITH_RATINGS)
@pytest.mark.parametrize("user_based", [False, True])
@pytest.mark.parametrize("prior", [0.0, 30.0])
def test_scores_are_the_inner_products_of_the_vectors(similarity: str, user_based: bool, prior: float) -> None:
    model = fitted(rated_train(), similarity=similarity, user_based=user_based, k=4, shrinkage=5.0, prior=prior)
    users = np.arange(N_USERS)
    assert np.allclose(model.query_vectors(users) @ model.item_vectors().T, model.score_users(users), atol=1e-5)


@pytest.mark.parametrize("feedback", ["implicit", "explicit"])
def test_an_item_of_the_history_adds_its_similarity_times_its_rating(feedback: str) -> None:
    model = fitted(rated_train(), k=3, feedback=feedback)
    similar, values = model.weights.toarray(), RATINGS if feedback == "explicit" else (RATINGS > 0)
    for user, item in [(2, 1), (5, 8)]:
        why = model.explain_user(user, item)
        assert why.contributions == pytest.approx(similar[item, why.items] * values[user, why.items], abs=1e-6)
        assert why.base == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize("folded_in", [False, True])
@pytest.mark.parametrize("similarity", ["implicit", *WITH_RATINGS])
def test_a_neighbours_vote_is_split_over_the_items_in_common(similarity: str, folded_in: bool) -> None:
    """Nothing is lost in the split; and an item that no voter has is no reason."""
    options = {"feedback": "implicit"} if similarity == "implicit" else {"similarity": similarity}
    model = fitted(rated_train(), user_based=True, k=4, **options)
    for user, item in [(2, 3), (5, 8), (7, 0)]:
        history = model.history[[user]]
        why = model.explain_history(history, item) if folded_in else model.explain_user(user, item)
        assert why.base == pytest.approx(0, abs=1e-4)
        if not folded_in:
            voters = model.weights[user].indices
            voters = voters[RATINGS[voters, item] > 0]
            without = (RATINGS[voters][:, why.items] == 0).all(axis=0)
            assert (why.contributions[without] == 0).all()


def test_the_split_of_a_vote_by_hand() -> None:
    """User 0 rated items 0 and 1 with 1 and 2. User 1, with 4 and 1 for them, has item 2, rated 5.

    The similarity is (1 * 4 + 2 * 1) / sqrt(5 * 17), so that item 0 has two thirds of the vote and item 1 one.
    """
    model = fitted(rated_train(np.array([[1, 2, 0], [4, 1, 5]])), user_based=True, feedback="explicit", shrinkage=0.0)
    why = model.explain_user(0, 2)
    vote = 6 / np.sqrt(85) * 5
    assert why.items.tolist() == [0, 1]
    assert why.contributions == pytest.approx([vote * 2 / 3, vote / 3], rel=1e-5)


def test_a_similarity_of_fewer_than_min_k_common_users_does_not_count() -> None:
    model = fitted(binary_train(), k=N_ITEMS, min_k=5)
    common = (RATINGS > 0).astype(int).T @ (RATINGS > 0).astype(int)
    kept = model.weights.toarray() > 0
    assert np.array_equal(kept, (common >= 5) & ~np.eye(N_ITEMS, dtype=bool))


def test_a_neighbours_long_history_is_discounted_the_more_the_longer_histories_are() -> None:
    history = sparse.csr_matrix(np.ones((2, 12)))
    assert ItemCFConfig(user_based=True).of_history(history).alpha == 0.5
    assert ItemCFConfig(user_based=True).of_history(sparse.csr_matrix(np.ones((2, 200)))).alpha == 0.75
    assert ItemCFConfig(user_based=True, alpha=0.2).of_history(history).alpha == 0.2
    assert ItemCFConfig().of_history(history).alpha == 0.6
    of_users, train = (RATINGS > 0).sum(axis=1), binary_train()
    alpha = of_users.mean() / (of_users.mean() + 12)
    by_default, given = (fitted(train, user_based=True, **more) for more in ({}, {"alpha": alpha}))
    assert np.array_equal(by_default.weights.toarray(), given.weights.toarray())
    folded_in = (model.fold_in_scorer().scores(train.matrix()) for model in (by_default, given))
    assert np.array_equal(*folded_in)


@pytest.mark.parametrize(
    ("density", "of_users", "of_items"),
    [(0.05, 50, 100), (0.008, 50, 100), (0.004, 100, 100), (0.0025, 160, 160), (0.001, 400, 200), (0, 400, 200)],
)
def test_there_are_the_more_neighbours_the_fewer_of_them_have_an_item(
    density: float, of_users: int, of_items: int
) -> None:
    assert ItemCFConfig(user_based=True).neighbours(False, density) == of_users
    assert ItemCFConfig().neighbours(False, density) == of_items
    assert ItemCFConfig().neighbours(True, density) == 30
    for user_based in (False, True):
        assert ItemCFConfig(user_based=user_based, k=7).neighbours(False, density) == 7


def test_ties_for_the_last_neighbour_go_to_the_lower_index() -> None:
    similar = np.array([[0.5, 0.9, 0.5, 0.5], [0.0, -0.1, 0.2, 0.0], [0.3, 0.3, 0.3, 0.3]], dtype=np.float32)
    expected = [[0.5, 0.9, 0, 0], [0, 0, 0.2, 0], [0.3, 0.3, 0, 0]]
    assert np.array_equal(strongest(similar, 2).toarray(), np.array(expected, dtype=np.float32))
    assert np.diff(strongest(similar, 3).indptr).tolist() == [3, 1, 3], "all but one"
    assert np.diff(strongest(similar, 4).indptr).tolist() == [4, 1, 4]


@pytest.mark.parametrize("user_based", [False, True])
def test_small_blocks_give_the_same_weights(user_based: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = {"similarity": "pearson_baseline", "k": 4, "user_based": user_based}
    whole = fitted(rated_train(), **settings)
    monkeypatch.setattr(neighbourhood, "_BLOCK_PAIRS", 1)
    blocks = fitted(rated_train(), **settings)
    assert np.array_equal(whole.weights.toarray(), blocks.weights.toarray())
    assert np.array_equal(whole.fold_in(whole.history), blocks.fold_in(blocks.history))


@pytest.mark.parametrize("user_based", [False, True])
def test_a_model_of_ratings_comes_back_from_its_folder(user_based: bool, tmp_path) -> None:  # type: ignore[no-untyped-def]
    model = fitted(rated_train(), similarity="pearson_baseline", user_based=user_based)
    model.save(tmp_path)
    loaded = ItemCF.load(tmp_path)
    assert np.array_equal(loaded.score_users(np.arange(N_USERS)), model.score_users(np.arange(N_USERS)))
    assert np.array_equal(loaded.fold_in(model.history), model.fold_in(model.history))


@pytest.mark.parametrize("user_based", [False, True])
def test_similar_items_share_users_beyond_what_popularity_brings(user_based: bool) -> None:
    model = fitted(rated_train(), user_based=user_based)
    columns = (RATINGS > 0).T.astype(np.float64)
    columns -= model.popularity @ columns / model.popularity.sum()
    columns /= np.linalg.norm(columns, axis=1, keepdims=True)
    assert np.allclose(model.similarity()(np.array([3, 1])), (columns @ columns.T)[[3, 1]], atol=1e-5)


@pytest.mark.parametrize(
    ("similarity", "feedback", "uses_ratings"),
    [("cosine", "auto", False), ("cosine", "explicit", True), ("pearson", "auto", True), ("cosine", "implicit", False)],
)
def test_ratings_count_where_they_are_compared_or_asked_for(similarity: str, feedback: str, uses_ratings: bool) -> None:
    assert fitted(rated_train(), similarity=similarity, feedback=feedback).uses_ratings == uses_ratings
    assert fitted(binary_train(), similarity="cosine").history_values == "ones"


@pytest.mark.parametrize("similarity", ["msd", "pearson", "pearson_baseline"])
def test_comparing_ratings_that_are_all_equal_is_refused(similarity: str) -> None:
    with pytest.raises(ConfigError, match=f"model.similarity={similarity}.*model.similarity=cosine"):
        fitted(binary_train(), similarity=similarity)
    with pytest.raises(ConfigError, match=f"model.similarity={similarity}.*model.similarity=cosine"):
        ItemCFConfig(similarity=similarity, feedback="implicit")


def test_explicit_feedback_needs_ratings_that_differ() -> None:
    with pytest.raises(ConfigError, match=r"model\.feedback=explicit"):
        fitted(binary_train(), feedback="explicit")


@pytest.mark.parametrize(
    "settings",
    [
        {"similarity": "jaccard"},
        {"feedback": "x"},
        {"k": -1},
        {"min_k": 0},
        {"shrinkage": -1.0},
        {"implicit_shrinkage": -1.0},
        {"alpha": 1.5},
    ],
)
def test_values_out_of_range_are_refused(settings: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=f"model.{next(iter(settings))}="):
        ItemCFConfig(**settings)  # type: ignore[arg-type]


def test_a_new_users_empty_history_beside_others_is_scored_by_popularity() -> None:
    model = fitted(rated_train(), similarity="pearson_baseline", user_based=True)
    histories = sparse.vstack([model.history[:1], sparse.csr_matrix((1, N_ITEMS), dtype=np.float32)], format="csr")
    assert np.array_equal(model.fold_in(histories)[1], model.popularity)
