"""Charts and rows of release decisions and their evidence."""

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt

from dashboard import charts
from dashboard.queries.releases import Made
from movierec_engine.errors import StoreError
from movierec_engine.evaluation.metrics import metric_title
from movierec_engine.release.decisions import KEPT, PIN, PROMOTED, PRUNED, REFUSED, ROLLED_BACK, UNPIN, Decision
from movierec_engine.reporting import numbers
from movierec_engine.store import parse_reference

VERDICTS = {
    PROMOTED: (charts.HUES[2], "triangle-up"),
    ROLLED_BACK: (charts.HUES[0], "triangle-down"),
    KEPT: (charts.HUES[1], "circle"),
    REFUSED: (charts.HUES[3], "cross"),
    PIN: (charts.HUES[4], "square"),
    UNPIN: (charts.HUES[5], "diamond"),
    PRUNED: (charts.GREY, "stroke"),
}
"""Verdict -> its hue and shape."""
MEANINGS = "kept: the challenger was no better; refused: it failed a check"


def name_of(reference: str) -> str:
    """The model, and the device where it is not the usual one, of an index or a trained model."""
    try:
        slot, _ = parse_reference(reference)
    except StoreError:
        return "–"
    return slot.model if slot.device == "cpu" else f"{slot.model} ({slot.device})"


def decision_rows(made: Sequence[Made]) -> list[dict[str, Any]]:
    """One row a decision, oldest first."""
    return [
        {
            "at": f"{one.decision.at[:19]}Z",
            "verdict": one.decision.verdict,
            "model": name_of(one.decision.challenger or one.decision.champion),
            "served": name_of(one.decision.served),
            "by": one.decision.by,
            "sentence": one.decision.sentence,
            "reason": one.decision.reason,
            "carried out": one.carried_out,
        }
        for one in reversed(made)
    ]


def decisions(rows: list[dict[str, Any]]) -> charts.Chart:
    moved = [row for row in rows if row["verdict"] in (PROMOTED, ROLLED_BACK)]
    stopped = sum(row["verdict"] in (KEPT, REFUSED) for row in rows)
    head = (
        f"{numbers.counted(len(rows), 'decision')}: {len(moved)} changed what is served, "
        f"{numbers.counted(stopped, 'challenger')} did not get through"
    )
    present = [verdict for verdict in VERDICTS if any(row["verdict"] == verdict for row in rows)]
    other = sorted({row["verdict"] for row in rows} - set(present))
    domain = [*present, *other]
    marks = [VERDICTS.get(verdict, (charts.GREY, "circle")) for verdict in domain]
    legend = alt.Legend(title=None, orient="top", symbolOpacity=1)
    order = list(dict.fromkeys(row["model"] for row in reversed(rows)))
    axis = alt.Axis(format=charts.time_format(rows[0]["at"], rows[-1]["at"]), labelOverlap=True)
    return (
        alt.Chart(charts.data(rows))
        .mark_point(size=150, filled=True, opacity=0.9)
        .encode(
            x=alt.X("at:T", title="Time, UTC", scale=alt.Scale(type="utc"), axis=axis),
            y=alt.Y(
                "model:N",
                sort=order,
                title=None,
                axis=alt.Axis(grid=True, labelLimit=charts.label_limit(160)),
            ),
            color=alt.Color(
                "verdict:N", scale=alt.Scale(domain=domain, range=[hue for hue, _ in marks]), legend=legend
            ),
            shape=alt.Shape(
                "verdict:N", scale=alt.Scale(domain=domain, range=[own for _, own in marks]), legend=legend
            ),
            tooltip=[
                alt.Tooltip("at:N", title="At, UTC"),
                alt.Tooltip("verdict:N", title="Verdict"),
                alt.Tooltip("model:N", title="About"),
                alt.Tooltip("served:N", title="Served from then on"),
                alt.Tooltip("by:N", title="By"),
                alt.Tooltip("reason:N", title="Reason"),
            ],
        )
        .properties(title=charts.title(head, MEANINGS, charts.WIDE), height=36 * len(order) + 190)
    )


