"""Fills in the reference's pages from the program when the site is built: settings, endpoints, kinds of artifacts."""

import ast
import inspect
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from movierec_engine.api.app import create_app
from movierec_engine.cli.settings_help import Setting, settings_help
from movierec_engine.evaluation.metrics import registry
from movierec_engine.models.registry import model_names
from movierec_engine.store import kinds


def on_page_markdown(markdown: str, **_: Any) -> str:
    """MkDocs' event for the text of a page: its markers are replaced by what the program says."""
    for marker, lines in _PAGES.items():
        if f"<!-- {marker} -->" in markdown:
            markdown = markdown.replace(f"<!-- {marker} -->", "\n".join(lines()))
    return markdown


def settings() -> Iterator[str]:
    """A table of settings for each group, and for each model."""
    of_run = [one for one in settings_help() if not one.key.startswith("model.")]
    groups: dict[str, list[Setting]] = {}
    for one in of_run:
        groups.setdefault(one.key.split(".")[0] if "." in one.key else "run", []).append(one)
    for group, found in groups.items():
        yield from _settings_table(group, found)
    for model in model_names():
        own = [one for one in settings_help(model) if one.key.startswith("model.")]
        yield from _settings_table(f"model={model}", own)


def _settings_table(title: str, found: list[Setting]) -> Iterator[str]:
    yield from ("", f"## {title}", "", "| setting | default | meaning |", "|---|---|---|")
    for one in found:
        yield f"| `{one.key}` | {_code(one.default)} | {_cell(one.meaning)} |"


def endpoints() -> Iterator[str]:
    """A section for each endpoint: its parameters, and its answers by status."""
    with TemporaryDirectory() as store:
        described: dict[str, Any] = create_app(Path(store)).test_client().get("/api/openapi.json").json or {}
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            yield from ("", f"## {method.upper()} {path}", "", operation.get("description") or operation["summary"], "")
            if parameters := operation.get("parameters"):
                yield from ("| parameter | in | default | meaning |", "|---|---|---|---|")
                for one in parameters:
                    schema = one.get("schema", {})
                    name = f"`{one['name']}`" + (" (required)" if one.get("required") else "")
                    meaning = one.get("description") or schema.get("description", "")
                    yield f"| {name} | {one['in']} | {_code(schema.get('default'))} | {_cell(meaning)} |"
                yield ""
            if body := operation.get("requestBody"):
                schema = body["content"]["application/json"]["schema"]
                yield from _body_table(described["components"]["schemas"], schema)
            answers = operation["responses"].items()
            yield "Answers: " + ", ".join(f"{status}: {_cell(one['description'])}" for status, one in answers)


def _body_table(schemas: dict[str, Any], schema: dict[str, Any]) -> Iterator[str]:
    """The fields of a JSON body."""
    while "$ref" in schema:
        schema = schemas[schema["$ref"].rsplit("/", 1)[-1]]
    if "properties" in schema:
        yield from ("| field of the body | default | meaning |", "|---|---|---|")
        for name, field in schema["properties"].items():
            yield f"| `{name}` | {_code(field.get('default'))} | {_cell(field.get('description', ''))} |"
        yield ""


def metrics() -> Iterator[str]:
    """A table of the registered metrics."""
    yield from ("| metric | is | formula | from, to | better |", "|---|---|---|---|---|")
    for one in registry.metrics().values():
        least, greatest = one.bounds
        cells = (f"`{one.name}`", f"{one.title}: {one.meaning}", one.formula, f"{least:g}, {greatest:g}", one.direction)
        yield "| " + " | ".join(_cell(cell) for cell in cells) + " |"


def artifacts() -> Iterator[str]:
    """A table of the kinds of artifacts, in the order in which they are made."""
    said = dict(_explained(inspect.getsource(kinds)))
    yield from ("| kind | holds |", "|---|---|")
    for constant, kind in vars(kinds).items():
        if constant.isupper() and isinstance(kind, str):
            yield f"| `{kind}` | {_cell(said.get(constant, ''))} |"


def _explained(source: str) -> Iterator[tuple[str, str]]:
    """Constants of a module, and the text below each."""
    for statement, after in pairwise(ast.parse(source).body):
        named = isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name)
        if named and isinstance(after, ast.Expr):
            yield statement.target.id, " ".join(ast.literal_eval(after.value).split())


def _code(value: object) -> str:
    return "" if value is None or value == "" else f"`{value}`"


def _cell(text: str) -> str:
    """Text within a table: what Markdown or HTML would read otherwise is escaped, but for what stands in backticks."""
    parts = text.replace("\n", " ").split("`")
    return "`".join(
        part if number % 2 else part.replace("<", "&lt;").replace("|", "&#124;") for number, part in enumerate(parts)
    )


_PAGES = {"settings": settings, "endpoints": endpoints, "metrics": metrics, "artifacts": artifacts}
"""Marker in a page -> what makes the lines in its place."""
