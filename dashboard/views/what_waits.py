"""A section of Operations: what Dagster runs, what waits and for what, what failed and why, and what to do."""

import time

import streamlit as st

from dashboard import shell, tables
from dashboard.queries import dagster_runs
from dashboard.queries.asking import Asking
from dashboard.queries.dagster_runs import Automatic, DagsterRun, Work
from movierec_engine.reporting import numbers

SECONDS = 10
"""How often Dagster is asked."""
PATIENCE_SECONDS = 0.3
"""How long the page waits for its first answer."""


@st.cache_resource(max_entries=4)
def _asking(url: str) -> Asking[Work]:
    return Asking(lambda: dagster_runs.ask(url), SECONDS)


@st.fragment(run_every=SECONDS)
def show() -> None:
    """The section, drawn anew as Dagster is asked again in the background."""
    st.header("What runs, what waits, what failed")
    url = dagster_runs.address_inside()
    found = _asking(url).latest(PATIENCE_SECONDS)
    if found is None:
        st.info(f"Asking {url} …")
    elif found.problem:
        shell.missing(
            f"Dagster does not answer at `{url}` ({shell.plain(found.problem)}). MOVIEREC_DAGSTER_URL names "
            "another address of its webserver.",
            "dagster dev -w workspace.yaml",
        )
    else:
        _work(found, dagster_runs.address())


def _work(found: Work, url: str) -> None:
    if found.stopped:
        shell.notes(
            [
                f"Dagster's daemon does not run ({numbers.listed(found.stopped)}): nothing that waits is started. "
                "Start it: dagster-daemon run, or systemctl start movierec-daemon."
            ]
        )
    counted = [f"{numbers.counted(len(found.running), 'run')} in progress", f"{len(found.waiting)} waiting"]
    st.markdown(f"**{numbers.listed(counted)}.**")
    rows = [
        *(_row("in progress", run, url) for run in found.running),
        *(_row("waits", run, url) for run in found.waiting),
        *(_row("failed", run, url) for run in found.failed),
    ]
    if rows:
        columns = {
            "Waits for, or why": st.column_config.TextColumn(width="large"),
            "Run": st.column_config.LinkColumn(display_text="open"),
        }
        tables.show(rows, hide_index=True, width="stretch", column_config=columns)
    if off := [one.name for one in found.automatic if not one.on]:
        which = shell.plain(numbers.listed(off)) if len(off) < len(found.automatic) else "all schedules and sensors"
        st.caption(f"Off: {which}. Turn one on in Dagster, below Automation, or all by MOVIEREC_AUTOMATION=demo.")
    if said := [_said(one) for one in found.automatic if one.on]:
        with st.expander("What starts runs by itself, and what it last said", expanded=any(row[""] for row in said)):
            tables.show(said, hide_index=True, width="stretch")
    st.caption(f"Dagster at `{url}`, asked {numbers.duration(max(time.time() - found.asked_at, 0.001))} ago.")


def _row(state: str, run: DagsterRun, url: str) -> dict[str, str]:
    return {
        "State": state,
        "What": f"{run.job} {run.partition}".strip(),
        "Started by": run.started_by,
        "For": numbers.age(run.since),
        "Waits for, or why": run.why,
        "What to do": run.to_do,
        "Run": f"{url}/runs/{run.run_id}",
    }


def _said(one: Automatic) -> dict[str, str]:
    return {
        "": "fails" if one.failed else "",
        "Name": one.name,
        "Last said": one.said,
        "At, UTC": one.at.replace("T", " ").removesuffix("Z"),
    }
