"""An index of every family, saved and loaded, against the model that it was built from; and without torch."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from families import MAKERS, N_ITEMS, N_USERS, TRAIN, model_of, some_histories
from scipy import sparse

from movierec_engine import pipeline
from movierec_engine.config import load_settings
from movierec_engine.data.catalogue import Catalogue
from movierec_engine.data.ratings import MOVIES_SCHEMA, Movies
from movierec_engine.models import Recommender
from movierec_engine.pipeline.index import renew_index
from movierec_engine.recommending.dials import ItemFacts
from movierec_engine.recommending.fold_in import FOLD_IN, POPULARITY, Taste
from movierec_engine.retrieval.build import build_index
from movierec_engine.retrieval.config import RetrievalConfig
from movierec_engine.retrieval.index import RetrievalIndex
from movierec_engine.retrieval.index_facts import FoldInMinItems
from movierec_engine.retrieval.rated import RatedMovies
from movierec_engine.store import ArtifactStore, Slot

ROOT = Path(__file__).parents[2]
SEEN = TRAIN.matrix()
NOTHING = sparse.csr_matrix((1, N_ITEMS), dtype=np.float32)


def movies() -> Movies:
    ids = TRAIN.items.ids
    genres = [["Drama", "War"][: 1 + i % 2] for i in range(N_ITEMS)]
    years = [1950 + i if i % 3 else None for i in range(N_ITEMS)]
    titles = {"movie_id": ids, "title": [str(i) for i in ids], "year": years, "genres": genres}
    return Movies(pa.table(titles, schema=MOVIES_SCHEMA))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A saved index of each family, by its name."""
    home = tmp_path_factory.mktemp("indices")
    for number, name in enumerate(MAKERS):
        factory = "Flat" if number % 3 else "HNSW8"
        own = home / name
        own.mkdir()
        config = RetrievalConfig(factory=factory, similar_items=5)
        build_index(
            model_of(name), RatedMovies.of(TRAIN.to_table()), movies(), config, "cpu", FoldInMinItems(2, measured=True)
        ).save(own)
    return home


@pytest.fixture(params=list(MAKERS))
def served(request: pytest.FixtureRequest, folder: Path) -> tuple[Recommender, RetrievalIndex]:
    return model_of(request.param), RetrievalIndex.load(folder / request.param)


def test_a_new_user_gets_the_items_that_the_models_fold_in_scores_highest(
    served: tuple[Recommender, RetrievalIndex],
) -> None:
    model, index = served
    for history in some_histories(model):
        items, scores, source = index.recommend_for_history(Taste(history, NOTHING), 8, history.indices)
        expected = model.fold_in(history)[0]
        expected[history.indices] = -np.inf
        assert source == (POPULARITY if model.name == "popularity" else FOLD_IN)
        assert np.allclose(scores, expected[items], atol=1e-4 * np.abs(scores).max())
        assert np.allclose(scores, np.sort(expected)[::-1][:8], atol=1e-4 * np.abs(scores).max())


def test_the_index_explains_a_trained_users_score_as_the_model_does(served: tuple[Recommender, RetrievalIndex]) -> None:
    model, index = served
    for user in (0, 7, 31):
        for item in (2, 9):
            why, found = model.explain_user(user, item), index.explain(user, item)
            assert found.exact == why.exact
            assert dict(zip(found.items, found.contributions, strict=True)) == pytest.approx(
                dict(zip(why.items, why.contributions, strict=True)), abs=2e-3
            )
            assert found.base + found.contributions.sum() == pytest.approx(found.score)
            if model.exact_vectors:
                assert (found.score, found.base) == pytest.approx((why.score, why.base), rel=1e-3, abs=2e-3)


def test_the_index_explains_a_new_users_score_as_the_model_does(served: tuple[Recommender, RetrievalIndex]) -> None:
    model, index = served
    history = some_histories(model)[[4]]
    why, found = model.explain_history(history, 5), index.explain_for_history(Taste(history, NOTHING), 5)
    assert dict(zip(found.items, found.contributions, strict=True)) == pytest.approx(
        dict(zip(why.items, why.contributions, strict=True)), abs=1e-3
    )


def test_a_list_is_explained_in_one_pass_as_its_items_are_one_by_one(
    served: tuple[Recommender, RetrievalIndex], monkeypatch: pytest.MonkeyPatch
) -> None:
    model, index = served
    items = np.array([5, 2, 9])
    passes = []
    whole = type(index.fold_in_scorer).contributions
    monkeypatch.setattr(type(index.fold_in_scorer), "contributions", lambda *asked: passes.append(1) or whole(*asked))
    history = some_histories(model)[[4]]
    one_by_one = [index.explain_for_history(Taste(history, NOTHING), item) for item in items.tolist()]
    assert len(passes) in (0, 3)
    scores = np.array([one.score for one in one_by_one])
    at_once = index.explanations_for_history(Taste(history, NOTHING), items, scores)
    assert len(passes) in (0, 4)
    of_user = [index.explain(7, item) for item in items.tolist()]
    at_once += index.explanations(7, items, np.array([one.score for one in of_user]))
    for one, other in zip(one_by_one + of_user, at_once, strict=True):
        assert (one.score, one.base, one.exact) == pytest.approx((other.score, other.base, other.exact), abs=1e-5)
        assert dict(zip(other.items, other.contributions, strict=True)) == pytest.approx(
            dict(zip(one.items, one.contributions, strict=True)), abs=1e-5
        )


