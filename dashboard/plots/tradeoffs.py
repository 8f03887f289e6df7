"""Charts of any measure of reports against another one: the Pareto front, and parallel coordinates."""

import math
from collections.abc import Collection, Mapping, Sequence
from itertools import pairwise
from typing import Any, Literal

import altair as alt

from dashboard import charts
from dashboard.charts import Row
from dashboard.plots.point_names import point_names
from dashboard.queries.measures import Measure
from movierec_engine.reporting import numbers
from movierec_engine.reporting.conclusions import ends_sentence, front_sentence, pareto_front

HEIGHT = 420
_NAMES = 90
"""Pixels left of parallel axes for the models' names and the lines that lead to them, at least."""
_LED = 24
"""Pixels from the first axis to the names."""

Ends = Mapping[str, tuple[float, float]]
"""Name -> the ends of an interval."""


def point_rows(
    names: Sequence[str],
    values: Mapping[str, Mapping[str, float]],
    x: Measure,
    y: Measure,
    size: Measure | None = None,
    ends: Mapping[str, Ends] | None = None,
    chosen: Collection[str] = (),
) -> list[dict[str, Any]]:
    """A row for each name that has both measures.

    values: name -> key -> value. ends: `x` and `y` -> the ends of the intervals, of those that have one. chosen: names
    that stand out.
    """
    rows = []
    for name in names:
        own = values.get(name, {})
        if x.key not in own or y.key not in own:
            continue
        at = {"x": max(own[x.key], x.least), "y": max(own[y.key], y.least)}
        row = {"model": name, "chosen": name in chosen, **at, "xs": x.show(own[x.key]), "ys": y.show(own[y.key])}
        for axis in ("x", "y"):
            low, high = (ends or {}).get(axis, {}).get(name, (at[axis], at[axis]))
            row |= {f"{axis}_low": low, f"{axis}_high": high}
        if size is not None:
            row |= {"size": own.get(size.key), "sizes": size.show(own[size.key]) if size.key in own else "–"}
        rows.append(row)
    return rows


def front(rows: Sequence[Row], x: Measure, y: Measure) -> list[str]:
    """The names that no other one dominates by both measures; none where a measure has no better end."""
    return pareto_front(_upwards(rows, x, y)) if x.better and y.better else []


def _upwards(rows: Sequence[Row], x: Measure, y: Measure) -> dict[str, tuple[float, float]]:
    """Name -> both values, negative where less is better."""
    signs = [-1 if measure.better == "lower" else 1 for measure in (x, y)]
    return {row["model"]: (signs[0] * row["x"], signs[1] * row["y"]) for row in rows}


def scatter(
    rows: list[dict[str, Any]], x: Measure, y: Measure, size: Measure | None = None, wide: bool = False
) -> charts.Chart:
    """One point a model with its error bars, and the front, if any; names in ink, grey but for what is chosen."""
    on_front = front(rows, x, y)
    ahead = sorted((row for row in rows if row["model"] in on_front), key=lambda row: row["x"])
    step: Literal["step-after", "step-before"] = "step-after" if x.better == "lower" else "step-before"
    spans = {axis: _span(rows, axis, of) for axis, of in (("x", x), ("y", y))}
    encode_x, encode_y = _axis("x", x, spans["x"]), _axis("y", y, spans["y"])
    color = charts.chosen_color()
    tooltip = [
        alt.Tooltip("model:N", title="Model"),
        alt.Tooltip("xs:N", title=x.title),
        alt.Tooltip("ys:N", title=y.title),
        *([alt.Tooltip("sizes:N", title=size.title)] if size else []),
    ]
    base = alt.Chart(charts.data(rows))
    steps = (
        alt.Chart(charts.data(ahead))
        .mark_line(interpolate=step, strokeDash=[4, 4], strokeWidth=1.5, color=charts.QUIET)
        .encode(x=encode_x, y=encode_y)
    )
    bars = base.mark_rule(strokeWidth=2, opacity=0.4)
    layers = [
        steps,
        bars.encode(x=encode_x, y=alt.Y("y_low:Q"), y2="y_high:Q", color=color, tooltip=tooltip),
        bars.encode(y=encode_y, x=alt.X("x_low:Q"), x2="x_high:Q", color=color, tooltip=tooltip),
    ]
    points = base.mark_point(size=110, filled=True, opacity=0.9)
    encoding = {"x": encode_x, "y": encode_y, "color": color, "tooltip": tooltip}
    if size is not None:
        legend = alt.Legend(title=size.title, orient="bottom", tickCount=3)
        encoding["size"] = alt.Size("size:Q", scale=alt.Scale(range=[40, 700], zero=False), legend=legend)
    layers.append(points.encode(**encoding))
    parts = [_where(x, y), "dashed: the front, which no model dominates by its means" if len(ahead) > 1 else ""]
    parts += ["dominated: by its mean, without a test" if len(ahead) == 1 < len(rows) else ""]
    parts += ["bars: 95 % intervals" if any(row[f"{a}_low"] != row[f"{a}_high"] for row in rows for a in "xy") else ""]
    parts += [f"size: {size.title}" if size else ""]
    title = charts.title(_said(rows, x, y, ahead), "; ".join(filter(None, parts)), charts.WIDE if wide else 62)
    return alt.layer(*layers, *_texts(rows, x, y, spans, encode_x, encode_y, _corners(ahead, step))).properties(
        title=title, height=HEIGHT + (60 if size else 0)
    )


