"""Charts of operations: backtests, feedback, experiments and the API."""

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt

from dashboard import charts
from dashboard.charts import Row
from dashboard.plots import event_marks
from dashboard.queries.api_health import EndpointTraffic
from dashboard.queries.backtests import GROUPS, SINCE, Backtest
from movierec_engine.evaluation.metrics import metric_title
from movierec_engine.reporting import numbers

KIND_HUES = {
    "list shown": charts.GREY,
    "click": charts.HUES[1],
    "rating": charts.HUES[2],
    "watched": charts.HUES[4],
    "added to list": charts.HUES[5],
    "not interested": charts.HUES[0],
}
LEAST_REQUESTS = 20
"""Requests that an endpoint is judged by, at least: of fewer the 95th percentile is that of one or none of them, which
says nothing of an endpoint."""


def backtest_rows(found: Mapping[str, Backtest], metric: str, users: str) -> list[dict[str, Any]]:
    return [
        {"model": label, **{name: row[name] for name in ("window", "from", "value", "low", "high", "count")}}
        for label, one in found.items()
        for row in one.values(metric, users)
    ]


def backtest(
    rows: list[dict[str, Any]],
    models: Mapping[str, str],
    metric: str,
    users: str,
    happened: Sequence[Row] = (),
) -> charts.Chart:
    """Every model's metric by the time that it was tested on.

    happened: releases, rollbacks and notes by window, as `event_marks.in_periods` counts them.
    """
    title = metric_title(metric)
    wins: dict[str, int] = {}
    for window in dict.fromkeys(row["window"] for row in rows):
        best = max((row for row in rows if row["window"] == window), key=lambda row: row["value"])
        wins[best["model"]] = wins.get(best["model"], 0) + 1
    windows = sum(wins.values())
    top = max(wins, key=lambda name: wins[name])
    own = sorted((row for row in rows if row["model"] == top), key=lambda row: row["window"])
    lowest, highest = min(own, key=lambda row: row["value"]), max(own, key=lambda row: row["value"])
    span = f"{numbers.score(lowest['value'], 3)} to {numbers.score(highest['value'], 3)} over the windows"
    head = f"{top} has the highest {title} in {wins[top]} of {windows} windows: {span}"
    if len(models) == 1:
        head = f"{top}: {title} of {span}"
    base = alt.Chart(charts.data(rows))
    periods = [
        *sorted({row["from"] for row in rows}),
        *([SINCE] if any(row["from"] == SINCE for row in happened) else []),
    ]
    x = alt.X(
        "from:O",
        scale=alt.Scale(domain=periods),
        title="Tested from this day on, after training on all before it",
        axis=alt.Axis(labelAngle=0, labelLimit=110),
    )
    y = alt.Y("value:Q", title=f"{title}, {GROUPS[users]}", scale=alt.Scale(zero=False))
    color = charts.model_color(models, charts.model_legend())
    tooltip = [
        alt.Tooltip("model:N", title="Model"),
        alt.Tooltip("from:N", title="Tested from"),
        alt.Tooltip("value:Q", title=title, format=".4f"),
        alt.Tooltip("low:Q", title="95 % from", format=".4f"),
        alt.Tooltip("high:Q", title="95 % to", format=".4f"),
        alt.Tooltip("count:Q", title="Users", format=","),
    ]
    layers = [
        base.mark_errorband(opacity=0.14).encode(x=x, y=alt.Y("low:Q", title=""), y2="high:Q", color=color),
        base.mark_line(point=alt.OverlayMarkDef(size=60), strokeWidth=2.2).encode(
            x=x, y=y, color=color, strokeDash=charts.model_dash(models, charts.model_legend()), tooltip=tooltip
        ),
    ]
    how = "band: 95 % interval over the window's users"
    if happened:
        told = [alt.Tooltip("count:Q", title="How many"), alt.Tooltip("said:N", title="In this window")]
        layers += [*event_marks.rules(happened, x, told, "what"), event_marks.counts(happened, x)]
        how += f"; {event_marks.HOW}"
    return alt.layer(*layers).properties(title=charts.title(head, how, charts.WIDE), height=380)


