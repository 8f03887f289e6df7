"""The leaderboard: which model to ship, and why."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from dashboard import charts, controls, pinned_notes, shell, state, tables
from dashboard.controls import Chosen
from dashboard.downloads import csv_button
from dashboard.plots import leaderboard as plots
from dashboard.plots import tradeoffs
from dashboard.queries import leaderboard, measures, seeds, store_files
from dashboard.queries.leaderboard import Standing
from dashboard.queries.measures import Measure
from dashboard.queries.reports import Serving, Snapshot
from dashboard.views import picked_model, side_by_side
from movierec_engine.evaluation.comparison import Verdict
from movierec_engine.evaluation.metrics import Reported
from movierec_engine.reporting import conclusions, numbers
from movierec_engine.reporting.comparable import EvaluationSetup
from movierec_engine.reporting.conclusions import Outcome

TICKED = "ticked"
"""The name in the URL of the rows that are ticked, by model/device/version."""
_FIRST_TICKED = "rows ticked at first"
_SECONDS, _TRAINING = "Training (s)", "Training"
"""The column of the training time: seconds in the CSV file, a time with its unit on the page."""
_USUAL = ("recall", "mrr", "coverage")
"""Metrics that stand beside the chosen one by default."""


def page() -> None:
    root = store_files.store_root()
    snapshot, _ = shell.newest_reports(root)
    st.title("Leaderboard")
    if snapshot.reports.num_rows == 0:
        shell.no_reports(root)
        return
    _board(snapshot)


def _board(snapshot: Snapshot) -> None:
    answer = st.container()
    bar = controls.new_bar()
    chosen = controls.choose_reports(snapshot, bar=bar)
    if chosen is None:
        return
    every = measures.all_measures(chosen.snapshot, chosen.standings, chosen.k)
    with bar:
        columns = _columns(chosen, every)
        chosen = _since(chosen)
    if not chosen.ranked:
        st.info(f"No report here holds {shell.plain(chosen.title)}; choose another metric or k, or an earlier date.")
        return
    tests = controls.paired_tests({chosen.labels[one.id]: one.folder for one in chosen.family}, chosen.column)
    found = leaderboard.outcome(chosen.ranked, chosen.labels, chosen.column, tests)
    with answer:
        _conclusion(snapshot, chosen, found)
    picked = _table(chosen, every, columns, found, tests)
    _why(chosen, found)
    pinned_notes.show(snapshot.root, {one.id: chosen.labels[one.id] for one in chosen.standings}, "reports")
    _seeds(chosen)
    _charts(chosen, every, found, picked)
    _separation(chosen.group, chosen.everything)
    _reproduce(chosen)


def _columns(chosen: Chosen, every: Mapping[str, Measure]) -> list[str]:
    """Keys of the measures that stand beside the chosen metric."""
    beside = [key for key in every if key != chosen.column and (key not in measures.COSTS or key != "training")]
    names = {Reported.read(key).name: key for key in beside}
    with st.popover("Columns", width=120, icon=":material/view_column:"):
        picked = state.choose_many(
            "Extra columns", "metrics", list(names), _USUAL, lambda name: every[names[name]].title, COLUMNS
        )
    return [names[name] for name in picked if name in names]


COLUMNS = "Every metric of the reports, and every cost: the training time stands there always."


def _since(chosen: Chosen) -> Chosen:
    """The reports that were made on a day or later; the day stands in the URL."""
    day = state.pick_day("Measured since", "since", "Leave empty for all")
    if day is None:
        return chosen
    kept = [chosen.labels[one.id] for one in chosen.standings if one.created_at[:10] >= day.isoformat()]
    return controls.narrowed(chosen, kept)


def _conclusion(snapshot: Snapshot, chosen: Chosen, found: Outcome) -> None:
    """The conclusion: who leads, how far from the baseline, and what is served."""
    st.markdown(f"## {shell.plain(conclusions.headline(found))}")
    sentences = []
    if above := conclusions.above_baseline(found):
        sentences.append(f"{found.leader} against the baseline: {above}.")
    elif conclusions.BASELINE not in {one.model for one in chosen.ranked}:
        sentences.append(f"No {conclusions.BASELINE} baseline has been measured here.")
    cheaper = conclusions.cheaper_tie(found, {chosen.labels[one.id]: one.seconds for one in chosen.ranked})
    sentences += [cheaper, _served(snapshot.serving.get(chosen.group.data), chosen)]
    st.markdown("  \n".join(shell.sentence(one) for one in sentences if one))


def _why(chosen: Chosen, found: Outcome) -> None:
    """Shows the evidence for the conclusion; the paired tests are those of the table."""
    validation = {chosen.labels[one.id]: one.validation for one in chosen.ranked if one.validation is not None}
    sentences = [
        *[conclusions.paired(verdict, found.metric) for verdict in list(found.verdicts.values())[:1]],
        conclusions.validation_pick(found, validation),
        conclusions.below_baseline(found),
    ]
    st.markdown("  \n".join(shell.sentence(one) for one in sentences if one))


def _served(serving: Serving | None, chosen: Chosen) -> str:
    """The model that answers now, and whether its report is among those shown."""
    if serving is None:
        return f"Nothing is promoted. {conclusions.NOTHING_PROMOTED}"
    shown = next((standing for standing in chosen.standings if standing.served), None)
    since = numbers.minute(serving.since)
    if shown is not None:
        form = ", refitted on all interactions with the settings measured here," if serving.refitted_model else ""
        return f"{chosen.labels[shown.id]} is served now{form} since {since}; the page Operations says why."
    if any(one.trained_model == serving.trained_model for one in chosen.versions):
        return (
            f"{serving.model} is served now, since {since}, by an older version that can be ticked under Models and "
            "versions."
        )
    return (
        f"{serving.model} is served now, since {since}; the report of that version is not in this table "
        f"({serving.trained_model})."
    )


def _separation(group: EvaluationSetup, everything: list[EvaluationSetup]) -> None:
    """The reason why only one group is ranked, and the other groups."""
    if group.sampled:
        st.warning(
            f"*sampled* protocol ({shell.plain(group.protocol)}): each test item is ranked against a few sampled "
            "ones, so these scores are far above those of a full ranking and say less."
        )
    others = [shell.plain(f"{other.data} · {other.name}") for other in everything if other.id != group.id]
    if others:
        listed = "; ".join(others[:5]) + (f"; and {len(others) - 5} more" if len(others) > 5 else "")
        st.caption(
            "Only reports with the same data, protocol and fingerprint are ranked together, since other numbers answer "
            f"another question. Also in this store: {listed}."
        )


def _table(
    chosen: Chosen, every: Mapping[str, Measure], columns: list[str], found: Outcome, tests: Sequence[Verdict]
) -> list[str]:
    """The board; returns the labels of the rows that are ticked, which stand in the URL."""
    rows = _rows(chosen, every, columns, found)
    addresses = [chosen.address(chosen.labels[one.id]) for one in chosen.standings]
    wanted = state.heed(TICKED, addresses)
    key = f"board of {' '.join(addresses)}"  # rows are ticked by their place, so that another order is another board
    if key not in st.session_state:
        st.session_state[_FIRST_TICKED] = [addresses.index(one) for one in wanted]
    first = st.session_state[_FIRST_TICKED]
    shown = tables.show(
        _styled(rows, [every[chosen.column], *(every[key] for key in columns)]),
        hide_index=True,
        width="stretch",
        height="content",
        on_select="rerun",
        selection_mode="multi-row",
        selection_default={"selection": {"rows": first, "columns": [], "cells": []}},
        key=key,
        column_config={
            "Model": st.column_config.TextColumn(width=118),
            chosen.title: st.column_config.Column(width=85),
            "Device": st.column_config.TextColumn(width=60),
            "Status": st.column_config.TextColumn(width=85),
        },
    )
    ticked = [row for row in shown.get("selection", {}).get("rows", []) if row < len(rows)]
    picked = [chosen.labels[chosen.standings[row].id] for row in ticked]
    state.put(TICKED, ",".join(addresses[row] for row in ticked))
    with st.container(horizontal=True, vertical_alignment="center"):
        if len(picked) > 1 and st.button("Side by side", icon=":material/view_week:", type="primary"):
            side_by_side.go_to([chosen.address(label) for label in picked])
        csv_button(
            [row | _provenance(standing) for row, standing in zip(rows, chosen.standings, strict=True)],
            f"leaderboard-{chosen.group.fingerprint}-at-{chosen.k}",
            "Table (CSV)",
        )
    st.caption(
        "Tick rows to compare them side by side. ★ best of its column. *Champion*: what the API answers from. "
        f"{_how_compared(chosen, found, tests)} Time and memory are those of the run."
    )
    return picked


def _how_compared(chosen: Chosen, found: Outcome, tests: Sequence[Verdict]) -> str:
    """An explanation of the column of comparisons and of the scores, as far as it holds for the metric."""
    if not found.per_user:
        return f"{chosen.title} is one number for all users, so that models are not compared user by user."
    means = "Test scores are means over users."
    if not tests:
        return means if not found.others else f"*Not compared*: the users' own scores cannot be read. {means}"
    compared = len({name for verdict in tests for name in (verdict.better, verdict.worse)})
    sampled = tests[0].comparison.users < chosen.ranked[0].users
    sample = f", over a sample of {numbers.count(tests[0].comparison.users)} users" if sampled else ""
    return (
        "*Against the best*: user by user, the larger p of bootstrap and Wilcoxon, Holm-corrected over the "
        f"{numbers.counted(len(tests), 'pair')} of the {compared} models of this set-up{sample}; *tied*: not "
        f"statistically significant; *not compared*: the users' own scores cannot be read. {means}"
    )


def _rows(chosen: Chosen, every: Mapping[str, Measure], columns: list[str], found: Outcome) -> list[dict[str, Any]]:
    """The table with plain numbers, as the CSV has it; the model and the chosen metric stand first."""
    several = len({standing.device for standing in chosen.standings}) > 1
    numbers_of = measures.values(chosen.snapshot, chosen.standings, columns)
    rows = []
    for one in chosen.standings:
        own = numbers_of.get(one.id, {})
        compared = {
            "95 % interval": numbers.interval(one.low, one.high),
            "Against the best": conclusions.against_leader(found, chosen.labels[one.id]),
        }
        row: dict[str, Any] = {
            "Model": chosen.labels[one.id],
            chosen.title: one.score,
            **(compared if found.per_user else {}),
            "Status": "champion" if one.served else "",
            f"Validation {chosen.title}": one.validation,
            **{every[key].title: own.get(key) for key in columns},
            _SECONDS: one.seconds,
        }
        rows.append(row | ({"Device": one.device} if several else {}))
    return rows


def _provenance(standing: Standing) -> dict[str, Any]:
    """Provenance of a saved table: the interval of the chosen metric, and the reports that the numbers are from."""
    return {
        "95 % from": standing.low,
        "95 % to": standing.high,
        "Test users": standing.users,
        "Seed": standing.seed,
        "Memory (MB)": standing.memory_mb,
        "Fingerprint": standing.fingerprint,
        "Version": standing.version,
        "Created at": standing.created_at,
    }


def _styled(rows: list[dict[str, Any]], shown: list[Measure]) -> Any:
    """The table as shown: four decimals, the best of each metric's column starred, costs with units."""
    costs = [one for one in shown if one.key in measures.COSTS]
    better = {one.title: one.better for one in shown if one not in costs}
    better |= {f"Validation {title}": way for title, way in better.items()}
    scores = [name for name in rows[0] if name in better]
    frame = leaderboard.frame(rows).astype(dict.fromkeys([*scores, *(one.title for one in costs)], "float64"))
    frame = frame.rename(columns={_SECONDS: _TRAINING})
    style = frame.style.format(numbers.duration, subset=[_TRAINING])
    for cost in costs:
        style = style.format(lambda value, cost=cost: _or_dash(value, cost), subset=[cost.title])
    for column in scores:
        best = frame[column].min() if better[column] == "lower" else frame[column].max() if better[column] else None
        style = style.format(lambda value, best=best: _starred(value, best), subset=[column])
        style = style.map(lambda value, best=best: _BEST if value == best else "", subset=[column])
    return style.map(lambda value: _CHAMPION if value else "", subset=["Status"])


