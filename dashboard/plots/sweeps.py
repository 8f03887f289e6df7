"""Charts of a sweep: its best trials and the importance of settings."""

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
import numpy as np

from dashboard import charts
from dashboard.charts import Row
from dashboard.queries.importance import FEW, Importance, axis_of, number
from dashboard.queries.sweeps import Sweep, searched
from movierec_engine.evaluation.metrics import metric_title
from movierec_engine.reporting import numbers
from movierec_engine.tuning.axis import LOG, Axis
from movierec_engine.tuning.trials import Result

MOST_LINES = 200
"""Results that are drawn, the best ones and every so many of the others."""
_CLEAR = 0.5
"""A rank correlation from which on a direction is told."""


def short(setting: str) -> str:
    """`model.l2` as l2."""
    return setting.rpartition(".")[2]


def drawn(results: Sequence[Result]) -> list[Result]:
    """The best half of MOST_LINES results, and evenly many of the others."""
    if len(results) <= MOST_LINES:
        return list(results)
    best, others = results[: MOST_LINES // 2], results[MOST_LINES // 2 :]
    step = -(-len(others) // (MOST_LINES // 2))
    return [*best, *others[::step]]


def coordinate_rows(
    results: Sequence[Result], metric: str, space: Mapping[str, Axis]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """One row a result and axis: rank, axis, value, height 0..1, score; and the axes' ticks: axis, height, text.

    space: setting -> the scale that it was searched on, where that is known.
    """
    scores = [result.validation.mean for result in results if result.validation is not None]
    columns: dict[str, list[Any]] = dict(searched(results))
    columns[metric] = scores
    rows, ticks = [], []
    for place, (name, values) in enumerate(columns.items()):
        heights, own_ticks = _heights(values, space.get(name))
        axis = metric_title(metric) if name == metric else short(name)
        ticks += [{"axis": axis, "place": place, "height": height, "text": text} for height, text in own_ticks]
        for rank, (value, height, score) in enumerate(zip(values, heights, scores, strict=True), start=1):
            rows.append(
                {
                    "rank": rank,
                    "axis": axis,
                    "place": place,
                    "value": "–" if value is None else shown_value(value),
                    "height": round(height, 4),
                    "score": score,
                }
            )
    return rows, ticks


def parallel(rows: list[dict[str, Any]], ticks: list[dict[str, Any]], sweep: Sweep, shown: int) -> charts.Chart:
    """A line a result through its values; the best one thick."""
    scored = sweep.scored
    best = scored[0]
    values = numbers.listed(
        [f"{short(name)} {shown_value(column[0])}" for name, column in searched(scored).items()][:5]
    )
    head = f"Best on validation: {values}" if values else "All results have the same settings"
    assert best.validation is not None
    subtitle = (
        f"{metric_title(sweep.metric)} {numbers.score(best.validation.mean)} on validation; the thick line is the "
        "best, strong lines are good. Each axis goes from its lowest value to its highest"
    )
    if shown < len(scored):
        subtitle += f". {shown} of {len(scored)} results are drawn"
    axes = list(dict.fromkeys(row["axis"] for row in rows))
    x = alt.X(
        "axis:N",
        sort=axes,
        title="Setting and result",
        axis=alt.Axis(
            labelAngle=charts.slanted_if_narrow(len(axes)),
            labelAlign=charts.at_its_tick(len(axes)),
            grid=True,
            domain=False,
            labelLimit=140,
            labelFontSize=12,
            labelOverlap=False,
        ),
        scale=alt.Scale(padding=0.4),
    )
    y = alt.Y(
        "height:Q", title="From lowest to highest", axis=alt.Axis(labels=False, ticks=False, grid=False, domain=False)
    )
    tooltip = [
        alt.Tooltip("rank:Q", title="Rank"),
        alt.Tooltip("axis:N", title="Setting"),
        alt.Tooltip("value:N", title="Value"),
        alt.Tooltip("score:Q", title="Validation", format=".4f"),
    ]
    scores = [row["score"] for row in rows]
    low, high = float(np.quantile(scores, 0.1)), max(scores)
    domain = [low, high] if high > low else [low - 1, high]
    base = alt.Chart(charts.data(rows))
    reverse = sweep.mode != "max"
    lines = base.mark_line(strokeWidth=1.6).encode(
        x=x,
        y=y,
        detail="rank:N",
        color=alt.Color(
            "score:Q",
            scale=alt.Scale(domain=domain, range=["#3FA0D850", "#3FA0D8FF"], clamp=True, reverse=reverse),
            legend=None,
        ),
        tooltip=tooltip,
    )
    first = base.mark_line(strokeWidth=4, color=charts.FIRST, point=alt.OverlayMarkDef(size=70, color=charts.FIRST))
    labels = alt.Chart(charts.data(ticks)).mark_text(dx=8, align="left", fontSize=11, color=charts.quiet_ink())
    return alt.layer(
        lines,
        first.transform_filter(alt.datum.rank == 1).encode(x=x, y=y, tooltip=tooltip),
        labels.encode(x=x, y=y, text="text:N"),
    ).properties(title=charts.title(head, subtitle, charts.WIDE), height=420)


def importance_rows(found: Sequence[Importance]) -> list[dict[str, Any]]:
    return [
        {
            "setting": one.setting,
            "share": one.share,
            "values": one.values,
            "scale": one.scale,
            "trials": one.trials,
            "more than chance": one.told,
            "direction": _direction(one),
        }
        for one in found
    ]


def importance_conclusion(rows: Sequence[Row]) -> str:
    """Which setting matters most, or why that cannot be said."""
    n = rows[0]["trials"]
    if n < FEW:
        return f"Too few trials to say which setting matters: {numbers.counted(n, 'result')}, and it takes {FEW}"
    told = [row for row in rows if row["more than chance"]]
    if not told:
        return f"No setting's share is more than chance over {numbers.counted(n, 'result')}: more trials may tell"
    top, share = told[0], numbers.percent(told[0]["share"], 0)
    return f"{short(top['setting'])} matters most: {share} of the differences between {n} results"


def importance(rows: list[dict[str, Any]]) -> charts.Chart:
    """A bar a setting, pale where it is no more than chance, with how many results it is of."""
    subtitle = (
        "share of the validation metric's variance between parts of a setting's range, which weigh the same: quarters "
        "of the scale it was searched on, or each choice (omega squared). Pale: no more than shuffled scores give. "
        "Each alone: interactions count for none"
    )
    shown = [{**row, "text": _beside(row)} for row in rows]
    base = alt.Chart(charts.data(shown))
    y = alt.Y(
        "setting:N",
        sort=[row["setting"] for row in rows],
        title=None,
        axis=alt.Axis(labelLimit=charts.label_limit(200), ticks=False, domain=False),
    )
    x = alt.X("share:Q", title="Share of the variance", axis=alt.Axis(format=".0%"), scale=alt.Scale(domain=[0, 1]))
    tooltip = [
        alt.Tooltip("setting:N", title="Setting"),
        alt.Tooltip("share:Q", title="Share", format=".1%"),
        alt.Tooltip("trials:Q", title="Results"),
        alt.Tooltip("values:Q", title="Values tried"),
        alt.Tooltip("scale:N", title="Searched on"),
        alt.Tooltip("direction:N", title="Direction"),
    ]
    opacity = alt.condition(alt.datum["more than chance"], alt.value(1), alt.value(0.35))
    bars = base.mark_bar(color=charts.SECOND, height={"band": 0.7}).encode(x=x, y=y, tooltip=tooltip, opacity=opacity)
    texts = base.mark_text(align="left", dx=6, color=charts.ink(), fontSize=12).encode(x=x, y=y, text="text:N")
    title = charts.title(importance_conclusion(rows), subtitle, 58)
    return alt.layer(bars, texts).properties(title=title, height=34 * len(rows) + 220)


def _beside(row: Row) -> str:
    parts = [f"{numbers.percent(row['share'], 0)}, n = {row['trials']}", row["scale"], row["direction"]]
    return ", ".join(part for part in parts if part)


def progress_rows(sweep: Sweep) -> list[dict[str, Any]]:
    """Trials in their order: number, score, the best so far."""
    rows, best = [], None
    better = max if sweep.mode == "max" else min
    fingerprint = sweep.scored[0].fingerprint if sweep.scored else ""
    for place, trial in enumerate(sweep.trials, start=1):
        score = trial.validation.get(sweep.metric)
        if score is not None and trial.fingerprint == fingerprint:
            best = score if best is None else better(best, score)
            rows.append({"trial": place, "score": score, "best": best})
    return rows


def progress(rows: list[dict[str, Any]], metric: str) -> charts.Chart:
    last = next(row["trial"] for row in rows if row["best"] == rows[-1]["best"])
    rest = rows[-1]["trial"] - last
    head = f"The best was found by trial {last}" + (
        f"; the {rest} after it found none better" if rest else ", the last"
    )
    base = alt.Chart(charts.data(rows))
    x = alt.X("trial:Q", title="Trial, in the order that they ran", axis=alt.Axis(tickMinStep=1, format="d"))
    y = alt.Y("score:Q", title=f"{metric_title(metric)} on validation", scale=alt.Scale(zero=False))
    tooltip = [
        alt.Tooltip("trial:Q", title="Trial"),
        alt.Tooltip("score:Q", title="Reached", format=".4f"),
        alt.Tooltip("best:Q", title="Best so far", format=".4f"),
    ]
    return alt.layer(
        base.mark_line(interpolate="step-after", color=charts.FIRST, strokeWidth=2.2).encode(
            x=x, y=alt.Y("best:Q", title=f"{metric_title(metric)} on validation"), tooltip=tooltip
        ),
        base.mark_circle(size=60, color=charts.SECOND, opacity=0.85).encode(x=x, y=y, tooltip=tooltip),
    ).properties(title=charts.title(head, "dots: trials; line: the best so far", 58), height=360)


def spread_rows(results: Sequence[Result]) -> list[dict[str, Any]]:
    """Results of several seeds: what differs, mean, and mean less and plus one deviation."""
    rows = []
    for rank, result in enumerate(results, start=1):
        score = result.validation
        if score is not None and score.sd is not None:
            words = ", ".join(f"{short(name)} {value}" for name, value in _named(result)) or f"rank {rank}"
            rows.append(
                {
                    "rank": rank,
                    "settings": words,
                    "seeds": len(result.trials),
                    "mean": score.mean,
                    "sd": score.sd,
                    "low": score.mean - score.sd,
                    "high": score.mean + score.sd,
                }
            )
    return rows


def spreads(rows: list[dict[str, Any]], metric: str) -> charts.Chart:
    """Mean ± sd over seeds."""
    first = rows[0]
    near = sum(row["high"] >= first["low"] for row in rows[1:])
    head = f"{first['settings']} is more than a deviation ahead of all others"
    if near:
        head = f"The best is within the seeds' deviations of {numbers.counted(near, 'other')}"
    order = [row["settings"] for row in rows]
    y = alt.Y(
        "settings:N",
        sort=order,
        title=None,
        axis=alt.Axis(labelLimit=charts.label_limit(300), ticks=False, domain=False),
    )
    axis = f"{metric_title(metric)} on validation, mean ± sd over seeds"
    tooltip = [
        alt.Tooltip("settings:N", title="Settings"),
        alt.Tooltip("seeds:Q", title="Seeds"),
        alt.Tooltip("mean:Q", title="Mean", format=".4f"),
        alt.Tooltip("sd:Q", title="Deviation", format=".4f"),
    ]
    base = alt.Chart(charts.data(rows))
    return alt.layer(
        base.mark_rule(strokeWidth=3, opacity=0.55, color=charts.SECOND).encode(
            x=alt.X("low:Q", title=axis, scale=alt.Scale(zero=False)), x2="high:Q", y=y, tooltip=tooltip
        ),
        base.mark_point(size=90, filled=True, opacity=1, color=charts.SECOND).encode(
            x=alt.X("mean:Q", title=axis), y=y, tooltip=tooltip
        ),
    ).properties(title=charts.title(head, "line: one sample deviation either way", 58), height=28 * len(rows) + 220)


def _named(result: Result) -> list[tuple[str, str]]:
    pairs = (word.split("=", 1) for word in result.differing if "=" in word)
    return [(name, shown_value(value)) for name, value in pairs]


def _direction(one: Importance) -> str:
    if one.direction is None or abs(one.direction) < _CLEAR:
        return ""
    return "higher tends to be better" if one.direction > 0 else "lower tends to be better"


def _heights(values: Sequence[Any], axis: Axis | None) -> tuple[list[float], list[tuple[float, str]]]:
    """Each value's height 0..1, and the ticks: heights and texts."""
    numbers = [value if isinstance(value, float) else number(str(value)) for value in values]
    known = [value for value in numbers if value is not None]
    if len(known) == len(values):
        low, high = min(known), max(known)
        log = axis_of([str(value) for value in values], axis).scale == LOG and low > 0
        scaled = np.log(known) if log else np.asarray(known)
        span = float(np.ptp(scaled)) or 1.0
        heights = [float(one) for one in (scaled - scaled.min()) / span]
        middle = float(np.exp((scaled.min() + scaled.max()) / 2) if log else (low + high) / 2)
        distinct = sorted(set(known))
        marks = distinct if len(distinct) <= 4 else [low, middle, high]
        own = [(float(((np.log(mark) if log else mark) - scaled.min()) / span), shown_value(mark)) for mark in marks]
        return heights, own
    words = sorted({str(value) for value in values})
    step = 1 / max(len(words) - 1, 1)
    return [words.index(str(value)) * step for value in values], [(n * step, word) for n, word in enumerate(words)]


def shown_value(value: Any) -> str:
    """A setting's value for people: four digits of a number."""
    found = value if isinstance(value, float) else number(str(value))
    return str(value) if found is None else f"{found:.4g}"
