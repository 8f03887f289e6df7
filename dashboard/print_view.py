"""The print view of a page: its tables as plain HTML and its charts as drawings, to print and to save as one file.

The file holds what the page shows: it asks for nothing from elsewhere, runs nothing, and opens without a network.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.resources import files

import streamlit as st

from dashboard.shell import plain

_ON = "print view"


def is_on() -> bool:
    return bool(st.session_state.get(_ON))


def button() -> None:
    """Switches to the print view."""
    st.button("Print or save", icon=":material/print:", type="tertiary", on_click=_switch, args=(True,))


def bar(title: str, choices: Mapping[str, str]) -> None:
    """The tools of the print view: save, and back to the page. choices: of the page's address."""
    st.info(
        "What the file holds, and a printer gets: tables whole, charts as drawings, without the boxes to choose from."
    )
    said = f"{title} · {' · '.join(f'{name} {value}' for name, value in choices.items())}".rstrip(" ·")
    st.caption(plain(said))
    with st.container(horizontal=True):
        about = {"title": f"movierec: {title}", "made": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"}
        given = ", ".join(json.dumps(one).replace("<", "\\u003c") for one in (about, _file("print_view.css")))
        script = f"{_file('print_view.js')}\nmovierecSave({given})"
        st.html(f"<button id='save-view'>Save as HTML</button><script>{script}</script>", unsafe_allow_javascript=True)
        st.button("Back to the page", icon=":material/arrow_back:", on_click=_switch, args=(False,))


def _switch(on: bool) -> None:
    st.session_state[_ON] = on


def _file(name: str) -> str:
    return files("dashboard").joinpath(name).read_text(encoding="utf-8")
