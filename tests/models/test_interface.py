"""What everybody outside sees of a model: by public ids, and the same of every model."""

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from scipy import sparse

from movierec_engine.data.dataset import Dataset
from movierec_engine.data.id_map import IdMap
from movierec_engine.errors import (
    ConfigError,
    DataError,
    DeviceError,
    MovierecError,
    NotFittedError,
    StoreError,
    TooLargeError,
)
from movierec_engine.evaluation import Evaluator
from movierec_engine.models import Recommender, load_model, model_class, model_names
from movierec_engine.models.base import WEIGHTS_FILE
from movierec_engine.models.fitting import Epoch, Fitting
from movierec_engine.models.gradient import GradientRecommender
from movierec_engine.training.config import TrainerConfig
from worlds import interactions_of

N_USERS, N_ITEMS = 24, 16
QUICK = Fitting(TrainerConfig(max_epochs=3, batch_size=64, learning_rate=0.02), seed=1)
SETTINGS: dict[str, dict[str, Any]] = {
    "als": {"embedding_dim": 4},
    "svd": {"n_factors": 4, "n_epochs": 3},
    "hybrid_ensemble": {"models": ("ease", "popularity")},
}


def camps() -> pd.DataFrame:
    """Noisy camps of people and films by parity; ids are texts for people and numbers for films."""
    rng = np.random.default_rng(4)
    pairs = [(u, i) for u in range(N_USERS) for i in range(N_ITEMS) if rng.random() < (0.7 if (u + i) % 2 else 0.2)]
    users, items = zip(*pairs, strict=True)
    ratings = rng.integers(2, 11, len(pairs)) / 2
    return pd.DataFrame({"user_id": [f"u{u:02}" for u in users], "movie_id": np.array(items) * 10, "rating": ratings})


DATA, TEST = Dataset.from_frame(camps()).split(validation=0.2, test=0.2)


@pytest.fixture(scope="module", params=model_names())
def model(request: pytest.FixtureRequest) -> Recommender:
    return model_class(request.param)(**SETTINGS.get(request.param, {})).fit(DATA, QUICK)


def lists(table: pa.Table) -> dict[Any, list[Any]]:
    return table.to_pandas().groupby("user_id", sort=False)["movie_id"].apply(list).to_dict()


def seen(user: str) -> set[int]:
    table = DATA.train.to_table().to_pandas()
    return set(table.loc[table["user_id"] == user, "movie_id"])


def test_recommendations_are_the_best_of_the_scores_without_what_was_seen(model: Recommender) -> None:
    users = ["u07", "u00", "u13"]
    table = model.recommend(users, k=5)
    assert table.column_names == ["user_id", "movie_id", "rank", "score"]
    scores = model.score(users)
    for row, user in enumerate(users):
        own = table.filter(pa.compute.equal(table["user_id"], user)).to_pydict()
        allowed = [i for i in range(len(model.items)) if model.items.ids[i] not in seen(user)]
        best = sorted(allowed, key=lambda i: (-scores[row, i], i))[:5]
        assert own["movie_id"] == model.items.ids[best].tolist()
        assert own["rank"] == [1, 2, 3, 4, 5]
        assert own["score"] == pytest.approx(scores[row, best], abs=1e-6)
    assert list(lists(table)) == users
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("movierec_engine.models.lists._BLOCK_BYTES", 2 * 4 * N_ITEMS)  # two people at once
        in_blocks = model.recommend(users, k=5)
    assert in_blocks.select(["user_id", "movie_id", "rank"]).equals(table.select(["user_id", "movie_id", "rank"]))


def test_a_user_without_train_interactions_gets_what_is_popular() -> None:
    train = interactions_of(np.array([(0, 1), (0, 2), (1, 2)]), IdMap(np.arange(3)), IdMap(np.arange(4)))
    model = model_class("ease")().fit(Dataset(train))
    assert lists(model.recommend([2], k=9)) == {2: [2, 1, 0, 3]}


def test_the_lists_are_those_that_are_evaluated(model: Recommender) -> None:
    evaluation = Evaluator([5]).evaluate(model, DATA.validation)
    users = model.users.ids[evaluation.users]
    listed = lists(model.recommend(users, k=5))
    for user, items in zip(users, evaluation.rankings.lists, strict=True):
        assert listed[user] == model.items.ids[items[items >= 0]].tolist()