_BEST = "font-weight: bold"
_CHAMPION = "background-color: rgba(0, 114, 178, 0.18); font-weight: bold"


def _or_dash(value: float, cost: Measure) -> str:
    return numbers.NONE if math.isnan(value) else cost.show(value)


def _starred(value: float, best: float | None) -> str:
    if math.isnan(value):
        return numbers.NONE
    return f"★ {numbers.score(value)}" if value == best else numbers.score(value)


def _seeds(chosen: Chosen) -> None:
    """Spread of the shown scores over seeds, where a shown report has siblings with other seeds."""
    lines = [
        f"**{shell.plain(chosen.labels[standing.id])}** over {len(summary.seeds)} seeds "
        f"({', '.join(map(str, summary.seeds))}): {shell.plain(chosen.title)} "
        f"{numbers.mean_and_sd(spread.mean, spread.sd)} on test, mean ± standard deviation."
        for summary in seeds.over_seeds(chosen.snapshot.root, chosen.versions)
        for standing in [one for one in chosen.standings if one.id in summary.reports][:1]
        if (spread := summary.test.get(chosen.column))
    ]
    if lines:
        st.markdown("  \n".join(lines))


def _charts(chosen: Chosen, every: Mapping[str, Measure], found: Outcome, ticked: list[str]) -> None:
    """ticked: labels of the rows that are ticked in the table; they stand out unless a click picks a model."""
    picked = picked_model.choose(chosen)
    if picked:
        picked_model.lead_on(chosen, picked, _said_of(chosen, found, picked))
    out = [picked] if picked else ticked or [found.leader]
    click = picked_model.on_model()
    left, right = st.columns(2, gap="large")
    with left:
        chart = plots.intervals(chosen.ranked, chosen.labels, found, out)
        rows = plots.interval_rows(chosen.ranked, chosen.labels, out)
        charts.draw(chart, rows, f"scores-{chosen.column}", click)
    with right:
        where = st.container()
        of = measures.values(chosen.snapshot, chosen.ranked, [chosen.column, *measures.COSTS])
        values = {chosen.labels[one]: own for one, own in of.items()}
        known = {key: cost for key, cost in measures.COSTS.items() if any(key in own for own in values.values())}
        name = state.choose("Cost", "cost", list(known), lambda key: known[key].title)
        with where:
            ends = measures.intervals_of(chosen.snapshot, chosen.column, chosen.labels)
            x, y = known[name], every[chosen.column]
            points = tradeoffs.point_rows(list(chosen.models), values, x, y, None, {"y": ends}, out)
            charts.draw(tradeoffs.scatter(points, x, y), points, f"quality-and-{name}-{chosen.column}", click)
        if name == "latency":
            st.caption("No report holds the API's latency; the time to rank a test user is the nearest to it.")


