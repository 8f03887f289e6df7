"""Tables as CSV files."""

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st


def as_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows as CSV; a text that a spreadsheet would take for a formula is quoted with an apostrophe."""
    text = io.StringIO()
    names = list(dict.fromkeys(name for row in rows for name in row))
    writer = csv.DictWriter(text, fieldnames=names, lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow(
            {
                name: f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@") else value
                for name, value in row.items()
            }
        )
    return text.getvalue()


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
