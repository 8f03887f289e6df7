"""Home pages that are shown: noted as lists are, the person's own row explored, and the other rows as they were."""

from collections import Counter
from typing import Any

import pytest
from flask.testing import FlaskClient
from test_home import index_of, rated_world

from movierec_engine.api.app import create_app
from movierec_engine.api.config import ServingConfig
from movierec_engine.feedback import ListContext, ShownList, SqliteLog, log_file
from movierec_engine.feedback.experiments import ExperimentConfig, Variant
from movierec_engine.feedback.summary import variant_rates
from movierec_engine.pipeline.logged_lists import read_lists
from movierec_engine.recommending.exploration import ExplorationConfig
from movierec_engine.recommending.rules.document import RuleDocument
from movierec_engine.recommending.rules.versions import publish_rules
from movierec_engine.retrieval.index import RetrievalIndex
from movierec_engine.store import ArtifactStore, Slot

NEXT = ExplorationConfig(share=0.5, candidates="next", strategy="epsilon", from_place=4)
PAGE = "user_id=1&top_k=6&rows=4"


@pytest.fixture(scope="module")
def index() -> RetrievalIndex:
    return index_of(rated_world())


@pytest.fixture
def store(index: RetrievalIndex, tmp_path: Any) -> ArtifactStore:
    store = ArtifactStore(tmp_path / "store")
    for model in ("als", "ease"):
        store.publish(Slot("faiss_index", "rows", model, "cpu"), index.save, key="k", fingerprint="f00d")
    return store


def client_of(store: ArtifactStore, config: ExplorationConfig = NEXT, **serving: Any) -> FlaskClient:
    return create_app(store.root, ServingConfig(exploration=config, follow="latest", **serving)).test_client()


def page(client: FlaskClient, request_id: str = "r", query: str = PAGE) -> Any:
    return client.get(f"/api/home?{query}", headers={"X-Request-ID": request_id}).json


def movies_of(row: Any) -> list[int]:
    return [movie["movie_id"] for movie in row["movies"]]


def shown(client: FlaskClient, store: ArtifactStore) -> list[ShownList]:
    client.application.extensions["movierec"]["live"].flush()
    return [*SqliteLog(log_file(store.root, "rows")).exposures()]


def test_the_own_row_is_explored_with_exact_propensities_and_the_others_stay(store: ArtifactStore) -> None:
    plain = page(client_of(store, ExplorationConfig()))
    own = movies_of(plain["rows"][0])
    listed = client_of(store, ExplorationConfig()).get("/api/recommend?user_id=1&top_k=6").json
    assert own == [movie["movie_id"] for movie in listed["recommendations"]]
    client = client_of(store)
    pages = {f"r{number}": page(client, f"r{number}") for number in range(150)}
    kept = Counter[int]()
    for one in pages.values():
        first, *others = one["rows"]
        assert [movies_of(row) for row in others] == [movies_of(row) for row in plain["rows"][1:]]
        every = [movie for row in one["rows"] for movie in movies_of(row)]
        assert len(set(every)) == len(every) and movies_of(first)[:3] == own[:3]
        explored = [movie["movie_id"] for movie in first["movies"] if movie.get("explored")]
        assert set(movies_of(first)) - set(explored) <= set(own) and not set(explored) & set(own)
        kept.update(movie for movie in movies_of(first) if movie in own)
    assert all(kept[movie] == 150 for movie in own[:3]) and all(45 <= kept[movie] <= 105 for movie in own[3:])
    noted = shown(client, store)
    assert len(noted) == 150
    for exposure in noted:
        one = pages[exposure.request_id]
        every = [movie for row in one["rows"] for movie in movies_of(row)]
        assert (exposure.exposure_id, exposure.movie_ids) == (one["exposure_id"], every)
        assert exposure.context == ListContext(first_row=6)
        assert exposure.propensities and exposure.inclusions
        assert exposure.propensities[:3] == exposure.propensities[6:9] == [1, 1, 1]
        assert all(chance == 1 for chance in exposure.inclusions[6:])
        for movie, chance in zip(every[3:6], exposure.propensities[3:6], strict=True):
            assert chance == 0.5 if movie in own else chance < 0.5
    logged = read_lists(SqliteLog(log_file(store.root, "rows")), "like", 1e-9, 3.0)
    assert {len(one.movie_ids) for one in logged.lists} == {6}, "off-policy estimates see the own row"


