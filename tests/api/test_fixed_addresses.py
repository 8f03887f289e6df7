"""What is answered without Flask is what Flask answers: the same endpoints by its routing are the oracle."""

from functools import partial
from typing import Any

import pytest
from flask import Flask
from werkzeug.test import Client, TestResponse

from movierec_engine.api.app import create_app
from movierec_engine.api.config import ServingConfig
from movierec_engine.api.metrics import Metrics
from movierec_engine.api.middleware import Envelope
from movierec_engine.api.request_parsing import MAX_BODY_BYTES
from movierec_engine.store import ArtifactStore
from worlds import Publish

JSON = {"content_type": "application/json"}
ASKED: dict[str, dict[str, Any]] = {
    "a list": {"path": "/api/recommend?user_id=1&top_k=2"},
    "by its address": {"path": "/api/v1/recommend?user_id=1&top_k=2"},
    "a history in a body": {"path": "/api/recommend", "method": "POST", "json": {"history": [10], "top_k": 2}},
    "a batch": {"path": "/api/batch-recommend", "method": "POST", "json": {"user_ids": [1, 2]}},
    "a home page": {"path": "/api/home?user_id=1"},
    "a search": {"path": "/api/search?q=movie"},
    "models": {"path": "/api/models"},
    "health": {"path": "/api/health"},
    "readiness": {"path": "/api/ready"},
    "the description": {"path": "/api/openapi.json"},
    "no such parameter": {"path": "/api/recommend?usr_id=1"},
    "no number": {"path": "/api/recommend?user_id=-1"},
    "no such model": {"path": "/api/recommend?user_id=1&model=nobody"},
    "a stranger, strictly": {"path": "/api/recommend?user_id=999&strict=true"},
    "raw bytes": {"path": "/api/search", "environ_overrides": {"QUERY_STRING": "q=\xff"}},
    "a body that is no JSON": {"path": "/api/recommend", "method": "POST", "data": b"{", **JSON},
    "a body of another type": {"path": "/api/recommend", "method": "POST", "data": b"{}"},
    "a body that is too large": {
        "path": "/api/recommend", "method": "POST", "data": b" " * (MAX_BODY_BYTES + 1), **JSON,
    },
    "a length that lies": {
        "path": "/api/recommend", "method": "POST", "data": b"{}", **JSON, "headers": {"Content-Length": "9" * 12},
    },
    "another method": {"path": "/api/recommend", "method": "PATCH"},
    "its head": {"path": "/api/recommend?user_id=1", "method": "HEAD"},
    "what may be asked": {"path": "/api/recommend", "method": "OPTIONS"},
    "a slash too many": {"path": "/api/recommend/"},
    "a doubled slash": {"path": "//api/recommend"},
    "nothing there": {"path": "/api/nothing"},
}  # fmt: skip


@pytest.fixture
def app(store: ArtifactStore, publish: Publish) -> Flask:
    publish()
    return create_app(store.root, ServingConfig(cors_origins=("https://shop.example",)))


def by_flask(app: Flask) -> Client:
    """A client of the application that Flask alone answers."""
    return Client(Envelope(partial(Flask.wsgi_app, app), Metrics(), ("https://shop.example",)))


def told(response: TestResponse) -> tuple[int, list[tuple[str, str]], bytes]:
    return response.status_code, sorted(response.headers), response.get_data()


def test_it_answers_as_flask_does(app: Flask) -> None:
    own, other = app.test_client(), by_flask(app)
    for what, asked in ASKED.items():
        headers = {"X-Request-ID": "one", "Origin": "https://shop.example", **asked.get("headers", {})}
        answer = told(own.open(**{**asked, "headers": headers}))
        assert answer == told(other.open(**{**asked, "headers": headers})), what
        assert answer[0] != 500, what


def test_flask_has_no_part_in_it(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(Flask, "wsgi_app")
    monkeypatch.delattr(Flask, "request_context")
    client = Client(app.wsgi_app)
    assert client.get("/api/recommend?user_id=1").status_code == 200
    with pytest.raises(AttributeError):
        client.get("/api/movie/10")


def test_what_fails_within_is_one_sentence_with_the_id_under_which_the_log_has_it(
    app: Flask, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(*arguments: object) -> None:
        raise RuntimeError("the disk is on fire")

    monkeypatch.setattr(app.extensions["movierec"]["live"], "state", fails)
    answer = app.test_client().get("/api/recommend?user_id=1", headers={"X-Request-ID": "burns"})
    assert (answer.status_code, answer.json["request_id"]) == (500, "burns")
    assert "fire" not in answer.text
    assert "request burns failed" in caplog.text
    assert "the disk is on fire" in caplog.text


def test_the_rate_and_the_metrics_are_those_of_every_endpoint(store: ArtifactStore, publish: Publish) -> None:
    publish()
    client = create_app(store.root, ServingConfig(rate_limit=0.001, rate_burst=3)).test_client()
    assert [client.get("/api/v1/recommend?user_id=1").status_code for _ in range(2)] == [200, 200]
    assert client.get("/api/movie/10").status_code == 200, "which Flask answers, by the same purse"
    refused = client.get("/api/recommend?user_id=1")
    assert refused.status_code == 429
    assert int(refused.headers["Retry-After"]) > 0
    assert client.get("/api/health").status_code == 200, "which is not limited"
    counted = 'movierec_requests_total{endpoint="/api/recommend",method="GET",status="'
    assert {f'{counted}200"}} 2.0', f'{counted}429"}} 1.0'} <= set(client.get("/metrics").text.splitlines())
