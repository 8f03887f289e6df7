"""Stores of both kinds: a folder, and a bucket of a server that speaks as S3 does."""

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from object_store import ObjectStoreServer, as_host, object_store_server

from movierec_engine.store.storage import Location

_numbers = count()


@pytest.fixture(scope="module")
def server() -> Iterator[ObjectStoreServer]:
    with object_store_server() as started:
        yield started


@pytest.fixture
def bucket(server: ObjectStoreServer, tmp_path: Path) -> Iterator[str]:
    """An empty bucket's URL, this process being a host with an empty folder of its own."""
    with as_host(server, tmp_path / "host"):
        yield f"{server.bucket(f'movies-{next(_numbers)}')}/of-a-team"


@pytest.fixture(params=["folder", "object store"])
def location(request: pytest.FixtureRequest, tmp_path: Path) -> Location:
    """An empty store's place."""
    if request.param == "folder":
        return tmp_path / "store"
    url: str = request.getfixturevalue("bucket")
    return url
