"""Sweeps: which settings matter, which trials were best, and how to repeat one."""

import shlex
from pathlib import Path
from typing import Any

import streamlit as st

from dashboard import charts, shell, state, tables
from dashboard.downloads import csv_button
from dashboard.plots import sweeps as plots
from dashboard.queries import store_files, sweeps
from dashboard.queries.importance import FEW
from dashboard.queries.store_files import Signature
from dashboard.queries.sweeps import Sweep
from movierec_engine.evaluation.metrics import metric_title
from movierec_engine.reporting import numbers
from movierec_engine.store import kinds

RANK = "rank"
"""The name in the URL of the result whose command is shown."""
LISTED = 50
"""Results in the table, best first; the CSV file has all."""


def page() -> None:
    root = store_files.store_root()
    seen = store_files.signature(root, kinds.SWEEP)
    shell.watch(lambda: store_files.signature(root, kinds.SWEEP), seen)
    st.title("Sweeps")
    found = _sweeps(str(root), seen)
    if not found:
        shell.empty(
            "No sweep yet",
            "Search a model's best settings on validation, or run several values and seeds; a sweep shows here once it "
            "is finished. `movierec train` alone leaves none, and neither does `movierec demo`.",
            "python -m movierec_engine.sweep model=lightgcn n_trials=20\n# or several values and seeds\n"
            "python -m movierec_engine.train --multirun model=als model.l2=0.01,0.1 seed=1,2,3",
            root,
        )
        return
    several = len({one.data for one in found}) > 1
    names = {one.version: f"{one.data} · {_name(one)}" if several else _name(one) for one in found}
    chosen = state.choose("Sweep", "sweep", list(names), lambda version: names[version])
    _sweep(next(one for one in found if one.version == chosen))


@st.cache_data(show_spinner=False, max_entries=4, ttl=600)
def _sweeps(root: str, seen: Signature) -> list[Sweep]:
    return sweeps.sweeps(Path(root))


def _name(sweep: Sweep) -> str:
    models = numbers.listed(sweep.models) if sweep.models else "nothing"
    return f"{numbers.minute(sweep.created_at)}: {models}, {numbers.counted(len(sweep.trials), 'trial')}"


def _sweep(sweep: Sweep) -> None:
    scored = sweep.scored
    if not scored:
        shell.notes(["No trial of this sweep has finished; the reasons are below."])
        _failed(sweep)
        return
    _conclusion(sweep)
    shown = plots.drawn(scored)
    if sweeps.searched(scored):
        rows, ticks = plots.coordinate_rows(shown, sweep.metric, sweep.space)
        click = charts.Click(("rank",), lambda clicked: state.assign(RANK, str(clicked["rank"]) if clicked else "1"))
        charts.draw(plots.parallel(rows, ticks, sweep, len(shown)), rows, "parallel-coordinates", click)
        st.caption("A click on a line shows its command below, under *Repeat one*.")
        left, right = st.columns(2, gap="large")
        with left:
            if len(scored) >= FEW:
                own = plots.importance_rows(sweeps.importances(sweep))
                charts.draw(plots.importance(own), own, "importance")
            else:
                found = numbers.counted(len(scored), "result")
                st.info(f"Too few trials to say which setting matters: {found}, and it takes {FEW}.")
        with right:
            _order(sweep)
    else:
        _order(sweep)
    _best(sweep)
    _repeat(sweep)
    _failed(sweep)


