"""`streamlit run dashboard/app.py`: the dashboard over the store that MOVIEREC_ARTIFACTS names (default: artifacts)."""

import sys
from pathlib import Path

import streamlit as st

HERE = Path(__file__).resolve().parent
if str(HERE.parent) not in sys.path:  # from any working folder, installed or not, the pages import `dashboard`
    sys.path.insert(0, str(HERE.parent))

st.set_page_config(page_title="Movierec", page_icon=":material/movie:", layout="wide")
leaderboard = st.Page(HERE / "pages" / "leaderboard.py", title="Leaderboard", icon=":material/leaderboard:")
st.navigation([leaderboard], position="top").run()
