"""The leaderboard's charts: scores with intervals, and quality beside cost."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import altair as alt

from dashboard import charts
from dashboard.label_places import label_places
from dashboard.queries.leaderboard import Standing
from movierec_engine.reporting import numbers
from movierec_engine.reporting.conclusions import BASELINE, Outcome, chart_title, front_sentence, pareto_front

_ROW_HEIGHT = 40
_LEAST_HEIGHT = 340
"""Pixels, title and axes included, as Streamlit counts them."""
_PLOT = (470.0, 250.0)
"""Pixels of the cost plot that names are placed for; it may be wider, which only gives them more room."""


@dataclass(frozen=True)
class Cost:
    """Something that models cost, drawn on a log axis that begins at `least`."""

    name: str
    axis: str
    least: float
    of: Callable[[Standing], float | None]
    shown: Callable[[float], str]


COSTS = {
    "training": Cost(
        "Training time", "Training time, seconds", 0.001, lambda one: one.seconds or None, numbers.duration
    ),
    "memory": Cost("Peak memory", "Peak memory of the run, MB", 1.0, lambda one: one.memory_mb, numbers.memory),
    "evaluation": Cost(
        "Ranking time per user",
        "Evaluation time per test user, milliseconds",
        0.0001,
        lambda one: 1000 * one.evaluation_seconds / one.users if one.evaluation_seconds and one.users else None,
        lambda milliseconds: f"{milliseconds:.3g} ms",
    ),
}
"""The costs in the reports. No report holds the API's latency; the time to rank a test user is the nearest to it."""


def interval_rows(ranked: list[Standing], names: dict[str, str]) -> list[dict[str, Any]]:
    return [_row(standing, ranked[0], names) for standing in ranked]


def intervals(ranked: list[Standing], names: dict[str, str], found: Outcome) -> charts.Chart:
    """One row a model: its test score as a dot, the 95 % interval as a line."""
    order = [names[standing.id] for standing in ranked]
    row = alt.Y(
        "model:N", sort=order, title=None, axis=alt.Axis(labelLimit=charts.label_limit(180), ticks=False, domain=False)
    )
    base = alt.Chart(charts.data(interval_rows(ranked, names)))
    tooltip = [
        alt.Tooltip("model:N", title="Model"),
        alt.Tooltip("shown:N", title=found.title),
        alt.Tooltip("interval:N", title="95 % interval"),
    ]
    color = charts.model_color(_models(ranked, names))
    lines = base.mark_rule(strokeWidth=3, strokeCap="round", opacity=0.65).encode(
        x=alt.X("low:Q", title=f"{found.title} on test, mean over users", scale=alt.Scale(zero=False, nice=True)),
        x2="high:Q",
        y=row,
        color=color,
        tooltip=tooltip,
    )
    dots = base.mark_point(size=130, filled=True, opacity=1).encode(
        x=alt.X("score:Q", scale=alt.Scale(zero=False, nice=True)),
        y=row,
        color=color,
        shape=_shape(),
        tooltip=tooltip,
    )
    subtitle = "dot: mean over test users; line: 95 % interval; diamond: best; square: baseline"
    title = charts.title(chart_title(found), subtitle)
    return alt.layer(lines, dots).properties(title=title, height=_height(ranked))


def cost_rows(ranked: list[Standing], names: dict[str, str], cost: Cost) -> list[dict[str, Any]]:
    return [
        {**_row(standing, ranked[0], names), "cost": max(value, cost.least), "costs": cost.shown(value)}
        for standing in ranked
        if (value := cost.of(standing)) is not None
    ]


