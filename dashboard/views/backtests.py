"""The part of Operations on backtests: whether models keep their quality over time, with what happened meanwhile."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import streamlit as st

from dashboard import charts, pinned_notes, shell, state
from dashboard.plots import decisions as decision_plots
from dashboard.plots import event_marks
from dashboard.plots import operations as plots
from dashboard.queries import backtests, over_time, store_files
from dashboard.queries.backtests import GROUPS, Backtest
from dashboard.queries.releases import Made
from dashboard.queries.store_files import Signature
from movierec_engine.evaluation.metrics import metric_title
from movierec_engine.pipeline.backtest import ALL, WITH_HISTORY
from movierec_engine.release.notes import Note
from movierec_engine.reporting import numbers
from movierec_engine.store import kinds


def show(root: Path, data: str, made: Sequence[Made]) -> None:
    """The backtests on a data set, those of the same windows together. made: the decisions about its releases."""
    st.header("Do models keep their quality over time?")
    found = _tested(str(root), data, store_files.signature(root, kinds.BACKTEST))
    if not found:
        shell.missing(
            "No backtest yet: it trains a model up to a moment, tests it on what came next, and moves on.",
            "movierec backtest model=ease",
        )
        return
    groups = {one.fingerprint: f"{one.data}, {len(one.windows)} windows ({one.fingerprint[:6]})" for one in found}
    left, middle, right = st.columns(3)
    with left:
        group = state.choose("Windows", "windows", list(groups), lambda key: groups[key])
    own = [one for one in found if one.fingerprint == group]
    metrics = list(dict.fromkeys(row["metric"] for one in own for row in one.measures if "@" in row["metric"]))
    with middle:
        metric = state.choose("Measured by", "by", metrics, metric_title, default="ndcg@10")
    with right:
        users = state.choose("Of", "group_of", list(GROUPS), lambda key: GROUPS[key].capitalize(), default=ALL)
    names = [one.model for one in own]
    labelled = {one.model if names.count(one.model) == 1 else f"{one.model} ({one.device})": one for one in own}
    rows = plots.backtest_rows(labelled, metric, users)
    models = {label: one.model for label, one in labelled.items()}
    if rows:
        marks = event_marks.mark_rows(decision_plots.decision_rows(made), "")
        notes = _notes(root, labelled, made)
        happened = event_marks.in_periods(marks, event_marks.note_rows(notes, ""), own[0].window_at)
        charts.draw(plots.backtest(rows, models, metric, users, happened), rows, "backtest")
        pinned_notes.listed(notes)
    else:
        st.info("No window has such users.")
    windows = own[0].windows
    new = sum(row["users_without_history"] for row in windows) / max(sum(row["users"] for row in windows), 1)
    st.caption(
        f"{numbers.percent(new, 0)} of the windows' users are new to the model and are answered by popularity; "
        f"“{GROUPS[WITH_HISTORY]}” leaves them out. Only models over the same windows are drawn together."
    )


@st.cache_data(show_spinner=False, max_entries=4, ttl=600)
def _tested(root: str, data: str, seen: Signature) -> list[Backtest]:
    return backtests.backtests(Path(root), data)


def _notes(root: Path, drawn: Mapping[str, Backtest], made: Sequence[Made]) -> list[Note]:
    """The notes that hold about any report of the drawn models, and about releases."""
    folders = [
        folder
        for one in drawn.values()
        for folder in store_files.folders(root / kinds.EVALUATION_REPORT / one.data / one.model / one.device)
    ]
    reports = [folder.relative_to(root).as_posix() for folder in folders]
    found = over_time.notes(root, [*reports, *(one.decision.reference for one in made)])
    return [one for one in found if not one.withdrawn_at]