def parallel(
    names: Sequence[str],
    values: Mapping[str, Mapping[str, float]],
    measures: Sequence[Measure],
    settings: Mapping[str, Mapping[str, str]],
    chosen: Collection[str],
) -> tuple[charts.Chart, list[dict[str, Any]]]:
    """Parallel coordinates: a line a model over measures, the better end up, and over settings; and its rows.

    A measure without a better end has its highest value up. settings: setting -> name -> value; each is an axis of its
    own.
    """
    axes = [
        (one.title, one, {name: values[name][one.key] for name in names if one.key in values.get(name, {})})
        for one in measures
    ]
    rows: list[dict[str, Any]] = []
    for axis, measure, own in axes:
        low, high = min(own.values(), default=0.0), max(own.values(), default=0.0)
        for name, value in own.items():
            place = _share(value, low, high, measure.log)
            place = 1 - place if measure.better == "lower" else place
            rows.append({"model": name, "axis": axis, "place": place, "shown": measure.show(value)})
    for setting, of in settings.items():
        order = sorted(set(of.values()), key=_number_first)
        for name in names:
            if name in of:
                place = order.index(of[name]) / max(len(order) - 1, 1)
                rows.append({"model": name, "axis": setting, "place": place, "shown": of[name]})
    rows = [row | {"chosen": row["model"] in chosen} for row in rows]
    order = [axis for axis, *_ in axes] + list(settings)
    room = alt.ExprRef(f"max(0.5, {_NAMES * max(len(order) - 1, 1)} / max(containerSize()[0] - {2 * _NAMES}, 50))")
    base = alt.Chart(charts.data(rows)).encode(
        x=alt.X(
            "axis:N",
            sort=order,
            title=None,
            scale=alt.Scale(padding=room),
            axis=alt.Axis(
                labelAngle=charts.slanted_if_narrow(len(order)),
                labelAlign=charts.at_its_tick(len(order)),
                labelLimit=120,
                labelOverlap=False,
                grid=True,
            ),
        ),
        y=alt.Y("place:Q", title=None, axis=None),
        detail="model:N",
        color=charts.chosen_color(),
        tooltip=[alt.Tooltip("model:N", title="Model"), alt.Tooltip("axis:N", title="Axis"), alt.Tooltip("shown:N")],
    )
    lines = base.mark_line(strokeWidth=2).encode(
        opacity=alt.condition(alt.datum.chosen, alt.value(1), alt.value(0.45)),
    )
    points = base.mark_point(size=60, filled=True, opacity=1)
    # every layer takes the axis away: one that leaves it open makes the chart fail in the browser
    named = alt.Chart(charts.data(_apart([row for row in rows if row["axis"] == order[0]])))
    first = alt.X("axis:N", sort=order)
    leaders = named.mark_rule(color=charts.QUIET, strokeWidth=1, x2Offset=-_LED).encode(
        x=first, x2="axis:N", y=alt.Y("place:Q", title=None, axis=None), y2="label:Q"
    )
    labels = named.mark_text(
        align="right",
        dx=-_LED - 3,
        fontSize=11,
        color=charts.ink(),
        limit=alt.ExprRef("containerSize()[0] < 600 ? 60 : 160"),
    ).encode(x=first, y=alt.Y("label:Q", title=None, axis=None), text="model:N")
    neither = [one.title for one in measures if not one.better]
    how = ["a line a model", "up is better" if len(neither) < len(measures) else ""]
    how += [f"up is higher, and not better, for {numbers.listed(neither)}" if neither else ""]
    how += ["a setting's values in their order" if settings else ""]
    title = charts.title("Each model over every measure and setting", "; ".join(filter(None, how)), charts.WIDE)
    return alt.layer(lines, leaders, points, labels).properties(title=title, height=HEIGHT), rows


