"""Any reports side by side: metrics with paired tests, settings that differ, learning curves, segments and lists."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import streamlit as st

from dashboard import charts, controls, pinned_notes, shell, state, tables
from dashboard.controls import Chosen
from dashboard.downloads import csv_button
from dashboard.plots import side_by_side as plots
from dashboard.queries import measures, pairs, segments, side_by_side, store_files, training
from dashboard.queries.measures import Measure
from dashboard.queries.reports import with_versions
from dashboard.queries.side_by_side import Group
from dashboard.queries.versions import ReportVersion
from dashboard.views.user_list import user_list
from movierec_engine.evaluation.comparison import Verdict
from movierec_engine.evaluation.metrics import less_is_better, metric_of, metric_title
from movierec_engine.reporting import numbers
from movierec_engine.reporting.conclusions import corrected_p

PICKED = "reports"
"""The name in the URL of the reports that stand side by side."""
USUAL = 3
"""Reports that the page begins with: the best."""
MOST_LISTS = 6


def go_to(addresses: Sequence[str]) -> None:
    """Open this page with reports, by their model/device/version."""
    state.put(PICKED, ",".join(addresses))
    st.switch_page(st.Page(page, title="Side by side", url_path="side_by_side"))


def page() -> None:
    root = store_files.store_root()
    snapshot, _ = shell.newest_reports(root)
    st.title("Side by side")
    if snapshot.reports.num_rows == 0:
        shell.no_reports(root)
        return
    answer = st.container()
    chosen = controls.choose_reports(snapshot, suits=lambda metric: metric.judges, models=False)
    if chosen is None:
        return
    places = {one.id: place for place, one in enumerate(chosen.ranked)}
    by_key = {one.key: one for one in sorted(chosen.versions, key=lambda one: places.get(one.id, len(places)))}
    best = [key for one in chosen.ranked[:USUAL] if (key := chosen.address(chosen.labels[one.id])) in by_key]
    picked = state.choose_many(
        "Reports", PICKED, list(by_key), best, lambda key: chosen.labels[by_key[key].id], EXPLANATION
    )
    together = state.switch("Take runs that differ in the seed alone together", "together", default=True)
    _compare(answer, chosen, [by_key[key] for key in picked], together)


EXPLANATION = "Any versions of this set-up: other seeds and settings, older ones, the trials of sweeps."


def _compare(answer: Any, chosen: Chosen, versions: Sequence[ReportVersion], together: bool) -> None:
    """answer: the place above the boxes for the conclusion."""
    found = with_versions(chosen.snapshot, versions)
    standings = controls.standings_of(chosen, found, [one.id for one in versions])
    every = measures.all_measures(found, standings, chosen.k)
    values = measures.values(found, standings, list(every))
    folders = {chosen.labels[one.id]: one.folder for one in [*chosen.family, *standings]}
    tests = controls.paired_tests(folders, chosen.column)
    groups = side_by_side.grouped(versions, chosen.labels, together)
    with answer:
        shell.notes(found.notes)
        _conclusion(chosen, versions, tests)
    pinned_notes.show(found.root, {one.id: chosen.labels[one.id] for one in versions}, "reports")
    _metrics(chosen, groups, every, values, measures.intervals_of(found, chosen.column, chosen.labels))
    _pairs(chosen, versions, tests, len(folders))
    _settings(groups)
    _curves(chosen, groups)
    _segments(chosen, groups)
    _lists(chosen, standings)


def _conclusion(chosen: Chosen, versions: Sequence[ReportVersion], tests: Sequence[Verdict]) -> None:
    names = [chosen.labels[one.id] for one in versions]
    own = [verdict for verdict in tests if verdict.better in names and verdict.worse in names]
    if len(names) < 2:
        st.markdown("## Choose two or more reports to compare them.")
        return
    if not own:
        st.markdown("## The users' own scores of these reports cannot be compared.")
        return
    worse = {verdict.worse for verdict in own}
    leader = next((name for name in names if name not in worse), own[0].better)
    against = [verdict for verdict in own if verdict.better == leader]
    beaten = [verdict.worse for verdict in against if verdict.significant]
    tied = [f"{one.worse} ({numbers.p_equals(corrected_p(one))})" for one in against if not one.significant]
    end = "lowest" if less_is_better(chosen.column) else "highest"
    parts = [f"significantly better than {numbers.listed(beaten)}"] if beaten else []
    parts += [f"statistically tied with {numbers.listed(tied)}"] if tied else []
    st.markdown(f"## {shell.plain(f'{leader} has the {end} {chosen.title}, {numbers.listed(parts)}')}.")


def _metrics(
    chosen: Chosen,
    groups: Sequence[Group],
    every: Mapping[str, Measure],
    values: Mapping[str, Mapping[str, float]],
    ends: Mapping[str, tuple[float, float]],
) -> None:
    """ends: label -> the ends of the chosen metric's interval."""
    st.header("Metrics and costs")
    rows = []
    order = [chosen.column, *(key for key in every if key != chosen.column)]
    for key in order:
        measure = every[key]
        of = {report: own[key] for report, own in values.items() if key in own}
        means = {group.label: side_by_side.over(group, of) for group in groups}
        known = [mean for found in means.values() if found for mean in [found[0]]]
        if not known:
            continue
        best = min(known) if measure.better == "lower" else max(known)
        star = measure.better and len(groups) > 1 and len(set(known)) > 1
        row = {"Measure": f"{measure.title}{' (lower is better)' if measure.better == 'lower' else ''}"}
        for label, found in means.items():
            text = numbers.NONE if found is None else measure.show(found[0])
            spread = f" ± {measure.show(found[1])}" if found and found[1] is not None else ""
            row[label] = f"{'★ ' if star and found and found[0] == best else ''}{text}{spread}"
        rows.append(row)
        if key == chosen.column:  # over users, where a column is one report; over seeds it has its deviation
            alone = {one.label: chosen.labels[one.members[0].id] for one in groups if len(one.members) == 1}
            spans = {label: numbers.interval(*ends.get(report, (None, None))) for label, report in alone.items()}
            rows.append({"Measure": f"{measure.title}, 95 % interval", **spans})
    tables.show(
        rows, hide_index=True, width="stretch", height="content", column_config=_right(groups), alt="Metrics and costs"
    )
    csv_button(rows, "side-by-side", "Table (CSV)")


