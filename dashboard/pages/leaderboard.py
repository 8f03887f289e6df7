"""The leaderboard: which model to ship, and why."""

import csv
import io
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import streamlit as st

from dashboard import charts, queries, wording
from dashboard.queries import Group, OverSeeds, Signature, Snapshot, Standing
from movierec_engine.evaluation.comparison import Verdict

REFRESH_SECONDS = 5
ALL_DEVICES = "all"


def page() -> None:
    root = queries.store_root()
    seen = queries.signature(root)
    snapshot = _load(str(root), seen)
    _watch(root, seen)
    st.title("Leaderboard")
    if snapshot.reports.num_rows == 0:
        _empty(root, snapshot)
        return
    _board(snapshot, _over_seeds(str(root), seen))
    _notes(snapshot)


@st.cache_data(show_spinner=False, max_entries=4, ttl=600)
def _load(root: str, seen: Signature) -> Snapshot:
    return queries.load(Path(root))


@st.cache_data(show_spinner=False, max_entries=4, ttl=600)
def _over_seeds(root: str, seen: Signature) -> list[OverSeeds]:
    return queries.over_seeds(Path(root))


@st.cache_data(show_spinner=False, max_entries=64)
def _paired(better: str, other: str, metric: str, k: int) -> Verdict | None:
    return queries.paired_comparison(Path(better), Path(other), metric, k)


@st.fragment(run_every=REFRESH_SECONDS)
def _watch(root: Path, seen: Signature) -> None:
    """Draw the page anew once the store differs from what it shows."""
    if queries.signature(root) != seen:
        st.rerun()


def _empty(root: Path, snapshot: Snapshot) -> None:
    st.subheader("No evaluation reports yet")
    st.markdown("Fill the store with every model on the bundled data, or train one; this page then updates by itself.")
    st.code("make demo\n# or\nmovierec train model=lightgcn", language="bash")
    st.caption(f"Store: {wording.plain(root)} (set MOVIEREC_ARTIFACTS to read another)")
    _notes(snapshot)


def _notes(snapshot: Snapshot) -> None:
    for note in snapshot.notes:
        st.warning(wording.plain(note), icon=":material/warning:")


def _board(snapshot: Snapshot, seeds: list[OverSeeds]) -> None:
    everything = queries.groups(snapshot)
    by_id = {group.id: group for group in everything}
    columns = st.columns([1.1, 0.7, 3, 0.9])
    with columns[2]:
        chosen = _choose("Comparable reports", "group", list(by_id), lambda key: wording.group_name(by_id[key]))
    group = by_id[chosen]
    measured = queries.metrics(snapshot, group)
    if not measured:
        st.info("The reports of this group hold no ranking metrics.")
        return
    names = wording.metric_order(list(measured))
    with columns[0]:
        metric = _choose("Metric", "metric", names, wording.metric_name, default="ndcg")
    with columns[1]:
        k = int(_choose("k", "k", [str(value) for value in measured[metric]], default="10"))
    with columns[3]:
        options = [ALL_DEVICES, *queries.devices(snapshot, group)]
        device = _choose("Device", "device", options, lambda name: "All devices" if name == ALL_DEVICES else name)

    standings = queries.standings(snapshot, group, metric, k, None if device == ALL_DEVICES else device)
    ranked = [standing for standing in standings if standing.score is not None]
    labels = wording.labels(standings)
    title = f"{wording.metric_name(metric)}@{k}"
    if not ranked:
        st.info(f"No report here holds {wording.plain(title)}; choose another metric or k.")
        return
    _conclusion(snapshot, standings, ranked, labels, metric, k)
    _separation(group, everything)
    _table(snapshot, standings, labels, metric, k, names)
    _seeds(standings, seeds, labels, metric, k)
    left, right = st.columns(2, gap="large")
    left.altair_chart(charts.intervals(ranked, labels, title), width="stretch")
    right.altair_chart(charts.cost(ranked, labels, title), width="stretch")
    _reproduce(standings, labels)


def _choose(
    label: str,
    name: str,
    options: Sequence[str],
    show: Callable[[str], str] = str,
    default: str | None = None,
) -> str:
    """A select box whose choice stands in the URL, from where it is taken up again."""
    in_url = st.query_params.get(name)
    if in_url in options and in_url != st.session_state.get(f"{name} in URL"):
        st.session_state[name] = in_url
    if st.session_state.get(name) not in options:
        st.session_state[name] = default if default in options else options[0]
    choice: str = st.selectbox(label, options, key=name, format_func=show)
    st.query_params[name] = st.session_state[f"{name} in URL"] = choice
    return choice


