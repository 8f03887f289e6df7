"""The leaderboard's chart: scores with their intervals."""

from collections.abc import Collection
from typing import Any

import altair as alt

from dashboard import charts
from dashboard.queries.leaderboard import Standing
from movierec_engine.reporting import numbers
from movierec_engine.reporting.conclusions import BASELINE, Outcome, chart_title

_ROW_HEIGHT = 32
_LEAST_HEIGHT = 340
"""Pixels, title and axes included, as Streamlit counts them."""


def interval_rows(ranked: list[Standing], names: dict[str, str], chosen: Collection[str]) -> list[dict[str, Any]]:
    """A row a model. chosen: labels of those that stand out."""
    return [_row(standing, ranked[0], names, chosen) for standing in ranked]


def intervals(
    ranked: list[Standing], names: dict[str, str], found: Outcome, chosen: Collection[str] = ()
) -> charts.Chart:
    """One row a model: its test score as a dot, the 95 % interval as a line; grey but for what is chosen."""
    order = [names[standing.id] for standing in ranked]
    row = alt.Y(
        "model:N", sort=order, title=None, axis=alt.Axis(labelLimit=charts.label_limit(170), ticks=False, domain=False)
    )
    base = alt.Chart(charts.data(interval_rows(ranked, names, chosen)))
    tooltip = [
        alt.Tooltip("model:N", title="Model"),
        alt.Tooltip("shown:N", title=found.title),
        alt.Tooltip("interval:N", title="95 % interval"),
    ]
    of_users = ", mean over users" if found.per_user else ""
    x = alt.X("low:Q", title=f"{found.title} on test{of_users}", scale=alt.Scale(zero=False, nice=True))
    color = charts.chosen_color()
    lines = base.mark_rule(strokeWidth=3, strokeCap="round", opacity=0.65)
    dots = base.mark_point(size=130, filled=True, opacity=1)
    shape = alt.Scale(domain=["best", "other", "baseline"], range=["diamond", "circle", "square"])
    return alt.layer(
        lines.encode(x=x, x2="high:Q", y=row, color=color, tooltip=tooltip),
        dots.encode(
            x=alt.X("score:Q", scale=alt.Scale(zero=False, nice=True)),
            y=row,
            color=color,
            shape=alt.Shape("role:N", scale=shape, legend=None),
            tooltip=tooltip,
        ),
    ).properties(
        title=charts.title(chart_title(found), _how(ranked, found)),
        height=max(_LEAST_HEIGHT, _ROW_HEIGHT * len(ranked) + 140),
    )


def _how(ranked: list[Standing], found: Outcome) -> str:
    """How to read the chart, by what is drawn in it."""
    parts = ["dot: mean over test users" if found.per_user else "dot: on test"]
    parts += ["line: 95 % interval"] if any(one.low is not None for one in ranked) else []
    parts += ["square: baseline"] if any(_role(one, ranked[0]) == "baseline" for one in ranked) else []
    return "; ".join(parts)


def _role(standing: Standing, leader: Standing) -> str:
    """Its shape: a diamond, a square or a circle."""
    return "best" if standing.score == leader.score else "baseline" if standing.model == BASELINE else "other"


def _row(standing: Standing, leader: Standing, names: dict[str, str], chosen: Collection[str]) -> dict[str, Any]:
    known = standing.low is not None and standing.high is not None
    return {
        "model": names[standing.id],
        "role": _role(standing, leader),
        "chosen": names[standing.id] in chosen,
        "score": standing.score,
        "low": standing.low if known else standing.score,
        "high": standing.high if known else standing.score,
        "shown": numbers.score(standing.score),
        "interval": numbers.interval(standing.low, standing.high),
    }
