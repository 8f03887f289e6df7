"""What the dashboard asks of the browser: an icon of its own, and one history entry a page."""

from importlib.resources import files

import streamlit as st

ICON = str(files("movierec_engine").joinpath("api/static/favicon.svg"))
"""The API's; a Material icon or an emoji would be asked of a host on the internet."""

_ONE_ENTRY_A_PAGE = """<script>
if (!window.movierecHistory) {
  const push = history.pushState.bind(history), page = (url) => new URL(url, location.href).pathname
  history.pushState = (state, title, url) =>
    page(url) === location.pathname ? history.replaceState(state, title, url) : push(state, title, url)
  window.movierecHistory = true
}
</script>"""
"""Streamlit pushes an entry for every choice that enters the URL, so that Back would stay on the page."""


def one_history_entry_a_page() -> None:
    """Let Back go to the page before, whatever was chosen on this one."""
    st.html(_ONE_ENTRY_A_PAGE, unsafe_allow_javascript=True)
