"""The charts of two models over the same users."""

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
import numpy as np
from numpy.typing import NDArray

from dashboard import charts
from dashboard.charts import Row
from dashboard.queries.pairs import Overlap, Values
from dashboard.wording import say
from movierec_engine.evaluation.comparison import Verdict
from movierec_engine.evaluation.metrics import less_is_better, metric_title
from movierec_engine.pipeline.comparison import SegmentVerdict
from movierec_engine.reporting import numbers

_BINS = 40
_EDGE = 0.98
"""Share of the users that the histogram's bins reach to; the outermost bins hold the others."""
NEITHER = "not statistically significant"


def difference_rows(difference: Values, names: tuple[str, str]) -> list[dict[str, Any]]:
    """Users by how much better a is than b, in bins of one width; those without a difference are left out."""
    moved = difference[~np.isnan(difference) & (difference != 0)]
    if not len(moved):
        return []
    edges = _edges(moved)
    reach = float(edges[-1])
    counts = np.bincount(_bars(moved, edges), minlength=_BINS)
    rows: list[dict[str, Any]] = [
        {
            "from": round(float(low), 6),
            "to": round(float(high), 6),
            "bin": f"{low:+.3f} to {high:+.3f}",
            "users": int(count),
            "better": names[int(low < 0)],
        }
        for low, high, count in zip(edges[:-1], edges[1:], counts, strict=True)
    ]
    if np.abs(moved).max() > reach:
        rows[0]["bin"], rows[-1]["bin"] = f"{-reach:+.3f} or less", f"{reach:+.3f} or more"
    return rows


def in_bar(difference: Values, bar: int) -> NDArray[np.bool_]:
    """Whether each user is in one of the rows of `difference_rows`, by its place; bool [n]."""
    moved = ~np.isnan(difference) & (difference != 0)
    found: NDArray[np.bool_] = moved.copy()
    found[moved] = _bars(difference[moved], _edges(difference[moved])) == bar
    return found


