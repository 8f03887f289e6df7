"""JSON Lines: a text with a JSON object on each line, as reviews are often published."""

import ast
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from movierec_engine.data.table_file import TableFile, clean, connect, literal, reading, sql_name, sql_text
from movierec_engine.data.text_form import PlainText
from movierec_engine.errors import DataError

_LIST = "VARCHAR[]"


def is_json(lines: Sequence[str]) -> bool:
    """True if a text that begins with these lines is JSON, whether or not of one object a line."""
    first = lines[0].strip() if lines else ""
    return first == "[" or first.startswith(("{", "[{"))


def open_json_lines(path: Path, plain: PlainText, *, drop_bad_rows: bool) -> TableFile:
    """A text of JSON Lines, with the members of its first objects as columns; lists of texts joined by `|`.

    Members that are objects are left out, and so is all but the first of names that differ in case alone. Raises
    DataError where the first line is no object, and where the text is not UTF-8.
    """
    if plain.latin1:
        raise DataError(f"{path}: JSON must be UTF-8, which this is not; set data.format.encoding, or save it as UTF-8")
    examples: dict[str, Any] = {}
    known = set()
    for number, found in enumerate(map(_object, plain.head())):
        if found is None and not number:
            if _is_of_python(plain.head()[0]):
                raise DataError(
                    f"{path}: its lines are objects as Python writes them, not JSON; rewrite each by "
                    "json.dumps(ast.literal_eval(line))"
                )
            raise DataError(
                f"{path}: the file holds JSON, but no object on its first line; write one object a line, such as "
                '{"user": 1, "item": 2}, or convert it to Parquet or CSV'
            )
        for name, value in (found or {}).items():
            if name in examples or name.lower() not in known:
                known.add(name.lower())
                examples[name] = value if examples.get(name) is None else examples[name]
    members = {name: _type(value) for name, value in examples.items() if not isinstance(value, dict)}
    return _table(path, plain, members, drop_bad_rows)


def with_members(file: TableFile, members: Mapping[str, str], *, drop_bad_rows: bool) -> TableFile:
    """The same text with further members, by their types, which may stand on any of its lines or on none."""
    assert file.plain and file.members is not None
    known = {name.lower() for name in file.members}
    further = {name: kind for name, kind in members.items() if name.lower() not in known}
    table = _table(file.path, file.plain, {**file.members, **further}, drop_bad_rows)
    return replace(table, columns={**file.columns, **table.columns})  # with those of folders


def all_members(file: TableFile, *, drop_bad_rows: bool) -> dict[str, str]:
    """The types of the members of all objects of a text, and not of its first ones alone: it is read for that."""
    assert file.plain
    ignored = str(drop_bad_rows).lower()
    of_lines = f"{literal(file.plain.path)}, format='newline_delimited', ignore_errors={ignored}"
    with reading(file.name), connect() as database:
        keys = f"SELECT DISTINCT unnest(json_keys(json)) AS name FROM read_json_objects({of_lines}) AS lines(json)"
        names = [name for (name,) in database.execute(f"{keys} ORDER BY name").fetchall() if name.strip()]
        if not names:
            return {}
        declared = ", ".join(f"{sql_text(name)}: 'JSON'" for name in names)
        examples = ", ".join(f"any_value({sql_name(name)})" for name in names)
        found = database.execute(f"SELECT {examples} FROM read_json({of_lines}, columns={{{declared}}})").fetchone()
    values = [json.loads(example) if example else None for example in found or ()]
    return {name: _type(value) for name, value in zip(names, values, strict=True) if not isinstance(value, dict)}


def _table(path: Path, plain: PlainText, members: Mapping[str, str], drop_bad_rows: bool) -> TableFile:
    types = ", ".join(f"{sql_text(name)}: '{kind}'" for name, kind in members.items())
    relation = (
        f"read_json({literal(plain.path)}, format='newline_delimited', hive_partitioning=false, "
        f"columns={{{types}}}, ignore_errors={str(drop_bad_rows).lower()})"
    )
    texts = {
        name: f"array_to_string({sql_name(name)}, '|')" if kind == _LIST else sql_name(name)
        for name, kind in members.items()
    }
    return TableFile(
        path=path,
        relation=relation,
        columns={name: clean(text) for name, text in texts.items()},
        quoted=False,
        plain=plain,
        members=members,
    )


def _object(line: str) -> dict[str, Any] | None:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _is_of_python(line: str) -> bool:
    try:
        return isinstance(ast.literal_eval(line), dict)
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return False


def _type(example: Any) -> str:
    return _LIST if isinstance(example, list) else "VARCHAR"
