"""API hosts on an object store: the same answers as from a folder, from their caches too while the store is away."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from flask.testing import FlaskClient
from object_store import ObjectStoreServer, as_host, object_store_server
from waiting import soon

from movierec_engine.api.app import create_app
from movierec_engine.api.model_service import OUT_OF_REACH
from movierec_engine.errors import StoreError
from movierec_engine.pipeline.export import index_to_export
from movierec_engine.store import Artifact, ArtifactStore, object_storage, objects
from movierec_engine.store.copying import copy_store

PublishLine = Callable[..., dict[str, Artifact]]
PATHS = [
    "/api/recommend?user_id=1&top_k=3",
    "/api/recommend?history=10&top_k=3",
    "/api/users/1/history",
    "/api/movies/10",
    "/api/models",
    "/api/interview",
    "/api/ready",
]


@pytest.fixture(scope="module")
def server() -> Iterator[ObjectStoreServer]:
    with object_store_server() as started:
        yield started


@pytest.fixture
def url(server: ObjectStoreServer, tmp_path: Path) -> str:
    return f"{server.bucket('-'.join(tmp_path.name.split('_')[-2:]).lower()[:40])}/team"


class Released(NamedTuple):
    """Two indices, the first of which is served, in a folder and on the object store."""

    first: Artifact
    second: Artifact
    remote: ArtifactStore


@pytest.fixture
def released(
    store: ArtifactStore, publish_line: PublishLine, server: ObjectStoreServer, url: str, tmp_path: Path
) -> Released:
    first, second = publish_line("ease")["faiss_index"], publish_line("als", sign=-1)["faiss_index"]
    store.point("serving", first, {})
    with as_host(server, tmp_path / "trains"):
        remote = ArtifactStore(url)
        copy_store(store, remote)
    return Released(first, second, remote)


def answers(client: FlaskClient) -> dict[str, object]:
    found = {}
    for path in PATHS:
        body = client.get(path).get_json()
        body.pop("request_id")
        found[path] = body
    return found


@pytest.mark.slow
def test_a_host_follows_the_pointer_and_goes_on_while_the_store_is_away(
    store: ArtifactStore,
    released: Released,
    server: ObjectStoreServer,
    url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One that was started then too, on a machine that has served before; not one that never has."""
    monkeypatch.setattr(object_storage, "RECENT_SECONDS", -1.0)
    first, second, remote = released
    with as_host(server, tmp_path / "serves"):
        folder, host = create_app(store.root).test_client(), create_app(url).test_client()
        before = answers(host)
        assert before == answers(folder)
        assert before["/api/ready"]["serving"]["version"] == first.version  # type: ignore[index]
        for promoting in (store, remote):
            promoting.point("serving", promoting.resolve(second.reference), {})
        after = answers(host)
        assert after == answers(folder) != before
        with server.away():
            monkeypatch.setattr(objects, "SMALL_SECONDS", 0.1)
            monkeypatch.setattr(object_storage, "AWAY_SECONDS", 60.0)
            assert answers(host) == after
            assert answers(create_app(url).test_client()) == after
    with as_host(server, tmp_path / "never served"), server.away():
        never = create_app(url).test_client()
        refused = never.get("/api/recommend?user_id=1")
        assert (refused.status_code, refused.get_json()["error"]["message"]) == (503, OUT_OF_REACH)
        assert never.get("/api/ready").get_json()["message"] == OUT_OF_REACH
        assert never.get("/api/health").status_code == 200


def test_a_host_whose_disk_takes_no_writing_answers_and_says_what_it_cannot_fetch(
    released: Released,
    server: ObjectStoreServer,
    url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Full, or mounted read-only; here files stand where its folders were, which root cannot write to either."""
    monkeypatch.setattr(object_storage, "RECENT_SECONDS", -1.0)
    first, second, remote = released
    with as_host(server, tmp_path / "serves"):
        before = create_app(url).test_client().get("/api/recommend?user_id=1").get_json()["recommendations"]
        (cache,) = (tmp_path / "serves" / ".cache").iterdir()
        for name in ("answers", "locks", "partial"):
            shutil.rmtree(cache / name, ignore_errors=True)
            (cache / name).touch()
        host = create_app(url).test_client()
        assert host.get("/api/recommend?user_id=1").get_json()["recommendations"] == before
        assert host.get("/api/ready").get_json()["refused"] == {}
        remote.point("serving", remote.resolve(second.reference), {})
        for _ in range(3):
            ready = host.get("/api/ready").get_json()
        assert (ready["serving"]["version"], list(ready["refused"])) == (first.version, [second.reference])
        assert "locks" in ready["refused"][second.reference]
        assert host.get("/api/recommend?user_id=1").get_json()["recommendations"] == before
    assert not [one for one in caplog.records if one.exc_info]
    assert len([one for one in caplog.records if "is not served, and tried again" in one.getMessage()]) == 1
    (tmp_path / "full").touch()
    with as_host(server, tmp_path / "full"):
        ready = create_app(url).test_client().get("/api/ready").get_json()
        assert ready["status"] == "damaged"
        assert "Not a directory" in ready["refused"][second.reference]
        with pytest.raises(StoreError, match=r"no index of camps to export from: .*Not a directory"):
            index_to_export(ArtifactStore(url, offline=True), "camps")


def test_a_host_that_was_given_something_else_for_a_manifest_answers_once_the_store_is_well(
    released: Released, server: ObjectStoreServer, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As by a proxy that asks for signing in."""
    monkeypatch.setattr(object_storage, "RECENT_SECONDS", -1.0)
    key = f"versions/{released.first.reference}.json"
    with as_host(server, tmp_path / "serves"):
        own = objects.Objects(url)
        sound, _ = own.read(key)  # type: ignore[misc]
        own.replace(key, b"<html>Sign in</html>")
        host = create_app(url).test_client()
        assert "not a readable manifest" in str(host.get("/api/ready").get_json()["refused"])
        own.replace(key, sound)
        started = create_app(url).test_client()
        for one in (started, host):
            ready = soon(lambda one=one: (found := one.get("/api/ready").get_json())["refused"] == {} and found)
            assert ready["serving"]["version"] == released.first.version


@pytest.mark.slow
def test_a_promotion_is_answered_by_a_watching_host_and_what_it_uses_stays_in_its_cache(
    released: Released, server: ObjectStoreServer, url: str, tmp_path: Path
) -> None:
    old, new, remote = released
    with as_host(server, tmp_path / "serves"):
        app = create_app(url, watch=True)
        client = app.test_client()
        assert client.get("/api/recommend?user_id=1").get_json()["version"] == old.version
        remote.point("serving", remote.resolve(new.reference), {})
        soon(lambda: client.get("/api/recommend?user_id=1").get_json()["version"] == new.version, seconds=30)
        reloader = app.extensions["movierec"]["reloader"]
        reloader._told_at = float("-inf")
        ratings = reloader.state().served[None].lineage.ratings_file
        ratings.unlink()
        ratings.parent.rmdir()
        reloader.refresh()
        assert ratings.is_file(), "fetched again"