def by_day(rows: list[dict[str, Any]], totals: Mapping[str, int]) -> charts.Chart:
    """Events by day, stacked by kind."""
    kinds = [kind for kind in KIND_HUES if any(row["kind"] == kind for row in rows)]
    kinds += sorted({row["kind"] for row in rows} - set(kinds))
    busiest = max(dict.fromkeys(row["day"] for row in rows), key=lambda day: _on(rows, day))
    said = sum(count for kind, count in totals.items() if kind != "list shown")
    head = f"{numbers.counted(said, 'event')} so far; the busiest day was {busiest}"
    if totals.get("list shown"):
        head += f"; {numbers.counted(totals['list shown'], 'list')} noted as shown"
    hues = [KIND_HUES.get(kind, charts.HUES[3]) for kind in kinds]
    return (
        alt.Chart(charts.data(rows))
        .mark_bar(size=14)
        .encode(
            x=alt.X(
                "utcyearmonthdate(day):T",
                title="Day, UTC",
                scale=alt.Scale(type="utc"),
                axis=alt.Axis(format="%d %b", tickCount="day", labelOverlap=True),
            ),
            y=alt.Y("events:Q", title="Events a day", stack="zero", axis=alt.Axis(tickMinStep=1, format="~s")),
            color=alt.Color(
                "kind:N",
                scale=alt.Scale(domain=kinds, range=hues),
                legend=alt.Legend(title=None, orient="top", symbolOpacity=1),
            ),
            tooltip=[
                alt.Tooltip("day:N", title="Day"),
                alt.Tooltip("kind:N", title="Kind"),
                alt.Tooltip("events:Q", title="Events", format=","),
            ],
        )
        .properties(title=charts.title(head, "by the server's clock", 62), height=360)
    )


def _on(rows: Sequence[Row], day: str) -> int:
    return sum(int(row["events"]) for row in rows if row["day"] == day and row["kind"] != "list shown")


def rate_rows(rates: Sequence[Row], experiment: str) -> list[dict[str, Any]]:
    """A row a variant, model and rate; an interleaved list is of no variant."""
    return [
        {
            "variant": f"{one['variant']} ({one['model']})",
            "rate": name,
            "value": one[f"{key}_rate"],
            "low": one[f"{key}_rate_low"],
            "high": one[f"{key}_rate_high"],
            "lists": one["lists"],
            "users": one["users"],
        }
        for one in rates
        if one["experiment"] == experiment and one["variant"]
        for key, name in (("click", "with a click"), ("like", "with a like"))
        if one[f"{key}_rate"] is not None
    ]


def rates(rows: list[dict[str, Any]], experiment: str) -> charts.Chart:
    clicks = sorted((row for row in rows if row["rate"] == "with a click"), key=lambda row: -row["value"])
    head = f"{experiment}: {clicks[0]['variant']} has a click in {numbers.percent(clicks[0]['value'])} of its lists"
    if len(clicks) > 1:
        apart = clicks[0]["low"] > clicks[1]["high"]
        head += f"; its interval {'lies above' if apart else 'overlaps'} that of {clicks[1]['variant']}"
    base = alt.Chart(charts.data(rows))
    y = alt.Y("variant:N", title=None, axis=alt.Axis(labelLimit=charts.label_limit(220), ticks=False, domain=False))
    offset = alt.YOffset("rate:N")
    color = alt.Color(
        "rate:N",
        scale=alt.Scale(domain=["with a click", "with a like"], range=[charts.HUES[1], charts.HUES[2]]),
        legend=alt.Legend(title=None, orient="top", symbolOpacity=1),
    )
    tooltip = [
        alt.Tooltip("variant:N", title="Variant"),
        alt.Tooltip("rate:N", title="Lists"),
        alt.Tooltip("value:Q", title="Share", format=".1%"),
        alt.Tooltip("low:Q", title="95 % from", format=".1%"),
        alt.Tooltip("high:Q", title="95 % to", format=".1%"),
        alt.Tooltip("lists:Q", title="Lists", format=","),
        alt.Tooltip("users:Q", title="Users", format=","),
    ]
    x = alt.X("low:Q", title="Share of the lists that were shown", axis=alt.Axis(format=".0%"))
    variants = len({row["variant"] for row in rows})
    return alt.layer(
        base.mark_rule(strokeWidth=3, opacity=0.55).encode(x=x, x2="high:Q", y=y, yOffset=offset, color=color),
        base.mark_point(size=90, filled=True, opacity=1).encode(
            x="value:Q", y=y, yOffset=offset, color=color, tooltip=tooltip
        ),
    ).properties(
        title=charts.title(head, "line: Wilson's 95 % interval, which takes lists as independent", 62),
        height=64 * variants + 200,
    )


def duel(row: Row) -> str:
    """The result of an interleaving experiment, as a sentence."""
    first, second = row["first"], row["second"]
    won = f"{first} won {row['first_wins']:,} and {second} {row['second_wins']:,} of {row['occasions']:,} user-days"
    if row["p_value"] is None:
        return f"{won}: too few to test"
    ahead = first if row["first_wins"] > row["second_wins"] else second
    told = f"{ahead} is preferred" if row["p_value"] < 0.05 else "the preference is not statistically significant"
    return f"{won}: {told} ({numbers.p_equals(row['p_value'])}, sign test)"


