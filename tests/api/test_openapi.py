"""The description says what the API does: every route, every parameter, examples that work, answers that fit."""

import json
import re
from dataclasses import replace
from typing import Any

import jsonschema
import numpy as np
import pytest
from flask import Flask
from flask.testing import FlaskClient
from openapi_spec_validator import OpenAPIV31SpecValidator

from movierec_engine.api.config import ServingConfig
from movierec_engine.api.endpoints import Endpoint
from movierec_engine.api.openapi import example_request
from movierec_engine.data.rating_scale import RatingScale
from movierec_engine.retrieval.index import RetrievalIndex
from movierec_engine.store import ArtifactStore, Slot
from worlds import Publish, small_index, text_index, with_scale

OPENAPI_PARTS = {"openapi", "info", "paths", "components"}


def endpoints(client: FlaskClient) -> list[Endpoint]:
    found: list[Endpoint] = client.application.extensions["movierec"]["endpoints"]
    return found


def described(client: FlaskClient) -> dict[str, Any]:
    body: dict[str, Any] = client.get("/api/openapi.json").json
    return body


def test_every_route_and_method_is_described_by_its_address_and_has_an_alias(client: FlaskClient) -> None:
    app: Flask = client.application
    rules = [rule for rule in app.url_map.iter_rules() if rule.endpoint != "static"]
    aliases = {rule.rule for rule in rules if re.match("/api/(?!v1/)", rule.rule)}
    assert aliases == {rule.rule.replace("/v1", "") for rule in rules if rule.rule.startswith("/api/v1/")}
    routes = {
        (re.sub(r"<(\w+)>", r"{\1}", rule.rule), method.lower())
        for rule in rules
        if rule.rule not in aliases
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    body = described(client)
    assert set(body) >= OPENAPI_PARTS
    assert {(path, method) for path, operations in body["paths"].items() for method in operations} == routes


def test_the_description_is_valid_openapi(client: FlaskClient) -> None:
    OpenAPIV31SpecValidator(described(client)).validate()


@pytest.mark.parametrize("index", [small_index(), text_index()], ids=["numbers", "texts"])
def test_every_example_is_answered_and_its_answer_fits_the_schema(
    client: FlaskClient, store: ArtifactStore, index: RetrievalIndex
) -> None:
    store.publish(Slot("faiss_index", "camps", "ease", "cpu"), index.save, key="k", fingerprint="f00d")
    served = client.application.extensions["movierec"]["reloader"].current()
    components = described(client)["components"]
    for endpoint in endpoints(client):
        for method in endpoint.methods:
            path, body = example_request(endpoint, method, ServingConfig(), served.known_ids)
            if body and "to" in body:  # the name of a version, which only the server's own rules have
                body["to"] = client.get("/api/rules/home").json["version"]
            response = client.open(path, method=method, json=body)
            assert response.status_code == 200, (path, response.text)
            assert response.mimetype == endpoint.content
            if endpoint.schema:
                schema = {"$ref": f"#/components/schemas/{endpoint.schema.__name__}", "components": components}
                jsonschema.validate(response.json, schema)


@pytest.mark.parametrize(
    ("index", "said"),
    [
        (small_index(), ["movie ids such as 10, or with a rating of the data's scale, 10:4.5.", "`because:10`"]),
        (
            with_scale(text_index(), RatingScale(1.0, 10.0, 1.0)),
            ["movie ids such as /B/0,0:X, or with a rating of the data's scale, /B/0\\,0\\:X:9.", "`because:/B/0,0:X`"],
        ),
        (with_scale(small_index(), RatingScale(1.0, 1.0, 0.0)), ["or with a rating of the data's scale, 10:1."]),
    ],
    ids=["numbers", "texts", "likes"],
)
def test_descriptions_have_examples_of_the_data_that_are_served(
    client: FlaskClient, store: ArtifactStore, index: RetrievalIndex, said: list[str]
) -> None:
    popular = replace(index, popularity=np.array([1, 5, 1, 1, 1], dtype=np.float32))
    store.publish(Slot("faiss_index", "camps", "ease", "cpu"), popular.save, key="k", fingerprint="f00d")
    text = json.dumps(described(client), ensure_ascii=False)
    assert all(json.dumps(one, ensure_ascii=False)[1:-1] in text for one in said)
    assert "{movie}" not in text and "{rated}" not in text and "318" not in text
    history = said[0].rpartition(" ")[2].rstrip(".")
    assert client.get("/api/recommend", query_string={"history": history}).status_code == 200


VALUES = {
    "model": "ease",
    "exclude": "10,20",
    "candidates": "10,20",
    "genres": "drama",
    "genres_not": "Drama",
    "history": "10,20:4.5",
}
"""Of parameters that have neither an example nor a default; years and others are numbers that all accept."""


def test_every_described_parameter_is_accepted_alone_with_what_is_required(
    client: FlaskClient, publish: Publish
) -> None:
    publish()
    for path, operations in described(client)["paths"].items():
        if "get" not in operations:
            continue
        known = {one["name"]: one for one in operations["get"]["parameters"]}
        shown = {name: one.get("example", one["schema"].get("default")) for name, one in known.items()}
        needed = {name for name, one in known.items() if one["required"] and one["in"] == "query"}
        if "history" in known and shown["user_id"]:
            needed.add("user_id")
        for name in (name for name, one in known.items() if one["in"] == "query" and name != "next"):
            names = needed - {"user_id"} if name == "history" else needed
            value = VALUES.get(name, 1990 if shown[name] is None else shown[name])
            query = {one: str(shown[one]).lower() for one in names} | {name: str(value).lower()}
            response = client.get(path.format(**shown), query_string=query)
            assert response.status_code == 200, (path, query, response.text)


def test_errors_fit_their_schema_and_their_status_is_described(client: FlaskClient, publish: Publish) -> None:
    publish()
    body = described(client)
    for path, status in (("/api/recommend", 400), ("/api/similar/99", 404), ("/api/recommend?user_id=1&model=x", 404)):
        response = client.get(path)
        assert response.status_code == status
        jsonschema.validate(response.json, {"$ref": "#/components/schemas/Error", "components": body["components"]})
        described_path = "/api/v1/similar/{item_id}" if "similar" in path else "/api/v1/recommend"
        assert str(status) in body["paths"][described_path]["get"]["responses"]


def test_a_parameter_is_described_by_the_bounds_that_it_is_read_with(client: FlaskClient) -> None:
    operation = described(client)["paths"]["/api/v1/recommend"]["get"]
    top_k = next(one for one in operation["parameters"] if one["name"] == "top_k")
    assert top_k["schema"] == {"type": "integer", "minimum": 1, "maximum": 500, "default": 10}


@pytest.mark.parametrize(
    ("operation", "name", "value"),
    [
        ("get_recommend", "top_k", "whole number from 1 to 500; 10 if left out"),
        ("get_recommend", "diversity", "number from 0 to 1; 0 if left out"),
        (
            "get_recommend",
            "exclude",
            "0 to 1000 of: whole number or text, as the ids of the data are; none if left out",
        ),
        ("get_recommend", "history", "0 to 1000 of: movie id, or object with movie_id and rating"),
        ("feedback", "rating", "number from 0.5 to 5"),
        (
            "feedback",
            "events",
            "1 to 100 of: object with user_id, movie_id, kind, rating, share, timestamp, key, exposure_id, request_id",
        ),
    ],
)
def test_the_docs_page_says_what_a_value_may_be(client: FlaskClient, operation: str, name: str, value: str) -> None:
    _, _, section = client.get("/docs").text.partition(f'<section id="{operation}"')
    row = re.search(rf"<code>{name}</code>.*?</tr>", section)
    assert row and f"<td>{value}</td>" in row[0]


@pytest.mark.parametrize(
    ("host", "address"), [("127.0.0.1:15000", "http://127.0.0.1:15000"), ('"><script>', "http://localhost:5000")]
)
def test_the_docs_page_asks_its_examples_where_it_was_found_itself(
    client: FlaskClient, host: str, address: str
) -> None:
    page = client.get("/docs", environ_overrides={"HTTP_HOST": host}).text
    assert f"curl &#34;{address}/api/v1/recommend?" in page
    assert "<script>" not in page


def test_the_description_and_the_docs_page_name_the_scope_that_an_endpoint_needs(client: FlaskClient) -> None:
    paths, page = described(client)["paths"], client.get("/docs").text
    for path, method, security, said in (
        ("users/{user_id}", "get", [{"key": ["read"]}], "Needs an API key of scope read, where the server has any."),
        ("feedback", "post", [{"key": ["write"]}], "Needs an API key of scope write, where the server has any."),
        ("rules/{scenario}", "put", [{"key": ["admin"]}], "Needs an API key of scope admin, where the server has any."),
        (
            "recommend", "get", [{}, {"key": ["read"]}],
            "With a `user_id` it needs an API key of scope read, where the server has any.",
        ),
        ("movie/{movie_id}", "get", None, None),
    ):  # fmt: skip
        operation = paths[f"/api/v1/{path}"][method]
        assert (operation.get("security"), operation.get("description")) == (security, said)
        _, _, section = page.partition(f'<section id="{operation["operationId"]}"')
        about = section.partition("</p>")[0]
        assert ("API key" in about) == (said is not None)
        assert said is None or said.replace("`user_id`", "<code>user_id</code>") in about


@pytest.mark.parametrize("rest", ["recommend?user_id=1&top_k=2", "movie/10", "movie/99", "recommend?user=1", "nothing"])
def test_an_endpoint_answers_at_its_address_as_at_its_alias(client: FlaskClient, publish: Publish, rest: str) -> None:
    publish()
    named = {"X-Request-ID": "the-same"}
    versioned, alias = (client.get(f"/api/{version}{rest}", headers=named) for version in ("v1/", ""))
    assert (versioned.status, versioned.headers, versioned.data) == (alias.status, alias.headers, alias.data)


def test_the_docs_page_shows_names_as_code(client: FlaskClient) -> None:
    page = client.get("/docs").text
    assert "For an event without <code>key</code>;" in page
    assert "`" not in page


def test_the_docs_page_has_every_endpoint_and_loads_nothing_from_elsewhere(client: FlaskClient) -> None:
    response = client.get("/docs")
    page = response.text
    for endpoint in endpoints(client):
        assert re.sub(r"<(\w+)>", r"{\1}", endpoint.address) in page
        assert all((one.alias or name) in page for name, one in endpoint.asks.model_fields.items())
    assert not re.search(r"""(src|href)=["'](https?:)?//""", page)
    assert not re.search(r"<script(?![^>]*\bsrc=)", page) and "style=" not in page
    policy = response.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "unsafe-inline" not in policy
    sheet = re.search(r'href="(/static/theme.css[^"]+)"', page)
    assert sheet
    style = client.get(sheet[1])
    assert style.status_code == 200 and "immutable" in style.headers["Cache-Control"]
    assert "color-scheme: light dark" in style.text


@pytest.mark.parametrize("name", ["../app.py", "..%2fapp.py", "%2e%2e/app.py", "app.py", "docs.css/", "\x00"])
def test_no_path_of_a_request_reaches_the_file_system(client: FlaskClient, name: str) -> None:
    response = client.get(f"/static/{name}")
    assert response.status_code == 404
    assert response.content_type == "application/json"
