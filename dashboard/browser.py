"""Settings of the visitor's browser: the icon, one history entry a page, few tab stops, and titles of pictures."""

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
    """Let Back go to the page before, whatever was chosen, Tab pass a table at once, and charts keep their titles."""
    ours = (
        files("dashboard").joinpath(name).read_text(encoding="utf-8") for name in ("keyboard.js", "chart_picture.js")
    )
    st.html(f"{_HISTORY}<script>{''.join(ours)}</script>", unsafe_allow_javascript=True)
