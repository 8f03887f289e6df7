"""Chart of off-policy estimates: how many more rewards a list a model's lists would have earned than those shown."""

from collections.abc import Sequence

import altair as alt

from dashboard import charts
from dashboard.charts import Row
from dashboard.queries.off_policy import ESTIMATORS
from movierec_engine.reporting import numbers


def conclusion(rows: Sequence[Row], reward: str) -> str:
    """A sentence: the best model by the doubly robust estimates, and whether it surely beats what was shown."""
    robust = [row for row in rows if row["estimator"] == ESTIMATORS["dr"]] or list(rows)
    best = max(robust, key=lambda row: row["value"])
    if best["low"] > 0:
        return f"{best['model']} would have earned {numbers.score(best['value'], 3)} {reward}s a list more than shown"
    worst = max(robust, key=lambda row: row["high"])
    if worst["high"] < 0:
        return f"No model would have earned as many {reward}s as what was shown"
    return f"No model would surely have earned more {reward}s than what was shown; {best['model']} comes first"


def gains(rows: Sequence[Row], reward: str) -> charts.Chart:
    """Every model's gains by the three estimators, around what was shown."""
    base = alt.Chart(charts.data(rows))
    names = list(ESTIMATORS.values())
    y = alt.Y("model:N", title=None, axis=alt.Axis(labelLimit=charts.label_limit(220), ticks=False, domain=False))
    offset = alt.YOffset("estimator:N", sort=names)
    color = alt.Color(
        "estimator:N",
        scale=alt.Scale(domain=names, range=[charts.HUES[0], charts.HUES[1], charts.HUES[2]]),
        legend=alt.Legend(title=None, orient="top", symbolOpacity=1),
    )
    tooltip = [
        alt.Tooltip("model:N", title="Model"),
        alt.Tooltip("estimator:N", title="Estimator"),
        alt.Tooltip("value:Q", title="More a list", format="+.4f"),
        alt.Tooltip("low:Q", title="95 % from", format="+.4f"),
        alt.Tooltip("high:Q", title="95 % to", format="+.4f"),
        alt.Tooltip("lists:Q", title="Lists", format=","),
    ]
    x = alt.X("low:Q", title=f"{reward.capitalize()}s a list more than as shown", axis=alt.Axis(format="+.2f"))
    return alt.layer(
        alt.Chart(charts.data([{"zero": 0}])).mark_rule(strokeDash=[4, 3], color=charts.QUIET).encode(x="zero:Q"),
        base.mark_rule(strokeWidth=3, opacity=0.55).encode(x=x, x2="high:Q", y=y, yOffset=offset, color=color),
        base.mark_point(size=90, filled=True, opacity=1).encode(
            x="value:Q", y=y, yOffset=offset, color=color, tooltip=tooltip
        ),
    ).properties(
        title=charts.title(conclusion(rows, reward), "line: 95 % interval, users as independent", charts.WIDE),
        height=76 * len({row["model"] for row in rows}) + 150,
    )
