"""Keys, rates, and what browsers are told."""

from collections import OrderedDict

import pytest
from flask import Flask
from flask.testing import FlaskClient

from movierec_engine.api.access import ApiKeys, RateLimit
from movierec_engine.api.app import create_app
from movierec_engine.api.config import READ, SCOPES, ServingConfig, keys_of_environment
from movierec_engine.api.endpoints import Answer, Topic, register
from movierec_engine.api.errors import ApiError, answer_to
from movierec_engine.api.known_ids import UserId
from movierec_engine.api.parameters import RequestModel
from movierec_engine.api.requests import NoParameters
from movierec_engine.errors import ConfigError
from movierec_engine.store import ArtifactStore
from worlds import Publish

KEY, OTHER = "correct-horse-battery", "another-key-that-is-long"


class Somebody(RequestModel):
    user_id: UserId | None = None


def guarded(keys: ApiKeys) -> FlaskClient:
    """An application with one endpoint a scope, and one that tells of a person where one is named."""
    app, topic = Flask("test"), Topic("test")
    for scope in SCOPES:

        def answer(asked: NoParameters) -> Answer:
            """Answers."""
            return {"answered": True}

        answer.__name__ = scope
        topic.endpoint(f"/{scope}", methods=("POST",), scope=scope)(answer)

    @topic.endpoint("/list", of_people=lambda asked: asked.user_id is not None)
    def recommended(asked: Somebody) -> Answer:
        """Answers."""
        return {"answered": True}

    register(app, topic.endpoints, ServingConfig(), keys)
    app.register_error_handler(Exception, answer_to)
    return app.test_client()


def test_without_keys_everything_is_open() -> None:
    client = guarded(ApiKeys())
    assert {client.post(f"/{scope}", json={}).status_code for scope in SCOPES} == {200}


def test_a_request_without_a_key_of_ours_is_told_what_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOVIEREC_API_KEYS", f"{KEY}, {OTHER}")
    client = guarded(ApiKeys(keys_of_environment()))
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": KEY}, {"X-API-Key": "wr\u00f4ng"}):
        assert client.post("/open", json={}, headers=headers).status_code == 200
        for scope in SCOPES[1:]:
            response = client.post(f"/{scope}", json={}, headers=headers)
            assert response.status_code == 401
            assert response.json["error"]["code"] == "key_needed"
            assert f"scope {scope}" in response.json["error"]["message"]
            assert response.headers["WWW-Authenticate"].startswith("Bearer")
            assert KEY not in response.text
    for headers in ({"Authorization": f"Bearer {KEY}"}, {"Authorization": f"bearer  {KEY}"}, {"X-API-Key": OTHER}):
        assert client.post("/admin", json={}, headers=headers).status_code == 200, "no scope: an admin's"


def test_a_wrong_key_is_told_from_a_missing_one() -> None:
    client = guarded(ApiKeys({KEY: READ}))

    def said(**headers: str) -> str:
        message: str = client.post("/write", json={}, headers=headers).json["error"]["message"]
        return message

    missing = "this needs an API key of scope write; send it as Authorization: Bearer KEY"
    wrong = "the API key sent is not one of this server's; send a key of scope write as Authorization: Bearer KEY"
    assert {said(), said(Authorization="Bearer "), said(Authorization="wrong"), said(**{"X-API-Key": ""})} == {missing}
    assert {said(Authorization="Bearer wrong"), said(**{"X-API-Key": "wrong"})} == {wrong}


def test_a_key_may_do_what_its_scope_and_those_before_it_allow(monkeypatch: pytest.MonkeyPatch) -> None:
    keys = {scope: f"{scope}-key=of-this-server==" for scope in SCOPES[1:]}
    monkeypatch.setenv("MOVIEREC_API_KEYS", ",".join(f"{scope}={key}" for scope, key in keys.items()))
    client = guarded(ApiKeys(keys_of_environment()))
    for own, key in keys.items():
        for scope in SCOPES:
            response = client.post(f"/{scope}", json={}, headers={"X-API-Key": key})
            allowed = SCOPES.index(scope) <= SCOPES.index(own)
            assert response.status_code == (200 if allowed else 403)
            assert allowed or response.json["error"]["code"] == "scope_needed"
            assert key not in response.text


def test_a_list_of_a_person_needs_a_key_and_one_of_nobody_does_not() -> None:
    client = guarded(ApiKeys({KEY: READ}))
    assert client.get("/list").status_code == 200
    assert client.get("/list?user_id=1").status_code == 401
    assert client.get("/list?user_id=1", headers={"X-API-Key": KEY}).status_code == 200