def _conclusion(sweep: Sweep) -> None:
    best, metric = sweep.scored[0], metric_title(sweep.metric)
    settings = [f"{plots.short(name)} {plots.shown_value(value)}" for name, value in sweeps.settings(best).items()]
    named = shell.plain(numbers.listed(settings)) if settings else "the only settings"
    test = f"; test, by which nothing is chosen, {best.test}" if best.test else ""
    st.markdown(f"## Best on validation: **{named}** with {shell.plain(metric)} {best.validation}{test}.")
    boxes = st.columns(4)
    boxes[0].metric("Trials", f"{len(sweep.trials):,}")
    boxes[1].metric("Failed", f"{len(sweep.failed):,}")
    boxes[2].metric("Settings tried", f"{len(sweep.scored):,}", help="Trials that differ in the seed alone are one")
    spent = sum(trial.seconds or 0.0 for trial in sweep.trials)
    boxes[3].metric("Training time", numbers.duration(spent))
    asked = shlex.join(sweep.asked)
    st.caption(f"Asked for: {shell.plain(asked)}. Trials are judged by validation {shell.plain(metric)}.")
    others = len({one.fingerprint for one in sweep.results}) - 1
    if others:
        st.caption(
            f"{numbers.counted(others, 'other fingerprint')} in this sweep: those trials are of other data or another "
            "protocol, and are not compared with these."
        )


def _order(sweep: Sweep) -> None:
    spread = plots.spread_rows(sweep.scored)
    if spread:
        shown = spread[:15]
        charts.draw(plots.spreads(shown, sweep.metric), spread, "over-seeds")
        if len(shown) < len(spread):
            st.caption(f"The best {len(shown)} of {len(spread)} are drawn; the data has all.")
        return
    rows = plots.progress_rows(sweep)
    if rows:
        charts.draw(plots.progress(rows, sweep.metric), rows, "sweep-progress")


def _best(sweep: Sweep) -> None:
    st.header("Best trials")
    rows = [_row(rank, sweep, place) for rank, place in enumerate(range(len(sweep.scored)), start=1)]
    four = st.column_config.NumberColumn(format="%.4f")
    tables.show(
        rows[:LISTED],
        hide_index=True,
        width="stretch",
        height="content" if len(rows) <= 12 else 460,
        column_config={name: four for name in rows[0] if name.startswith(("Validation", "Test", "± sd"))},
    )
    left, right = st.columns([6, 1], vertical_alignment="center")
    text = "± sd: sample deviation over the seeds." if any(row["Seeds"] > 1 for row in rows) else "One seed each."
    if len(rows) > LISTED:
        text += f" The best {LISTED} of {len(rows)}."
    left.caption(f"{text} Pick on validation; test only confirms.")
    with right:
        csv_button(rows, "trials", "Table (CSV)")


def _row(rank: int, sweep: Sweep, place: int) -> dict[str, Any]:
    result, metric = sweep.scored[place], metric_title(sweep.metric)
    seconds = [trial.seconds for trial in result.trials if trial.seconds is not None]
    several = any(len(one.trials) > 1 for one in sweep.scored)
    validation, test = result.validation, result.test
    row: dict[str, Any] = {"Rank": rank}
    row |= {name: plots.shown_value(value) for name, value in sweeps.settings(result).items()}
    row[f"Validation {metric}"] = validation.mean if validation else None
    if several:
        row["± sd"] = validation.sd if validation else None
    row[f"Test {metric}"] = test.mean if test else None
    if several:
        row["± sd (test)"] = test.sd if test else None
    row["Seeds"] = len(result.trials)
    row["Seconds"] = round(sum(seconds) / len(seconds), 1) if seconds else None
    return row


def _repeat(sweep: Sweep) -> None:
    st.header("Repeat one")
    options = [str(rank) for rank in range(1, min(len(sweep.scored), LISTED) + 1)]
    rank = int(state.choose("Result", RANK, options, lambda key: f"Rank {key}: {_words(sweep, int(key))}", default="1"))
    st.code(sweep.scored[rank - 1].command, language="bash", wrap_lines=True)


def _words(sweep: Sweep, rank: int) -> str:
    found = sweeps.settings(sweep.scored[rank - 1])
    return ", ".join(f"{plots.short(name)} {plots.shown_value(value)}" for name, value in found.items()) or "as asked"


def _failed(sweep: Sweep) -> None:
    if not sweep.failed:
        return
    st.header("Failed trials")
    rows = [{"Settings": " ".join(trial.overrides), "Why": trial.error} for trial in sweep.failed]
    tables.show(rows[:LISTED], hide_index=True, width="stretch")
    csv_button(rows, "failed-trials", "Table (CSV)")
