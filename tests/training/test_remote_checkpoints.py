"""Checkpoints in an object store: a run that was cut off on one host goes on at another."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from object_store import ObjectStoreServer, as_host, object_store_server
from test_checkpoint import Killed, assert_equal, fit

from movierec_engine.errors import StoreError
from movierec_engine.store.objects import Object, Objects
from movierec_engine.training.checkpoint import Checkpoints
from movierec_engine.training.remote_checkpoints import RemoteCheckpoints


@pytest.fixture(scope="module")
def server() -> Iterator[ObjectStoreServer]:
    with object_store_server() as started:
        yield started


@pytest.fixture
def url(server: ObjectStoreServer, request: pytest.FixtureRequest) -> str:
    """A place that nobody has used."""
    return f"{server.bucket('checkpoints')}/{abs(hash(request.node.name))}"


def keys(url: str) -> list[str]:
    return [one.key.rpartition("/")[2].partition("-")[0].lstrip("0") for one in Objects(url).list("")]


def test_a_run_goes_on_at_another_host_from_the_newest_whole_checkpoint_to_the_same_weights(
    server: ObjectStoreServer, url: str, tmp_path: Path
) -> None:
    """The newest is of epoch 5 and is cut short, so it goes on from 4; on the other host there is not one file."""
    whole, epochs = fit("lightgcn")
    with as_host(server, tmp_path / "one"):
        with pytest.raises(Killed):
            fit("lightgcn", Checkpoints(url, "lightgcn", "a run"), stop_after=5)
        newest = Objects(url).list("lightgcn/a run/")[-1].key
        Objects(url).upload(newest, b"half")
    with as_host(server, tmp_path / "other"):
        going_on = Checkpoints(url, "lightgcn", "a run", resume_own=True)
        found = going_on._saved()
        assert found is not None
        assert len(found["history"]) == 4
        resumed, resumed_epochs = fit("lightgcn", going_on)
        assert_equal(whole, resumed)
        assert [(e.loss, e.metrics) for e in epochs] == [(e.loss, e.metrics) for e in resumed_epochs]
        assert keys(url) == ["7", "8"], "the two newest are kept"
        assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


@pytest.mark.slow
def test_trainings_of_one_model_at_a_time_keep_apart_and_a_fresh_one_leaves_its_old_checkpoints(
    server: ObjectStoreServer, url: str, tmp_path: Path
) -> None:
    with as_host(server, tmp_path):
        fit("lightgcn", Checkpoints(url, "lightgcn", "another run"))
        own = Checkpoints(url, "lightgcn", "a run")
        with pytest.raises(Killed):
            fit("lightgcn", own, stop_after=5)
        with pytest.raises(Killed):
            fit("lightgcn", own, stop_after=2)
        assert keys(url) == ["1", "2", "7", "8"]
        assert_equal(fit("lightgcn", replace(own, resume=True))[0], fit("lightgcn")[0])


def test_training_goes_on_while_the_store_refuses_a_checkpoint_and_says_so(
    server: ObjectStoreServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with as_host(server, tmp_path):
        RemoteCheckpoints("s3://there-is-no-such-bucket", "lightgcn", "a run").write(b"a checkpoint", 3)
        assert "the checkpoint after epoch 3 is not kept, and training goes on" in caplog.text
        with pytest.raises(StoreError, match="no such bucket"):
            Checkpoints("s3://there-is-no-such-bucket", "lightgcn", "a run", resume=True)._saved()


def test_a_sweep_deletes_checkpoints_of_more_than_a_week_ago_and_nothing_else(
    server: ObjectStoreServer, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def listed(objects: Objects, prefix: str) -> list[Object]:
        return [replace(one, modified=now - timedelta(days=ages[one.key])) for one in real(objects, prefix)]

    with as_host(server, tmp_path):
        place = RemoteCheckpoints(url, "ncf", "a run")
        for epoch in (3, 4):
            place.write(b"content", epoch)
        Objects(url).upload("versions/ncf/20260101.json", b"an artifact of the same prefix")
        older, newer, artifact = (one.key for one in Objects(url).list(""))
        now, real, ages = datetime.now(UTC), Objects.list, {older: 7.1, newer: 6.9, artifact: 100}
        monkeypatch.setattr(Objects, "list", listed)
        place.sweep()
        assert [one.key for one in real(Objects(url), "")] == [newer, artifact]
