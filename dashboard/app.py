"""The dashboard: `streamlit run dashboard/app.py`, over the artifact store that MOVIEREC_ARTIFACTS names."""

import sys
from pathlib import Path

import streamlit as st

ROOT = str(Path(__file__).resolve().parents[1])
if ROOT not in sys.path:  # Streamlit puts this file's folder there, wherever it is started from
    sys.path.insert(0, ROOT)

from dashboard.pages import leaderboard  # noqa: E402

st.set_page_config(page_title="movierec", page_icon=":material/leaderboard:", layout="wide")
st.navigation([st.Page(leaderboard.page, title="Leaderboard", icon=":material/leaderboard:", default=True)]).run()
