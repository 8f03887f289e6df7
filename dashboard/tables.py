"""Tables: grids that can be sorted, searched and ticked, and plain HTML in the print view."""

import math
import re
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import streamlit as st

from dashboard import print_view
from movierec_engine.reporting import numbers

PRINTED = 500
"""Rows that are printed; more are counted."""


def show(data: Any, **options: Any) -> Any:
    """`st.dataframe` with its options: rows by column name, or a styled data frame; returns the selection, if any."""
    if not print_view.is_on():
        return st.dataframe(data, placeholder=numbers.NONE, **options)
    names, rows = _texts(data, options.get("column_config") or {})
    st.html(_table(names, rows[:PRINTED]))
    if len(rows) > PRINTED:
        st.caption(f"The first {PRINTED} of {len(rows):,} rows.")
    return options.get("selection_default") or {"selection": {"rows": []}}


def _texts(data: Any, columns: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Names of the columns, and the text of every cell; a styled data frame's as it is styled."""
    if hasattr(data, "to_string"):
        lines = data.hide(axis="index").to_string(delimiter=_BETWEEN).rstrip("\n").split("\n")
        return lines[0].split(_BETWEEN), [line.split(_BETWEEN) for line in lines[1:]]
    names = list(dict.fromkeys(name for row in data for name in row))
    return names, [[_text(row.get(name), _format(columns.get(name))) for name in names] for row in data]


def _text(value: object, form: str) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return numbers.NONE
    if isinstance(value, int | float) and not isinstance(value, bool):
        return form % value if form else numbers.score(value) if isinstance(value, float) else str(value)
    return str(value)


def _format(column: Any) -> str:
    """A column's format as printf has it, "" where it has none."""
    form = (column or {}).get("type_config", {}).get("format") if isinstance(column, dict) else None
    return form if isinstance(form, str) and form.startswith("%") else ""


def _table(names: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in names)
    body = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in rows)
    return f'<table class="print-table"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'


def _cell(text: str) -> str:
    number = _NUMBER.fullmatch(text.strip())
    return f"<td{_OF_NUMBERS if number else ''}>{escape(text)}</td>"


_BETWEEN, _OF_NUMBERS = "\x1f", ' class="number"'
_NUMBER = re.compile(r"(★ )?[+-]?[.\d][\d,.]*( (%|[mµn]?s|min|h|d|[KMGT]?B))?|\[.*\]")
"""A number, with its unit where it has one, or an interval: not a title or a time that begins with a digit."""
