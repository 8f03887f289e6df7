"""What the dashboard asks of the browser: an icon of its own, one history entry a page, and few tab stops."""

from importlib.resources import files

import streamlit as st

ICON = str(files("movierec_engine").joinpath("api/static/favicon.svg"))
"""The API's; a Material icon or an emoji would be asked of a host on the internet."""

_HISTORY = """<style>
@media (min-width: 640px) { .st-key-page-bar { margin-bottom: -3.5rem; z-index: 1 } }
</style>
<script>
if (!window.movierecHistory) {
  const push = history.pushState.bind(history), page = (url) => new URL(url, location.href).pathname
  history.pushState = (state, title, url) =>
    page(url) === location.pathname ? history.replaceState(state, title, url) : push(state, title, url)
  window.movierecHistory = true
}
</script>"""
"""Streamlit pushes an entry for every choice that enters the URL, so that Back would stay on the page. The bar of views
stands beside the page's title where both fit."""


def prepare() -> None:
    """Let Back go to the page before, whatever was chosen on this one, and Tab pass a table in one step."""
    keyboard = files("dashboard").joinpath("keyboard.js").read_text(encoding="utf-8")
    st.html(f"{_HISTORY}<script>{keyboard}</script>", unsafe_allow_javascript=True)
