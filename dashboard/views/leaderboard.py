"""The leaderboard: which model to ship, and why."""

import math
from datetime import date
from pathlib import Path
from typing import Any

import streamlit as st

from dashboard import charts, controls, shell, state
from dashboard.controls import Chosen
from dashboard.downloads import csv_button
from dashboard.plots import leaderboard as plots
from dashboard.queries import leaderboard, pairs, seeds, store_files
from dashboard.queries.leaderboard import Standing
from dashboard.queries.reports import Serving, Snapshot
from movierec_engine.evaluation.comparison import LeaderComparison
from movierec_engine.evaluation.metrics import metric_title
from movierec_engine.reporting import conclusions, numbers
from movierec_engine.reporting.comparable import EvaluationSetup
from movierec_engine.reporting.conclusions import Outcome

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


@st.cache_data(show_spinner=False, max_entries=64, ttl=600)
def _against_best(folders: dict[str, str], metric: str) -> LeaderComparison | None:
    return pairs.against_best({name: Path(folder) for name, folder in folders.items()}, metric)


def _board(snapshot: Snapshot) -> None:
    everything = controls.choose_reports(snapshot)
    if everything is None:
        return
    left, right = st.columns([3, 1])
    with left:
        beside = [name for name in everything.metrics if name != everything.metric]
        more = state.choose_many("Extra columns", "metrics", beside, _USUAL, metric_title) if beside else []
    with right:
        chosen = _since(everything)
    if not chosen.ranked:
        st.info(f"No report here holds {shell.plain(chosen.title)}; choose another metric or k, or an earlier date.")
        return
    verdicts = _against_best({chosen.labels[one.id]: one.folder for one in chosen.ranked}, chosen.column)
    found = leaderboard.outcome(chosen.ranked, chosen.labels, chosen.column, verdicts)
    _conclusion(snapshot, chosen, found, verdicts)
    _separation(chosen.group, chosen.everything)
    _table(snapshot, chosen, more, found)
    _seeds(chosen)
    _charts(chosen, found)
    _reproduce(chosen)


def _since(chosen: Chosen) -> Chosen:
    """The reports that were made on a day or later; the day stands in the URL."""
    try:
        start = date.fromisoformat(state.given("since"))
    except ValueError:
        start = None
    day = st.date_input("Measured since", value=start, format="YYYY-MM-DD", help="Leave empty for all")
    if not isinstance(day, date):
        state.put("since", "")
        return chosen
    state.put("since", day.isoformat())
    kept = [chosen.labels[one.id] for one in chosen.standings if one.created_at[:10] >= day.isoformat()]
    return controls.narrowed(chosen, kept)


def _conclusion(snapshot: Snapshot, chosen: Chosen, found: Outcome, verdicts: LeaderComparison | None) -> None:
    """The conclusion: the model to ship and the reason; the paired tests are those of the table."""
    st.markdown(f"#### {shell.plain(conclusions.headline(found))}")
    labels = chosen.labels
    validation = {labels[one.id]: one.validation for one in chosen.ranked if one.validation is not None}
    sentences = [conclusions.paired(verdict) for verdict in list(found.verdicts.values())[:1]]
    if verdicts is not None and verdicts.verdicts and verdicts.verdicts[0].comparison.users < chosen.ranked[0].users:
        sentences.append(f"Tests are over a sample of about {numbers.count(pairs.SAMPLE_FOR_ALL)} of the users.")
    if above := conclusions.above_baseline(found):
        sentences.append(f"{found.leader} against the baseline: {above}.")
    elif conclusions.BASELINE not in {one.model for one in chosen.ranked}:
        sentences.append(f"No {conclusions.BASELINE} baseline has been measured here.")
    sentences += [
        conclusions.below_baseline(found),
        conclusions.cheaper_tie(found, {labels[one.id]: one.seconds for one in chosen.ranked}),
        conclusions.validation_pick(found, validation),
        _served(snapshot.serving.get(chosen.group.data), chosen),
    ]
    st.markdown("  \n".join(shell.plain(sentence) for sentence in sentences if sentence))


def _served(serving: Serving | None, chosen: Chosen) -> str:
    """The model that answers now, and whether its report is among those shown."""
    if serving is None:
        return f"Nothing is promoted. {conclusions.NOTHING_PROMOTED}"
    shown = next((standing for standing in chosen.standings if standing.served), None)
    since = numbers.minute(serving.since)
    if shown is not None:
        form = ", refitted on all interactions with the settings measured here," if serving.refitted_model else ""
        return f"{chosen.labels[shown.id]} is served now{form} since {since}; the page Operations says why."
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
    others = [shell.plain(other.name) for other in everything if other.id != group.id]
    if others:
        listed = "; ".join(others[:5]) + (f"; and {len(others) - 5} more" if len(others) > 5 else "")
        st.caption(
            "Only reports with the same data, protocol and fingerprint are ranked together, since other numbers answer "
            f"another question. Also in this store: {listed}."
        )


