"""The charts, drawn with Altair. Colours and text are legible on light and on dark, and to colour-blind readers."""

import math
from typing import Any

import altair as alt

from dashboard import wording
from dashboard.queries import BASELINE, Standing

ROLES = {"best": "#D55E00", "other": "#2F8FD0", "baseline": "#8A8A8A"}
"""Okabe and Ito's vermillion, their blue lightened, and a grey: each at least 3 to 1 on white and on near-black."""
_QUIET = "#808495"
"""Subtitles, which Streamlit's theme leaves black."""

_ROW_HEIGHT = 44
_LEAST_HEIGHT = 340
"""Pixels, title and axes included, as Streamlit counts them."""
_LEAST_SECONDS = 0.001
"""A log axis has no zero; faster trainings are drawn here."""


def intervals(ranked: list[Standing], names: dict[str, str], metric: str) -> alt.LayerChart | alt.FacetChart:
    """One row a model: its test score as a dot, the 95 % interval as a line."""
    order = [names[standing.id] for standing in ranked]
    row = alt.Y("model:N", sort=order, title=None, axis=alt.Axis(labelLimit=180, ticks=False, domain=False))
    base = alt.Chart(_data(ranked, names))
    tooltip = [
        alt.Tooltip("model:N", title="Model"),
        alt.Tooltip("shown:N", title=metric),
        alt.Tooltip("interval:N", title="95 % interval"),
    ]
    lines = base.mark_rule(strokeWidth=3, strokeCap="round", opacity=0.65).encode(
        x=alt.X("low:Q", title=f"{metric} on test, mean over users", scale=alt.Scale(zero=False, nice=True)),
        x2="high:Q",
        y=row,
        color=_color(),
        tooltip=tooltip,
    )
    dots = base.mark_point(size=130, filled=True, opacity=1).encode(
        x=alt.X("score:Q", scale=alt.Scale(zero=False, nice=True)),
        y=row,
        color=_color(),
        shape=_shape(),
        tooltip=tooltip,
    )
    title = _title(_interval_conclusion(ranked, names, metric), "dot: mean over test users; line: 95 % interval")
    return alt.layer(lines, dots).properties(title=title, height=_height(ranked))


def cost(ranked: list[Standing], names: dict[str, str], metric: str) -> alt.LayerChart | alt.FacetChart:
    """Quality against training time, one point a model; up and to the left is better."""
    base = alt.Chart(_data(ranked, names))
    seconds = alt.X(
        "seconds:Q",
        title="Training time, seconds (log scale)",
        scale=alt.Scale(type="log", nice=False, domain=_decades(ranked)),
        axis=alt.Axis(format="~g", tickCount=6),
    )
    quality = alt.Y("score:Q", title=f"{metric} on test", scale=alt.Scale(zero=False, nice=True, padding=20))
    tooltip = [
        alt.Tooltip("model:N", title="Model"),
        alt.Tooltip("shown:N", title=metric),
        alt.Tooltip("interval:N", title="95 % interval"),
        alt.Tooltip("training:N", title="Training"),
        alt.Tooltip("memory:N", title="Peak memory"),
    ]
    lines = base.mark_rule(strokeWidth=2, opacity=0.5).encode(
        x=seconds, y=alt.Y("low:Q", title=f"{metric} on test"), y2="high:Q", color=_color(), tooltip=tooltip
    )
    points = base.mark_point(size=130, filled=True, opacity=1).encode(
        x=seconds, y=quality, color=_color(), shape=_shape(), tooltip=tooltip
    )
    texts = base.mark_text(dy=-2, dx=10, align="left", fontSize=12, limit=160).encode(
        x=seconds, y=quality, text=alt.Text("model:N"), color=_color()
    )
    title = _title(_cost_conclusion(ranked, names), "up and to the left is better; line: 95 % interval")
    return alt.layer(lines, points, texts).properties(title=title, height=_height(ranked))


def _height(ranked: list[Standing]) -> int:
    return max(_LEAST_HEIGHT, _ROW_HEIGHT * len(ranked) + 140)


def _decades(ranked: list[Standing]) -> list[float]:
    """Bounds of a log axis with room for the points, and for the names at their right."""
    seconds = [max(standing.seconds, _LEAST_SECONDS) for standing in ranked]
    spread = math.log10(max(seconds) / min(seconds))
    return [min(seconds) / 10 ** (0.1 + 0.05 * spread), max(seconds) * 10 ** (0.3 + 0.2 * spread)]


def _data(ranked: list[Standing], names: dict[str, str]) -> alt.InlineData:
    return alt.InlineData(values=[_values(standing, ranked[0], names) for standing in ranked])


def _values(standing: Standing, leader: Standing, names: dict[str, str]) -> dict[str, Any]:
    known = standing.low is not None and standing.high is not None
    role = "best" if standing.score == leader.score else "baseline" if standing.model == BASELINE else "other"
    return {
        "model": names[standing.id],
        "role": role,
        "score": standing.score,
        "low": standing.low if known else standing.score,
        "high": standing.high if known else standing.score,
        "shown": wording.score(standing.score),
        "interval": f"{wording.score(standing.low)} to {wording.score(standing.high)}" if known else "none",
        "seconds": max(standing.seconds, _LEAST_SECONDS),
        "training": wording.duration(standing.seconds),
        "memory": wording.memory(standing.memory_mb),
    }


def _color() -> alt.Color:
    scale = alt.Scale(domain=list(ROLES), range=list(ROLES.values()))
    return alt.Color("role:N", scale=scale, legend=None)


def _shape() -> alt.Shape:
    scale = alt.Scale(domain=list(ROLES), range=["diamond", "circle", "square"])
    return alt.Shape("role:N", scale=scale, legend=None)


def _title(conclusion: str, subtitle: str) -> alt.TitleParams:
    return alt.TitleParams(
        text=_lines(conclusion), subtitle=subtitle, subtitleColor=_QUIET, anchor="start", fontSize=16, offset=12
    )


def _lines(text: str, width: int = 62) -> list[str]:
    """Text broken at spaces, since a chart's title does not wrap by itself."""
    lines = [""]
    for word in text.split():
        if len(lines[-1]) + len(word) >= width:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return lines


def _interval_conclusion(ranked: list[Standing], names: dict[str, str], metric: str) -> str:
    leader, second = ranked[0], wording.runner_up(ranked)
    if second is None:
        return f"{names[leader.id]} is alone in this group"
    other = names[second.id]
    if leader.score == second.score:
        return f"{names[leader.id]} and {other} tie on {metric}"
    return {
        True: f"{names[leader.id]} is ahead on {metric}, but its interval overlaps {other}'s",
        False: f"{names[leader.id]} is clearly ahead of {other} on {metric}: their intervals do not overlap",
        None: f"{names[leader.id]} is ahead of {other} on {metric}, which has no intervals",
    }[wording.overlap(leader, second)]


def _cost_conclusion(ranked: list[Standing], names: dict[str, str]) -> str:
    beaten = wording.slower_and_no_better(ranked)
    if len(ranked) == 1:
        return f"{names[ranked[0].id]} trains in {wording.duration(ranked[0].seconds)}"
    if not beaten:
        return "Every model here buys its quality with training time"
    if len(beaten) > 3:
        return f"{len(beaten)} models train longer than another that does no worse"
    listed = ", ".join(names[standing.id] for standing in beaten)
    return f"Slower than a better model: {listed}"