def _right(groups: Sequence[Group]) -> dict[str, Any]:
    """The reports' columns, whose numbers stand below one another."""
    return {group.label: st.column_config.TextColumn(alignment="right") for group in groups}


def _pairs(chosen: Chosen, versions: Sequence[ReportVersion], tests: Sequence[Verdict], models: int) -> None:
    names = {chosen.labels[one.id] for one in versions}
    rows = [
        {
            "Better": one.better,
            "Worse": one.worse,
            "Difference": numbers.signed(one.comparison.difference),
            "95 % interval": numbers.signed_interval(one.comparison.low, one.comparison.high),
            "p": numbers.p_value(corrected_p(one)),
            "Effect size": numbers.signed(one.comparison.effect_size, 2),
            "Win / tie / loss": f"{one.comparison.wins:,} / {one.comparison.ties:,} / {one.comparison.losses:,}",
            "Verdict": "significant" if one.significant else "tied",
        }
        for one in tests
        if {one.better, one.worse} <= names
    ]
    if rows:
        st.header(f"Paired tests by {chosen.title}")
        tables.show(rows, hide_index=True, width="stretch", height="content")
        way = "lower" if less_is_better(chosen.column) else "higher"
        st.caption(
            f"User by user; a difference is by how much the better one is {way}; p is the larger of bootstrap and "
            f"Wilcoxon, Holm-corrected over the {len(tests)} pairs of the {models} models of this set-up and the "
            "reports that are chosen."
        )


def _settings(groups: Sequence[Group]) -> None:
    if len(groups) < 2:
        return
    rows = side_by_side.settings_rows(groups)
    st.header("Settings that differ")
    if rows:
        tables.show(rows, hide_index=True, width="stretch", height="content")
    else:
        st.caption("These reports have the same settings and seeds.")


def _curves(chosen: Chosen, groups: Sequence[Group]) -> None:
    histories = {
        group.label: [
            training.history(folder / "history.parquet")
            for one in group.members
            if (folder := store_files.parent_folder(chosen.snapshot.root, one.trained_model))
            and (folder / "history.parquet").is_file()
        ]
        for group in groups
    }
    measured = {name for runs in histories.values() for run in runs for row in run for name in row}
    metric = chosen.column if chosen.column in measured else "ndcg@10"
    rows = side_by_side.curve_rows(histories, metric)
    if not rows:
        return
    st.header("Learning curves")
    labels = [group.label for group in groups if histories[group.label]]
    banded = any(len(runs) > 1 for runs in histories.values())
    charts.draw(plots.learning_curves(rows, metric, labels, banded), rows, f"learning-curves-{metric}")


def _segments(chosen: Chosen, groups: Sequence[Group]) -> None:
    known = metric_of(chosen.metric)
    if known is None or not known.of_hits:
        return
    folders = {one.id: Path(one.folder) for group in groups for one in group.members}
    found = segments.segment_rows(folders, chosen.column)
    of: dict[tuple[str, str, int], dict[str, float]] = {}
    for row in found:
        of.setdefault((row["kind"], row["segment"], row["users"]), {})[row["model"]] = row["value"]
    rows = []
    for (kind, segment, users), values in of.items():
        means = {group.label: own[0] for group in groups if (own := side_by_side.over(group, values))}
        best = max(means.values(), default=0.0)
        shown = {name: f"{'★ ' if value == best > 0 else ''}{numbers.score(value)}" for name, value in means.items()}
        rows.append({"Kind": kind, "Segment": segment, "Users": users, **shown})
    if rows:
        st.header(f"{metric_title(chosen.column)} by segment")
        title = f"{metric_title(chosen.column)} by segment"
        tables.show(rows, hide_index=True, width="stretch", height=320, column_config=_right(groups), alt=title)
        st.caption("★ highest mean; what is significant for two models stands on the page Compare two.")


def _lists(chosen: Chosen, standings: Sequence[Any]) -> None:
    st.header("Lists of one user")
    first = standings[0]
    written = state.write("User", "listed", pairs.first_user(Path(first.folder)), "An id as the data has it")
    user = pairs.user_named(Path(first.folder), written)
    if user is None:
        st.info(f"No user {shell.plain(written)} was evaluated; write the id of another.")
        return
    lists = {
        chosen.labels[one.id]: user_list(chosen.snapshot.root, one.folder, one.raw_movies, user, chosen.k)
        for one in standings[:MOST_LISTS]
    }
    length = max(map(len, lists.values()), default=0)
    rows = [
        {
            "Rank": place + 1,
            **{
                name: f"{'✓ ' if own[place]['hit'] else ''}{own[place]['title']}" if place < len(own) else ""
                for name, own in lists.items()
            },
        }
        for place in range(length)
    ]
    tables.show(rows, hide_index=True, width="stretch", height="content")
    st.caption("✓ in the test part.")