_OUTCOMES = ("ties", "without clicks")


def duel_rows(found: Sequence[Row], experiment: str) -> list[dict[str, Any]]:
    """A row a pair of variants and outcome of the users' days on which they were interleaved."""
    return [
        {"pair": f"{one['first']} and {one['second']}", "outcome": outcome, "occasions": count}
        for one in found
        if one["experiment"] == experiment
        for outcome, count in (
            (f"won by {one['first']}", one["first_wins"]),
            (f"won by {one['second']}", one["second_wins"]),
            ("ties", one["ties"]),
            ("without clicks", one["without_clicks"]),
        )
    ]


def duels(rows: list[dict[str, Any]], found: Sequence[Row], experiment: str) -> charts.Chart:
    """Chart of the users' days of interleaved lists by their winner."""
    own = [one for one in found if one["experiment"] == experiment]
    won = list(dict.fromkeys(row["outcome"] for row in rows if row["outcome"] not in _OUTCOMES))
    domain = [*won, *_OUTCOMES]
    hues = [*(charts.HUES[place % len(charts.HUES)] for place in range(len(won))), charts.QUIET, charts.GREY + "60"]
    shown = [{**row, "place": domain.index(row["outcome"])} for row in rows]
    subtitle = "a user's day is won by the variant that brought in more of the clicked movies"
    return (
        alt.Chart(charts.data(shown))
        .mark_bar()
        .encode(
            x=alt.X("occasions:Q", title="Users' days", stack="zero"),
            y=alt.Y("pair:N", title=None, axis=alt.Axis(labelLimit=charts.label_limit(200), ticks=False, domain=False)),
            color=alt.Color(
                "outcome:N",
                scale=alt.Scale(domain=domain, range=hues),
                legend=alt.Legend(title=None, orient="top", columns=2),
            ),
            order=alt.Order("place:Q"),
            tooltip=[
                alt.Tooltip("pair:N", title="Between"),
                alt.Tooltip("outcome:N", title="Days"),
                alt.Tooltip("occasions:Q", title="How many", format=","),
            ],
        )
        .properties(
            title=charts.title(f"{experiment}: {'; '.join(map(duel, own))}", subtitle, 58),
            height=40 * len(own) + 240,
        )
    )


def endpoint_rows(endpoints: Sequence[EndpointTraffic]) -> list[dict[str, Any]]:
    return [
        {
            "endpoint": one.endpoint,
            "shown": f"{one.endpoint} ({one.requests:,})",
            "measure": name,
            "milliseconds": value * 1000,
            "requests": one.requests,
        }
        for one in endpoints
        for name, value in (("median", one.median), ("95th percentile", one.p95))
        if value is not None
    ]


def latencies(rows: list[dict[str, Any]]) -> charts.Chart:
    judged = [row for row in rows if row["measure"] == "95th percentile" and row["requests"] >= LEAST_REQUESTS]
    head = f"Which endpoint is slowest is not known: none has had {LEAST_REQUESTS} requests"
    if judged:
        slowest = max(judged, key=lambda row: row["milliseconds"])
        head = f"Slowest is {slowest['endpoint']}: 95 % of its answers come within {slowest['milliseconds']:,.0f} ms"
    how = "since the API's start, from its histogram's buckets; in brackets: how many requests"
    if any(row["requests"] < LEAST_REQUESTS for row in rows):
        how += f", of which fewer than {LEAST_REQUESTS} are too few to be judged by"
    order = list(dict.fromkeys(row["shown"] for row in rows))
    return (
        alt.Chart(charts.data(rows))
        .mark_bar()
        .encode(
            x=alt.X("milliseconds:Q", title="Time to the answer, ms"),
            y=alt.Y(
                "shown:N",
                sort=order,
                title=None,
                axis=alt.Axis(labelLimit=charts.label_limit(240), ticks=False, domain=False),
            ),
            yOffset=alt.YOffset("measure:N", sort=["median", "95th percentile"]),
            color=alt.Color(
                "measure:N",
                scale=alt.Scale(domain=["median", "95th percentile"], range=[charts.HUES[5], charts.HUES[1]]),
                legend=alt.Legend(title=None, orient="top"),
            ),
            tooltip=[
                alt.Tooltip("endpoint:N", title="Endpoint"),
                alt.Tooltip("measure:N", title="Measure"),
                alt.Tooltip("milliseconds:Q", title="ms", format=",.1f"),
                alt.Tooltip("requests:Q", title="Requests", format=","),
            ],
        )
        .properties(
            title=charts.title(head, how, charts.WIDE),
            height=40 * len(order) + 190,
        )
    )
