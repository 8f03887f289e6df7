"""Nothing that a client can send is a 500, an HTML page or a stack trace."""

import json

import pytest
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from werkzeug.test import TestResponse

from movierec_engine.store import Artifact
from worlds import Publish

BAD_NUMBERS = ["", "-1", "0x1", "1e3", "1.0", "NaN", "inf", str(2**63), "9" * 400, "😀", "٣", "true", "[1]", "1 OR 1"]
BAD_BODIES = [b"", b"{", b"[1]", b"5", b'"x"', b"null", b"\xff\xfe", b'{"user_id": NaN}', b'{"user_id":1,"user_id":2}']


def assert_is_json_error(response: TestResponse, status: int | None = None) -> dict[str, str]:
    assert response.content_type == "application/json"
    assert 400 <= response.status_code < 500
    if status:
        assert response.status_code == status
    body = response.json
    assert set(body["error"]) == {"code", "message", "parameter"}
    assert body["request_id"]
    error: dict[str, str] = body["error"]
    return error


@pytest.mark.parametrize("value", BAD_NUMBERS)
@pytest.mark.parametrize("name", ["user_id", "top_k"])
def test_a_bad_number_is_a_400_that_names_the_parameter(
    client: FlaskClient, publish: Publish, name: str, value: str
) -> None:
    publish()
    query = {"user_id": "1", name: value}
    error = assert_is_json_error(client.get("/api/recommend", query_string=query), 400)
    assert error["parameter"] == name


@pytest.mark.parametrize("top_k", ["0", "501"])
def test_top_k_has_bounds(client: FlaskClient, publish: Publish, top_k: str) -> None:
    publish()
    error = assert_is_json_error(client.get(f"/api/recommend?user_id=1&top_k={top_k}"), 400)
    assert "from 1 to 500" in error["message"]


@pytest.mark.parametrize("value", [None, True, "1.5", -1, 1.5, [1], {"id": 1}, 2**63, "x"])
def test_a_bad_user_in_a_body_is_a_400(client: FlaskClient, publish: Publish, value: object) -> None:
    publish()
    assert_is_json_error(client.post("/api/recommend", json={"user_id": value}), 400)
    error = assert_is_json_error(client.post("/api/batch-recommend", json={"user_ids": [1, value]}), 400)
    assert error["parameter"] == "user_ids[1]"


@pytest.mark.parametrize("users", [None, [], "1", 5, {"1": 1}])
def test_a_batch_needs_a_list_of_users(client: FlaskClient, publish: Publish, users: object) -> None:
    publish()
    assert_is_json_error(client.post("/api/batch-recommend", json={"user_ids": users}), 400)


def test_a_batch_has_a_bound(client: FlaskClient, publish: Publish) -> None:
    publish()
    assert_is_json_error(client.post("/api/batch-recommend", json={"user_ids": [1] * 1001}), 422)


@pytest.mark.parametrize("body", [*BAD_BODIES, b"[" * 10**5])
def test_a_body_that_is_no_object_is_a_400(client: FlaskClient, publish: Publish, body: bytes) -> None:
    publish()
    assert_is_json_error(client.post("/api/recommend", data=body, content_type="application/json"), 400)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"user_id": 1, "top_k": 2, "top_k": 3}', "'top_k' is given several times in one object of the body"),
        (b'{"x": ' * 10**5, "it is nested too deeply"),
        (b'{"user_id": ' + b"9" * 10**5 + b"}", "a whole number in it has too many digits"),
        (b'{"user_id": NaN}', "the body holds NaN, which is no number of JSON"),
        (b'{"user_id": "\xff"}', "byte 13 is no UTF-8"),
        (b'{"user_id": 1,}', "at line 1, column"),
    ],
    ids=["repeated", "deep", "digits", "NaN", "Latin-1", "comma"],
)
def test_what_is_wrong_with_a_body_is_said(client: FlaskClient, publish: Publish, body: bytes, said: str) -> None:
    publish()
    error = assert_is_json_error(client.post("/api/recommend", data=body, content_type="application/json"), 400)
    assert said in error["message"]


def test_a_huge_body_is_a_413(client: FlaskClient, publish: Publish) -> None:
    publish()
    huge = json.dumps({"user_ids": [1] * 600_000})
    response = client.post("/api/batch-recommend", data=huge, content_type="application/json")
    assert_is_json_error(response, 413)


