"""Keys, rates, and what browsers are told."""

from dataclasses import dataclass

import pytest
from flask import Flask
from flask.testing import FlaskClient

from movierec_engine.api.access import ApiKeys, RateLimit
from movierec_engine.api.app import create_app
from movierec_engine.api.config import ServingConfig
from movierec_engine.api.endpoints import Answer, Topic, register
from movierec_engine.api.errors import ApiError, register_error_answers
from movierec_engine.errors import ConfigError
from movierec_engine.store import ArtifactStore

KEY, OTHER = "correct-horse-battery", "another-key-that-is-long"


@dataclass(frozen=True, kw_only=True)
class Nothing:
    pass


def guarded(keys: ApiKeys) -> FlaskClient:
    app, topic = Flask("test"), Topic("test")

    @topic.endpoint("/write", Nothing, methods=("POST",), needs_key=True)
    def write(asked: Nothing) -> Answer:
        """Writes."""
        return {"written": True}

    register(app, topic.endpoints, ServingConfig(), keys)
    register_error_answers(app)
    return app.test_client()


def test_a_key_is_needed_for_what_writes_once_there_are_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    assert guarded(ApiKeys()).post("/write", json={}).status_code == 200
    monkeypatch.setenv("MOVIEREC_API_KEYS", f"{KEY}, {OTHER}")
    client = guarded(ApiKeys.of_environment())
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": KEY}, {"X-API-Key": "wrông"}):
        response = client.post("/write", json={}, headers=headers)
        assert response.status_code == 401
        assert response.json["error"]["code"] == "key_needed"
        assert response.headers["WWW-Authenticate"].startswith("Bearer")
        assert KEY not in response.text
    for headers in ({"Authorization": f"Bearer {KEY}"}, {"X-API-Key": OTHER}):
        assert client.post("/write", json={}, headers=headers).status_code == 200


def test_a_short_key_is_refused_without_being_shown() -> None:
    with pytest.raises(ConfigError, match="fewer than 16") as caught:
        ApiKeys(["hunter2"])
    assert "hunter2" not in str(caught.value)


def test_a_client_may_send_a_burst_and_then_its_rate() -> None:
    now = [0.0]
    limit = RateLimit(rate=2, burst=3, clock=lambda: now[0])
    for _ in range(3):
        limit.take("a")
    with pytest.raises(ApiError) as caught:
        limit.take("a")
    assert (caught.value.status, caught.value.headers) == (429, {"Retry-After": "1"})
    limit.take("b")
    now[0] += 0.5
    limit.take("a")
    with pytest.raises(ApiError):
        limit.take("a")


def test_a_limited_server_answers_429_except_to_its_operators(store: ArtifactStore) -> None:
    client = create_app(store.root, ServingConfig(rate_limit=0.001, rate_burst=1)).test_client()
    assert client.get("/").status_code == 200
    response = client.get("/")
    assert response.status_code == 429
    assert response.json["error"]["code"] == "too_many_requests"
    assert int(response.headers["Retry-After"]) > 0
    assert client.get("/api/health").status_code == client.get("/metrics").status_code == 200


def test_other_origins_may_not_read_unless_allowed(store: ArtifactStore) -> None:
    closed = create_app(store.root).test_client()
    allowed = create_app(store.root, ServingConfig(cors_origins=("https://shop.example",))).test_client()
    headers = {"Origin": "https://shop.example"}
    assert "Access-Control-Allow-Origin" not in closed.get("/", headers=headers).headers
    answer = allowed.get("/api/movie/x", headers=headers)
    assert answer.status_code == 400, "errors can be read as well"
    assert answer.headers["Access-Control-Allow-Origin"] == "https://shop.example"
    assert "Origin" in answer.headers["Vary"]
    assert "Access-Control-Allow-Origin" not in allowed.get("/", headers={"Origin": "https://evil.example"}).headers
    preflight = allowed.options("/api/recommend", headers={**headers, "Access-Control-Request-Method": "POST"})
    assert preflight.status_code == 204
    assert preflight.headers["Allow"] == "GET, HEAD, POST, OPTIONS"
    assert "Content-Type" in preflight.headers["Access-Control-Allow-Headers"]
    assert allowed.options("/nothing").status_code == 404


def test_every_answer_has_security_headers(client: FlaskClient) -> None:
    for path in ("/", "/nothing", "/api/recommend", "/docs", "/metrics", "/static/docs.css"):
        headers = client.get(path).headers
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
        assert headers["Cache-Control"]
        assert headers["X-Request-ID"]


@pytest.mark.parametrize(
    "settings",
    [
        {"cors_origins": ("*",)},
        {"follow": "newest"},
        {"rate_limit": -1.0},
        {"models_in_memory": 0},
        {"follow_seconds": 0.0},
    ],
)
def test_settings_that_make_no_sense_are_refused(settings: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=next(iter(settings))):
        ServingConfig(**settings)  # type: ignore[arg-type]
