"""Behind a proxy: whose address counts, and below which path everything stands."""

import re

import pytest
from flask.testing import FlaskClient

from movierec_engine.api.app import create_app
from movierec_engine.api.config import ServingConfig
from movierec_engine.store import ArtifactStore
from worlds import Publish

PAGES = ("/", "/discover", "/movies/10", "/search?q=movie", "/users/1", "/docs", "/nowhere")


def limited(store: ArtifactStore, proxies: int) -> FlaskClient:
    return create_app(store.root, ServingConfig(rate_limit=0.001, rate_burst=1, trusted_proxies=proxies)).test_client()


def test_the_rate_of_each_client_behind_a_trusted_proxy_is_its_own(store: ArtifactStore) -> None:
    client = limited(store, 1)
    for address in ("203.0.113.1", "203.0.113.2"):
        assert client.get("/", headers={"X-Forwarded-For": address}).status_code == 200
    forged = {"X-Forwarded-For": "198.51.100.7, 203.0.113.1"}  # what stands before the proxy's word is the client's
    assert client.get("/", headers=forged).status_code == 429


def test_of_two_trusted_proxies_the_first_says_whose_request_it_is(store: ArtifactStore) -> None:
    client = limited(store, 2)
    for client_address in ("203.0.113.1", "203.0.113.2"):
        said = {"X-Forwarded-For": f"{client_address}, 10.0.0.1"}
        assert [client.get("/", headers=said).status_code for _ in range(2)] == [200, 429]


def test_without_trusted_proxies_nobody_is_believed(store: ArtifactStore) -> None:
    client = limited(store, 0)
    assert client.get("/", headers={"X-Forwarded-For": "203.0.113.1"}).status_code == 200
    assert client.get("/", headers={"X-Forwarded-For": "203.0.113.2"}).status_code == 429


@pytest.mark.parametrize("asked", ["/movies", ""], ids=["handed on", "cut off"])
def test_every_address_on_a_page_stands_below_the_prefix(store: ArtifactStore, publish: Publish, asked: str) -> None:
    publish()
    client = create_app(store.root, ServingConfig(prefix="/movies")).test_client()
    for page in PAGES:
        text = client.get(asked + page, headers={"Accept": "text/html"}).text
        addresses = re.findall(r'(?:href|src|action)="(/[^"]*)"', text)
        assert addresses
        assert all(address.startswith("/movies/") for address in addresses), page
        for address in addresses:
            assert client.get(address.partition("#")[0]).status_code != 404, address
    assert client.get(f"{asked}/api/openapi.json").json["servers"] == [{"url": "/movies"}]
    assert client.get("/moviesapi/health").status_code == 404, "which is not below it"


def test_a_trusted_proxy_may_say_the_prefix(store: ArtifactStore, publish: Publish) -> None:
    publish()
    client = create_app(store.root, ServingConfig(trusted_proxies=1)).test_client()
    text = client.get("/", headers={"Accept": "text/html", "X-Forwarded-Prefix": "/films"}).text
    assert 'href="/films/discover"' in text
