"""Learning curves and what runs cost."""

from collections.abc import Mapping
from typing import Any

import altair as alt

from dashboard import charts
from movierec_engine.evaluation.metrics import metric_title
from movierec_engine.reporting import numbers

MOST_POINTS = 400
"""Epochs drawn of one run; of more, every so many."""


def curve_rows(histories: Mapping[str, list[dict[str, float]]], metric: str) -> list[dict[str, Any]]:
    """One row a run and epoch: model, epoch, seconds since its start, value; thinned to MOST_POINTS a run."""
    rows = []
    for name, history in histories.items():
        passed, own = 0.0, []
        for number, epoch in enumerate(history):
            passed += float(epoch.get("seconds") or 0.0)
            if (value := epoch.get(metric)) is not None and abs(value) < float("inf"):
                own.append(
                    {"model": name, "epoch": int(epoch.get("epoch", number + 1)), "seconds": passed, "value": value}
                )
        step = -(-len(own) // MOST_POINTS) or 1
        rows += own[::step] if step == 1 else [*own[::step], own[-1]]
    return rows


def curves(
    rows: list[dict[str, Any]], models: Mapping[str, str], metric: str, along: str, title: alt.TitleParams
) -> charts.Chart:
    """Every run's metric by epoch, or by seconds; the best point is marked."""
    axis = "Epoch" if along == "epoch" else "Training time since its start, seconds"
    x = alt.X(f"{along}:Q", title=axis, axis=alt.Axis(tickMinStep=1, format=",d"))
    y = alt.Y("value:Q", title=_axis(metric), scale=alt.Scale(zero=False))
    tooltip = [
        alt.Tooltip("model:N", title="Run"),
        alt.Tooltip("epoch:Q", title="Epoch"),
        alt.Tooltip("seconds:Q", title="Seconds", format=",.1f"),
        alt.Tooltip("value:Q", title=metric_title(metric), format=".4f"),
    ]
    color, dash = charts.model_color(models, charts.model_legend()), charts.model_dash(models, charts.model_legend())
    lines = (
        alt.Chart(charts.data(rows))
        .mark_line(strokeWidth=2.2)
        .encode(x=x, y=y, color=color, strokeDash=dash, tooltip=tooltip)
    )
    peak = alt.Chart(charts.data(best_rows(rows, metric))).mark_point(size=110, filled=True, shape="diamond", opacity=1)
    return alt.layer(lines, peak.encode(x=x, y=y, color=color, tooltip=tooltip)).properties(title=title, height=440)


def best_rows(rows: list[dict[str, Any]], metric: str) -> list[dict[str, Any]]:
    """Each run's best point: the lowest loss, the highest metric."""
    best: dict[str, dict[str, Any]] = {}
    sign = -1 if metric == "loss" else 1
    for row in rows:
        if row["model"] not in best or sign * row["value"] > sign * best[row["model"]]["value"]:
            best[row["model"]] = row
    return list(best.values())


def conclusion(rows: list[dict[str, Any]], metric: str) -> str:
    best = best_rows(rows, metric)
    top = (min if metric == "loss" else max)(best, key=lambda row: row["value"])
    title = "training loss" if metric == "loss" else f"validation {metric_title(metric)}"
    reach = "lowest" if metric == "loss" else "highest"
    end = f"{numbers.score(top['value'])} at epoch {top['epoch']} after {numbers.duration(top['seconds'])}"
    return f"{top['model']} reaches the {reach} {title}: {end}"


def resources(
    rows: list[dict[str, Any]], models: Mapping[str, str], field: str, axis: str, title: alt.TitleParams
) -> charts.Chart:
    """A bar a run."""
    order = [row["model"] for row in rows]
    return (
        alt.Chart(charts.data(rows))
        .mark_bar(height={"band": 0.7})
        .encode(
            x=alt.X(f"{field}:Q", title=axis),
            y=alt.Y("model:N", sort=order, title=None, axis=alt.Axis(labelLimit=180, ticks=False, domain=False)),
            color=charts.model_color(models),
            tooltip=[alt.Tooltip("model:N", title="Run"), alt.Tooltip(f"{field} shown:N", title=axis)],
        )
        .properties(title=title, height=32 * len(rows) + 180)
    )


def _axis(metric: str) -> str:
    return "Training loss, mean over the epoch" if metric == "loss" else f"{metric_title(metric)} on validation"