def test_a_trained_user_gets_the_models_list_however_narrow(served: tuple[Recommender, RetrievalIndex]) -> None:
    model, index = served
    allowed = np.arange(N_ITEMS) % 3 == 0
    scores = model.score_users(np.arange(N_USERS))
    for user in range(0, N_USERS, 9):
        masked = np.array([0, *SEEN[[user]].indices])
        items, _, _ = index.recommend(user, 6, masked, allowed)
        left = allowed.copy()
        left[masked] = False
        assert len(items) == min(6, left.sum())
        assert left[items].all()
        best = np.sort(scores[user][left])[::-1][: len(items)]
        if index.facts.factory == "Flat":
            assert np.allclose(scores[user][items], best, atol=2e-3 * np.abs(best).max())


def test_the_index_knows_of_its_items_what_the_catalogue_says(folder: Path) -> None:
    index, expected = RetrievalIndex.load(folder / "ease"), ItemFacts.of(Catalogue.of(TRAIN, movies()))
    for name in ("genres", "year", "share", "embeddings"):
        assert np.allclose(getattr(index.item_facts, name), getattr(expected, name)), name
    assert index.fold_in_min_items == 2


def test_no_large_matrix_is_saved_twice(folder: Path) -> None:
    """Of ease all but two numbers an item are in FAISS and history; of als and gmf only the users' vectors are not."""
    for name in ("ease", "als", "item_cf", "svd"):
        with np.load(folder / name / "fold_in.npz") as arrays:
            assert sum(array.size for array in arrays.values()) < 3 * N_ITEMS, name
    with np.load(folder / "gmf" / "fold_in.npz") as arrays:
        assert not any(array.size and len(array) == N_ITEMS for array in arrays.values() if array.ndim)


PROGRAM = """
import sys
from pathlib import Path
from scipy import sparse
from movierec_engine.recommending.fold_in import Taste
from movierec_engine.retrieval.index import RetrievalIndex
from movierec_engine.retrieval.index_facts import FoldInMinItems
for folder in sorted(Path(sys.argv[1]).iterdir()):
    index = RetrievalIndex.load(folder)
    history = sparse.csr_matrix(([1.0, 1.0, 1.0], [2, 4, 7], [0, 3]), (1, len(index.items)), dtype="float32")
    taste = Taste(history, sparse.csr_matrix(history.shape, dtype="float32"))
    items, _, source = index.recommend_for_history(taste, 3, history.indices)
    index.explain_for_history(taste, int(items[0]))
    index.explain(0, int(index.recommend(0, 3, history.indices)[0][0]))
    print(folder.name, len(items), source)
print([name for name in ("torch", "torch_geometric", "surprise", "mlflow") if name in sys.modules])
"""


@pytest.mark.slow
def test_no_index_loads_torch_to_fold_in_or_to_explain(folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(folder)], capture_output=True, text=True, check=True, cwd=ROOT
    )
    *answers, heavy = done.stdout.splitlines()
    sources = {name: POPULARITY if name == "popularity" else FOLD_IN for name in MAKERS}
    assert sorted(answers) == sorted(f"{name} 3 {source}" for name, source in sources.items())
    assert heavy == "[]"


def test_the_pipeline_takes_enough_from_the_newest_measurement_on_the_same_data(
    small_data: list[str], tmp_path: Path
) -> None:
    store, settings = ArtifactStore(tmp_path / "store"), load_settings(["model=ease", *small_data])
    made = pipeline.run(store, settings)

    def built_after(fold_in_min_items: int | None, fingerprint: str, **decided: str) -> tuple[int | None, bool]:
        slot = Slot("strong_generalization", "camps", "ease", "cpu")
        facts = {"fold_in_min_items": fold_in_min_items, **decided}
        store.publish(slot, lambda folder: None, key="k", fingerprint=fingerprint, facts=facts)
        index = pipeline.build_faiss_index(store, made["trained_model"], made["raw_movies"], settings.retrieval)
        loaded = RetrievalIndex.load(index.verify().folder)
        return loaded.fold_in_min_items, loaded.facts.fold_in_min_items_measured

    assert RetrievalIndex.load(made["faiss_index"].folder).fold_in_min_items == settings.retrieval.fold_in_min_items
    same, assumed = made["trained_model"].fingerprint, (settings.retrieval.fold_in_min_items, False)
    assert built_after(3, same, decided_on="validation") == (3, True)
    assert built_after(None, same, decided_on="validation") == (None, True)
    assert built_after(7, "another", decided_on="validation") == assumed
    assert built_after(7, same) == assumed


def test_a_measurement_makes_the_index_before_it_out_of_date(small_data: list[str], tmp_path: Path) -> None:
    store, settings = ArtifactStore(tmp_path / "store"), load_settings(["model=ease", *small_data])
    made = pipeline.run(store, settings)
    assert pipeline.is_current(store, settings, made["splits"])
    slot = Slot("strong_generalization", "camps", "ease", "cpu")
    facts = {"fold_in_min_items": 3, "decided_on": "validation"}
    store.publish(slot, lambda folder: None, key="k", fingerprint=made["splits"].fingerprint, facts=facts)
    assert not pipeline.is_current(store, settings, made["splits"])
    renewed = renew_index(store, made["trained_model"])
    assert renewed is not None and RetrievalIndex.load(renewed.folder).fold_in_min_items == 3
    assert pipeline.is_current(store, settings, made["splits"])
