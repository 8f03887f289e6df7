"""Two models over the same users: which is better, for whom, how alike their lists are, and where they differ.

The better one comes first in every chart and table, and every difference is above 0 where it is better.
"""

from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray
from streamlit.delta_generator import DeltaGenerator

from dashboard import charts, controls, shell, state, tables
from dashboard.controls import Chosen
from dashboard.downloads import csv_button
from dashboard.plots import compare as plots
from dashboard.queries import pairs, segments, store_files
from dashboard.queries.leaderboard import Standing
from dashboard.queries.pairs import Overlap, PairedUsers
from dashboard.queries.parquet import SAMPLE_USERS
from dashboard.queries.store_files import store_at
from dashboard.views import drill_down
from dashboard.views.user_list import user_list
from dashboard.wording import say
from movierec_engine.data.id_map import PublicId
from movierec_engine.errors import StoreError
from movierec_engine.evaluation.comparison import Verdict
from movierec_engine.evaluation.metrics import less_is_better, metrics
from movierec_engine.evaluation.report import EvaluationReport
from movierec_engine.pipeline.comparison import SegmentVerdict
from movierec_engine.pipeline.reports import Measured
from movierec_engine.reporting import numbers
from movierec_engine.reporting.conclusions import corrected_p

EXAMPLES = 12
"""Users with the largest differences that are listed."""
_KINDS = ("activity", "length", "gap", "popularity", "genre", "decade")


def page() -> None:
    root = store_files.store_root()
    snapshot, _ = shell.newest_reports(root)
    st.title("Compare two")
    if snapshot.reports.num_rows == 0:
        shell.no_reports(root)
        return
    answer = st.container()
    chosen = controls.choose_reports(snapshot, suits=lambda metric: metric.judges, models=False)
    if chosen is not None:
        if len(chosen.standings) < 2:
            shell.empty(
                "There is only one model here",
                "A comparison needs two reports of the same set-up; choose another set-up or device, or train another.",
                f"movierec train model={'ease' if chosen.standings[0].model != 'ease' else 'als'}",
                root,
            )
        else:
            _pair(root, chosen, answer)


@st.cache_data(show_spinner=False, max_entries=32, ttl=600)
def _users(a: str, b: str, metrics: tuple[str, ...]) -> PairedUsers | None:
    return pairs.paired_users(Path(a), Path(b), metrics)


@st.cache_data(show_spinner=False, max_entries=64, ttl=600)
def _verdicts(folders: dict[str, str], metrics: tuple[str, ...], names: tuple[str, str]) -> dict[str, Verdict]:
    return pairs.head_to_head(_values(folders, metrics), names)


@st.cache_data(show_spinner=False, max_entries=4, ttl=600)
def _values(folders: dict[str, str], metrics: tuple[str, ...]) -> dict[str, dict[str, pairs.Values]]:
    return pairs.values_of({name: Path(folder) for name, folder in folders.items()}, metrics)


@st.cache_data(show_spinner=False, max_entries=32, ttl=600)
def _overlap(a: str, b: str, k: int) -> Overlap | None:
    return pairs.overlap(Path(a), Path(b), k)


@st.cache_data(show_spinner=False, max_entries=32, ttl=600)
def _segments(root: str, a: str, b: str, metric: str) -> list[SegmentVerdict]:
    store = store_at(Path(root))
    try:
        ours, theirs = (store.resolve(name) for name in (a, b))
        measured = [Measured(one, EvaluationReport.load(one.folder)) for one in (ours, theirs)]
    except (StoreError, OSError):
        return []
    return pairs.segments_won(store, measured[0], measured[1], metric)


def _pair(root: Path, chosen: Chosen, answer: DeltaGenerator) -> None:
    """answer: the place above the boxes for the conclusion."""
    options = list(chosen.models)
    left, right = st.columns(2)
    with left:
        one = state.choose("This model", "a", options, default=options[0])
    with right:
        others = [name for name in options if name != one]
        other = state.choose("against", "b", others, default=others[0])
    accuracy = [name for metric in metrics().values() if metric.of_accuracy for name in metric.at([chosen.k])]
    compared = tuple(dict.fromkeys([*accuracy, chosen.column]))
    folders = {chosen.labels[each.id]: each.folder for each in chosen.family}
    verdicts = _verdicts(folders, compared, (one, other))
    if chosen.column in verdicts:  # the better one first, so that every difference has one sign
        one, other = verdicts[chosen.column].better, verdicts[chosen.column].worse
    a, b, names = chosen.standing(one), chosen.standing(other), (one, other)
    users = _users(a.folder, b.folder, compared)
    if users is None or chosen.column not in verdicts:
        shell.missing(
            f"The users' own values of {shell.plain(chosen.title)} cannot be read for both; evaluate the models again.",
            f"movierec evaluate --model {a.model}\nmovierec evaluate --model {b.model}",
        )
        return
    models = {one: a.model, other: b.model}
    with answer:
        _conclusion(verdicts[chosen.column], users, chosen)
    _distributions(chosen, users, verdicts, (a, b), names, models)
    if metrics()[chosen.metric].of_hits:
        _where(root, chosen, (a, b), names, models)
    _examples(root, chosen, users, (a, b), names)


