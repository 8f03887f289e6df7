"""The leaderboard: which model to ship, and why."""

import math
from datetime import date
from pathlib import Path
from typing import Any

import streamlit as st

from dashboard import charts, controls, shell, state, wording
from dashboard.controls import Chosen
from dashboard.downloads import csv_button
from dashboard.plots import leaderboard as plots
from dashboard.queries import leaderboard, pairs, seeds, store_files
from dashboard.queries.leaderboard import EvaluationSetup, Standing
from dashboard.queries.reports import Snapshot
from dashboard.queries.seeds import OverSeeds
from dashboard.queries.store_files import Signature
from movierec_engine.evaluation.comparison import LeaderComparison
from movierec_engine.evaluation.metrics import metric_title

_USUAL = ("recall", "mrr", "coverage")
"""Metrics that stand beside the chosen one by default."""


def page() -> None:
    root = store_files.store_root()
    snapshot, seen = shell.newest_reports(root)
    st.title("Leaderboard")
    if snapshot.reports.num_rows == 0:
        shell.no_reports(root, snapshot)
        return
    _board(snapshot, _over_seeds(str(root), seen))
    shell.notes(snapshot.notes)


@st.cache_data(show_spinner=False, max_entries=4, ttl=600)
def _over_seeds(root: str, seen: Signature) -> list[OverSeeds]:
    return seeds.over_seeds(Path(root))


@st.cache_data(show_spinner=False, max_entries=64, ttl=600)
def _against_best(folders: dict[str, str], metric: str) -> LeaderComparison | None:
    return pairs.against_best({name: Path(folder) for name, folder in folders.items()}, metric)


def _board(snapshot: Snapshot, over_seeds: list[OverSeeds]) -> None:
    everything = controls.choose_reports(snapshot)
    if everything is None:
        return
    left, right = st.columns([3, 1])
    with left:
        beside = [name for name in everything.metrics if name != everything.metric]
        more = state.choose_many("Metrics beside it", "metrics", beside, _USUAL, metric_title) if beside else []
    with right:
        chosen = _since(everything)
    if not chosen.ranked:
        st.info(f"No report here holds {wording.plain(chosen.title)}; choose another metric or k, or an earlier date.")
        return
    verdicts = _against_best({chosen.labels[one.id]: one.folder for one in chosen.ranked}, chosen.column)
    _conclusion(snapshot, chosen, verdicts)
    _separation(chosen.group, chosen.everything)
    _table(snapshot, chosen, more, verdicts)
    _seeds(chosen, over_seeds)
    _charts(chosen)
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


def _conclusion(snapshot: Snapshot, chosen: Chosen, verdicts: LeaderComparison | None) -> None:
    """What to ship, and why; the paired tests are those of the table."""
    ranked, labels, title = chosen.ranked, chosen.labels, chosen.title
    st.markdown(f"#### {wording.headline(ranked, labels, title)}")
    sentences = [
        wording.choice(ranked, labels, title),
        wording.served(snapshot.serving.get(chosen.group.data), chosen.standings, labels),
    ]
    if verdicts is not None:
        sentences = [*_tested(chosen, verdicts), *sentences]
    st.markdown("  \n".join(sentences))


def _tested(chosen: Chosen, verdicts: LeaderComparison) -> list[str]:
    """What the paired tests say of the first two, and of those that are as good as the first."""
    ranked, labels = chosen.ranked, chosen.labels
    first_two = {labels[standing.id] for standing in ranked[:2]}
    found = [verdict for verdict in verdicts.verdicts if {verdict.better, verdict.worse} == first_two]
    sentences = [wording.paired(verdict) for verdict in found]
    if found and found[0].comparison.users < ranked[0].users:
        sentences.append(f"Tests are over a sample of about {pairs.SAMPLE_FOR_ALL:,} of the users.")
    if labels[ranked[0].id] == verdicts.leader:
        as_good = [standing for standing in ranked[1:] if labels[standing.id] in verdicts.among_best]
        sentences += filter(None, [wording.as_good_for_less(ranked[0], as_good, labels)])
    return sentences


def _separation(group: EvaluationSetup, everything: list[EvaluationSetup]) -> None:
    """Why only one group is ranked, and which others there are."""
    if group.sampled:
        st.warning(
            f"*sampled* protocol ({wording.plain(group.protocol)}): each test item is ranked against a few sampled "
            "ones, so these scores are far above those of a full ranking and say less."
        )
    others = [wording.plain(wording.group_name(other)) for other in everything if other.id != group.id]
    if others:
        listed = "; ".join(others[:5]) + (f"; and {len(others) - 5} more" if len(others) > 5 else "")
        st.caption(
            "Only reports with the same data, protocol and fingerprint are ranked together, since other numbers answer "
            f"another question. Also in this store: {listed}."
        )


