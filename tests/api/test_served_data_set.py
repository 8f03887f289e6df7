"""Which data set a server answers from, where a store has several."""

import logging
from pathlib import Path

import pytest
from click.testing import CliRunner

from movierec_engine.api.app import create_app
from movierec_engine.api.config import ServingConfig
from movierec_engine.cli.main import cli
from movierec_engine.serving.index_reloader import IndexReloader
from movierec_engine.store import Artifact, ArtifactStore, Slot
from worlds import small_index


def publish(store: ArtifactStore, data_set: str, model: str = "ease") -> Artifact:
    return store.publish(Slot("faiss_index", data_set, model, "cpu"), small_index(model).save, key="k", fingerprint="f")


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(tmp_path / "store")


def test_the_chosen_data_set_alone_answers(store: ArtifactStore) -> None:
    shop, _ = publish(store, "shop"), publish(store, "books", "gmf")
    store.point("serving", publish(store, "books"), {})
    client = create_app(store.root, ServingConfig(data_set="shop")).test_client()
    assert client.get("/api/recommend?user_id=1").json["version"] == shop.version
    assert [row["model"] for row in client.get("/api/models").json["models"]] == ["ease"]
    assert client.get("/api/recommend?user_id=1&model=gmf").status_code == 404


def test_the_only_data_set_is_served_and_stays_when_another_comes(store: ArtifactStore) -> None:
    reloader = IndexReloader(store)
    assert reloader.current() is None
    shop = publish(store, "shop")
    assert reloader.current().artifact == shop  # type: ignore[union-attr]
    publish(store, "books")
    newer = publish(store, "shop")
    assert reloader.current().artifact == newer  # type: ignore[union-attr]


def test_of_several_data_sets_none_is_guessed(store: ArtifactStore, caplog: pytest.LogCaptureFixture) -> None:
    publish(store, "shop")
    publish(store, "books")
    with caplog.at_level(logging.ERROR):
        body = create_app(store.root).test_client().get("/api/ready")
    assert body.status_code == 503
    assert "data sets books, shop; choose one by serving.data_set, or --data-set" in str(body.json["refused"])
    result = CliRunner().invoke(cli, ["serve", "--model-dir", str(store.root)])
    assert result.exit_code == 1
    assert "books, shop; choose one by serving.data_set or --data-set" in " ".join(result.output.split())


def test_a_server_refuses_a_data_set_that_is_not_there(store: ArtifactStore) -> None:
    publish(store, "shop")
    result = CliRunner().invoke(cli, ["serve", "--model-dir", str(store.root), "--data-set", "nope"])
    assert result.exit_code == 1
    assert "no faiss_index of the data set nope; there are shop" in " ".join(result.output.split())


def test_a_server_refuses_a_store_of_the_earlier_layout(tmp_path: Path) -> None:
    (tmp_path / "faiss_index" / "ease" / "cpu").mkdir(parents=True)
    (tmp_path / "faiss_index" / "ease" / "cpu" / "LATEST").touch()
    result = CliRunner().invoke(cli, ["serve", "--model-dir", str(tmp_path)])
    assert result.exit_code == 1
    assert "materialize again" in " ".join(result.output.split())