def _apart(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Rows with the place of a label each, far enough from one another for a line of text, in the same order."""
    gap = min(0.05, 1 / max(len(rows), 1))
    moved: list[dict[str, Any]] = []
    for row in sorted(rows, key=lambda row: float(row["place"])):
        lowest = moved[-1]["label"] + gap if moved else 0.0
        moved.append({**row, "label": max(row["place"], lowest)})
    ceiling = 1.0
    for row in reversed(moved):
        row["label"] = min(row["label"], ceiling)
        ceiling = row["label"] - gap
    return moved


def _axis(axis: str, measure: Measure, span: tuple[float, float]) -> Any:
    scale = alt.Scale(type="log" if measure.log else "linear", nice=False, zero=False, domain=list(span))
    make = alt.X if axis == "x" else alt.Y
    title = f"{measure.axis} (log scale)" if measure.log else measure.axis
    return make(f"{axis}:Q", title=title, scale=scale, axis=alt.Axis(format="~g", tickCount=5))


def _where(x: Measure, y: Measure) -> str:
    """Which way is better, and which measures have no such way."""
    ways = [
        *([{"lower": "down", "higher": "up"}[y.better]] if y.better else []),
        *([{"lower": "to the left", "higher": "to the right"}[x.better]] if x.better else []),
    ]
    neither = [measure.title for measure in (y, x) if not measure.better]
    parts = [f"{numbers.listed(ways)} is better"] if ways else []
    parts += [f"{numbers.listed(neither)} {'has' if len(neither) == 1 else 'have'} no better end"] if neither else []
    return "; ".join(parts)


def _said(rows: Sequence[Row], x: Measure, y: Measure, ahead: Sequence[Row]) -> str:
    """The conclusion: who is on the front, or where there is none, who is at the measures' ends."""
    if ahead:
        return front_sentence([row["model"] for row in ahead], len(rows), f"{x.title} – {y.title}")
    ends = {name: (up, right) for name, (right, up) in _upwards(rows, x, y).items()}
    first, second = (f"{'lowest' if one.better == 'lower' else 'highest'} {one.title}" for one in (y, x))
    return ends_sentence(ends, first, second)


def _span(rows: Sequence[Row], axis: str, measure: Measure) -> tuple[float, float]:
    """Bounds of an axis with room for the points, their bars and the names beside them."""
    ends = [row[name] for row in rows for name in (f"{axis}_low", f"{axis}_high", axis)]
    low, high = min(ends), max(ends)
    if measure.log:
        margin = 0.2 + 0.15 * math.log10(high / low)
        return low / 10**margin, high * 10**margin
    margin = 0.12 * (high - low) or 0.1 * abs(high) or 1.0
    return low - margin, high + margin


def _share(value: float, low: float, high: float, log: bool) -> float:
    """The place of a value between two others, from 0 to 1."""
    if high <= low:
        return 0.5
    if log and low > 0:
        return math.log(value / low) / math.log(high / low)
    return (value - low) / (high - low)


def _number_first(text: str) -> tuple[float, str]:
    try:
        return float(text), text
    except ValueError:
        return math.inf, text


def _texts(
    rows: Sequence[Row],
    x: Measure,
    y: Measure,
    spans: Mapping[str, tuple[float, float]],
    encode_x: alt.X,
    encode_y: alt.Y,
    corners: Sequence[Row],
) -> list[alt.Chart]:
    """The names beside their points, off the front's line. corners: of it."""

    def at(row: Row) -> tuple[float, float]:
        return _share(row["x"], *spans["x"], x.log), 1 - _share(row["y"], *spans["y"], y.log)

    def moved(row: Row, right: float, down: float) -> Row:
        own = {"x": _moved(row["x"], right, spans["x"], x.log), "y": _moved(row["y"], -down, spans["y"], y.log)}
        return {**row, **own}

    encoding = {"x": encode_x, "y": encode_y, "color": alt.value(charts.ink())}
    return point_names(rows, at, moved, encoding, corners)


def _corners(ahead: Sequence[Row], step: str) -> list[Row]:
    """The points of the front with the corners between them, in order."""
    found = list(ahead[:1])
    for one, other in pairwise(ahead):
        across, up = (other, one) if step == "step-after" else (one, other)
        found += [{"x": across["x"], "y": up["y"]}, other]
    return found


def _moved(value: float, share: float, span: tuple[float, float], log: bool) -> float:
    """A value moved by a share of the axis."""
    if log:
        return float(value * (span[1] / span[0]) ** share)
    return value + share * (span[1] - span[0])