def _table(snapshot: Snapshot, chosen: Chosen, more: list[str], verdicts: LeaderComparison | None) -> None:
    rows = _rows(snapshot, chosen, more, verdicts)
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
        "bootstrap, Holm-corrected over all pairs of models; *as good* means that no difference can be told, – that "
        "the users' own scores cannot be read. Click a column's head to sort. Test scores are means over users; "
        "training and memory are those of the run."
    )
    with right:
        csv_button(
            [row | _provenance(standing) for row, standing in zip(rows, chosen.standings, strict=True)],
            f"leaderboard-{chosen.group.fingerprint}-at-{chosen.k}",
            "Table (CSV)",
        )


def _rows(
    snapshot: Snapshot, chosen: Chosen, more: list[str], verdicts: LeaderComparison | None
) -> list[dict[str, Any]]:
    """The table with plain numbers, as the CSV has it; the chosen metric and its validation stand first."""
    scores = leaderboard.scores_at(snapshot, chosen.k)
    several = len({standing.device for standing in chosen.standings}) > 1
    return [
        {
            "Model": standing.model if several else chosen.labels[standing.id],
            "Device": standing.device,
            "Status": "champion" if standing.served else "",
            f"Validation {chosen.title}": standing.validation,
            chosen.title: scores.get((standing.id, chosen.metric)),
            "95 % interval": _interval(standing),
            "Against the best": _against(chosen.labels[standing.id], verdicts),
            **{f"{metric_title(name)}@{chosen.k}": scores.get((standing.id, name)) for name in more},
            "Training (s)": standing.seconds,
            "Memory (MB)": standing.memory_mb,
        }
        for standing in chosen.standings
    ]


def _interval(standing: Standing) -> str:
    if standing.low is None or standing.high is None:
        return "–"
    return f"{standing.low:.3f}–{standing.high:.3f}"


def _against(label: str, found: LeaderComparison | None) -> str:
    """What the paired tests say of a model beside the one with the highest mean."""
    if found is None:
        return "–"
    if label == found.leader:
        return "best"
    verdict = next((one for one in found.verdicts if one.worse == label), None)
    if verdict is None:
        return "–"
    p = wording.larger_p(verdict)
    return f"worse, {p}" if verdict.significant else f"as good, {p}"


def _provenance(standing: Standing) -> dict[str, Any]:
    """What lets a saved table be traced: the interval of the chosen metric, and where the numbers are from."""
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
    style = frame.style.format(wording.duration, subset=["Training (s)"])
    style = style.format(wording.memory, subset=["Memory (MB)"])
    for column in score_columns:
        best = frame[column].max()
        style = style.format(lambda value, best=best: _starred(value, best), subset=[column])
        style = style.map(lambda value, best=best: _TINT if value == best else "", subset=[column])
    return style.map(lambda value: _CHAMPION if value else "", subset=["Status"])


_TINT = "background-color: rgba(213, 94, 0, 0.16); font-weight: bold"
_CHAMPION = "background-color: rgba(0, 158, 115, 0.22); font-weight: bold"


def _starred(value: float, best: float) -> str:
    if math.isnan(value):
        return "–"
    return f"★ {value:.4f}" if value == best else f"{value:.4f}"


def _seeds(chosen: Chosen, over_seeds: list[OverSeeds]) -> None:
    """How much the shown scores owe to the seed, where a shown report has siblings with other seeds."""
    lines = [
        f"**{wording.plain(chosen.labels[standing.id])}** over {len(summary.seeds)} seeds "
        f"({', '.join(map(str, summary.seeds))}): {wording.plain(chosen.title)} {spread.mean:.4f} ± {spread.sd:.4f} "
        "on test, mean ± standard deviation."
        for standing in chosen.standings
        for summary in over_seeds
        if standing.id in summary.reports and (spread := summary.test.get(chosen.column))
    ]
    if lines:
        st.markdown("  \n".join(lines))


def _charts(chosen: Chosen) -> None:
    left, right = st.columns(2, gap="large")
    with left:
        chart = plots.intervals(chosen.ranked, chosen.labels, chosen.title)
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
            st.markdown(f"**{wording.plain(chosen.labels[standing.id])}** on {wording.plain(standing.device)}")
            st.code(standing.command, language="bash", wrap_lines=True)
            facts = {
                "fingerprint": standing.fingerprint,
                "version": standing.version,
                "created at": f"{wording.day(standing.created_at)} UTC",
                "code version": standing.code_version,
                "test users": f"{standing.users:,}",
            }
            st.caption(" · ".join(f"{name} {wording.plain(value)}" for name, value in facts.items()))