def test_a_page_that_is_asked_for_again_is_the_same_and_noted_once(store: ArtifactStore) -> None:
    client = client_of(store)
    first, again = page(client, "same"), page(client, "same")
    assert [movies_of(row) for row in first["rows"]] == [movies_of(row) for row in again["rows"]]
    assert first["exposure_id"] == again["exposure_id"] and len(shown(client, store)) == 1


def test_an_explored_row_goes_on_with_what_was_displaced_and_without_what_was_shown(store: ArtifactStore) -> None:
    client = client_of(store)
    own = movies_of(page(client_of(store, ExplorationConfig()))["rows"][0])
    explored = next(one for number in range(50) if movies_of((one := page(client, f"r{number}"))["rows"][0]) != own)
    row = explored["rows"][0]
    more = client.get(f"/api/home/{row['row']}?user_id=1&top_k=30&next={row['next']}").json
    displaced = set(own) - set(movies_of(row))
    assert displaced <= set(movies_of(more)), "passed over"
    assert not {movie for one in explored["rows"] for movie in movies_of(one)} & set(movies_of(more)), "shown twice"


def test_shares_and_caps_hold_in_the_row_that_is_explored(store: ArtifactStore) -> None:
    plain = client_of(store, ExplorationConfig()).get("/api/recommend?user_id=1&top_k=40").json
    some = [movie["movie_id"] for movie in plain["recommendations"]][::2]
    limit = {"name": "few", "share": {"where": {"column": "movie_id", "in": some}, "at_most": 0.34}}
    publish_rules(store, "rows", "home", RuleDocument.of({"rules": [limit]}), by="test")
    client = client_of(store)
    rows = [movies_of(page(client, f"r{number}")["rows"][0]) for number in range(60)]
    assert len({tuple(row) for row in rows}) > 5
    assert all(len(set(row) & set(some)) <= 2 for row in rows)


def test_what_is_asked_for_in_another_way_is_neither_explored_nor_noted(store: ArtifactStore) -> None:
    client = client_of(store)
    for query in (f"{PAGE}&model=ease", f"{PAGE}&genres=War", f"{PAGE}&exclude=3", "history=3,4&rows=3", "rows=3"):
        assert "exposure_id" not in page(client, query=query)
    assert "exposure_id" not in page(client_of(store, ExplorationConfig()))
    assert shown(client, store) == []


def test_a_page_in_an_experiment_is_its_variants_and_counts_for_it(store: ArtifactStore) -> None:
    variants = Variant("a", "ease"), Variant("b", "als")
    client = client_of(store, ExplorationConfig(), experiment=ExperimentConfig("home", "ab", "", variants))
    pages = [page(client, f"r{user}", f"user_id={user}&top_k=5&rows=3") for user in range(12)]
    assert {(one["experiment"], one["variant"], one["model"]) for one in pages} == {
        ("home", "a", "ease"),
        ("home", "b", "als"),
    }
    for one in pages:
        row = one["rows"][0]
        asked = f"/api/home/{row['row']}?user_id={one['user_id']}&top_k=5&next={row['next']}"
        assert client.get(asked).json["model"] == one["model"], "what continues a row is the variant's too"
    last = pages[0]["rows"][-1]["movies"][0]["movie_id"]
    said = {"user_id": 0, "movie_id": last, "kind": "click", "exposure_id": pages[0]["exposure_id"]}
    assert client.post("/api/feedback", json=said).status_code == 200
    shown(client, store)
    rates = {row["variant"]: row for row in variant_rates(SqliteLog(log_file(store.root, "rows")), 4.0).to_pylist()}
    assert sum(row["lists"] for row in rates.values()) == 12
    assert rates[pages[0]["variant"]]["clicks"] == 1
    drafted = client_of(store, ExplorationConfig(), experiment=ExperimentConfig("mixed", "interleaving", "", variants))
    assert "experiment" not in page(drafted)
