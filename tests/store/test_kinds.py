"""The kinds of artifacts: each is named once, in store/kinds.py."""

import ast
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from sources import nodes_of

from movierec_engine.store import kinds

ROOT = Path(__file__).parents[2]
KINDS = {value for name, value in vars(kinds).items() if name.isupper() and isinstance(value, str)}
AMBIGUOUS = {"interactions", "comparison", "backtest", "leaderboard", "cold_items", "elicitation", "sweep"}
"""Kinds whose names are also those of columns, facts and folders: they are told by where they stand."""
TAKE_A_KIND = {"Slot", "beside", "slots", "data_sets", "choose_data_set", "parent", "data_slot", "model_slot"}
ANSWERS = ROOT / "movierec_engine" / "api"
"""There a kind's name may be the name of an answer's field."""


def _names_of_kinds(nodes: Sequence[ast.AST], fields_may: bool) -> Iterator[ast.Constant]:
    fields = {key for node in nodes if isinstance(node, ast.Dict) for key in node.keys}
    for node in nodes:
        if isinstance(node, ast.Constant) and node.value in KINDS - AMBIGUOUS and not (fields_may and node in fields):
            yield node
        asked: list[ast.expr] = []
        if isinstance(node, ast.Call):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            of_parents = called == "get" and getattr(getattr(node.func, "value", None), "attr", "") == "parents"
            asked = node.args[:2] if called in TAKE_A_KIND or of_parents else []
        elif isinstance(node, ast.Subscript) and getattr(node.value, "attr", "") == "parents":
            asked = [node.slice]
        yield from (one for one in asked if isinstance(one, ast.Constant) and one.value in AMBIGUOUS)


@pytest.mark.parametrize("package", ["movierec_engine", "movierec_assets", "dashboard"])
def test_no_module_but_kinds_writes_the_name_of_a_kind(package: str) -> None:
    found = [
        f"{path.relative_to(ROOT)}:{one.lineno}: {one.value!r}"
        for path in (ROOT / package).rglob("*.py")
        if path != Path(kinds.__file__)
        for one in _names_of_kinds(nodes_of(path), path.is_relative_to(ANSWERS))
    ]
    assert not found, "name them by movierec_engine.store.kinds"


def test_a_name_of_a_kind_is_found_wherever_it_is_written() -> None:
    program = """
store.latest(Slot("sweep", data_set)); slot.beside("elicitation"); made.parents["interactions"]
made.parents.get("cold_items"); x = "trained_model"; facts["interactions"]; {"faiss_index": 1}
"""
    found = [one.value for one in _names_of_kinds([*ast.walk(ast.parse(program))], fields_may=False)]
    assert sorted(found) == ["cold_items", "elicitation", "faiss_index", "interactions", "sweep", "trained_model"]
