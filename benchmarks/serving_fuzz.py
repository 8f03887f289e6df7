"""Ask the API everything that its description allows and much that it does not: no answer may be a 500.

    python benchmarks/serving_fuzz.py [--examples 200]

Two parts, both on the WSGI application over a store that is copied, as feedback is written and users are erased:
schemathesis makes requests from /api/openapi.json, valid and invalid ones, and holds the answers against it (status,
type, schema); then every parameter of every operation gets each of some hostile values, in a query string, a path, a
header or a body. Writes benchmarks/results/serving_fuzz.md.
"""

import argparse
import json
import logging
import os
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import schemathesis
from flask.testing import FlaskClient
from hypothesis import HealthCheck, Phase, given, settings
from rich.console import Console
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from serving import train

from movierec_engine.api.app import create_app

RESULT = Path(__file__).with_name("results") / "serving_fuzz.md"
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
METHODS = ("get", "post", "delete")
TEXTS = (
    "", " ", "0", "-1", "1e3", "1.0", "+1", "01", "NaN", "inf", "-0", "1_000", "0x10", "٣", "２", "9" * 30,
    str(2**63 - 1), str(2**63), str(-(2**63)), "null", "true", "[]", "{}", "1,2", "1,", ",", "1:", ":5", "1:5:5", "1:9",
    "a" * 5000, "😀", "é", "e\u0301", "\u202e", "\ufeff1", "'; DROP TABLE events; --", "<script>alert(1)</script>",
    "../../etc/passwd", "..%2f..%2fetc", "%00", "\x00", "\x7f", "\r\nX-Evil: 1", "{{7*7}}", "${7*7}", "%s%n", "a" * 201,
)  # fmt: skip
VALUES: tuple[Any, ...] = (
    *TEXTS, None, True, False, 0, -1, 1.0, 1.5, 1e308, -1e308, 2**53, 2**63 - 1, 2**63, 10**40, [], [None], [[]],
    [1] * 5000, {}, {"a": 1}, {"movie_id": 1, "rating": 9}, [{"movie_id": 1}], [True], ["1"], [{"user_id": 1}],
    "\ud800",
)  # fmt: skip
console = Console(highlight=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--examples", type=int, default=200, help="of schemathesis, for each operation")
    parser.add_argument("--artifacts", type=Path, help="a store with an index; it is copied")
    parser.add_argument("--result", type=Path, default=RESULT)
    asked = parser.parse_args()
    logging.disable(logging.CRITICAL)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "store"
        if asked.artifacts:
            shutil.copytree(asked.artifacts, root)
        else:
            train(root, "popularity")
        app = create_app(root)
        app.config["PROPAGATE_EXCEPTIONS"] = False
        started = time.perf_counter()
        described, faults = by_description(app, asked.examples)
        hostile, more = by_hand(app.test_client())
        seconds = time.perf_counter() - started
    faults += more
    asked.result.write_text(page(asked.examples, described, hostile, faults, seconds), encoding="utf-8")
    console.print(asked.result.read_text(encoding="utf-8"))
    sys.exit(1 if faults else 0)


def by_description(app: Any, examples: int) -> tuple[dict[str, Counter[int]], list[str]]:
    """Statuses by operation, and what was wrong, of requests that schemathesis makes."""
    schema = schemathesis.openapi.from_wsgi("/api/openapi.json", app)
    statuses: dict[str, Counter[int]] = {}
    faults: list[str] = []
    for found in schema.get_all_operations():
        operation = found.ok()
        if operation is None:
            faults.append(f"the description is not understood: {found.err()}")
            continue
        counted = statuses[operation.label] = Counter()
        try:
            asker(operation, examples, counted)()
        except BaseExceptionGroup as group:
            faults += [f"{operation.label}: {one}" for one in group.exceptions]
        except Exception as error:
            faults.append(f"{operation.label}: {error}")
    return statuses, faults


def asker(operation: Any, examples: int, counted: Counter[int]) -> Callable[[], None]:
    """A function that asks one operation with examples, counts the statuses and raises what is wrong with an answer."""
    valid, invalid = operation.as_strategy(), operation.as_strategy(generation_mode=GenerationMode.NEGATIVE)

    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(valid | invalid)
    def ask(case: Any) -> None:
        response = case.call()
        counted[response.status_code] += 1
        case.validate_response(response, checks=CHECKS)

    return ask


def by_hand(client: FlaskClient) -> tuple[Counter[int], list[str]]:
    """Statuses, and what was a 500 or no JSON, of hostile values in each parameter."""
    statuses: Counter[int] = Counter()
    faults = []
    for name, request in hostile_requests(client.get("/api/openapi.json").json):
        try:
            response = client.open(**request)
        except ValueError:  # what no client can put on the wire, such as a line break in a header
            continue
        statuses[response.status_code] += 1
        if response.status_code >= 500 or (response.status_code >= 400 and not response.is_json):
            faults.append(f"{name}: {response.status_code} to {str(request)[:200]}")
    return statuses, faults


def hostile_requests(described: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Requests to try, with a name each: one parameter is hostile, the required others are as in the examples."""
    for path, operations in described["paths"].items():
        for method in METHODS:
            if method not in operations:
                continue
            known = {one["name"]: one for one in operations[method]["parameters"]}
            examples = {name: one.get("example", 1) for name, one in known.items()}
            body = operations[method].get("requestBody", {}).get("content", {}).get("application/json")
            sample = body["example"] if body else None
            for name, one in known.items():
                for text in TEXTS:
                    parts = examples | ({name: text} if one["in"] == "path" else {})
                    address = path.format(**{part: quote(str(value), safe="") for part, value in parts.items()})
                    query = {
                        part: one["example"] for part, one in known.items() if one["in"] == "query" and one["required"]
                    }
                    if one["in"] == "query":
                        query = {**query, "user_id": 1} if "user_id" in known and name != "history" else query
                        query[name] = text
                    headers = {name: text} if one["in"] == "header" else {}
                    asked = f"{address}?{urlencode({k: str(v) for k, v in query.items()})}"
                    request = {"path": asked, "method": method.upper(), "headers": headers, "json": sample}
                    yield f"{method} {path} {name}", request
            for name in body["schema"]["properties"] if body else ():
                for value in VALUES:
                    raw = json.dumps({**sample, name: value})
                    request = {"path": path, "method": method.upper(), "data": raw, "content_type": "application/json"}
                    yield f"{method} {path} {name}", request


def page(
    examples: int, described: dict[str, Counter[int]], hostile: Counter[int], faults: list[str], seconds: float
) -> str:
    rows = "\n".join(
        f"| {name} | {sum(counted.values()):,} | {_by_status(counted)} |" for name, counted in described.items()
    )
    total = sum(hostile.values())
    return f"""# Fuzz

{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores, schemathesis {version("schemathesis")}, {seconds:.0f} s. Written by
`python benchmarks/serving_fuzz.py --examples {examples}`.

Requests that schemathesis made from `/api/openapi.json`, half of them invalid; each answer is held against the
description's status codes, content types and schemas:

| operation | requests | answers by status |
|---|---:|---|
{rows}

Then {len(TEXTS)} hostile texts and {len(VALUES)} hostile JSON values in every parameter of every operation: {total:,}
requests, by status {_by_status(hostile)}.

## Wrong answers

{chr(10).join(f"- {fault[:500]}" for fault in faults[:50]) or "None: no 500, no HTML for an error, nothing outside the description."}
"""  # noqa: E501


def _by_status(counted: Counter[int]) -> str:
    return ", ".join(f"{status}: {count:,}" for status, count in sorted(counted.items()))


if __name__ == "__main__":
    main()