def _said_of(chosen: Chosen, found: Outcome, label: str) -> str:
    """A model's score and place, and the test of it against the best."""
    one = chosen.standing(label)
    if one.score is None:
        return f"Its report does not hold {chosen.title}."
    place = [chosen.labels[each.id] for each in chosen.ranked].index(label) + 1
    span = "" if one.low is None else f" {numbers.interval(one.low, one.high)}"
    said = f"{chosen.title} {numbers.score(one.score)}{span}, place {place} of {len(chosen.ranked)}."
    verdict = found.verdicts.get(label)
    return f"{said} {conclusions.paired(verdict, found.metric)}" if verdict else said


def _reproduce(chosen: Chosen) -> None:
    with st.expander("How to reproduce each row"):
        for standing in chosen.standings:
            st.markdown(f"**{shell.plain(chosen.labels[standing.id])}** on {shell.plain(standing.device)}")
            st.code(standing.command, language="bash", wrap_lines=True)
            facts = {
                "fingerprint": standing.fingerprint,
                "version": standing.version,
                "created at": f"{numbers.minute(standing.created_at)}",
                "code version": standing.code_version,
                "test users": f"{standing.users:,}",
            }
            st.caption(" · ".join(f"{name} {shell.plain(value)}" for name, value in facts.items()))