def _edges(moved: Values) -> Values:
    """The ends of the bins: of one width, up to where _EDGE of the users are, 0 among them."""
    reach = float(np.quantile(np.abs(moved), _EDGE)) or float(np.abs(moved).max())
    edges = np.linspace(-reach, reach, _BINS + 1)
    edges[_BINS // 2] = 0.0
    return edges


def _bars(moved: Values, edges: Values) -> NDArray[np.int64]:
    """The place of each difference's bin; the outermost ones hold what lies beyond."""
    return np.clip(np.searchsorted(edges, moved, side="right") - 1, 0, _BINS - 1)


def differences(
    rows: list[dict[str, Any]],
    verdict: Verdict,
    names: tuple[str, str],
    metric: str,
    models: Mapping[str, str],
    lower: bool = False,
) -> charts.Chart:
    """Histogram of `difference_rows`. lower: lower values of the metric are the better ones."""
    found = verdict.comparison
    same = found.ties / found.users
    head = f"{verdict.better} is better for {numbers.counted(found.wins, 'user')}, {verdict.worse} for {found.losses:,}"
    beyond = f"; the bars at the ends: {rows[0]['bin']}, {rows[-1]['bin']}" if "less" in rows[0]["bin"] else ""
    same_for = f"{numbers.percent(same, 0)} of the users have the same {metric} with both, not drawn"
    title = charts.title(head, f"{same_for}{beyond}", 58)
    base = alt.Chart(charts.data(rows))
    across = [f"{metric} of {names[0]}", f"minus that of {names[1]}, per user"]
    if lower:
        across = [f"By how much {metric} is lower", f"with {names[0]} than with {names[1]}, per user"]
    bars = base.mark_rect().encode(
        x=alt.X("from:Q", title=across),
        x2="to:Q",
        y=alt.Y("users:Q", title="Users"),
        y2=alt.datum(0),
        color=_better(models),
        tooltip=[
            alt.Tooltip("bin:N", title="Difference"),
            alt.Tooltip("users:Q", title="Users", format=","),
            alt.Tooltip("better:N", title="Better"),
        ],
    )
    return bars.properties(title=title, height=420)


def metric_rows(verdicts: Mapping[str, Verdict], names: tuple[str, str]) -> list[dict[str, Any]]:
    """Rows of each metric with the advantage of a over b and its 95 % interval."""
    return [
        {
            "what": f"{metric_title(metric)}{' (lower is better)' if less_is_better(metric) else ''}",
            **_difference(verdict, names),
        }
        for metric, verdict in verdicts.items()
    ]


def by_metric(rows: list[dict[str, Any]], names: tuple[str, str], models: Mapping[str, str]) -> charts.Chart:
    told = [row for row in rows if row["better"] != NEITHER]
    for name in names:
        if told and all(row["better"] == name for row in told):
            head = f"{name} is significantly better by {len(told)} of {len(rows)} metrics"
            if len(told) == len(rows):
                head = f"{name} is significantly better by every metric"
            break
    else:
        head = "Each is better by some metrics" if told else f"{names[0]} and {names[1]} are tied by every metric"
    title = charts.title(head, "dot: mean difference; line: 95 % interval; hollow: not significant (Holm)", 58)
    return _forest(rows, names, models, "what", "Difference").properties(title=title, height=420)


def segment_rows(verdicts: Sequence[SegmentVerdict], names: tuple[str, str]) -> list[dict[str, Any]]:
    """Rows of each segment with the advantage of a over b and its 95 % interval."""
    return [
        {"kind": one.kind, "what": one.segment, "users": one.users, **_difference(one.verdict, names)}
        for one in verdicts
    ]


def mean_rows(rows: Sequence[Row], names: tuple[str, str], lower: bool = False) -> list[dict[str, Any]]:
    """The same from two models' means, where the users are too many: significant if their intervals do not overlap.

    lower: lower values of the metric are the better ones.
    """
    values: dict[tuple[str, str], dict[str, Mapping[str, Any]]] = {}
    for row in rows:
        values.setdefault((row["kind"], row["segment"]), {})[row["model"]] = row
    found = []
    for (kind, segment), own in values.items():
        if set(names) <= set(own):
            a, b = (_turned(own[name]) if lower else own[name] for name in names)
            better = names[0] if a["low"] > b["high"] else names[1] if b["low"] > a["high"] else NEITHER
            difference = a["value"] - b["value"]
            found.append(
                {
                    "kind": kind,
                    "what": segment,
                    "users": a["users"],
                    "difference": difference,
                    "low": a["low"] - b["high"],
                    "high": a["high"] - b["low"],
                    "better": better,
                    "ahead": names[int(difference < 0)],
                }
            )
    return found


def by_segment(
    rows: list[dict[str, Any]], kind: str, names: tuple[str, str], metric: str, models: Mapping[str, str]
) -> charts.Chart:
    own = [row for row in rows if row["kind"] == kind]
    won = {name: [row["what"] for row in own if row["better"] == name] for name in names}
    parts = [
        f"{name} is significantly better for {numbers.listed(those) if len(those) < 4 else len(those)}"
        for name, those in won.items()
        if those
    ]
    head = f"By {kind}: {'; '.join(parts)}" if parts else f"By {kind}: neither is significantly better"
    title = charts.title(head, f"mean {metric}, right of 0 where {names[0]} is better", 58)
    chart = _forest(own, names, models, "what", f"Difference in {metric}")
    return chart.properties(title=title, height=30 * len(own) + 220)


def overlap_rows(overlap: Overlap, k: int) -> list[dict[str, Any]]:
    """Users by the number of movies that their two lists share: a row for each number from 0 to k."""
    counts = np.bincount(np.rint(overlap.shared * k).astype(int), minlength=k + 1)
    return [{"shared": shared, "users": int(count)} for shared, count in enumerate(counts)]


def overlaps(rows: list[dict[str, Any]], overlap: Overlap, names: tuple[str, str], k: int) -> charts.Chart:
    shared = float(overlap.shared.mean())
    head = f"Their lists share {shared * k:.1f} of {k} {say('movies')} on average"
    subtitle = f"overlap@{k} {numbers.percent(shared)}; further right: more alike"
    if len(overlap.shared) < overlap.users:
        subtitle += f". Over a sample of {len(overlap.shared):,} of the {overlap.users:,} users"
    bars = alt.Chart(charts.data(rows)).mark_bar(color=charts.GREY)
    return bars.encode(
        x=alt.X("shared:O", title=say(f"Movies in both of a user's lists of {k}"), axis=alt.Axis(labelAngle=0)),
        y=alt.Y("users:Q", title="Users"),
        tooltip=[
            alt.Tooltip("shared:O", title=say("Shared movies")),
            alt.Tooltip("users:Q", title="Users", format=","),
        ],
    ).properties(title=charts.title(head, subtitle, 58), height=400)


def _turned(row: Row) -> dict[str, Any]:
    """A segment's mean and interval with their signs turned, so that higher is better."""
    return {**row, "value": -row["value"], "low": -row["high"], "high": -row["low"]}


def _difference(verdict: Verdict, names: tuple[str, str]) -> dict[str, Any]:
    found = verdict.comparison
    sign = 1 if verdict.better == names[0] else -1
    ends = sorted((sign * found.low, sign * found.high))
    return {
        "difference": sign * found.difference,
        "low": ends[0],
        "high": ends[1],
        "better": verdict.better if verdict.significant else NEITHER,
        "ahead": verdict.better,
        "p": max(verdict.p_bootstrap, verdict.p_wilcoxon),
    }


def _forest(
    rows: list[dict[str, Any]], names: tuple[str, str], models: Mapping[str, str], label: str, axis: str
) -> charts.Chart:
    order = [row[label] for row in rows]
    y = alt.Y(
        f"{label}:N",
        sort=order,
        title=None,
        axis=alt.Axis(labelLimit=charts.label_limit(190), labelOverlap=False, ticks=False, domain=False),
    )
    base = alt.Chart(charts.data(rows))
    tooltip = [
        alt.Tooltip(f"{label}:N", title=" "),
        alt.Tooltip("difference:Q", title="Difference", format="+.4f"),
        alt.Tooltip("low:Q", title="95 % from", format="+.4f"),
        alt.Tooltip("high:Q", title="95 % to", format="+.4f"),
        alt.Tooltip("better:N", title="Better"),
    ]
    color = _better(models, "ahead")
    x = alt.X("difference:Q", title=[axis, f"left {names[1]} is better, right {names[0]}"])
    zero = alt.Chart(charts.data([{"zero": 0}])).mark_rule(color=charts.QUIET, strokeDash=[3, 3]).encode(x="zero:Q")
    line = base.mark_rule(strokeWidth=3, opacity=0.6).encode(
        x=alt.X("low:Q", title=[axis, f"left {names[1]} is better, right {names[0]}"]),
        x2="high:Q",
        y=y,
        color=color,
        tooltip=tooltip,
    )
    told = alt.datum.better != NEITHER
    full = base.mark_point(size=90, filled=True, opacity=1).transform_filter(told)
    hollow = base.mark_point(size=70, filled=False, strokeWidth=2, opacity=1).transform_filter(
        alt.datum.better == NEITHER
    )
    return alt.layer(
        zero,
        line,
        full.encode(x=x, y=y, color=color, tooltip=tooltip),
        hollow.encode(x=x, y=y, color=color, tooltip=tooltip),
    )


def _better(models: Mapping[str, str], field: str = "better") -> alt.Color:
    """Colour by who is ahead; two models with one hue get the pair's own two."""
    hues = [charts.hue(model) for model in models.values()]
    if len(set(hues)) < len(hues):
        hues = [charts.FIRST, charts.SECOND][: len(hues)]
    return alt.Color(f"{field}:N", scale=alt.Scale(domain=list(models), range=hues), legend=charts.model_legend())