def quality_and_cost(ranked: list[Standing], names: dict[str, str], metric: str, cost: Cost) -> charts.Chart:
    """Quality against a cost, one point a model; up and to the left is better, and the line joins the front."""
    rows = cost_rows(ranked, names, cost)
    on_front = front(rows)
    ahead = sorted((row for row in rows if row["model"] in on_front), key=lambda row: row["cost"])
    domain, heights = _decades(rows), _span([row[end] for row in rows for end in ("low", "high")])
    x = alt.X(
        "cost:Q",
        title=f"{cost.axis} (log scale)",
        scale=alt.Scale(type="log", nice=False, domain=list(domain)),
        axis=alt.Axis(format="~g", tickCount=5),
    )
    y = alt.Y("score:Q", title=f"{metric} on test", scale=alt.Scale(domain=list(heights), nice=False))
    tooltip = [
        alt.Tooltip("model:N", title="Model"),
        alt.Tooltip("shown:N", title=metric),
        alt.Tooltip("interval:N", title="95 % interval"),
        alt.Tooltip("costs:N", title=cost.name),
    ]
    color = charts.model_color(_models(ranked, names))
    base = alt.Chart(charts.data(rows))
    steps = (
        alt.Chart(charts.data(ahead))
        .mark_line(interpolate="step-after", strokeDash=[4, 4], strokeWidth=1.5, color=charts.QUIET)
        .encode(x=x, y=y)
    )
    lines = base.mark_rule(strokeWidth=2, opacity=0.45).encode(
        x=x, y=alt.Y("low:Q", title=f"{metric} on test"), y2="high:Q", color=color, tooltip=tooltip
    )
    points = base.mark_point(size=120, filled=True, opacity=1).encode(
        x=x, y=y, color=color, shape=_shape(), tooltip=tooltip
    )
    title = charts.title(
        front_sentence([row["model"] for row in ahead], len(rows), "cost-quality"),
        "up and to the left is better; dashed: the front, which no model dominates; line: 95 % interval",
    )
    texts = _texts(rows, domain, heights, x, y, color)
    return alt.layer(steps, lines, points, *texts).properties(title=title, height=_height(ranked))


def _texts(
    rows: list[dict[str, Any]],
    domain: tuple[float, float],
    heights: tuple[float, float],
    x: alt.X,
    y: alt.Y,
    color: alt.Color,
) -> list[alt.Chart]:
    """The names beside their points, a layer for each alignment, moved so that none covers another."""
    width, height = _PLOT
    spread = math.log10(domain[1] / domain[0])
    tall = heights[1] - heights[0]
    points = [
        (
            math.log10(row["cost"] / domain[0]) / spread * width,
            (heights[1] - row["score"]) / tall * height,
        )
        for row in rows
    ]
    layers = []
    by_name = {row["model"]: point for row, point in zip(rows, points, strict=True)}
    steps = sorted(by_name[name] for name in front(rows))
    levels = [(x, y - 2, after, y + 2) for (x, y), (after, _) in pairwise(steps)]
    placed = label_places(points, list(by_name), width, levels)
    for align in ("left", "right", "center"):
        own = [
            row
            | {
                "cost": row["cost"] * 10 ** (place.dx / width * spread),
                "score": row["score"] - place.dy / height * tall,
            }
            for row, place in zip(rows, placed, strict=True)
            if place.align == align
        ]
        if own:
            mark = alt.Chart(charts.data(own)).mark_text(align=align, baseline="middle", fontSize=12, limit=160)
            layers.append(mark.encode(x=x, y=y, text=alt.Text("model:N"), color=color))
    return layers


def front(rows: list[dict[str, Any]]) -> list[str]:
    """Models that no other one beats on both quality and cost."""
    return pareto_front({row["model"]: (-row["cost"], row["score"]) for row in rows})


def _models(ranked: list[Standing], names: dict[str, str]) -> dict[str, str]:
    return {names[standing.id]: standing.model for standing in ranked}


def _height(ranked: list[Standing]) -> int:
    return max(_LEAST_HEIGHT, _ROW_HEIGHT * len(ranked) + 140)


def _decades(rows: list[dict[str, Any]]) -> tuple[float, float]:
    """Bounds of a log axis with room for the points and the names beside them."""
    costs = [row["cost"] for row in rows]
    margin = 0.2 + 0.15 * math.log10(max(costs) / min(costs))
    return min(costs) / 10**margin, max(costs) * 10**margin


def _span(values: list[float]) -> tuple[float, float]:
    """Bounds of an axis with room for names above and below."""
    margin = 0.12 * (max(values) - min(values)) or 0.1 * max(values) or 1.0
    return min(values) - margin, max(values) + margin


def _row(standing: Standing, leader: Standing, names: dict[str, str]) -> dict[str, Any]:
    known = standing.low is not None and standing.high is not None
    role = "best" if standing.score == leader.score else ("baseline" if standing.model == BASELINE else "other")
    return {
        "model": names[standing.id],
        "role": role,
        "score": standing.score,
        "low": standing.low if known else standing.score,
        "high": standing.high if known else standing.score,
        "shown": numbers.score(standing.score),
        "interval": numbers.interval(standing.low, standing.high),
    }


def _shape() -> alt.Shape:
    scale = alt.Scale(domain=["best", "other", "baseline"], range=["diamond", "circle", "square"])
    return alt.Shape("role:N", scale=scale, legend=None)
