"""Chart of the price of rules: what each does to ndcg, alone and all together, around the lists without rules."""

from collections.abc import Sequence
from typing import Any

import altair as alt

from dashboard import charts
from dashboard.charts import Row
from movierec_engine.evaluation.rules_price import RulePrice
from movierec_engine.reporting.rules_price import conclusion, effect

MARKS = {
    "lower": (charts.HUES[0], "triangle-down"),
    "higher": (charts.HUES[2], "triangle-up"),
    "not sure": (charts.GREY, "circle"),
}
"""Effect of a rule on ndcg, where it is sure -> its hue and shape."""


def price_rows(prices: Sequence[RulePrice]) -> list[dict[str, Any]]:
    """A row a rule, all of them together first."""
    return [{**vars(one), "effect": effect(one)} for one in prices]


def differences(rows: Sequence[Row], prices: Sequence[RulePrice], k: int) -> charts.Chart:
    """Every rule's difference of ndcg@k with its interval."""
    base = alt.Chart(charts.data(rows))
    y = alt.Y(
        "rule:N",
        sort=[row["rule"] for row in rows],
        title=None,
        axis=alt.Axis(labelLimit=charts.label_limit(260), ticks=False, domain=False),
    )
    present = [name for name in MARKS if any(row["effect"] == name for row in rows)]
    legend = alt.Legend(title=None, orient="top", symbolOpacity=1)
    hues, shapes = ([MARKS[name][part] for name in present] for part in (0, 1))
    color = alt.Color("effect:N", scale=alt.Scale(domain=present, range=hues), legend=legend)
    shape = alt.Shape("effect:N", scale=alt.Scale(domain=present, range=shapes), legend=legend)
    tooltip = [
        alt.Tooltip("rule:N", title="Rule"),
        alt.Tooltip("kind:N", title="Kind"),
        alt.Tooltip("difference:Q", title="Difference", format="+.4f"),
        alt.Tooltip("low:Q", title="95 % from", format="+.4f"),
        alt.Tooltip("high:Q", title="95 % to", format="+.4f"),
        alt.Tooltip("changed:Q", title="Lists changed", format=".1%"),
    ]
    x_axis = alt.Axis(format="+.3f", labelOverlap=True, tickCount=6)
    x = alt.X("low:Q", title=f"Difference in NDCG@{k} on validation", axis=x_axis)
    zero = alt.Chart(charts.data([{"zero": 0}])).mark_rule(strokeDash=[4, 3], color=charts.QUIET).encode(x="zero:Q")
    how = "mean difference from the lists without rules, line: 95 % interval, users paired; left of 0: the rule costs"
    return alt.layer(
        zero,
        base.mark_rule(strokeWidth=3, opacity=0.6).encode(x=x, x2="high:Q", y=y, color=color, tooltip=tooltip),
        base.mark_point(size=110, filled=True, opacity=1).encode(
            x="difference:Q", y=y, color=color, shape=shape, tooltip=tooltip
        ),
    ).properties(title=charts.title(conclusion(prices, k), how, charts.WIDE), height=30 * len(rows) + 170)
