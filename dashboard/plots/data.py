"""Charts of a data set: ratings, users, movies, time, split and versions."""

from collections.abc import Sequence
from typing import Any

import altair as alt

from dashboard import charts
from dashboard.queries.data import PARTS, Lorenz
from dashboard.wording import say
from movierec_engine.reporting import numbers

PART_HUES = {
    "train": charts.HUES[1],
    "fold_in": charts.HUES[2],
    "validation": charts.HUES[4],
    "test": charts.HUES[0],
    "later": charts.HUES[5],
    "ratings": charts.HUES[1],
}


def rating_rows(counts: Sequence[tuple[float, int]]) -> list[dict[str, Any]]:
    total = sum(count for _, count in counts) or 1
    return [{"rating": f"{rating:g}", "ratings": count, "share": count / total} for rating, count in counts]


def ratings(rows: list[dict[str, Any]], of: str) -> charts.Chart:
    """Bars of how often each rating was given; of: what it is called, such as rating."""
    top = max(rows, key=lambda row: row["ratings"])
    mean, name = sum(float(row["rating"]) * row["share"] for row in rows), of.capitalize()
    title = charts.title(
        f"The commonest {of} is {top['rating']} ({numbers.percent(top['share'], 0)}); the mean is {mean:.2f}", "", 58
    )
    return (
        alt.Chart(charts.data(rows))
        .mark_bar(color=charts.HUES[1])
        .encode(
            x=alt.X("rating:N", sort=[row["rating"] for row in rows], title=name, axis=alt.Axis(labelAngle=0)),
            y=alt.Y("ratings:Q", title=say("Ratings"), axis=alt.Axis(format="~s")),
            tooltip=[
                alt.Tooltip("rating:N", title=name),
                alt.Tooltip("ratings:Q", title=say("Ratings"), format=","),
                alt.Tooltip("share:Q", title="Share", format=".1%"),
            ],
        )
        .properties(title=title, height=400)
    )


def tail_rows(tails: Sequence[Lorenz]) -> list[dict[str, Any]]:
    return [
        {"of": tail.of, "share": share, "ratings": own}
        for tail in tails
        for share, own in zip(tail.share, tail.ratings, strict=True)
    ]


def long_tails(tails: Sequence[Lorenz]) -> charts.Chart:
    """Share of the ratings that the most active users, and the most popular movies, have."""
    head = "; ".join(
        f"the top 10 % of the {tail.of} have {numbers.percent(tail.first(0.1), 0)} of the {say('ratings')}"
        for tail in tails
    )
    percent = alt.Axis(format=".0%")
    hues = alt.Scale(domain=[tail.of for tail in tails], range=[charts.HUES[1], charts.HUES[0]][: len(tails)])
    even = alt.Chart(charts.data([{"x": 0, "y": 0}, {"x": 1, "y": 1}]))
    lines = alt.Chart(charts.data(tail_rows(tails))).mark_line(strokeWidth=2.2)
    legend = alt.Legend(title=None, orient="bottom-right")
    return alt.layer(
        even.mark_line(strokeDash=[4, 4], color=charts.QUIET, strokeWidth=1).encode(x="x:Q", y="y:Q"),
        lines.encode(
            x=alt.X("share:Q", title=say("Share of the users, or movies, most ratings first"), axis=percent),
            y=alt.Y("ratings:Q", title=say("Share of all ratings"), axis=percent),
            color=alt.Color("of:N", scale=hues, legend=legend),
            strokeDash=alt.StrokeDash(
                "of:N", scale=alt.Scale(domain=hues.domain, range=[[1, 0], [6, 3]]), legend=legend
            ),
            tooltip=[
                alt.Tooltip("of:N", title="Of"),
                alt.Tooltip("share:Q", title="Share", format=".0%"),
                alt.Tooltip("ratings:Q", title=say("Ratings"), format=".1%"),
            ],
        ),
    ).properties(title=charts.title(head[:1].upper() + head[1:], "dashed: all the same", 58), height=400)


def activity(rows: list[dict[str, Any]], tail: Lorenz, hue: str) -> charts.Chart:
    """Users, or movies, by how many ratings they have, in bins that double."""
    shown = [
        {**row, "bin": f"{row['from']}" if row["from"] == row["to"] else f"{row['from']:,}–{row['to']:,}"}
        for row in rows
    ]
    most = f"at most {numbers.count(tail.median)} {say('ratings')}, the top one {tail.largest:,}"
    head = f"Half of the {tail.of} have {most}"
    return (
        alt.Chart(charts.data(shown))
        .mark_bar(color=hue)
        .encode(
            x=alt.X(
                "bin:N",
                sort=[row["bin"] for row in shown],
                title=say("Ratings (bins that double)"),
                axis=alt.Axis(labelAngle=-35),
            ),
            y=alt.Y("count:Q", title=tail.of.capitalize(), axis=alt.Axis(format="~s")),
            tooltip=[
                alt.Tooltip("bin:N", title=say("Ratings")),
                alt.Tooltip("count:Q", title=tail.of.capitalize(), format=","),
            ],
        )
        .properties(title=charts.title(head, "", 58), height=380)
    )


