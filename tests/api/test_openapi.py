"""The description says what the API does: every route, every parameter, examples that work, answers that fit."""

import re
from typing import Any

import jsonschema
import pytest
from flask import Flask
from flask.testing import FlaskClient

from movierec_engine.api.endpoints import Endpoint
from movierec_engine.api.openapi import example_request
from movierec_engine.api.parameters import parameters_of
from worlds import Publish

OPENAPI_PARTS = {"openapi", "info", "paths", "components"}


def endpoints(client: FlaskClient) -> list[Endpoint]:
    found: list[Endpoint] = client.application.extensions["movierec"]["endpoints"]
    return found


def described(client: FlaskClient) -> dict[str, Any]:
    body: dict[str, Any] = client.get("/api/openapi.json").json
    return body


def test_every_route_and_method_is_described(client: FlaskClient) -> None:
    app: Flask = client.application
    routes = {
        (re.sub(r"<(\w+)>", r"{\1}", rule.rule), method.lower())
        for rule in app.url_map.iter_rules()
        if rule.endpoint != "static"
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    body = described(client)
    assert set(body) >= OPENAPI_PARTS
    assert {(path, method) for path, operations in body["paths"].items() for method in operations} == routes


def test_every_example_is_answered_and_its_answer_fits_the_schema(client: FlaskClient, publish: Publish) -> None:
    publish()
    components = described(client)["components"]
    for endpoint in endpoints(client):
        for method in endpoint.methods:
            path, body = example_request(endpoint, method)
            response = client.open(path, method=method, json=body)
            assert response.status_code == 200, (path, response.text)
            assert response.mimetype == endpoint.content
            if endpoint.schema:
                schema = {"$ref": f"#/components/schemas/{endpoint.schema}", "components": components}
                jsonschema.validate(response.json, schema)


VALUES = {"model": "ease", "exclude": "10,20", "genres": "drama", "genres_not": "Drama", "history": "10,20:4.5"}
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
        if "history" in known:
            needed.add("user_id")
        for name in (name for name, one in known.items() if one["in"] == "query"):
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
        described_path = "/api/similar/{item_id}" if "similar" in path else "/api/recommend"
        assert str(status) in body["paths"][described_path]["get"]["responses"]


def test_a_parameter_is_described_by_the_bounds_that_it_is_read_with(client: FlaskClient) -> None:
    operation = described(client)["paths"]["/api/recommend"]["get"]
    top_k = next(one for one in operation["parameters"] if one["name"] == "top_k")
    assert top_k["schema"] == {"type": "integer", "minimum": 1, "maximum": 500, "default": 10}


def test_the_docs_page_has_every_endpoint_and_loads_nothing_from_elsewhere(client: FlaskClient) -> None:
    response = client.get("/docs")
    page = response.text
    for endpoint in endpoints(client):
        assert re.sub(r"<(\w+)>", r"{\1}", endpoint.path) in page
        assert all(one.shown_name in page for one in parameters_of(endpoint.asks).values())
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