def test_only_candidates_are_listed_and_on_request_what_was_seen_as_well(model: Recommender) -> None:
    user, candidates = "u03", [150, 20, 70, 30]
    everything = lists(model.recommend(user, k=99, exclude_seen=False))[user]
    assert sorted(everything) == model.items.ids.tolist()
    chosen = lists(model.recommend(user, k=99, exclude_seen=False, candidates=candidates))[user]
    assert chosen == [item for item in everything if item in candidates]
    unseen = lists(model.recommend(user, k=99, candidates=candidates)).get(user, [])
    assert unseen == [item for item in chosen if item not in seen(user)]


def test_a_history_is_recommended_for_as_fold_in_scores_it(model: Recommender) -> None:
    histories = {"new": [10, 30, 50], "other": {20: 4.5, 40: 5.0}, "nobody": []}
    listed = lists(model.recommend_for(histories, k=N_ITEMS))
    assert list(listed) == list(histories)
    for person, items in histories.items():
        assert not set(listed[person]) & set(items)
    value = model.history.data.max() if model.uses_ratings else 1
    by_hand = np.zeros((2, N_ITEMS), dtype=np.float32)
    by_hand[0, [1, 3, 5]] = value  # no ratings: likes
    by_hand[1, [2, 4]] = (4.5, 5.0) if model.uses_ratings else 1
    scores = model.fold_in(sparse.csr_matrix(by_hand))
    table = model.recommend_for(histories, k=N_ITEMS).to_pandas()
    for row, person in enumerate(("new", "other")):
        own = table[table["user_id"] == person]
        assert own["score"].to_numpy() == pytest.approx(scores[row, own["movie_id"] // 10], abs=1e-4)
    popular = np.argsort(-model.popularity, kind="stable")
    assert listed["nobody"] == model.items.ids[popular].tolist()
    assert lists(model.recommend_for([[10, 30, 50]], k=N_ITEMS)) == {0: listed["new"]}
    assert lists(model.recommend_for([[10, 30, 50, 999]], k=N_ITEMS)) == {0: listed["new"]}, "999 says nothing"
    again = lists(model.recommend_for([[10, 30, 50]], k=N_ITEMS, exclude_seen=False))
    assert sorted(again[0]) == model.items.ids.tolist()


def test_similar_items_are_named_by_their_ids(model: Recommender) -> None:
    table = model.similar_items([30, 20], k=3)
    assert table.column_names == ["movie_id", "similar_id", "rank", "similarity"]
    assert table["movie_id"].to_pylist() == [30] * 3 + [20] * 3
    assert table["rank"].to_pylist() == [1, 2, 3] * 2
    index, _ = model.most_similar(model.items.index([30, 20]), 3)
    assert table["similar_id"].to_pylist() == model.items.ids[index].ravel().tolist()
    assert sorted(model.similar_items(30, k=99)["similar_id"].to_pylist()) == [i for i in model.items.ids if i != 30]


def test_an_explanation_names_the_items_of_the_history_by_their_ids(model: Recommender) -> None:
    why = model.explain("u05", 40)
    assert why.score == pytest.approx(model.score("u05", 40)[0, 0], abs=1e-5)
    assert set(why.items.tolist()) == (seen("u05") if model.personal else set())


def test_a_saved_model_answers_by_the_same_ids(model: Recommender, tmp_path: Any) -> None:
    model.save(tmp_path)
    loaded = load_model(tmp_path)
    assert loaded.recommend(["u01", "u02"], k=4).equals(model.recommend(["u01", "u02"], k=4))


def test_fit_tells_of_its_epochs_where_there_are_any() -> None:
    told: list[Epoch] = []
    fitting = Fitting(QUICK.trainer, seed=1, on_epoch=told.append)
    network, closed = (model_class(name)().fit(DATA, fitting) for name in ("gmf", "ease"))
    assert [epoch.number for epoch in network.epochs] == [1, 2, 3]
    assert network.epochs == tuple(told)
    assert network.epochs[0].metrics["ndcg@10"] > 0
    assert closed.epochs == ()
    other = model_class("gmf")().fit(DATA, replace(fitting, seed=2, epochs=2, evaluator=Evaluator([10], ("ndcg",))))
    assert [epoch.number for epoch in other.epochs] == [1, 2]
    assert list(other.epochs[0].metrics) == ["ndcg@10"]
    assert other.epochs[0].loss != network.epochs[0].loss, "another seed"


def test_settings_are_given_by_name_or_as_a_config() -> None:
    EASE = model_class("ease")
    assert EASE(l2=5.0).config == EASE(EASE.Config(l2=5.0)).config


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        (lambda model: model.recommend(["u01", "zoe"]), "user zoe: not among the 24 users .*recommend_for takes"),
        (lambda model: model.recommend([17]), "the ids are texts such as u00, not whole numbers such as 17"),
        (lambda model: model.recommend("u01", candidates=[10, 5, 6]), "item 5 and 1 more: not among the 16 items"),
        (lambda model: model.recommend("u01", k=0), "k=0 must be at least 1"),
        (lambda model: model.recommend("u01", k=2.0), "k=2.0 must be a whole number"),
        (lambda model: model.recommend_for([[10]], k="3"), "k='3' must be a whole number"),
        (lambda model: model.similar_items([10], k=0), "k=0 must be at least 1"),
        (lambda model: model.similar_items([10], k=-1), "k=-1 must be at least 1"),
        (lambda model: model.similar_items([5]), "item 5: not among"),
        (lambda model: model.explain("u01", 5), "item 5: not among"),
        (lambda model: model.score("u01", [10, 5]), "item 5: not among"),
        (lambda model: model.explain(["u01", "u02"], 10), "2 users and 1 items were given; give one of each"),
        (lambda model: model.explain("u01", [10, 20]), "1 users and 2 items were given; give one of each"),
        (lambda model: model.recommend([["u01", "u02"]]), r"user ids are one list, and these are of shape \(1, 2\)"),
        (lambda model: model.similar_items(np.array([[10], [20]])), r"item ids are one list, .* \(2, 1\); flatten"),
        (lambda model: model.recommend_for([10, 30]), r"that of 0 is 10; write \[\[318, 296\]\]"),
        (lambda model: model.recommend_for({"ann": 10}), "a history is a list of items, and that of 'ann' is 10"),
        (lambda model: model.recommend_for({"ann": "10"}), "a history is a list of items, and that of 'ann' is '10'"),
        (lambda model: model.recommend_for("10"), "histories are a list of lists of items, and not '10'"),
        (lambda model: model.recommend_for(10), "histories are a list of lists of items, and not 10"),
        (lambda model: model.recommend_for(camps()), "histories go by person, and this is a table; give a history"),
        (
            lambda model: model.recommend_for(pd.Series([[10], [30]], index=["ann", "ann"])),
            "a person stands more than once in the index",
        ),
    ],
)
def test_what_a_model_cannot_answer_is_named(ask: Any, said: str) -> None:
    popularity = model_class("popularity")().fit(DATA)
    with pytest.raises(DataError, match=said):
        ask(popularity)