def _conclusion(
    snapshot: Snapshot,
    standings: list[Standing],
    ranked: list[Standing],
    labels: dict[str, str],
    metric: str,
    k: int,
) -> None:
    title = f"{wording.metric_name(metric)}@{k}"
    st.markdown(f"#### {wording.headline(ranked, labels, title)}")
    sentences = [wording.choice(ranked, labels, title), wording.served(snapshot.serving, standings, labels)]
    second = wording.runner_up(ranked)
    if second is not None and wording.overlap(ranked[0], second) is not None:
        difference = _paired(ranked[0].users_file, second.users_file, metric, k)
        if difference is not None:
            sentences.insert(0, wording.paired(difference, labels[ranked[0].id], labels[second.id]))
    st.markdown("  \n".join(sentences))


def _separation(group: Group, everything: list[Group]) -> None:
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


def _table(
    snapshot: Snapshot, standings: list[Standing], labels: dict[str, str], metric: str, k: int, names: list[str]
) -> None:
    rows = _rows(snapshot, standings, labels, metric, k, names)
    st.dataframe(
        _styled(rows, [column for column in rows[0] if "@" in column]),
        hide_index=True,
        width="stretch",
        height="content",
        column_config={"Model": st.column_config.TextColumn(width=130)},
    )
    left, right = st.columns([5, 1], vertical_alignment="center")
    left.caption("★ best of its column. Test scores are means over users; training and memory are those of the run.")
    right.download_button(
        "Download CSV",
        _csv([row | _provenance(standing) for row, standing in zip(rows, standings, strict=True)]),
        file_name=f"leaderboard-{standings[0].fingerprint}-at-{k}.csv",
        mime="text/csv",
        icon=":material/download:",
        width="stretch",
    )


def _seeds(standings: list[Standing], seeds: list[OverSeeds], labels: dict[str, str], metric: str, k: int) -> None:
    """How much the shown scores owe to the seed, where a shown report has siblings with other seeds."""
    title = f"{wording.metric_name(metric)}@{k}"
    lines = [
        f"**{wording.plain(labels[standing.id])}** over {len(summary.seeds)} seeds "
        f"({', '.join(map(str, summary.seeds))}): {wording.plain(title)} {spread.mean:.4f} ± {spread.sd:.4f} on test, "
        "mean ± standard deviation."
        for standing in standings
        for summary in seeds
        if standing.id in summary.reports and (spread := summary.test.get(f"{metric}@{k}"))
    ]
    if lines:
        st.markdown("  \n".join(lines))


def _rows(
    snapshot: Snapshot, standings: list[Standing], labels: dict[str, str], metric: str, k: int, names: list[str]
) -> list[dict[str, Any]]:
    """The table with plain numbers, as the CSV has it; the chosen metric and its validation stand first."""
    scores = queries.scores_at(snapshot, k)
    ordered = [metric, *(name for name in names if name != metric)]
    several = len({standing.device for standing in standings}) > 1
    return [
        {
            "Model": standing.model if several else labels[standing.id],
            "Device": standing.device,
            "Status": "served" if standing.served else "",
            f"Validation {wording.metric_name(metric)}@{k}": standing.validation,
            **{f"{wording.metric_name(name)}@{k}": scores.get((standing.id, name)) for name in ordered},
            "Training (s)": standing.seconds,
            "Peak memory (MB)": standing.memory_mb,
        }
        for standing in standings
    ]


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


def _csv(rows: list[dict[str, Any]]) -> str:
    """The table as CSV; a text that a spreadsheet would take for a formula is quoted with an apostrophe."""
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow(
            {
                name: f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@") else value
                for name, value in row.items()
            }
        )
    return text.getvalue()


def _styled(rows: list[dict[str, Any]], score_columns: list[str]) -> Any:
    """The table as shown: four decimals, the best of each column starred and tinted, costs with units."""
    frame = queries.frame(rows).astype(dict.fromkeys(score_columns, "float64"))
    style = frame.style.format(wording.duration, subset=["Training (s)"])
    style = style.format(wording.memory, subset=["Peak memory (MB)"])
    for column in score_columns:
        best = frame[column].max()
        style = style.format(lambda value, best=best: _starred(value, best), subset=[column])
        style = style.map(lambda value, best=best: _TINT if value == best else "", subset=[column])
    return style


_TINT = "background-color: rgba(213, 94, 0, 0.16); font-weight: bold"


def _starred(value: float, best: float) -> str:
    if math.isnan(value):
        return "–"
    return f"★ {value:.4f}" if value == best else f"{value:.4f}"


def _reproduce(standings: list[Standing], labels: dict[str, str]) -> None:
    with st.expander("How to reproduce each row"):
        for standing in standings:
            st.markdown(f"**{wording.plain(labels[standing.id])}** on {wording.plain(standing.device)}")
            st.code(standing.command, language="bash", wrap_lines=True)
            facts = {
                "fingerprint": standing.fingerprint,
                "version": standing.version,
                "created at": f"{wording.day(standing.created_at)} UTC",
                "code version": standing.code_version,
                "test users": f"{standing.users:,}",
            }
            st.caption(" · ".join(f"{name} {wording.plain(value)}" for name, value in facts.items()))
