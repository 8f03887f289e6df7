"""What the index recommends against what the model scores, by brute force."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from movierec_engine.data.dataset import Dataset
from movierec_engine.data.id_map import IdMap
from movierec_engine.data.ratings import MOVIES_SCHEMA, Movies
from movierec_engine.errors import ConfigError
from movierec_engine.models import EASE, GMF, MLP, NCF, ItemCF, Markov, Popularity, Recommender
from movierec_engine.models.vectors import cosines
from movierec_engine.retrieval.build import build_index
from movierec_engine.retrieval.config import RetrievalConfig
from movierec_engine.retrieval.index import CANDIDATES, RetrievalIndex
from movierec_engine.retrieval.rated import RatedMovies
from worlds import interactions_of

RNG = np.random.default_rng(3)
N_USERS, N_ITEMS = 50, 600
PAIRS = np.array([(u, i) for u in range(N_USERS) for i in RNG.choice(N_ITEMS, 12, replace=False)])
TRAIN = interactions_of(PAIRS, IdMap(np.arange(N_USERS)), IdMap(np.arange(N_ITEMS)))
SEEN, RATED = TRAIN.matrix(), RatedMovies.of(TRAIN.to_table())


def movies() -> Movies:
    ids = TRAIN.items.ids
    columns = {"movie_id": ids, "title": [str(i) for i in ids], "year": [None] * len(ids), "genres": [[]] * len(ids)}
    return Movies(pa.table(columns, schema=MOVIES_SCHEMA))


def untrained(model: Recommender) -> Recommender:
    """A network as it was initialised: scores without structure are the hardest to approximate."""
    import torch

    torch.manual_seed(0)
    model.build(TRAIN, None, torch.device("cpu"))  # type: ignore[attr-defined]
    model.export()  # type: ignore[attr-defined]
    return model


def recall_by_hand(index: RetrievalIndex, model: Recommender, k: int) -> float:
    scores = np.where(SEEN.toarray() > 0, -np.inf, model.score_users(np.arange(N_USERS)))
    best = np.argsort(-scores, axis=1)[:, :k]
    return float(
        np.mean([len(set(best[u]) & set(index.recommend(u, k, SEEN[u].indices)[0])) / k for u in range(N_USERS)])
    )


@pytest.mark.parametrize("factory", ["Flat", "HNSW4", "IVF16,Flat"])
def test_the_measured_recall_is_the_share_of_the_best_unseen_items_that_are_recommended(factory: str) -> None:
    model = untrained(GMF(GMF.Config(mf_dim=16)))
    config = RetrievalConfig(factory=factory, ef_search=16, nprobe=2, similar_items=5)
    index = build_index(model, RATED, movies(), config, "cpu")
    expected = recall_by_hand(index, model, 10)
    assert index.facts.recall == pytest.approx(expected, abs=1e-9)
    assert expected == 1 if factory == "Flat" else 0 < expected < 1


@pytest.mark.parametrize(
    ("factory", "narrow", "wide"),
    [("HNSW16", {"ef_search": 1}, {"ef_search": 400}), ("IVF16,Flat", {"nprobe": 1}, {"nprobe": 16})],
)
def test_an_index_that_is_searched_deeper_measures_a_higher_recall(
    factory: str, narrow: dict[str, int], wide: dict[str, int]
) -> None:
    model = untrained(GMF(GMF.Config(mf_dim=16)))
    configs = [RetrievalConfig(factory=factory, similar_items=5, **depth) for depth in (narrow, wide)]
    low, high = (build_index(model, RATED, movies(), config, "cpu").facts.recall for config in configs)
    assert low < 0.95
    assert high >= 0.99


@pytest.mark.parametrize("name", ["ef_construction", "ef_search", "nprobe"])
def test_a_search_of_nothing_is_refused_by_name(name: str) -> None:
    with pytest.raises(ConfigError, match=rf"retrieval\.{name}=0 must be at least 1"):
        RetrievalConfig(**{name: 0})  # type: ignore[arg-type]


def test_items_that_tie_count_as_found() -> None:
    model = Popularity()
    pairs = np.array([(u, i) for u in range(N_USERS) for i in range(5)])
    model.fit(Dataset(interactions_of(pairs, TRAIN.users, TRAIN.items)))
    index = build_index(model, RATED, movies(), RetrievalConfig(similar_items=5), "cpu")
    assert index.facts.recall == 1, "595 items tie at 0, and any of them is as good as another"


@pytest.mark.parametrize("model", [MLP(), NCF()], ids=["mlp", "ncf"])
def test_candidates_are_ranked_by_the_exact_scores(model: Recommender, tmp_path: Path) -> None:
    untrained(model)
    build_index(model, RATED, movies(), RetrievalConfig(similar_items=5), "cpu").save(tmp_path)
    index = RetrievalIndex.load(tmp_path)
    assert index.facts.recall > 0.99
    scores = model.score_users(np.arange(N_USERS))
    for user in range(N_USERS):
        items, found, _ = index.recommend(user, 20, SEEN[user].indices)
        assert not set(items) & set(SEEN[user].indices)
        assert (np.diff(scores[user, items]) <= 1e-6).all()
        assert np.allclose(np.diff(found), np.diff(scores[user, items]), atol=1e-5)


def test_more_than_the_usual_candidates_can_be_asked_for() -> None:
    model = untrained(MLP())
    index = build_index(model, RATED, movies(), RetrievalConfig(similar_items=5), "cpu")
    items, _, _ = index.recommend(0, 2 * CANDIDATES, SEEN[0].indices)
    assert len(items) == len(set(items)) == 2 * CANDIDATES


@pytest.mark.parametrize(
    "model",
    [EASE(neighbours=20), ItemCF(), ItemCF(user_based=True), Markov()],
    ids=["ease", "items", "users", "markov"],
)
def test_an_index_of_sparse_vectors_answers_as_one_of_dense_vectors(
    model: Recommender, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model.fit(Dataset(TRAIN))
    dense = build_index(model, RATED, movies(), RetrievalConfig(similar_items=5), "cpu")
    monkeypatch.setattr("movierec_engine.retrieval.build.DENSE_VECTOR_BYTES", 0)
    build_index(model, RATED, movies(), RetrievalConfig(factory="HNSW4", similar_items=5), "cpu").save(tmp_path)
    index = RetrievalIndex.load(tmp_path)
    assert (index.index, index.facts.factory, index.facts.recall) == (None, "sparse", 1.0)
    taste = index.taste_of(dict.fromkeys([1, 5, 7, 11, 20]))
    for user in (0, 7):
        assert index.scores(user) == pytest.approx(dense.scores(user), abs=1e-5)
        one, other = index.explain(user, 3), dense.explain(user, 3)
        assert one.score == pytest.approx(other.score, abs=1e-5)
        assert one.contributions == pytest.approx(other.contributions, abs=1e-5)
    assert index.scores_of([3, 0]) == pytest.approx(dense.scores_of([3, 0]), abs=1e-5)
    assert index.history_scores(taste)[0] == pytest.approx(dense.history_scores(taste)[0], abs=1e-5)
    assert cosines(index.vectors[[1]], index.vectors[[2, 3]]) == pytest.approx(
        cosines(dense.vectors[[1]], dense.vectors[[2, 3]]), abs=1e-5
    )