def test_with_keys_nothing_of_people_and_of_the_operation_is_open(
    store: ArtifactStore, publish: Publish, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish()
    monkeypatch.setenv("MOVIEREC_API_KEYS", f"read={KEY}")
    client = create_app(store.root).test_client()
    for path in ("/api/users/1", "/api/recommend?user_id=1", "/metrics", "/api/experiments"):
        assert client.get(path).status_code == 401, path
        assert client.get(path, headers={"X-API-Key": KEY}).status_code == 200, path
    assert client.post("/api/batch-recommend", json={"user_ids": [1]}).status_code == 401
    for path in ("/", "/docs", "/api/health", "/api/ready", "/api/recommend?history=10", "/api/movie/10"):
        assert client.get(path).status_code == 200, path


def test_a_key_of_sixteen_characters_is_long_enough_and_what_names_no_scope_is_an_admins(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MOVIEREC_API_KEYS", "read=0123456789abcdef, 0123456789ABCDEF ,open=0123456789a")
    assert keys_of_environment() == {
        "0123456789abcdef": READ, "0123456789ABCDEF": "admin", "open=0123456789a": "admin"
    }  # fmt: skip


@pytest.mark.parametrize(("key", "why"), [("hunter2", "fewer than 16"), ("schl\u00fcssel-der-lang-ist", "use ASCII")])
def test_a_key_that_cannot_be_used_is_refused_without_being_shown(
    key: str, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOVIEREC_API_KEYS", f"read={key}")
    with pytest.raises(ConfigError, match=why) as caught:
        keys_of_environment()
    assert key not in str(caught.value)


def test_a_key_of_two_scopes_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOVIEREC_API_KEYS", "read=0123456789abcdef,write=0123456789abcdef")
    with pytest.raises(ConfigError, match="has one key for read and write; give each its own"):
        keys_of_environment()


@pytest.mark.parametrize("keys", ["CHANGE-ME", "read=0123456789abcdef,admin=CHANGE-ME-TO-ERASE"])
def test_the_key_of_an_example_is_refused(keys: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOVIEREC_API_KEYS", keys)
    with pytest.raises(ConfigError, match="MOVIEREC_API_KEYS has a key that is still an example's, CHANGE-ME; set one"):
        keys_of_environment()


def test_two_threads_do_not_take_one_token_twice() -> None:
    limit = RateLimit(rate=2, burst=3, clock=lambda: 0.0)
    kept = []

    class Buckets(OrderedDict[str, tuple[float, float]]):
        def __setitem__(self, *bucket: object) -> None:
            kept.append(limit._lock.locked())
            super().__setitem__(*bucket)  # type: ignore[arg-type]

        def pop(self, *asked: object) -> tuple[float, float]:  # type: ignore[override]
            kept.append(limit._lock.locked())
            return super().pop(*asked)  # type: ignore[arg-type, no-any-return]

    limit._buckets = Buckets()
    limit.take("a")
    assert kept == [True, True]
    assert not limit._lock.locked()


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


def test_however_long_a_client_was_away_it_may_send_no_more_than_a_burst() -> None:
    now = [0.0]
    limit = RateLimit(rate=2, burst=3, clock=lambda: now[0])
    limit.take("a")
    for away in (0.5, 1000.0):
        now[0] += away
        for _ in range(3):
            limit.take("a")
        with pytest.raises(ApiError):
            limit.take("a")


def test_a_client_is_told_when_it_may_ask_again_and_then_may() -> None:
    now = [0.0]
    limit = RateLimit(rate=0.25, burst=1, clock=lambda: now[0])
    limit.take("a")
    now[0] += 1
    for _ in range(5):  # asking again costs nothing
        with pytest.raises(ApiError) as caught:
            limit.take("a")
    assert caught.value.headers == {"Retry-After": "3"}
    now[0] += 3
    limit.take("a")


def ask_ten_times(limit: RateLimit) -> None:
    for _ in range(10):
        limit.take("a")


def test_without_a_rate_nobody_is_limited() -> None:
    with pytest.raises(ApiError):
        ask_ten_times(RateLimit(rate=1, burst=1))
    ask_ten_times(RateLimit(rate=0, burst=1))


def test_of_too_many_clients_the_one_that_asked_longest_ago_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("movierec_engine.api.access._MOST_CLIENTS", 2)
    limit = RateLimit(rate=1, burst=1, clock=lambda: 0.0)
    limit.take("a")
    limit.take("b")
    with pytest.raises(ApiError):
        limit.take("a")
    limit.take("c")
    for client in ("a", "c"):
        with pytest.raises(ApiError):
            limit.take(client)
    limit.take("b")


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
    answer = allowed.get("/api/recommend", headers=headers)
    assert answer.status_code == 400, "errors can be read as well"
    assert answer.headers["Access-Control-Allow-Origin"] == "https://shop.example"
    assert "Origin" in answer.headers["Vary"]
    assert "Access-Control-Allow-Origin" not in allowed.get("/", headers={"Origin": "https://evil.example"}).headers
    preflight = allowed.options("/api/recommend", headers={**headers, "Access-Control-Request-Method": "POST"})
    assert preflight.status_code == 204
    assert preflight.headers["Allow"] == "GET, HEAD, POST, OPTIONS"
    assert "Content-Type" in preflight.headers["Access-Control-Allow-Headers"]
    assert answer.headers["Access-Control-Expose-Headers"] == "X-Request-ID, Retry-After"
    assert allowed.options("/nothing").status_code == 404


def test_every_answer_has_security_headers(client: FlaskClient) -> None:
    for path in ("/", "/nothing", "/api/recommend", "/docs", "/metrics", "/static/docs.css"):
        headers = client.get(path).headers
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
        assert headers["Cache-Control"] == ("no-cache" if path.startswith("/static") else "no-store")
        assert headers["X-Request-ID"]
    for name, value in (("X-Frame-Options", "DENY"), ("Referrer-Policy", "no-referrer")):
        assert client.get("/docs").headers[name] == value


@pytest.mark.parametrize(
    "settings",
    [
        {"cors_origins": ("*",)},
        {"follow": "newest"},
        {"rate_limit": -1.0},
        {"models_in_memory": 0},
        {"follow_seconds": 0.0},
        {"trusted_proxies": -1},
        {"prefix": "movies"},
        {"prefix": "/movies/"},
        {"port": 0},
        {"port": 65536},
        {"follow_seconds": 60.5},
        {"rate_burst": 0},
        {"answer_seconds": 0.5},
        {"drain_seconds": 601.0},
    ],
)
def test_settings_that_make_no_sense_are_refused(settings: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=next(iter(settings))):
        ServingConfig(**settings)  # type: ignore[arg-type]
