"""The part of Operations on release decisions: which were made, by which comparisons and checks."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import streamlit as st

from dashboard import charts, pinned_notes, print_view, shell, state, tables
from dashboard.downloads import csv_button
from dashboard.plots import decisions as plots
from dashboard.queries import releases
from dashboard.queries.releases import Made
from movierec_engine.reporting import numbers

_LISTED = 200
"""Decisions in the table, newest first; the CSV file has all."""


def show(root: Path, made: list[Made], unreadable: list[Path]) -> None:
    """The decisions, newest first, and the evidence of one."""
    st.header("Decisions and their evidence")
    if unreadable:
        shell.notes(
            [
                f"{numbers.counted(len(unreadable), 'decision')} cannot be read and "
                f"{'is' if len(unreadable) == 1 else 'are'} left out, the newest of them {unreadable[-1]}."
            ]
        )
    if not made and not unreadable:
        shell.missing(
            "No decision about a release is recorded. The gate records one whenever a model is put to it, and so does "
            "promoting by hand.",
            "movierec models promote ease\nmovierec models rollback",
        )
        return
    if not made:
        return
    rows = plots.decision_rows(made)
    if len(made) > 1:
        charts.draw(plots.decisions(rows), rows, "decisions")
    if len(made) == releases.MOST:
        st.caption(f"The newest {releases.MOST} decisions.")
    table = [
        {
            "At, UTC": row["at"].replace("T", " ").removesuffix("Z"),
            "Verdict": row["verdict"] if row["carried out"] else f"{row['verdict']} (not carried out)",
            "About": row["model"],
            "By": row["by"],
            **dict(plots.verdict_rows(one.decision)[1:]),
            "Reason given": row["reason"],
        }
        for row, one in zip(reversed(rows), made, strict=True)
    ]
    tables.show(
        table[:_LISTED],
        hide_index=True,
        width="stretch",
        height="content" if len(table) <= 8 else 330,
        column_config={"Compared": st.column_config.TextColumn(width="large")},
        alt="Decisions, the newest first",
    )
    csv_button(table, "decision-table", "Table (CSV)")
    by_version = {one.decision.reference.rsplit("/", 1)[-1]: one for one in made[:_LISTED]}
    usual = next((key for key, one in by_version.items() if one.decision.evidence.get("comparisons")), None)
    chosen = state.choose(
        "Evidence of", "decision", list(by_version), lambda key: _decision_name(by_version[key]), default=usual
    )
    _evidence(by_version[chosen])
    noted = {one.decision.reference: _decision_name(one) for one in [by_version[chosen]]}
    pinned_notes.show(root, noted, "release")


def _decision_name(one: Made) -> str:
    found = one.decision
    about = plots.name_of(found.challenger or found.champion)
    return f"{numbers.minute(found.at)} {found.verdict}: {about} ({found.reference[-4:]})"


def _evidence(one: Made) -> None:
    found = one.decision
    lines = [f"| **{name}** | {shell.plain(said)} |" for name, said in plots.verdict_rows(found)]
    st.markdown("\n".join([f"| | {shell.plain(found.verdict.capitalize())} |", "|---|---|", *lines]))
    if not one.carried_out:
        shell.notes(["This decision was recorded, but what is served did not change: it was interrupted."])
    left, right = st.columns([1.3, 1], gap="large")
    rows = plots.evidence_rows(found.evidence)
    drawn = [row for row in rows if isinstance(row["difference"], int | float)]
    with left:
        if drawn:
            metric, part = str(found.evidence.get("metric", "")), str(found.evidence.get("part", "validation"))
            chart = plots.evidence(drawn, plots.name_of(found.challenger), metric, part)
            charts.draw(chart, drawn, "evidence")
        else:
            st.info("Nothing was compared for this decision.")
        for row in rows:
            if row not in drawn:
                st.caption(shell.plain(f"{row['against']}: {row['sentence']}"))
    with right:
        if checked := plots.check_rows(found.evidence):
            failed = sum(not row["passed"] for row in checked)
            st.markdown(
                f"**{failed} of {len(checked)} checks failed**" if failed else f"**All {len(checked)} checks passed**"
            )
            _checked([row for row in checked if not row["passed"]])
            with st.expander("What passed", expanded=print_view.is_on()):
                _checked([row for row in checked if row["passed"]])
        else:
            st.info("No checks were made for this decision.")
        if found.evidence.get("forced"):
            st.warning("It was forced.")


def _checked(rows: Sequence[Mapping[str, Any]]) -> None:
    for row in rows:
        mark = "✓" if row["passed"] else "✗"
        st.markdown(f"{mark} **{shell.plain(row['name'])}**: :small[{shell.plain(row['sentence'])}]")
