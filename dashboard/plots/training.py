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


LIVE = " (live)"
"""End of the name of a run that goes on."""


def patience_rows(rows: list[dict[str, Any]], metric: str, patience: Mapping[str, int]) -> list[dict[str, Any]]:
    """The epochs that each run waits after its best one for a better: from epoch to `until`, at the best value.

    patience: run -> epochs, of those runs that stop by this metric.
    """
    return [
        {**row, "until": row["epoch"] + patience[row["model"]]}
        for row in best_rows(rows, metric)
        if row["model"] in patience
    ]


def curves(
    rows: list[dict[str, Any]],
    models: Mapping[str, str],
    metric: str,
    along: str,
    title: alt.TitleParams,
    patience: Mapping[str, int],
) -> charts.Chart:
    """Every run's metric by epoch, or by seconds: the best point is marked, what goes on is dashed.

    patience: as for `patience_rows`, which are drawn as thin lines by epoch.
    """
    axis = "Epoch" if along == "epoch" else "Training time since its start, seconds"
    x = alt.X(f"{along}:Q", title=axis, axis=alt.Axis(tickMinStep=1, format=",d"))
    y = alt.Y("value:Q", title=_axis(metric), scale=alt.Scale(zero=False))
    tooltip = [
        alt.Tooltip("model:N", title="Run"),
        alt.Tooltip("epoch:Q", title="Epoch"),
        alt.Tooltip("seconds:Q", title="Seconds", format=",.1f"),
        alt.Tooltip("value:Q", title=metric_title(metric), format=".4f"),
    ]
    color = alt.Color(
        "model:N", scale=alt.Scale(domain=list(models), range=_hues(models)), legend=charts.model_legend()
    )
    layers = [
        alt.Chart(charts.data(own))
        .mark_line(strokeWidth=2.2, strokeDash=dash)
        .encode(x=x, y=y, color=color, tooltip=tooltip)
        for live, dash in ((False, [1, 0]), (True, [5, 4]))
        if (own := [row for row in rows if row["model"].endswith(LIVE) == live])
    ]
    waits = patience_rows(rows, metric, patience) if along == "epoch" else []
    if waits:
        until = alt.Tooltip("until:Q", title="Stops at epoch")
        wait = alt.Chart(charts.data(waits)).mark_rule(strokeWidth=1, opacity=0.7)
        layers.append(wait.encode(x=x, x2="until:Q", y=y, color=color, tooltip=[tooltip[0], until]))
    peak = alt.Chart(charts.data(best_rows(rows, metric))).mark_point(size=110, filled=True, shape="diamond", opacity=1)
    layers.append(peak.encode(x=x, y=y, color=color, tooltip=tooltip))
    return alt.layer(*layers).properties(title=title, height=440)


def _hues(models: Mapping[str, str]) -> list[str]:
    """The models' own where they differ; several runs of a model get one each."""
    own = [charts.hue(model) for model in models.values()]
    return own if len(set(own)) == len(own) else [charts.HUES[place % len(charts.HUES)] for place in range(len(own))]


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
            y=alt.Y(
                "model:N",
                sort=order,
                title=None,
                axis=alt.Axis(labelLimit=charts.label_limit(180), ticks=False, domain=False),
            ),
            color=charts.model_color(models),
            tooltip=[alt.Tooltip("model:N", title="Run"), alt.Tooltip(f"{field} shown:N", title=axis)],
        )
        .properties(title=title, height=32 * len(rows) + 180)
    )


def _axis(metric: str) -> str:
    return "Training loss, mean over the epoch" if metric == "loss" else f"{metric_title(metric)} on validation"
