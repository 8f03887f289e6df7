"""The part of Operations on time: the served model's metric over its trainings, and how people take every release."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import streamlit as st

from dashboard import charts, shell
from dashboard.plots import decisions as decision_plots
from dashboard.plots import over_time as plots
from dashboard.queries import over_time
from dashboard.queries.over_time import Training
from dashboard.queries.releases import Made, Served
from dashboard.queries.store_files import Signature
from movierec_engine.release.freshness import FreshnessConfig
from movierec_engine.reporting import numbers

METRIC = "ndcg@10"


def show(root: Path, data: str, served: Served | None, made: Sequence[Made], seen: Signature) -> None:
    """The charts of what is served; nothing while nothing is."""
    if served is None or served.problem:
        return
    st.header("How does what is served fare over time?")
    trainings = _trainings(str(root), data, served.model, served.device, METRIC, seen)
    if trainings:
        marks = plots.mark_rows(decision_plots.decision_rows(made), trainings[0].at[:19])
        rows = [vars(one) for one in trainings]
        charts.draw(plots.trained(trainings, marks, served.model, METRIC), rows, "metric-over-trainings")
    else:
        shell.missing(
            f"No report of {shell.plain(served.model)} with {METRIC} can be read.",
            f"movierec evaluate --model {served.model}",
        )
    rates = _rates(str(root), data, seen)
    if rates:
        rows = plots.rate_rows(rates)
        charts.draw(plots.rates(rows), rows, "rates-of-releases")
        asked = FreshnessConfig()
        st.caption(
            "Where freshness is watched in Dagster, people are alerted when a rate's interval lies below "
            f"automation.freshness.min_click_rate or min_like_rate (by default {numbers.percent(asked.min_click_rate)} "
            "each), or below the release before."
        )


@st.cache_data(show_spinner=False, max_entries=8, ttl=600)
def _trainings(root: str, data: str, model: str, device: str, metric: str, seen: Signature) -> list[Training]:
    return over_time.trainings(Path(root), data, model, device, metric)


@st.cache_data(show_spinner=False, max_entries=8, ttl=600)
def _rates(root: str, data: str, seen: Signature) -> list[dict[str, Any]]:
    return over_time.release_rates(Path(root), data)
