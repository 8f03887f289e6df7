"""Tables as CSV files."""

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st


def as_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows as CSV with a header; a text that a spreadsheet would take for a formula begins with an apostrophe."""
    text = io.StringIO()
    names = list(dict.fromkeys(name for row in rows for name in row))
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(map(_no_formula, names))
    writer.writerows([_no_formula(row.get(name, "")) for name in names] for row in rows)
    return text.getvalue()


def _no_formula(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value[:1] in _FORMULA else value


_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def csv_button(rows: Sequence[Mapping[str, Any]], name: str, label: str = "CSV", explanation: str = "") -> None:
    st.download_button(
        label,
        as_csv(rows),
        file_name=f"{name}.csv",
        mime="text/csv",
        icon=":material/download:",
        key=f"download {name}",
        help=explanation or None,
        type="tertiary",
        on_click="ignore",
    )
