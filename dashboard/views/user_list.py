"""One user's list in a report, with titles."""

from pathlib import Path
from typing import Any

import streamlit as st

from dashboard.queries import pairs, store_files
from movierec_engine.data.id_map import PublicId


@st.cache_data(show_spinner=False, max_entries=256, ttl=600)
def user_list(root: Path, report: str, raw_movies: str, user: PublicId, k: int) -> list[dict[str, Any]]:
    """The first k places of a user's list, as `pairs.list_of` has them.

    report: the folder. raw_movies: reference of the version with the titles; where it is gone there are none.
    """
    folder = store_files.parent_folder(root, raw_movies)
    movies = folder / "movies.parquet" if folder else None
    return pairs.list_of(Path(report), movies if movies and movies.is_file() else None, user, k)