@pytest.mark.parametrize("name", ["popularity", "svd"])
@pytest.mark.parametrize("value", [float("nan"), -np.inf, 1e39, 10**400, None, pd.NA, "good"])
def test_a_rating_of_a_history_that_is_no_finite_number_is_named(name: str, value: Any) -> None:
    model = model_class(name)(**SETTINGS.get(name, {})).fit(DATA)
    with pytest.raises(DataError, match=r"^the rating of item 30 in the history of 'ann' is .*; give a finite number"):
        model.recommend_for({"bob": {10: 4}, "ann": {10: 3.5, 30: value}})


def test_histories_are_read_from_every_collection_of_items_and_from_a_series_by_its_index() -> None:
    model = model_class("ease")().fit(DATA)
    by_list = lists(model.recommend_for({"ann": [10, 30], "bob": [50]}, k=N_ITEMS))
    for ann in ((10, 30), {10, 30}, {10: 1, 30: 1}.keys(), (item for item in (10, 30)), map(int, ("10", "30"))):
        assert lists(model.recommend_for({"ann": ann, "bob": np.array([50])}, k=N_ITEMS)) == by_list
    for column in (pd.Series([10, 30], index=[7, 4]), pa.array([10, 30])):
        assert lists(model.recommend_for({"ann": column, "bob": frozenset({50})}, k=N_ITEMS)) == by_list
    rows = pd.DataFrame({"who": ["bob", "ann", "ann"], "movie_id": [50, 10, 30]})
    assert lists(model.recommend_for(rows.groupby("who")["movie_id"].agg(list), k=N_ITEMS)) == by_list
    assert lists(model.recommend({"u01"}, k=3)) == lists(model.recommend("u01", k=3))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_model_that_returns_nan_or_infinity_recommends_nothing(value: float) -> None:
    broken = model_class("ease")().fit(DATA)
    broken.weights[:] = value
    with pytest.raises(MovierecError, match="NaN or infinite scores"):
        broken.recommend("u01")


