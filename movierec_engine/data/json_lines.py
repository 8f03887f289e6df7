"""JSON Lines: a text with a JSON object on each line, as reviews are often published."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from movierec_engine.data.table_file import TableFile, clean, literal, sql_text
from movierec_engine.data.text_form import PlainText
from movierec_engine.errors import DataError


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
            raise DataError(
                f"{path}: the file holds JSON, but no object on its first line; write one object a line, such as "
                '{"user": 1, "item": 2}, or convert it to Parquet or CSV'
            )
        for name, value in (found or {}).items():
            if name in examples or name.lower() not in known:
                known.add(name.lower())
                examples[name] = value if examples.get(name) is None else examples[name]
    columns = {name: _column(name, value) for name, value in examples.items() if not isinstance(value, dict)}
    types = ", ".join(f"{sql_text(name)}: '{kind}'" for name, (kind, _) in columns.items())
    relation = (
        f"read_json({literal(plain.path)}, format='newline_delimited', hive_partitioning=false, "
        f"columns={{{types}}}, ignore_errors={str(drop_bad_rows).lower()})"
    )
    return TableFile(
        path=path,
        relation=relation,
        columns={name: clean(value) for name, (_, value) in columns.items()},
        quoted=False,
        plain=plain,
        is_json=True,
    )


def _object(line: str) -> dict[str, Any] | None:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _column(name: str, example: Any) -> tuple[str, str]:
    """DuckDB's type of a member, and SQL of its text."""
    column = '"' + name.replace('"', '""') + '"'
    return ("VARCHAR[]", f"array_to_string({column}, '|')") if isinstance(example, list) else ("VARCHAR", column)
