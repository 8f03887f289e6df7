"""The dashboard: `streamlit run dashboard/app.py`, over the artifact store that MOVIEREC_ARTIFACTS names."""

import sys
from pathlib import Path

import streamlit as st
from altair.utils import schemapi

ROOT = str(Path(__file__).resolve().parents[1])
if ROOT not in sys.path:  # Streamlit puts this file's folder there, wherever it is started from
    sys.path.insert(0, ROOT)

from dashboard import browser, kept_views, print_view, shell, state, style, wording  # noqa: E402
from dashboard.queries.store_files import store_problems, store_root  # noqa: E402
from dashboard.views import (  # noqa: E402
    compare,
    data,
    explore,
    leaderboard,
    operations,
    segments,
    side_by_side,
    sweeps,
    tradeoffs,
    training,
)
from movierec_engine.data.nouns import MOVIES  # noqa: E402
from movierec_engine.errors import StoreError  # noqa: E402
from movierec_engine.store import ArtifactStore  # noqa: E402

schemapi.disable_debug_mode()  # checking every chart against the schema takes half of the time that drawing it takes

st.set_page_config(page_title="movierec", page_icon=browser.ICON, layout="wide")
browser.prepare()
style.legible()
try:
    ArtifactStore(store_root())
except StoreError as error:  # of an earlier layout, or an object store that does not answer
    st.error(shell.plain(error), icon=":material/warning:")
    st.stop()
pages = [
    st.Page(leaderboard.page, title="Leaderboard", icon=":material/leaderboard:", default=True),
    st.Page(compare.page, title="Compare two", icon=":material/compare_arrows:", url_path="compare"),
    st.Page(side_by_side.page, title="Side by side", icon=":material/view_week:", url_path="side_by_side"),
    st.Page(tradeoffs.page, title="Trade-offs", icon=":material/scatter_plot:", url_path="tradeoffs"),
    st.Page(training.page, title="Training", icon=":material/show_chart:", url_path="training"),
    st.Page(segments.page, title="Segments and fairness", icon=":material/groups:", url_path="segments"),
    st.Page(explore.page, title="Explore", icon=":material/travel_explore:", url_path="explore"),
    st.Page(data.page, title="Data", icon=":material/database:", url_path="data"),
    st.Page(sweeps.page, title="Sweeps", icon=":material/tune:", url_path="sweeps"),
    st.Page(operations.page, title="Operations", icon=":material/monitor_heart:", url_path="operations"),
]
page = st.navigation(pages, position="top")
said = st.container()
by_path = {one.url_path: one for one in pages}
opened = kept_views.open_asked(store_root(), page, by_path)
if print_view.is_on():
    with st.container(key="print-bar"):
        print_view.bar(page.title, st.query_params.to_dict())
else:
    with st.container(horizontal=True, horizontal_alignment="right", key="page-bar"):
        kept_views.bar(store_root(), page, by_path)
        print_view.button()
wording.speak_of(MOVIES)  # until the page knows its data set
page.run()
with said:
    if opened:
        st.caption(shell.plain(opened))
    shell.damage(store_root())
    shell.notes([*state.refused(), *store_problems()])
state.write_url()
