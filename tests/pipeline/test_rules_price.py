"""The price of rules, measured on a trained model's validation part."""

import csv
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from movierec_engine.config import load_settings
from movierec_engine.pipeline.rules_price import price_rules
from movierec_engine.pipeline.runner import run
from movierec_engine.recommending.rules.document import RuleDocument
from movierec_engine.recommending.rules.errors import RuleError
from movierec_engine.store import Artifact, ArtifactStore

FEW = {"name": "A alone", "filter": {"column": "studio", "in": ["A"]}}
NONE = {"name": "every studio", "filter": {"column": "studio", "in": ["A", "B"]}}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[ArtifactStore, Artifact]:
    """Popularity on 40 users of 20 movies of studio A and 20 of B, where the last have all the likes but one."""
    folder = tmp_path_factory.mktemp("priced")
    rng = np.random.default_rng(0)
    ratings = [
        (user, movie, 5, 1_000 + n)
        for user in range(40)
        for n, movie in enumerate([rng.integers(20), *(20 + rng.permutation(20)[:9])])
    ]
    movies = [(movie, f"Movie {movie}", "AB"[movie // 20]) for movie in range(40)]
    for name, head, rows in (
        ("ratings.csv", ("user", "item", "rating", "timestamp"), ratings),
        ("movies.csv", ("item", "title", "studio"), movies),
    ):
        with (folder / name).open("w", newline="") as file:
            csv.writer(file).writerows([head, *rows])
    data = ["data=custom", "data.name=priced", f"data.ratings_file={folder}/ratings.csv"]
    places = [f"data.movies_file={folder}/movies.csv", f"paths.artifacts={folder}/store"]
    settings = load_settings(["model=popularity", "device=cpu", "logger.use_mlflow=false", *data, *places])
    store = ArtifactStore(folder / "store")
    return store, run(store, settings)["trained_model"]


def test_a_rule_on_any_column_of_the_movies_file_has_its_price(trained: tuple[ArtifactStore, Artifact]) -> None:
    store, model = trained
    made = price_rules(store, model, RuleDocument.of({"rules": [FEW, NONE]}), "home")
    together, few, none = pq.read_table(made.verify().folder / "price.parquet").to_pylist()
    assert (none["difference"], none["changed"], none["coverage"]) == (0.0, 0.0, none["coverage_before"])
    assert few["ndcg_before"] == pytest.approx(model.facts["validation_metrics"]["ndcg@10"])
    assert few["high"] < 0, "nearly all likes are of the other studio"
    assert few["changed"] == 1.0
    assert (together["difference"], together["ndcg"]) == (few["difference"], few["ndcg"])


def test_data_without_titles_has_the_prices_of_its_rules(tmp_path: Path) -> None:
    rows = [(user, movie, 5, 1_000 + n) for user in range(20) for n, movie in enumerate(range(user % 5, user % 5 + 9))]
    with (tmp_path / "ratings.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("user", "item", "rating", "timestamp"), *rows])
    data = ["data=custom", "data.name=untitled", f"data.ratings_file={tmp_path}/ratings.csv"]
    settings = ["model=popularity", "device=cpu", "logger.use_mlflow=false", f"paths.artifacts={tmp_path}/store"]
    store = ArtifactStore(tmp_path / "store")
    model = run(store, load_settings([*data, *settings]))["trained_model"]
    rules = [{"name": "no 7", "deny": [7]}, {"name": "old", "filter": {"not": {"column": "year", "from": 2000}}}]
    made = price_rules(store, model, RuleDocument.of({"rules": rules}), "home")
    _, denied, old = pq.read_table(made.verify().folder / "price.parquet").to_pylist()
    assert denied["changed"] > 0 and old["changed"] == 0


def test_a_rule_on_a_column_that_is_not_there_is_refused_with_those_that_are(
    trained: tuple[ArtifactStore, Artifact],
) -> None:
    rule = {"name": "x", "filter": {"column": "studios", "in": ["A"]}}
    with pytest.raises(RuleError, match=r"'studios'.*movie_id, title, year, genres, studio; did you mean studio"):
        price_rules(*trained, RuleDocument.of({"rules": [rule]}), "home")
