"""Marks of what happened besides measuring: releases, rollbacks, and notes about reports and releases."""

from collections.abc import Callable, Sequence
from typing import Any

import altair as alt

from dashboard import charts
from dashboard.charts import Row
from dashboard.plots.decisions import VERDICTS
from movierec_engine.release.decisions import PROMOTED, ROLLED_BACK
from movierec_engine.release.notes import Note
from movierec_engine.reporting import numbers

MOVED = (PROMOTED, ROLLED_BACK)
"""Verdicts that change what is served."""
NOTED = "noted"
HOW = "rule: what is served changed, dashed where it was rolled back; dotted: a note"
_DASHES = {PROMOTED: [1, 0], ROLLED_BACK: [6, 3], NOTED: [1, 3]}
_COLOURS = {PROMOTED: VERDICTS[PROMOTED][0], ROLLED_BACK: VERDICTS[ROLLED_BACK][0], NOTED: charts.QUIET}


def mark_rows(decisions: Sequence[Row], first: str) -> list[dict[str, Any]]:
    """The decisions that changed what is served, from a moment on. decisions: as `decision_rows` has them."""
    return [
        {name: row[name] for name in ("at", "verdict", "served", "reason")}
        for row in decisions
        if row["verdict"] in MOVED and row["carried out"] and row["at"] >= first
    ]


def note_rows(notes: Sequence[Note], first: str) -> list[dict[str, Any]]:
    """The notes that hold, from a moment on."""
    return [
        {"at": f"{one.at[:19]}Z", "note": one.text, "by": one.author}
        for one in notes
        if not one.withdrawn_at and one.at[:19] >= first
    ]


def in_periods(marks: Sequence[Row], notes: Sequence[Row], period: Callable[[str], str]) -> list[dict[str, Any]]:
    """Events counted by period and kind: rows of from, what, count and said, in the order of time.

    marks, notes: as `mark_rows` and `note_rows` have them. period: of an instant, "" for what is not drawn.
    """
    lines = [(row["at"], row["verdict"], f"{row['served']} {row['reason']}".strip()) for row in marks]
    lines += [(row["at"], NOTED, f"{row['by']}: {row['note']}" if row["by"] else row["note"]) for row in notes]
    found: dict[tuple[str, str], list[str]] = {}
    for at, what, said in sorted(lines):
        if at_period := period(at):
            found.setdefault((at_period, what), []).append(f"{numbers.minute(at)} {what}: {said}")
    return [
        {"from": at_period, "what": what, "count": len(own), "said": "; ".join(own)}
        for (at_period, what), own in found.items()
    ]


def rules(rows: Sequence[Row], x: alt.X, tooltip: Sequence[alt.Tooltip], field: str) -> list[alt.Chart]:
    """Rules across a chart, a layer for each kind. field: of the rows, with the kind: a verdict or NOTED."""
    base = alt.Chart(charts.data(rows)).encode(x=x, tooltip=list(tooltip))
    return [
        base.transform_filter(alt.datum[field] == kind).mark_rule(
            strokeDash=_DASHES[kind], strokeWidth=2, color=_COLOURS[kind]
        )
        for kind in (*MOVED, NOTED)
        if any(row[field] == kind for row in rows)
    ]


def counts(rows: Sequence[Row], x: alt.X) -> alt.Chart:
    """The events of each period, as a line of text at the chart's upper edge."""
    words: dict[str, list[str]] = {}
    for row in rows:
        text = numbers.counted(row["count"], "note") if row["what"] == NOTED else f"{row['count']} {row['what']}"
        words.setdefault(row["from"], []).append(text)
    told = [{"from": period, "text": ", ".join(own)} for period, own in words.items()]
    mark = alt.Chart(charts.data(told)).mark_text(align="right", dx=-5, fontSize=11, color=charts.ink(), limit=160)
    drawn: alt.Chart = mark.encode(x=x, y=alt.value(8), text="text:N")
    return drawn
