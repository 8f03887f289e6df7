"""The learning curves of reports side by side, on one chart; seeds taken together are a mean with its band."""

from collections.abc import Sequence
from typing import Any

import altair as alt

from dashboard import charts
from movierec_engine.evaluation.metrics import metric_title
from movierec_engine.reporting import numbers


def learning_curves(rows: list[dict[str, Any]], metric: str, labels: Sequence[str], banded: bool) -> charts.Chart:
    """Lines by epoch, of the rows that `queries.side_by_side.curve_rows` makes. banded: whether some are over seeds."""
    best = max(rows, key=lambda row: row["mean"])
    title = charts.title(
        f"{best['model']} reaches the highest validation {metric_title(metric)}: {numbers.score(best['mean'])} at "
        f"epoch {best['epoch']}",
        "line: mean over seeds; band: ± one standard deviation" if banded else "a line a training",
        charts.WIDE,
    )
    hues = [charts.HUES[place % len(charts.HUES)] for place in range(len(labels))]
    dashes = [charts.DASHES[place // len(charts.HUES) % len(charts.DASHES)] for place in range(len(labels))]
    legend = charts.model_legend()
    color = alt.Color("model:N", scale=alt.Scale(domain=list(labels), range=hues), legend=legend)
    dash = alt.StrokeDash("model:N", scale=alt.Scale(domain=list(labels), range=dashes), legend=legend)
    x = alt.X("epoch:Q", title="Epoch", axis=alt.Axis(tickMinStep=1, format=",d"))
    base = alt.Chart(charts.data(rows))
    band = base.mark_area(opacity=0.18).encode(
        x=x, y=alt.Y("low:Q", title=metric_title(metric), scale=alt.Scale(zero=False)), y2="high:Q", color=color
    )
    line = base.mark_line(strokeWidth=2.2).encode(
        x=x,
        y=alt.Y("mean:Q", scale=alt.Scale(zero=False)),
        color=color,
        strokeDash=dash,
        tooltip=[
            alt.Tooltip("model:N", title="Report"),
            alt.Tooltip("epoch:Q", title="Epoch"),
            alt.Tooltip("mean:Q", title=metric_title(metric), format=".4f"),
        ],
    )
    return alt.layer(band, line).properties(title=title, height=400)