def test_a_model_that_finds_no_room_is_said_in_one_sentence(small_disk: Path) -> None:
    items = np.arange(200_000)
    model = model_class("popularity")().fit(Dataset.from_frame({"user_id": items // 1000, "movie_id": items}))
    with pytest.raises(StoreError, match=rf"{WEIGHTS_FILE}: cannot be written \(.*No space left on device.*\); make"):
        model.save(small_disk)


def test_a_saved_model_is_loaded_by_its_own_class_alone(tmp_path: Any) -> None:
    model_class("ease")().fit(DATA).save(tmp_path)
    with pytest.raises(StoreError, match="holds a ease model, not als; load it by its own class"):
        model_class("als").load(tmp_path)


@pytest.mark.parametrize("kind", [Recommender, GradientRecommender])
def test_a_class_of_several_models_says_how_to_load_whichever_is_there(tmp_path: Any, kind: type[Recommender]) -> None:
    model_class("ease")().fit(DATA).save(tmp_path)
    with pytest.raises(StoreError, match=f"a {kind.__name__} can be of any class; load it by .*load_model"):
        kind.load(tmp_path)
    assert type(load_model(tmp_path)) is model_class("ease")


def test_a_model_is_not_saved_where_there_is_a_file(tmp_path: Any) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path / "file", tmp_path / "file" / "folder"):
        with pytest.raises(StoreError, match="cannot be made a folder"):
            model_class("popularity")().fit(DATA).save(path)


def test_members_are_given_to_those_that_take_them() -> None:
    ease, popularity = (model_class(name)().fit(DATA) for name in ("ease", "popularity"))
    ensemble = model_class("hybrid_ensemble")(models=("ease", "popularity"), learn_weights=False)
    given = ensemble.start_from({"ease": ease, "popularity": popularity}).fit(DATA)
    assert given.members == (ease, popularity)
    with pytest.raises(ConfigError, match="als starts from no other models, and was given ease"):
        model_class("als")().start_from({"ease": ease})
    with pytest.raises(ConfigError, match="ncf starts from no other models"):
        model_class("ncf")().start_from({"ease": ease})
    with pytest.raises(ConfigError, match="ncf is to start from a trained gmf"):
        model_class("ncf")(pretrained_gmf="latest", pretrained_mlp="latest").fit(DATA)


def test_members_of_other_interactions_or_names_are_refused() -> None:
    ensemble = model_class("hybrid_ensemble")
    kinds = {name: model_class(name) for name in ("ease", "popularity")}
    everything = Dataset.from_frame(camps())
    for of in (everything, Dataset.from_frame(camps().iloc[:100])):
        leaky = ensemble(models=("ease", "popularity")).start_from(
            {name: kind().fit(of) for name, kind in kinds.items()}
        )
        with pytest.raises(ConfigError, match=r"ease was trained on other interactions \(\d+\) than these \(\d+\)"):
            leaky.fit(DATA)
    ease, popularity = (kind().fit(DATA) for kind in kinds.values())
    with pytest.raises(ConfigError, match=r"\['ease', 'popularity'\] are to be fused, and ease were given"):
        ensemble(models=("ease", "popularity")).start_from({"ease": ease})
    with pytest.raises(ConfigError, match="the popularity that is given as 'als' is no model of this name"):
        ensemble(models=("ease", "als")).start_from({"ease": ease, "als": popularity})
    with pytest.raises(ConfigError, match="must name two or more"):
        ensemble().start_from({"ease": ease})


def test_an_ensemble_is_made_of_the_members_that_its_settings_name_in_their_order(tmp_path: Any) -> None:
    members = {name: model_class(name)().fit(DATA) for name in ("popularity", "item_cf", "ease")}
    ensemble = model_class("hybrid_ensemble")
    ordered = ensemble(models=("ease", "item_cf", "popularity")).start_from(members).fit(DATA)
    assert [member.name for member in ordered.members] == ["ease", "item_cf", "popularity"]
    in_place_of_the_default_ones = ensemble().start_from(members).fit(DATA)
    in_place_of_the_default_ones.save(tmp_path)
    assert load_model(tmp_path).config.models == ("popularity", "item_cf", "ease")


@pytest.mark.parametrize("name", model_names())
@pytest.mark.parametrize(
    "ask",
    [
        lambda model: model.recommend(["u01"]),
        lambda model: model.recommend_for([[10]]),
        lambda model: model.similar_items([10]),
        lambda model: model.explain("u01", 10),
        lambda model: model.score(["u01"]),
        lambda model: Evaluator().evaluate(model, TEST),
    ],
)
def test_a_model_that_is_not_fitted_says_so(name: str, ask: Any) -> None:
    with pytest.raises(NotFittedError, match=rf"^{name} is not fitted yet; call fit\(data\) first$"):
        ask(model_class(name)())


def test_a_model_that_is_not_fitted_is_copied_and_has_no_other_attributes_but_is_not_saved(tmp_path: Path) -> None:
    model = copy.deepcopy(model_class("ease")(l2=7.0))
    assert model.config.l2 == 7
    assert not hasattr(model, "users")
    with pytest.raises(AttributeError, match="no attribute 'recomend'"):
        model.recomend  # noqa: B018
    with pytest.raises(NotFittedError):
        model.save(tmp_path / "folder")
    assert not (tmp_path / "folder").exists()


@pytest.mark.parametrize("name", model_names())
def test_what_is_no_data_set_or_no_settings_is_named_by_fit(name: str) -> None:
    model = model_class(name)()
    for wrong, kind in ((camps(), "DataFrame"), ((DATA, TEST), "tuple"), (DATA.train, "Interactions")):
        with pytest.raises(DataError, match=rf"is fitted to a Dataset, and this is a {kind}; Dataset.from_frame"):
            model.fit(wrong)
    with pytest.raises(ConfigError, match="settings of a fit are a Fitting, and this is a TrainerConfig"):
        model.fit(DATA, TrainerConfig())


def test_settings_that_there_are_not_are_refused_with_those_that_there_are() -> None:
    EASE, ALS = model_class("ease"), model_class("als")
    with pytest.raises(ConfigError, match=r"ease has no setting l3; choose from .*l2, "):
        EASE(l3=4)
    with pytest.raises(ConfigError, match="popularity has no setting l2; choose from none"):
        model_class("popularity")(l2=1)
    for wrong in ({"l2": 500}, 500, ALS.Config()):
        with pytest.raises(ConfigError, match="ease takes a EASEConfig or settings by name, and was given"):
            EASE(wrong)
    with pytest.raises(ConfigError, match=r"was given EASEConfig\(.*\) and l2$"):
        EASE(EASE.Config(), l2=3)
    with pytest.raises(ConfigError, match="'max_epochs': 3} is no TrainerConfig"):
        Fitting({"max_epochs": 3})  # type: ignore[arg-type]


@pytest.mark.parametrize("epochs", [0, -1])
def test_fewer_than_one_epoch_is_refused(epochs: int) -> None:
    with pytest.raises(ConfigError, match=f"epochs={epochs} must be at least 1"):
        Fitting(epochs=epochs)


def test_a_device_that_is_not_here_is_refused_and_auto_is_the_best_one() -> None:
    lightgcn = model_class("lightgcn")
    for device in ("cuda:99", "foo"):
        with pytest.raises(DeviceError, match=f"device={device} is not"):
            lightgcn().fit(DATA, replace(QUICK, device=device))
    assert lightgcn().fit(DATA, replace(QUICK, device="auto")).epochs


def test_an_ensemble_needs_validation_to_learn_its_weights() -> None:
    with pytest.raises(ConfigError, match="learned on validation"):
        model_class("hybrid_ensemble")(models=("ease", "popularity")).fit(Dataset(DATA.train))


def test_a_fit_that_needs_more_memory_than_there_is_is_refused_before_it_starts() -> None:
    items = np.arange(200_000)
    data = Dataset.from_frame({"user_id": items // 1000, "movie_id": items})
    with pytest.raises(TooLargeError, match=r"the fit of ease needs about .* are left here; set model.neighbours="):
        model_class("ease")(neighbours=199_999).fit(data)