def evidence_rows(evidence: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Rows of a challenger's comparisons: name, difference with its interval, whether it passed."""
    rows = []
    for one in evidence.get("comparisons") or []:
        if isinstance(one, dict):
            numbers = {name: one.get(name) for name in ("difference", "low", "high", "users")}
            row = {"against": str(one.get("name", "")), "held": bool(one.get("passed")), **numbers}
            rows.append({**row, "sentence": str(one.get("sentence", ""))})
    return rows


def check_rows(evidence: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Rows of a decision's checks, those of the refitted version last: name, passed, sentence."""
    return [
        {
            "name": f"{str(one.get('name', '')).replace('_', ' ')}{of}",
            "passed": bool(one.get("passed")),
            "sentence": str(one.get("sentence", "")),
        }
        for part, of in (("checks", ""), ("refit_checks", ", refitted"))
        for one in evidence.get(part) or []
        if isinstance(one, dict)
    ]


def verdict_rows(found: Decision) -> list[tuple[str, str]]:
    """A decision in three rows, each a heading and a text: what was decided, by which comparisons and which checks."""
    compared = [
        f"{'holds' if row['held'] else 'does not hold'} against {row['against']}"
        + (
            f" ({numbers.signed(row['difference'])} {numbers.signed_interval(row['low'], row['high'])})"
            if isinstance(row["difference"], int | float)
            else ""
        )
        for row in evidence_rows(found.evidence)
    ]
    checks = check_rows(found.evidence)
    failed = [row["name"] for row in checks if not row["passed"]]
    made = f"{len(failed)} of {len(checks)} failed: {numbers.listed(failed)}" if failed else f"all {len(checks)} passed"
    metric, part = str(found.evidence.get("metric", "")), str(found.evidence.get("part", "validation"))
    return [
        ("Decided", f"{found.sentence.split('; ')[0]}, by {found.by}"),
        ("Compared", f"{metric_title(metric)} on {part}: {numbers.listed(compared)}" if compared else "with nothing"),
        ("Checked", made if checks else "nothing"),
    ]


def evidence(rows: list[dict[str, Any]], challenger: str, metric: str, part: str) -> charts.Chart:
    """The challenger minus each other model, on the same users."""
    lost = [row["against"] for row in rows if not row["held"]]
    head = f"{challenger} holds against everything that it was weighed against"
    if lost:
        head = f"{challenger} does not hold against {numbers.listed(lost)}"
    title = metric_title(metric)
    subtitle = f"mean difference in {title} on {part}, line: 95 % interval; left of 0: the challenger is worse"
    order = [row["against"] for row in rows]
    base = alt.Chart(charts.data([{**row, "result": "holds" if row["held"] else "does not hold"} for row in rows]))
    y = alt.Y(
        "against:N",
        sort=order,
        title=None,
        axis=alt.Axis(labelLimit=charts.label_limit(260), ticks=False, domain=False),
    )
    color = alt.Color(
        "result:N",
        scale=alt.Scale(domain=["holds", "does not hold"], range=[charts.SECOND, charts.FIRST]),
        legend=alt.Legend(title=None, orient="top", symbolOpacity=1),
    )
    tooltip = [
        alt.Tooltip("against:N", title="Against"),
        alt.Tooltip("difference:Q", title="Difference", format="+.4f"),
        alt.Tooltip("low:Q", title="95 % from", format="+.4f"),
        alt.Tooltip("high:Q", title="95 % to", format="+.4f"),
        alt.Tooltip("users:Q", title="Users", format=","),
    ]
    axis = [f"Difference in {title} on {part},", "challenger minus the other"]
    zero = alt.Chart(charts.data([{"zero": 0}])).mark_rule(color=charts.QUIET, strokeDash=[3, 3]).encode(x="zero:Q")
    return alt.layer(
        zero,
        base.mark_rule(strokeWidth=3, opacity=0.6).encode(
            x=alt.X("low:Q", title=axis), x2="high:Q", y=y, color=color, tooltip=tooltip
        ),
        base.mark_point(size=90, filled=True, opacity=1).encode(
            x=alt.X("difference:Q", title=axis), y=y, color=color, tooltip=tooltip
        ),
    ).properties(title=charts.title(head, subtitle, 62), height=30 * len(rows) + 210)
