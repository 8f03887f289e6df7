"""The part of Explore on movies: the map of the catalogue, movies like one, and who gets one and why."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import streamlit as st

from dashboard import charts, shell, state, tables
from dashboard.downloads import csv_button
from dashboard.plots import explore as plots
from dashboard.queries import indices, report_lists
from dashboard.queries.indices import IndexVersion, Rated, Reason, RecommendedList, SearchableIndex
from dashboard.queries.movie_map import MovieMap
from dashboard.wording import say
from movierec_engine.data.id_map import PublicId
from movierec_engine.reporting import numbers

GENRES_COLOURED = 6
SHOWN_TO = 5
"""Users who get a movie that are named for each model."""

Loaded = Mapping[str, tuple[IndexVersion, SearchableIndex]]
"""Label -> the index, loaded."""


def show_map(
    loaded: Loaded, answers: Mapping[str, RecommendedList], known: list[Rated], drawn: MovieMap | None
) -> None:
    """The map of the first model's embeddings, with a person's movies and lists."""
    st.header("A map of the catalogue")
    _, found = next(iter(loaded.values()))
    if drawn is None:
        shell.missing(say("No embeddings of these movies are known, so there is no map."), "movierec train model=ease")
        return
    names = plots.genre_names(found)
    genres: list[str] = []
    if names:
        genres = state.choose_many("Genres coloured", "genres", names, names[:GENRES_COLOURED])[:GENRES_COLOURED]
    history = [item for one in known if (item := found.item(one.movie_id)) is not None]
    listed = {
        name: [item for one in answer.movies if (item := found.item(one.movie_id)) is not None]
        for name, answer in answers.items()
    }
    rows = plots.map_rows(found, drawn, genres, [*history, *(item for own in listed.values() for item in own)])
    models = {name: loaded[name][0].model for name in listed}
    charts.draw(plots.movie_map(rows, drawn, found, genres, history, listed, models), rows, "map")
    text = "Rings: the person's own movies."
    if names:
        text = f"A movie has the colour of the rarest of these genres; at most {GENRES_COLOURED} are coloured. {text}"
    st.caption(say(text))


def show_movie(
    loaded: Loaded, k: int, reason: Callable[[IndexVersion, PublicId, PublicId], Reason], go_to: Callable[..., None]
) -> None:
    """One movie: movies like it, who gets it, and why.

    reason: of an index, a user and a movie. go_to: shows the lists of a user.
    """
    _, found = next(iter(loaded.values()))
    st.header(say("One movie: who gets it, and movies like it"))
    left, right = st.columns(2)
    with left:
        text = state.write(say("Find a movie"), "like", placeholder=example(found))
    options = found.find(text, 10)
    wanted = found.written(found.index.items, state.given("movie"))
    if wanted is not None and found.item(wanted) is not None and not text:
        options = list(dict.fromkeys([wanted, *options]))
    if not options:
        st.caption(f"{say('No movie')} is called anything like {shell.plain(text)}.")
        return
    with right:
        named = {str(option): option for option in options}
        movie = named[state.choose(say("Movie"), "movie", list(named), lambda key: found.title(named[key]))]
    for column, (label, (version, own)) in zip(st.columns(len(loaded), gap="medium"), loaded.items(), strict=True):
        with column:
            _who_gets(label, version, own, movie, k, reason, go_to)
    columns = st.columns(len(loaded), gap="medium")
    for column, (label, (_, own)) in zip(columns, loaded.items(), strict=True):
        rows = [
            {
                say("Movie"): row["title"],
                "Similarity": row["similarity"],
                **({"Genres of both": ", ".join(row["shared"])} if any(found.genres) else {}),
            }
            for row in indices.similar(own, movie, k)
        ]
        with column:
            st.markdown(f"**{shell.plain(label)}**: most like {shell.plain(found.title(movie))}")
            if rows:
                tables.show(
                    rows,
                    hide_index=True,
                    width="stretch",
                    height="content",
                    column_config={"Similarity": st.column_config.NumberColumn(format="%.3f", width="small")},
                )
                csv_button(rows, f"like-{movie}-{label}", "Table (CSV)")
            else:
                st.caption(say("This model knows of no movie like it."))


def example(found: SearchableIndex) -> str:
    """A hint of what to search for: the most popular title."""
    return f"such as {found.title(found.find('', 1)[0]).lower()}"


@st.cache_data(show_spinner=False, max_entries=256, ttl=600)
def _users_shown(report: str, movie: PublicId, k: int) -> tuple[int, int, list[dict[str, Any]]]:
    return report_lists.users_shown(Path(report), movie, k, SHOWN_TO)


def _who_gets(
    label: str,
    version: IndexVersion,
    found: SearchableIndex,
    movie: PublicId,
    k: int,
    reason: Callable[[IndexVersion, PublicId, PublicId], Reason],
    go_to: Callable[..., None],
) -> None:
    title = found.title(movie)
    if not version.report:
        st.caption(f"{shell.plain(label)} has no report that says who gets {shell.plain(title)}.")
        return
    lists, hits, users = _users_shown(version.report, movie, k)
    st.markdown(
        f"**{shell.plain(label)}** shows {shell.plain(title)} in {numbers.counted(lists, 'list')} of {k}; "
        f"{numbers.counted(hits, 'user')} {'has' if hits == 1 else 'have'} it in the test part."
    )
    if users:
        tables.show(
            [
                {
                    "User": row["user_id"],
                    "Place": row["rank"],
                    "In the test part": "✓" if row["hit"] else "",
                    "Why": reason(version, row["user_id"], movie).sentence,
                }
                for row in users
            ],
            hide_index=True,
            width="stretch",
            height="content",
            selection_mode="single-row",
            on_select=lambda: _open(f"who {label}", users, go_to),
            key=f"who {label}",
            column_config={"Why": st.column_config.TextColumn(width="large")},
            alt=f"The first users to whom {label} shows {title}; choosing one shows the user's lists",
        )


def _open(key: str, users: list[dict[str, Any]], go_to: Callable[..., None]) -> None:
    """Show the lists of the user whose row is chosen."""
    for row in st.session_state[key].selection.rows:
        go_to("user", str(users[row]["user_id"]))