def _table(snapshot: Snapshot, chosen: Chosen, more: list[str], found: Outcome) -> None:
    rows = _rows(snapshot, chosen, more, found)
    scores = [name for name in rows[0] if "@" in name]
    st.dataframe(
        _styled(rows, scores),
        hide_index=True,
        width="stretch",
        height="content",
        column_config={
            "Model": st.column_config.TextColumn(width=120),
            "Device": st.column_config.TextColumn(width=60),
            "Status": st.column_config.TextColumn(width=85),
        },
    )
    left, right = st.columns([6, 1], vertical_alignment="center")
    left.caption(
        "★ best of its column. *Champion*: what the API answers from. *Against the best*: user by user, Wilcoxon and "
        "bootstrap, Holm-corrected over all pairs of models; *tied* means not statistically significant, *not "
        "compared* that the users' own scores cannot be read. Click a column's head to sort. Test scores are means "
        "over users; training and memory are those of the run."
    )
    with right:
        csv_button(
            [row | _provenance(standing) for row, standing in zip(rows, chosen.standings, strict=True)],
            f"leaderboard-{chosen.group.fingerprint}-at-{chosen.k}",
            "Table (CSV)",
        )


def _rows(snapshot: Snapshot, chosen: Chosen, more: list[str], found: Outcome) -> list[dict[str, Any]]:
    """The table with plain numbers, as the CSV has it; the chosen metric and its validation stand first."""
    scores = leaderboard.scores_at(chosen.snapshot, chosen.k)
    several = len({standing.device for standing in chosen.standings}) > 1
    return [
        {
            "Model": standing.model if several else chosen.labels[standing.id],
            "Device": standing.device,
            "Status": "champion" if standing.served else "",
            f"Validation {chosen.title}": standing.validation,
            chosen.title: scores.get((standing.id, chosen.metric)),
            "95 % interval": numbers.interval(standing.low, standing.high),
            "Against the best": conclusions.against_leader(found, chosen.labels[standing.id]),
            **{f"{metric_title(name)}@{chosen.k}": scores.get((standing.id, name)) for name in more},
            "Training (s)": standing.seconds,
            "Memory (MB)": standing.memory_mb,
        }
        for standing in chosen.standings
    ]


def _provenance(standing: Standing) -> dict[str, Any]:
    """Provenance of a saved table: the interval of the chosen metric, and the reports that the numbers are from."""
    return {
        "95 % from": standing.low,
        "95 % to": standing.high,
        "Test users": standing.users,
        "Fingerprint": standing.fingerprint,
        "Version": standing.version,
        "Created at": standing.created_at,
    }


def _styled(rows: list[dict[str, Any]], score_columns: list[str]) -> Any:
    """The table as shown: four decimals, the best of each column starred and tinted, costs with units."""
    frame = leaderboard.frame(rows).astype(dict.fromkeys(score_columns, "float64"))
    style = frame.style.format(numbers.duration, subset=["Training (s)"])
    style = style.format(numbers.memory, subset=["Memory (MB)"])
    for column in score_columns:
        best = frame[column].max()
        style = style.format(lambda value, best=best: _starred(value, best), subset=[column])
        style = style.map(lambda value, best=best: _TINT if value == best else "", subset=[column])
    return style.map(lambda value: _CHAMPION if value else "", subset=["Status"])


_TINT = "background-color: rgba(213, 94, 0, 0.16); font-weight: bold"
_CHAMPION = "background-color: rgba(0, 158, 115, 0.22); font-weight: bold"


def _starred(value: float, best: float) -> str:
    if math.isnan(value):
        return numbers.NONE
    return f"★ {numbers.score(value)}" if value == best else numbers.score(value)


def _seeds(chosen: Chosen) -> None:
    """Spread of the shown scores over seeds, where a shown report has siblings with other seeds."""
    lines = [
        f"**{shell.plain(chosen.labels[standing.id])}** over {len(summary.seeds)} seeds "
        f"({', '.join(map(str, summary.seeds))}): {shell.plain(chosen.title)} "
        f"{numbers.mean_and_sd(spread.mean, spread.sd)} on test, mean ± standard deviation."
        for standing in chosen.standings
        for summary in seeds.over_seeds(chosen.snapshot.root, chosen.versions)
        if standing.id in summary.reports and (spread := summary.test.get(chosen.column))
    ]
    if lines:
        st.markdown("  \n".join(lines))


def _charts(chosen: Chosen, found: Outcome) -> None:
    left, right = st.columns(2, gap="large")
    with left:
        chart = plots.intervals(chosen.ranked, chosen.labels, found)
        charts.draw(chart, plots.interval_rows(chosen.ranked, chosen.labels), f"scores-{chosen.column}")
    with right:
        known = {
            name: cost for name, cost in plots.COSTS.items() if plots.cost_rows(chosen.ranked, chosen.labels, cost)
        }
        where = st.container()
        name = state.choose("Cost", "cost", list(known), lambda name: known[name].name)
        with where:
            chart = plots.quality_and_cost(chosen.ranked, chosen.labels, chosen.title, known[name])
            rows = plots.cost_rows(chosen.ranked, chosen.labels, known[name])
            charts.draw(chart, rows, f"quality-and-{name}-{chosen.column}")
        if name == "evaluation":
            st.caption("No report holds the API's latency; the time to rank a test user is the nearest to it.")


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
