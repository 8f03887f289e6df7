"""Drill down: from a segment to the users in it, from a user to the lists on Explore.

What a click chooses can be chosen in a box, too, stands in the address, and is undone by one click.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import streamlit as st

from dashboard import charts, shell, state, tables
from dashboard.controls import Chosen
from dashboard.downloads import csv_button
from dashboard.queries import segment_users, store_files
from dashboard.queries.data import SPLIT_FILE
from dashboard.queries.leaderboard import Standing
from dashboard.views import explore
from movierec_engine.data.id_map import PublicId
from movierec_engine.reporting import numbers

SEGMENT = "segment"
"""The name in the URL of the segment whose users are shown, as KIND:NAME."""
MOST = 50
"""Users that are listed."""


def choose_segment(rows: Sequence[Mapping[str, Any]]) -> tuple[str, str] | None:
    """A box of the segments whose users can be shown. rows: with `kind`, and `segment` or `what`, and `users`."""
    users = {
        f"{row['kind']}:{row.get('segment') or row['what']}": row["users"]
        for row in rows
        if row["kind"] in segment_users.DRILLED
    }
    if not users:
        return None

    def name(key: str) -> str:
        return (
            f"{key.replace(':', ': ')} (n = {numbers.count(users[key])})" if key else "none: click a row, or choose one"
        )

    chosen = state.choose("Users in a segment", SEGMENT, ["", *users], name, default="", explanation=WHY, width=400)
    kind, _, segment = chosen.partition(":")
    return (kind, segment) if chosen else None


WHY = "The same as a click on a segment in the charts below: its users, and each model's hits among them."


def on_segment(kind: str, field: str) -> charts.Click:
    """The click on a segment's mark, which chooses the segment. field: of the marks, with the segment's name."""
    return charts.Click((field,), lambda clicked: state.assign(SEGMENT, f"{kind}:{clicked[field]}" if clicked else ""))


def users_of_segment(root: Path, chosen: Chosen, standings: Sequence[Standing], segment: tuple[str, str]) -> None:
    """The users of a segment, those first whose lists differ most in hits."""
    folders = {chosen.labels[one.id]: one.folder for one in standings}
    first = standings[0]
    split, raw = (store_files.parent_folder(root, one) for one in (first.splits, first.raw_movies))
    found = _users(
        folders, str((split or Path()) / SPLIT_FILE), str((raw or Path()) / "movies.parquet"), segment, chosen.k
    )
    kind, name = segment
    with st.container(border=True):
        if found is None:
            st.info(
                f"The files of these reports cannot tell the users of {shell.plain(name)}; evaluate the models again."
            )
            st.button("Show all", key="all segments", on_click=state.assign, args=(SEGMENT, ""))
            return
        count, rows = found
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"**{shell.plain(kind.capitalize())} {shell.plain(name)}: {numbers.counted(count, 'user')}**")
            st.button(
                "Show all", key="all segments", icon=":material/close:", on_click=state.assign, args=(SEGMENT, "")
            )
        table = [{"User": row["user_id"], "Test items": row["items"], **row["hits"]} for row in rows]
        user = table_of_users(table, f"users of {kind} {name}")
        what = "test items" if kind in segment_users.OF_USERS else "test items that are of the segment"
        more = f" The first {len(rows)} of {count:,}." if count > len(rows) else ""
        st.caption(
            f"Hits of each model among the user's {what}, in the first {chosen.k} places; where they differ most comes "
            f"first.{more} Choosing a row (with the keyboard Shift+Space) opens the user's lists."
        )
        csv_button(table, f"users-of-{kind}-{name}", "Table (CSV)")
    if user is not None:
        explore_user(user, [one.model for one in standings])


def table_of_users(table: list[dict[str, Any]], name: str) -> PublicId | None:
    """A table with the column `User`; the user whose row is chosen, or None."""
    shown = tables.show(
        table,
        hide_index=True,
        width="stretch",
        height="content" if len(table) <= 12 else 390,
        on_select="rerun",
        selection_mode="single-row",
        key=name,
        column_config=_columns(table[0]) if table else None,
        alt=f"{name.capitalize()}; choosing a row opens the user's lists on Explore",
    )
    rows = [row for row in shown.get("selection", {}).get("rows", []) if row < len(table)]
    return table[rows[0]]["User"] if rows else None


def explore_user(user: PublicId, models: Sequence[str]) -> None:
    """Open Explore with a user's lists by some models."""
    state.put("who", explore.USER)
    state.put("user", str(user))
    state.put("explored", ",".join(list(dict.fromkeys(models))[: explore.AT_ONCE]))
    st.switch_page(st.Page(explore.page, title="Explore", url_path="explore"))


@st.cache_data(show_spinner="Looking up the users", max_entries=64, ttl=600)
def _users(
    folders: dict[str, str], split: str, movies: str, segment: tuple[str, str], k: int
) -> tuple[int, list[dict[str, Any]]] | None:
    paths = {label: Path(folder) for label, folder in folders.items()}
    return segment_users.users_in(paths, Path(split), Path(movies), segment, k, MOST)


def _columns(row: Mapping[str, Any]) -> dict[str, Any]:
    """Ids without thousands' separators, fractions with four digits."""
    formats = {int: "%d", float: "%.4f"}
    return {
        name: st.column_config.NumberColumn(format=formats[type(value)])
        for name, value in row.items()
        if type(value) in formats
    }