def test_a_compressed_body_and_another_charset_are_415(client: FlaskClient, publish: Publish) -> None:
    publish()
    body = {"data": b'{"user_id": 1}', "content_type": "application/json"}
    assert_is_json_error(client.post("/api/recommend", **body, headers={"Content-Encoding": "gzip"}), 415)
    other = client.post("/api/recommend", data=b'{"user_id": 1}', content_type="application/json; charset=utf-16")
    assert_is_json_error(other, 415)
    named = client.post("/api/recommend", data=b'{"user_id": 1}', content_type="application/json; charset=UTF-8")
    assert named.status_code == 200


@pytest.mark.parametrize(
    "query", ["user_id=%ff", "user_id=1&%ff=1", "&".join(f"x{i}=1" for i in range(200)), "user_id"]
)
def test_a_query_string_that_cannot_be_read_is_a_400(client: FlaskClient, publish: Publish, query: str) -> None:
    publish()
    assert_is_json_error(client.get(f"/api/recommend?{query}"), 400)


def test_half_a_surrogate_pair_in_a_name_is_a_400(client: FlaskClient, publish: Publish) -> None:
    publish()
    raw = b'{"user_id": 1, "\\ud800": 1}'
    assert_is_json_error(client.post("/api/recommend", data=raw, content_type="application/json"), 400)


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "", "application/xml"])
def test_a_body_of_another_type_is_a_415(client: FlaskClient, publish: Publish, content_type: str) -> None:
    publish()
    assert_is_json_error(client.post("/api/recommend", data=b'{"user_id": 1}', content_type=content_type), 415)


@pytest.mark.parametrize(
    ("method", "path"), [("DELETE", "/api/recommend"), ("POST", "/api/models"), ("GET", "/api/batch-recommend")]
)
def test_a_wrong_method_is_a_405_that_says_which_are_right(client: FlaskClient, method: str, path: str) -> None:
    response = client.open(path, method=method)
    assert_is_json_error(response, 405)
    assert response.headers["Allow"]


def test_an_unknown_parameter_gets_the_nearest_one(client: FlaskClient, publish: Publish) -> None:
    publish()
    error = assert_is_json_error(client.get("/api/recommend?user_id=1&topk=5"), 400)
    assert "did you mean top_k?" in error["message"]
    assert_is_json_error(client.get("/api/recommend?user_id=1&user_id=2"), 400)
    for path in ("/", "/api/models", "/api/health", "/api/movie/10"):
        assert assert_is_json_error(client.get(f"{path}?top_k=5"), 400)["parameter"] == "top_k"


@pytest.mark.parametrize(
    "path", ["movie/99", "similar/99", "nothing", "/models", "models/", "recommend?user_id=1&model=light-gcn"]
)
def test_what_is_not_there_is_a_404(client: FlaskClient, publish: Publish, path: str) -> None:
    publish()
    assert_is_json_error(client.get(f"/api/{path}"), 404)


def test_an_unknown_model_is_answered_with_the_known_ones(client: FlaskClient, publish: Publish) -> None:
    publish("lightgcn")
    error = assert_is_json_error(client.get("/api/recommend?user_id=1&model=lightgnc"), 404)
    assert "there are lightgcn" in error["message"]


@pytest.mark.parametrize("value", [*BAD_NUMBERS[1:], "../../etc/passwd", "%00", "1/2"])
def test_a_bad_movie_id_is_a_client_error(client: FlaskClient, publish: Publish, value: str) -> None:
    publish()
    for route in ("movie", "similar"):
        assert_is_json_error(client.get(f"/api/{route}/{value}"))


@pytest.fixture
def published(publish: Publish) -> Artifact:
    """One version for all examples of a property."""
    return publish()


JSON = st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), st.lists, max_leaves=5)
FUZZ = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)


@FUZZ
@given(st.dictionaries(st.sampled_from(["user_id", "top_k", "model", "strict", "x"]), st.text()))
def test_no_query_string_is_a_500(client: FlaskClient, published: Artifact, query: dict[str, str]) -> None:
    for path in ("/api/recommend", "/api/similar/10"):
        response = client.get(path, query_string=query)
        assert response.status_code < 500
        assert response.content_type == "application/json"


@FUZZ
@given(st.dictionaries(st.sampled_from(["user_id", "user_ids", "top_k", "model", "strict"]), JSON))
def test_no_body_is_a_500(client: FlaskClient, published: Artifact, body: dict[str, object]) -> None:
    for path in ("/api/recommend", "/api/batch-recommend"):
        response = client.post(path, json=body)
        assert response.status_code < 500
        assert response.content_type == "application/json"
