"""The part of Operations on time: the served model's metric over its trainings, and how people take every release."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import streamlit as st

from dashboard import charts, pinned_notes, shell, tables
from dashboard.downloads import csv_button
from dashboard.plots import decisions as decision_plots
from dashboard.plots import drift as drift_plots
from dashboard.plots import event_marks
from dashboard.plots import over_time as plots
from dashboard.queries import drift, over_time, store_files
from dashboard.queries.drift import Moved
from dashboard.queries.over_time import Training
from dashboard.queries.releases import Made, Served
from dashboard.queries.store_files import Signature
from movierec_engine.evaluation.drift import DriftConfig
from movierec_engine.evaluation.metrics import metric_title
from movierec_engine.release.freshness import FreshnessConfig
from movierec_engine.reporting import numbers
from movierec_engine.store import kinds

METRIC = "ndcg@10"


def show(root: Path, data: str, served: Served | None, made: Sequence[Made], seen: Signature) -> Callable[[], None]:
    """The charts of what is served; nothing while nothing is.

    Drift and rates take seconds on large data: their places say so until what is returned, called once the rest of the
    page stands, has drawn them.
    """
    if served is None or served.problem:
        return lambda: None
    st.header("How does what is served fare over time?")
    trainings = _trainings(str(root), data, served.model, served.device, METRIC, seen)
    if trainings:
        first = trainings[0].at[:19]
        marks = event_marks.mark_rows(decision_plots.decision_rows(made), first)
        rows = [vars(one) for one in trainings]
        subjects = [*(one.reference for one in trainings), *(one.decision.reference for one in made)]
        notes = [one for one in over_time.notes(root, subjects) if not one.withdrawn_at and one.at[:19] >= first]
        if len(trainings) > 1:
            chart = plots.trained(trainings, marks, served.model, METRIC, event_marks.note_rows(notes, first))
            charts.draw(chart, rows, "metric-over-trainings")
        else:
            st.markdown(_only(trainings[0], served.model))
        pinned_notes.listed(notes)
    else:
        shell.missing(
            f"No report of {shell.plain(served.model)} with {METRIC} can be read.",
            f"movierec evaluate --model {served.model}",
        )
    slow: list[tuple[str, Callable[[], None]]] = [
        (_DRIFT, lambda: _drift(root, data)),
        (_RATES, lambda: _rates_of_releases(root, data, seen)),
    ]
    if st.session_state.get(_DRAWN) == (data, seen):  # it is known, and a page that draws itself anew should not jump
        for _, draw in slow:
            draw()
        return lambda: None
    places = [st.empty() for _ in slow]
    for place, (what, _) in zip(places, slow, strict=True):
        place.caption(f":material/hourglass_top: {what} …")

    def finish() -> None:
        _moved(str(root), data, store_files.signature(root, kinds.RAW_RATINGS))  # before its place is cleared
        _rates(str(root), data, seen)
        for place, (_, draw) in zip(places, slow, strict=True):
            with place.container():
                draw()
        st.session_state[_DRAWN] = (data, seen)

    return finish


_DRIFT = "The newest ratings are compared with those of the served model's training"
_RATES = "Clicks and likes of every release are counted"
_DRAWN = "data whose drift and rates were drawn"


def _rates_of_releases(root: Path, data: str, seen: Signature) -> None:
    """Click and like rates of every release, with their intervals."""
    if rates := _rates(str(root), data, seen):
        rows = plots.rate_rows(rates)
        charts.draw(plots.rates(rows), rows, "rates-of-releases")
        asked = FreshnessConfig()
        st.caption(
            "Where freshness is watched in Dagster, people are alerted when a rate's interval lies below "
            f"automation.freshness.min_click_rate or min_like_rate (by default {numbers.percent(asked.min_click_rate)} "
            "each), or below the release before."
        )


def _only(one: Training, model: str) -> str:
    """The one training that a chart would have no line of, in words."""
    value = f"{numbers.score(one.value)} {numbers.interval(one.low, one.high)}"
    said = f"{model}: {metric_title(METRIC)} {value} in its one training that was measured, {numbers.minute(one.at)}"
    return f"**{shell.plain(said)}.** A chart begins with the second one."


@st.cache_data(show_spinner=False, max_entries=8, ttl=600)
def _trainings(root: str, data: str, model: str, device: str, metric: str, seen: Signature) -> list[Training]:
    return over_time.trainings(Path(root), data, model, device, metric)


@st.cache_data(show_spinner=False, max_entries=8, ttl=600)
def _rates(root: str, data: str, seen: Signature) -> list[dict[str, Any]]:
    return over_time.release_rates(Path(root), data)


@st.cache_data(show_spinner=False, max_entries=8, ttl=600)
def _moved(root: str, data: str, seen: Signature) -> Moved | None:
    return drift.since_training(Path(root), data)


def _drift(root: Path, data: str) -> None:
    """The drift of the newest data from the training's."""
    moved = _moved(str(root), data, store_files.signature(root, kinds.RAW_RATINGS))
    if moved is None:
        st.caption("Drift: what is served was trained on the newest ratings that were read, so that there is none.")
        return
    limits = DriftConfig()
    st.markdown(f"**{shell.plain(drift_plots.conclusion(moved.drifts, limits))}.**")
    rows = drift_plots.table_rows(moved.drifts, limits)
    three = st.column_config.NumberColumn(format="%.3f")
    columns = dict.fromkeys(("Distance", "Limit", "By chance"), three)
    tables.show(
        rows,
        hide_index=True,
        width="stretch",
        height="content",
        column_config=columns,
        alt="Drift of the newest data from those of the served model's training",
    )
    st.caption(
        f"The ratings read at {shell.plain(numbers.minute(moved.now))} against those of the served model's training, "
        f"read at {shell.plain(numbers.minute(moved.then))}: Jensen-Shannon distance, from 0 to 1. Told, in Dagster by "
        "a check and an alert, above the limit, automation.freshness.drift (the defaults stand here), and above what "
        "halves of the training's own users differ by. The page Data draws each."
    )
    csv_button(rows, "drift", "Table (CSV)")