def _conclusion(verdict: Verdict, users: PairedUsers, chosen: Chosen) -> None:
    found = verdict.comparison
    better, worse = shell.plain(verdict.better), shell.plain(verdict.worse)
    told = "significantly better than" if verdict.significant else "statistically tied with"
    lower = less_is_better(chosen.column)
    direction = ", where lower is better" if lower else ""
    st.markdown(f"## **{better}** is {told} {worse} on {shell.plain(chosen.title)}{direction}.")
    boxes = st.columns([1, 1.5, 1, 1, 1])
    span = f"95 % interval {numbers.signed_interval(found.low, found.high)}"
    if lower:
        boxes[0].metric("Lower by", numbers.score(found.difference), help=span)
    else:
        boxes[0].metric("Mean difference", numbers.signed(found.difference), help=span)
    boxes[1].metric(
        "Win / tie / loss",
        f"{found.wins:,} / {found.ties:,} / {found.losses:,}",
        help=f"Users whom {better} serves better, equally well and worse",
    )
    boxes[2].metric(
        "Effect size", numbers.signed(found.effect_size, 2), help="Cohen's d: mean / deviation of the differences"
    )
    boxes[3].metric(
        "Rank-biserial", numbers.signed(found.rank_biserial, 2), help="From -1, all users worse, to 1, all better"
    )
    boxes[4].metric(
        "Corrected p",
        numbers.p_value(corrected_p(verdict)),
        help="The larger of bootstrap and Wilcoxon",
    )
    size = "negligible" if abs(found.effect_size) < 0.2 else "small" if abs(found.effect_size) < 0.5 else "clear"
    text = (
        f"{shell.plain(span)}, {found.users:,} users; the effect is {size}. Every difference on this page is above 0 "
        f"where {better} is better. p is Holm-corrected over all pairs of the "
        f"{len(chosen.family)} models of this set-up, as on the leaderboard."
    )
    if users.sampled:
        text = f"{text} Over a sample of {len(users.user_id):,} of the {users.users:,} users."
    st.caption(text)


def _distributions(
    chosen: Chosen,
    users: PairedUsers,
    verdicts: dict[str, Verdict],
    both: tuple[Standing, Standing],
    names: tuple[str, str],
    models: dict[str, str],
) -> None:
    left, right = st.columns(2, gap="large")
    lower = less_is_better(chosen.column)
    difference = _advantage(users, chosen.column)
    rows = plots.difference_rows(difference, names)
    with left:
        if rows:
            chart = plots.differences(rows, verdicts[chosen.column], names, chosen.title, models, lower)
            click = charts.Click(("bin",), lambda clicked: state.assign(BIN, clicked["bin"] if clicked else ""))
            charts.draw(chart, rows, f"differences-{chosen.column}", click)
        else:
            st.info(f"All users have the same {shell.plain(chosen.title)} with both models.")
    with right:
        metric_rows = plots.metric_rows(verdicts, names)
        charts.draw(plots.by_metric(metric_rows, names, models), metric_rows, "differences-by-metric")
    if rows:
        _users_of_a_bar(chosen, users, both, names, rows, difference)


BIN = "difference"
"""The name in the URL of the bar of the histogram whose users are shown."""


def _users_of_a_bar(
    chosen: Chosen,
    users: PairedUsers,
    both: tuple[Standing, Standing],
    names: tuple[str, str],
    rows: list[dict[str, Any]],
    difference: pairs.Values,
) -> None:
    """The users of one bar of the histogram, as a click or the box chooses it."""
    by_bin = {row["bin"]: row for row in rows if row["users"]}

    def name(key: str) -> str:
        return f"{key} ({numbers.counted(by_bin[key]['users'], 'user')})" if key else "none: click a bar, or choose one"

    bar = state.choose("Users with a difference of", BIN, ["", *by_bin], name, default="", width=400)
    if not bar:
        return
    table = _largest(users, chosen, names, plots.in_bar(difference, rows.index(by_bin[bar])))
    with st.container(border=True):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"**{shell.plain(bar)}: {numbers.counted(by_bin[bar]['users'], 'user')}**")
            st.button("Show all", key="all differences", icon=":material/close:", on_click=state.assign, args=(BIN, ""))
        user = drill_down.table_of_users(table, f"users with a difference of {bar}")
        st.caption("Choosing a row (with the keyboard Shift+Space) opens the user's lists.")
    if user is not None:
        drill_down.explore_user(user, [one.model for one in both])


