"""Charts of what is served over time: its metric in every training, and how people take every release."""

from collections.abc import Sequence
from typing import Any

import altair as alt

from dashboard import charts
from dashboard.charts import Row
from dashboard.plots import event_marks
from dashboard.queries.over_time import Training
from movierec_engine.evaluation.metrics import metric_title
from movierec_engine.reporting import numbers


def conclusion(trainings: Sequence[Training], model: str, metric: str) -> str:
    """The newest training beside the one before it, where both were measured in one set-up."""
    newest, title = trainings[-1], metric_title(metric)
    said = (
        f"{model}: {title} {numbers.score(newest.value)} in the newest of {numbers.counted(len(trainings), 'training')}"
    )
    before = [one for one in trainings[:-1] if one.setup == newest.setup]
    if not before:
        return said if len(trainings) == 1 else f"{said}, the first in its set-up"
    return f"{said}, {numbers.signed(newest.value - before[-1].value)} against the one before"


def trained(
    trainings: Sequence[Training],
    marks: Sequence[Row],
    model: str,
    metric: str,
    notes: Sequence[Row] = (),
) -> charts.Chart:
    """Every training's metric and interval; lines join those of one set-up, rules mark what was decided and noted."""
    rows = [{**vars(one), "at": f"{one.at[:19]}Z", "setup": one.setup[:6]} for one in trainings]
    setups = list(dict.fromkeys(row["setup"] for row in rows))
    times = sorted(row["at"] for row in (*rows, *marks, *notes))
    axis = alt.Axis(format=charts.time_format(times[0], times[-1]), labelOverlap=True)
    x = alt.X("at:T", title="Trained at, UTC", scale=alt.Scale(type="utc"), axis=axis)
    y = alt.Y("value:Q", title=f"{metric_title(metric)} on test", scale=alt.Scale(zero=False))
    hues = [charts.HUES[place % len(charts.HUES)] for place in range(len(setups))]
    color = alt.Color(
        "setup:N", scale=alt.Scale(domain=setups, range=hues), legend=charts.model_legend() if len(setups) > 1 else None
    )
    tooltip = [
        alt.Tooltip("at:T", title="Trained at", format="%Y-%m-%d %H:%M"),
        alt.Tooltip("value:Q", title=metric_title(metric), format=".4f"),
        alt.Tooltip("low:Q", title="95 % from", format=".4f"),
        alt.Tooltip("high:Q", title="95 % to", format=".4f"),
        alt.Tooltip("version:N", title="Version"),
    ]
    base = alt.Chart(charts.data(rows)).encode(x=x, color=color)
    layers = [
        base.mark_rule(strokeWidth=2, opacity=0.5).encode(y=alt.Y("low:Q", title=""), y2="high:Q", tooltip=tooltip),
        base.mark_line(strokeWidth=1.5).encode(y=y),
        base.mark_point(size=70, filled=True, opacity=1).encode(y=y, tooltip=tooltip),
    ]
    told = [alt.Tooltip("verdict:N", title="Decision"), alt.Tooltip("served:N", title="Served from then")]
    told.append(alt.Tooltip("reason:N", title="Reason"))
    layers += event_marks.rules(marks, x, told, "verdict")
    noted = [{**row, "what": event_marks.NOTED} for row in notes]
    layers += event_marks.rules(noted, x, [alt.Tooltip("note:N", title="Note"), alt.Tooltip("by:N")], "what")
    how = "line: trainings of one evaluation set-up, whose values alone are comparable; "
    how += "bar: 95 % interval; " if any(row["low"] is not None for row in rows) else ""
    how += event_marks.HOW
    return alt.layer(*layers).properties(
        title=charts.title(conclusion(trainings, model, metric), how, charts.WIDE), height=360
    )


RATES = {"click_rate": "Click", "like_rate": "Like"}


def rate_rows(rates: Sequence[Row]) -> list[dict[str, Any]]:
    """A row a release and rate: release, rate, lists, value, low and high."""
    return [
        {
            "release": f"{row['model']} {str(row['version'])[:8]}-{str(row['version'])[9:13]}",
            "rate": title,
            "lists": row["lists"],
            **{end: row[f"{name}{field}"] for end, field in (("value", ""), ("low", "_low"), ("high", "_high"))},
        }
        for row in rates
        for name, title in RATES.items()
    ]


def rates(rows: list[dict[str, Any]]) -> charts.Chart:
    """Click and like rate of every release, in the order that they were published."""
    order = list(dict.fromkeys(row["release"] for row in rows))
    newest = {row["rate"]: row for row in rows if row["release"] == order[-1]}
    parts = [f"{rate.lower()} rate {numbers.percent(row['value'])}" for rate, row in newest.items()]
    head = f"{order[-1]}: {numbers.listed(parts)} over {numbers.counted(newest['Click']['lists'], 'list')}"
    base = alt.Chart(charts.data(rows))
    y = alt.Y("release:N", sort=order, title=None, axis=alt.Axis(labelLimit=charts.label_limit(220), ticks=False))
    x = alt.X("value:Q", title="Share of the lists that were shown", axis=alt.Axis(format=".0%"))
    color = alt.Color(
        "rate:N",
        scale=alt.Scale(domain=list(RATES.values()), range=[charts.SECOND, charts.HUES[2]]),
        legend=charts.model_legend(),
    )
    tooltip = [
        alt.Tooltip("release:N", title="Release"),
        alt.Tooltip("rate:N", title="Rate"),
        alt.Tooltip("value:Q", title="Share", format=".1%"),
        alt.Tooltip("low:Q", title="95 % from", format=".1%"),
        alt.Tooltip("high:Q", title="95 % to", format=".1%"),
        alt.Tooltip("lists:Q", title="Lists", format=","),
    ]
    offset = alt.YOffset("rate:N", sort=list(RATES.values()))
    return alt.layer(
        base.mark_rule(strokeWidth=3, opacity=0.5).encode(
            x=alt.X("low:Q", title=""), x2="high:Q", y=y, yOffset=offset, color=color, tooltip=tooltip
        ),
        base.mark_point(size=70, filled=True, opacity=1).encode(x=x, y=y, yOffset=offset, color=color, tooltip=tooltip),
    ).properties(
        title=charts.title(head, "line: Wilson's 95 % interval over lists; releases in the order they were made", 62),
        height=40 * len(order) + 180,
    )
