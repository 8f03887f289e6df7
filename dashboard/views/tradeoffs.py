"""Trade-offs: any metric against any other or a cost, every model over all measures, and what rules cost."""

from typing import Any

import streamlit as st

from dashboard import charts, controls, shell, state
from dashboard.controls import Chosen
from dashboard.plots import tradeoffs as plots
from dashboard.queries import measures, store_files
from dashboard.queries.measures import Measure
from dashboard.views import picked_model, rules_price
from movierec_engine.evaluation.metrics import Reported

NO_SIZE = "none"
_AXES = ("recall", "coverage", "novelty", "training", "memory")
"""Axes that the parallel coordinates begin with, beside the chosen metric."""
MOST_SETTINGS = 4


def page() -> None:
    root = store_files.store_root()
    snapshot, _ = shell.newest_reports(root)
    st.title("Trade-offs")
    if snapshot.reports.num_rows == 0:
        shell.no_reports(root)
        return
    chosen = controls.choose_reports(snapshot)
    if chosen is None:
        return
    if chosen.ranked:
        _measures(chosen)
    else:
        st.info(f"No report here holds {shell.plain(chosen.title)}; choose another metric or k.")
    rules_price.show(root, chosen.group.data)


def _measures(chosen: Chosen) -> None:
    """The charts of all measures of the chosen reports."""
    every = measures.all_measures(chosen.snapshot, chosen.ranked, chosen.k)
    of = measures.values(chosen.snapshot, chosen.ranked, list(every))
    values = {chosen.labels[report]: own for report, own in of.items()}
    every = {key: measure for key, measure in every.items() if any(key in own for own in values.values())}
    answer = st.container()
    picked = picked_model.choose(chosen)
    with answer:
        _scatter(chosen, every, values, picked)
    if picked:
        own = values.get(picked, {})
        told = [f"{one.title} {one.show(own[key])}" for key, one in every.items() if key in own]
        picked_model.lead_on(chosen, picked, f"{'; '.join(told)}.")
    _parallel(chosen, every, values, picked)


def _scatter(chosen: Chosen, every: dict[str, Measure], values: dict[str, dict[str, float]], picked: str) -> None:
    where = st.container()
    names = {Reported.read(key).name: key for key in every}
    show = {name: every[key].title for name, key in names.items()} | {NO_SIZE: "All equal"}
    with st.container(horizontal=True, vertical_alignment="bottom"):
        others = [name for name in names if name != chosen.metric]
        x_name = state.choose("X axis", "x", others, show.__getitem__, default="training", width=200)
        y_name = state.choose(
            "Y axis", "y", [n for n in names if n != x_name], show.__getitem__, chosen.metric, width=200
        )
        sizes = [NO_SIZE, *(name for name in names if name not in (x_name, y_name))]
        size_name = state.choose("Size", "size", sizes, show.__getitem__, default=NO_SIZE, width=200)
    x, y = every[names[x_name]], every[names[y_name]]
    size = None if size_name == NO_SIZE else every[names[size_name]]
    ends = {
        axis: measures.intervals_of(chosen.snapshot, measure.key, chosen.labels)
        for axis, measure in (("x", x), ("y", y))
    }
    served = [chosen.labels[one.id] for one in chosen.ranked if one.served]
    usual = served or [chosen.labels[chosen.ranked[0].id]]
    standing_out = [picked] if picked else usual
    rows = plots.point_rows(list(chosen.models), values, x, y, size, ends, standing_out)
    with where:
        if rows:
            chart = plots.scatter(rows, x, y, size, wide=True)
            charts.draw(chart, rows, f"{x_name}-and-{y_name}", picked_model.on_model())
            why = "which is picked" if picked else "what is served" if served else "the best"
            st.caption(f"In colour: {shell.plain(standing_out[0])}, {why}.")
        else:
            st.info("No report has both; choose another axis.")


def _parallel(chosen: Chosen, every: dict[str, Measure], values: dict[str, dict[str, float]], picked: str) -> None:
    st.header("All measures and settings at once")
    names = {Reported.read(key).name: key for key in every}
    usual = [chosen.metric, *(name for name in _AXES if name in names and name != chosen.metric)]
    axes = state.choose_many("Axes", "axes", list(names), usual, lambda name: every[names[name]].title)
    labels = list(chosen.models)
    settings = _settings(chosen)
    out = [picked or labels[0]]
    chart, rows = plots.parallel(labels, values, [every[names[name]] for name in axes], settings, out)
    charts.draw(chart, rows, "parallel-coordinates", picked_model.on_model())
    if settings:
        st.caption("How much each setting matters, over all trials of a sweep, stands on the page Sweeps.")


def _settings(chosen: Chosen) -> dict[str, dict[str, Any]]:
    """Setting -> label -> value, of the settings in which several versions of one model differ."""
    shown = {one.id for one in chosen.ranked}
    by_model: dict[str, list[Any]] = {}
    for one in chosen.versions:
        if one.id in shown:
            by_model.setdefault(one.model, []).append(one)
    found: dict[str, dict[str, str]] = {}
    for versions in by_model.values():
        for name in dict.fromkeys(name for one in versions for name, _ in one.settings):
            own = {chosen.labels[one.id]: dict(one.settings).get(name, "–") for one in versions}
            if len(set(own.values())) > 1 and len(found) < MOST_SETTINGS:
                found.setdefault(name, {}).update(own)
    return found