def _where(
    root: Path, chosen: Chosen, both: tuple[Standing, Standing], names: tuple[str, str], models: dict[str, str]
) -> None:
    st.header("Where each wins")
    a, b = both
    rows: list[dict[str, Any]] = []
    if max(a.users, b.users) <= SAMPLE_USERS:
        rows = plots.segment_rows(_segments(str(root), a.id, b.id, chosen.column), names)
        note = "Tested user by user, Holm-corrected over the segments of a kind."
    if not rows:
        folders = {name: Path(one.folder) for name, one in zip(names, both, strict=True)}
        rows = plots.mean_rows(segments.segment_rows(folders, chosen.column), names, less_is_better(chosen.column))
        note = (
            "From the means of each segment: there are too many users to test each here, so a difference counts where "
            "the models' 95 % intervals do not overlap, and the lines are cautious."
        )
    if not rows:
        shell.missing(
            "These reports have no metrics by segments of users and items; evaluate the models again.",
            f"movierec evaluate --model {a.model}\nmovierec evaluate --model {b.model}",
        )
        return
    st.caption(f"{note} Items' segments count only their own items as relevant.")
    segment = drill_down.choose_segment(rows)
    columns = st.columns(2, gap="large")
    for place, kind in enumerate(kind for kind in _KINDS if any(row["kind"] == kind for row in rows)):
        with columns[place % 2]:
            own = [row for row in rows if row["kind"] == kind]
            chart = plots.by_segment(rows, kind, names, chosen.title, models)
            charts.draw(chart, own, f"differences-by-{kind}", drill_down.on_segment(kind, "what"))
            if segment is not None and segment[0] == kind:
                drill_down.users_of_segment(root, chosen, both, segment)


def _examples(
    root: Path, chosen: Chosen, users: PairedUsers, both: tuple[Standing, Standing], names: tuple[str, str]
) -> None:
    st.header("How alike their lists are, and the users where they differ most")
    left, right = st.columns(2, gap="large")
    with left:
        overlap = _overlap(both[0].folder, both[1].folder, chosen.k)
        if overlap is None:
            shell.missing(
                "The lists of these reports cannot be read; evaluate the models again.",
                f"movierec evaluate --model {both[0].model}",
            )
        else:
            rows = plots.overlap_rows(overlap, chosen.k)
            charts.draw(plots.overlaps(rows, overlap, names, chosen.k), rows, f"overlap-at-{chosen.k}")
    examples = _largest(users, chosen, names)
    with right:
        st.markdown(f"**The {len(examples)} largest differences in {shell.plain(chosen.title)}**")
        opened = drill_down.table_of_users(examples, f"largest differences in {chosen.title}")
        st.caption("Choosing a row (with the keyboard Shift+Space) opens the user's lists with their reasons.")
        csv_button(examples, f"examples-{chosen.column}", "Table (CSV)")
    if opened is not None:
        drill_down.explore_user(opened, [one.model for one in both])
    user = _user(users, [str(row["User"]) for row in examples])
    columns = st.columns(2, gap="large")
    for column, standing, name in zip(columns, both, names, strict=True):
        rows = user_list(root, standing.folder, standing.raw_movies, user, chosen.k)
        hits = sum(row["hit"] for row in rows)
        shown = [
            {"Rank": r["rank"], say("Movie"): r["title"], "In the test part": "✓" if r["hit"] else ""} for r in rows
        ]
        with column:
            st.markdown(
                f"**{shell.plain(name)}** for user {shell.plain(user)}: {numbers.counted(hits, 'hit')} in {len(rows)}"
            )
            if shown:
                tables.show(shown, hide_index=True, width="stretch", height="content")


def _advantage(users: PairedUsers, column: str) -> pairs.Values:
    """How much better the first model is for each user: above 0 also where less is better; float64 [n]."""
    difference: pairs.Values = np.round(users.a[column] - users.b[column], 12)
    return -difference if less_is_better(column) else difference


def _largest(
    users: PairedUsers, chosen: Chosen, names: tuple[str, str], among: NDArray[np.bool_] | None = None
) -> list[dict[str, Any]]:
    """The users with the largest differences either way, the largest first; among: bool [n], by default everybody."""
    ours, theirs = users.a[chosen.column], users.b[chosen.column]
    difference = _advantage(users, chosen.column)
    shown = ~np.isnan(difference) if among is None else among
    order = np.flatnonzero(shown)
    order = order[np.argsort(-np.abs(difference)[order], kind="stable")]
    order = order[: EXAMPLES if among is None else drill_down.MOST]
    return [
        {
            "User": users.user_id[row].item(),
            **({"Train items": int(users.train_items[row])} if users.train_items is not None else {}),
            names[0]: round(float(ours[row]), 4),
            names[1]: round(float(theirs[row]), 4),
            "Difference": round(float(difference[row]), 4),
        }
        for row in order
    ]


def _user(users: PairedUsers, examples: list[str]) -> PublicId:
    """The user whose lists are shown: one of the examples, or whom the URL names."""
    wanted = state.given("user")
    known = {str(user): user for user in users.user_id.tolist()}
    options = examples if wanted in examples or wanted not in known else [wanted, *examples]
    chosen = state.choose("User", "user", options, lambda user: f"User {user}")
    user: PublicId = known[chosen]
    return user
