"""Charts of the drift between two versions of a data set."""

from collections.abc import Sequence
from typing import Any

import altair as alt

from dashboard import charts
from movierec_engine.evaluation.drift import Drift, DriftConfig
from movierec_engine.reporting import numbers

BEFORE, AFTER = "before", "now"


def conclusion(found: Sequence[Drift], limits: DriftConfig) -> str:
    """Which have drifted, in one sentence."""
    told = [one.of for one in found if one.told(limits)]
    names = [one.of for one in found]
    if not told:
        return f"No drift: {numbers.listed(names)} are distributed as before"
    return f"{numbers.listed(told).capitalize()} have drifted"


def part_rows(one: Drift) -> list[dict[str, Any]]:
    """A row a part and version: part, version and its share of the whole."""
    return [
        {"part": part, "version": version, "share": share}
        for version, shares in ((BEFORE, one.then), (AFTER, one.now))
        for part, share in zip(one.parts, shares, strict=True)
    ]


def table_rows(found: Sequence[Drift], limits: DriftConfig) -> list[dict[str, Any]]:
    """A row for each of users, items, ratings and genres."""
    return [
        {
            "Of": one.of.capitalize(),
            "Distance": one.distance,
            "Limit": getattr(limits, one.of),
            "By chance": one.chance,
            "Verdict": "drifted" if one.told(limits) else "as before",
            "Moved most": one.most,
        }
        for one in found
    ]


def parts(rows: list[dict[str, Any]], one: Drift, limits: DriftConfig) -> charts.Chart:
    """The share of each part before and now, side by side."""
    verdict = "have drifted" if one.told(limits) else "are distributed as before"
    limit = numbers.score(getattr(limits, one.of), 2)
    title = charts.title(
        f"{one.of.capitalize()} {verdict}: distance {numbers.score(one.distance, 3)}",
        f"Jensen-Shannon distance, 0 to 1; told above {limit} and above chance, {numbers.score(one.chance, 3)}",
        58,
    )
    base = alt.Chart(charts.data(rows))
    return (
        base.mark_bar()
        .encode(
            y=alt.Y(
                "part:N",
                sort=list(one.parts),
                title=None,
                axis=alt.Axis(labelLimit=charts.label_limit(180), ticks=False, domain=False),
            ),
            yOffset=alt.YOffset("version:N", sort=[BEFORE, AFTER]),
            x=alt.X(
                "share:Q",
                title=f"Share of the {'users' if one.of == 'users' else 'ratings'}",
                axis=alt.Axis(format=".0%"),
            ),
            color=alt.Color(
                "version:N",
                scale=alt.Scale(domain=[BEFORE, AFTER], range=[charts.GREY, charts.HUES[1]]),
                legend=alt.Legend(title=None, orient="top"),
            ),
            tooltip=[
                alt.Tooltip("part:N", title="Part"),
                alt.Tooltip("version:N", title="Version"),
                alt.Tooltip("share:Q", title="Share", format=".1%"),
            ],
        )
        .properties(title=title, height=26 * len(one.parts) + 200)
    )