def timeline(rows: list[dict[str, Any]], step: str, head: str, boundaries: Sequence[str] = ()) -> charts.Chart:
    """Ratings by time, stacked by part of the split; rules where the split draws its boundaries."""
    parts = [part for part in (*PARTS, "ratings") if any(row["part"] == part for row in rows)]
    shown = [{**row, "place": parts.index(row["part"])} for row in rows if row["part"] in parts]
    scale = alt.Scale(domain=parts, range=[PART_HUES[part] for part in parts])
    legend = alt.Legend(title=None, orient="top") if len(parts) > 1 else None
    bars = (
        alt.Chart(charts.data(shown))
        .mark_bar(stroke=None)
        .encode(
            x=alt.X("start:T", timeUnit=_UNITS[step], title=f"Time, a bar a {step}"),
            y=alt.Y("ratings:Q", title=say(f"Ratings a {step}"), stack="zero", axis=alt.Axis(format="~s")),
            color=alt.Color("part:N", scale=scale, legend=legend),
            order=alt.Order("place:Q"),
            tooltip=[
                alt.Tooltip("start:T", title="From"),
                alt.Tooltip("part:N", title="Part"),
                alt.Tooltip("ratings:Q", title=say("Ratings"), format=","),
            ],
        )
    )
    title = charts.title(head, "dashed: the split's boundaries" if boundaries else "", charts.WIDE)
    if not boundaries:
        return bars.properties(title=title, height=360)
    rules = alt.Chart(charts.data([{"at": at} for at in boundaries]))
    return alt.layer(
        bars, rules.mark_rule(strokeDash=[4, 4], color=charts.QUIET, strokeWidth=2).encode(x="at:T")
    ).properties(title=title, height=360)


_UNITS: dict[str, Any] = {
    "hour": "yearmonthdatehours",
    "day": "yearmonthdate",
    "week": "yearweek",
    "month": "yearmonth",
    "quarter": "yearquarter",
    "year": "year",
}


def shares(rows: list[dict[str, Any]], total: int) -> charts.Chart:
    """One bar of the raw rows: kept, dropped and repaired."""
    kept = next((row["rows"] for row in rows if row["what"] == "train"), 0)
    head = f"{numbers.percent(kept / total, 0)} of the rows that were read are in train"
    order = [row["what"] for row in rows]
    hues = {**PART_HUES, "filtered out": charts.GREY, "repeated": charts.HUES[3], "kept": charts.HUES[1]}
    return (
        alt.Chart(charts.data([{**row, "place": place, "bar": "rows"} for place, row in enumerate(rows)]))
        .mark_bar()
        .encode(
            x=alt.X("rows:Q", title="Rows", axis=alt.Axis(format="~s"), scale=alt.Scale(domain=[0, total], nice=False)),
            y=alt.Y("bar:N", title=None, axis=None),
            color=alt.Color(
                "what:N",
                scale=alt.Scale(domain=order, range=[hues[one] for one in order]),
                legend=alt.Legend(title=None, orient="bottom"),
            ),
            order=alt.Order("place:Q"),
            tooltip=[alt.Tooltip("what:N", title="Part"), alt.Tooltip("rows:Q", title="Rows", format=",")],
        )
        .properties(title=charts.title(head, "of all rows of the raw file", charts.WIDE), height=250)
    )


def versions(rows: list[dict[str, Any]]) -> charts.Chart:
    """Chart of the data set's growth from version to version."""
    first, last = rows[0], rows[-1]
    change = last["ratings"] - first["ratings"]
    head = (
        f"From the oldest version here to the newest: {change:+,} {say('ratings')}"
        if change
        else say("All versions here have as many ratings")
    )
    return (
        alt.Chart(charts.data(rows))
        .mark_line(point=True, color=charts.HUES[1], strokeWidth=2.2)
        .encode(
            x=alt.X(
                "made:N",
                sort=[row["made"] for row in rows],
                title="Version, oldest first",
                axis=alt.Axis(labelAngle=-35, labelLimit=120),
            ),
            y=alt.Y("ratings:Q", title=say("Ratings"), scale=alt.Scale(zero=False), axis=alt.Axis(format="~s")),
            tooltip=[
                alt.Tooltip("made:N", title="Made"),
                alt.Tooltip("ratings:Q", title=say("Ratings"), format=","),
                alt.Tooltip("users:Q", title="Users", format=","),
                alt.Tooltip("movies:Q", title=say("Movies"), format=","),
            ],
        )
        .properties(title=charts.title(head, "", charts.WIDE), height=360)
    )
