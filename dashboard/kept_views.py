"""The bar above every page: open, keep, rename and delete views; the address `?view=NAME` opens one."""

from collections.abc import Mapping
from pathlib import Path

import streamlit as st
from streamlit.navigation.page import StreamlitPage

from dashboard import shell, state
from dashboard.queries.store_files import of_folder
from movierec_engine.errors import MovierecError
from movierec_engine.reporting import numbers
from movierec_engine.reporting.kept_views import KeptView, delete_view, keep_view, kept_views, rename_view

VIEW = "view"
"""The name in the URL of a view that is to be opened."""
_LISTED = 30
"""Views with a link of their own, the newest; all of them open by their address."""

Pages = Mapping[str, StreamlitPage]
"""URL path -> page."""


def bar(root: Path, page: StreamlitPage, pages: Pages) -> None:
    """The menu of views, with what the last change of them came to."""
    views = _views(root)
    with st.popover("Views", icon=":material/bookmarks:", type="tertiary", width="content"):
        _links(views, pages)
        if shell.may_write():
            _keep_form(root, page)
            if views:
                _change_form(root, list(views))
        else:
            st.caption(shell.READ_ONLY)


def open_asked(root: Path, page: StreamlitPage, pages: Pages) -> str:
    """Take up the choices of the view that the address asks for, on its page; returns what to say of it, or ""."""
    name = st.query_params.get(VIEW)
    if name is None:
        return ""
    view = _views(root).get(name)
    if view is None or view.page not in pages:
        state.take_over({})
        gone = "is not kept in this store: it was deleted, renamed, or kept in another store"
        return f"The view {name!r} {gone if view is None else 'is of a page that this release does not have'}."
    if page.url_path != view.page:
        st.switch_page(pages[view.page], query_params={VIEW: name})
    state.take_over(view.choices)
    return f"View {view.name!r}, kept {numbers.minute(view.at)}."


def _views(root: Path) -> dict[str, KeptView]:
    try:
        return kept_views(of_folder(root))
    except (MovierecError, OSError) as error:
        shell.notes([f"The kept views cannot be read: {error}"])
        return {}


def _links(views: Mapping[str, KeptView], pages: Pages) -> None:
    if not views:
        st.caption("No view is kept yet. A view is a page with all that is chosen on it, by a name.")
    newest = sorted(views.values(), key=lambda one: one.at, reverse=True)[:_LISTED]
    for view in newest:
        if view.page in pages:
            icon, query = pages[view.page].icon, {VIEW: view.name}
            st.page_link(pages[view.page], label=shell.plain(view.name), icon=icon, query_params=query)
    if len(views) > _LISTED:
        st.caption(f"The newest {_LISTED} of {len(views)}; each opens by the address ?{VIEW}=NAME.")


def _keep_form(root: Path, page: StreamlitPage) -> None:
    with st.form("keep a view", border=False, clear_on_submit=True):
        st.text_input("Keep this page and its choices as", key="view to keep", max_chars=60)
        st.form_submit_button("Keep", icon=":material/bookmark_add:", on_click=_keep, args=(root, page.url_path))


def _change_form(root: Path, names: list[str]) -> None:
    with st.expander("Rename or delete"):
        st.selectbox("View", names, key="view to change", format_func=str)
        st.text_input("New name", key="new name of a view", max_chars=60)
        with st.container(horizontal=True):
            st.button("Rename", on_click=_rename, args=(root,))
            st.button("Delete", icon=":material/delete:", on_click=_delete, args=(root,))


def _keep(root: Path, path: str) -> None:
    name, choices = st.session_state["view to keep"], st.query_params.to_dict()
    shell.change(lambda: keep_view(of_folder(root), name, path, choices), f"Kept as {name.strip()!r}.")


def _rename(root: Path) -> None:
    old, new = st.session_state["view to change"], st.session_state["new name of a view"]
    shell.change(lambda: rename_view(of_folder(root), old, new), f"{old!r} is named {new.strip()!r} now.")


def _delete(root: Path) -> None:
    name = st.session_state["view to change"]
    shell.change(lambda: delete_view(of_folder(root), name), f"{name!r} is deleted.")
