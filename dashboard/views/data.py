"""Data: what the ratings look like, what was dropped, how they are split, and how versions differ."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import streamlit as st

from dashboard import charts, shell, state, tables, wording
from dashboard.downloads import csv_button
from dashboard.plots import data as plots
from dashboard.plots import drift as drift_plots
from dashboard.queries import data, drift, store_files
from dashboard.queries.data import DataLineage, Each
from dashboard.queries.store_files import Signature
from dashboard.wording import say
from movierec_engine.data.split import split_label
from movierec_engine.evaluation.drift import DriftConfig
from movierec_engine.reporting import numbers
from movierec_engine.store import Artifact, kinds

_DROPPED = {
    "rows_read": "rows read",
    "bad_rows": "rows that could not be read: left out",
    "rows_without_id": "rows without a user or an item, among those left out",
    "duplicate_rows": "rows that repeat another in every column: dropped",
    "duplicate_pairs": "further ratings of a movie by the same user: the newest was kept",
    "millisecond_timestamps": "timestamps in milliseconds: turned into seconds",
    "latin1_files": "files that were not UTF-8: read as Latin-1",
    "movies_without_title": "rated movies without a title: named by their id",
    "duplicate_movies": "further rows of a movie: the first was kept",
    "negatives_dropped": "given negatives that repeat another or are positives: dropped",
}
"""The counts of validation, in words."""
_ENTITIES = (("user_id", "users"), ("movie_id", "movies"))
"""Columns of the ratings, and what they name, to be said in the data set's words."""


def page() -> None:
    root = store_files.store_root()
    seen = store_files.signature(root, *kinds.DATA)
    shell.watch(lambda: store_files.signature(root, *kinds.DATA), seen)
    st.title("Data")
    names = _data_sets(str(root), seen)
    if not names:
        shell.empty(
            "No data yet",
            "Read the bundled ratings into the store; training a model does it too.",
            "movierec train model=popularity\n# or everything\nmovierec demo",
            root,
        )
        return
    left, right = st.columns(2)
    with left:
        name = state.choose("Data set", "data", names)
    versions = _versions(str(root), name, seen)
    if not versions:
        shell.notes([f"No version of {name} can be read; run `movierec train model=popularity` to make one again."])
        return
    newest = versions[0]
    wording.speak_of(data.nouns(root, name), data.are_likes(_counts(str(newest.folder)), newest.config))
    by_version = {one.version: one for one in versions}
    with right:
        chosen = state.choose(
            "Version", "version", list(by_version), lambda key: _version_name(by_version[key], versions)
        )
    line = _choose_split(_lines(str(root), name, chosen, seen))
    counts = _counts(str(line.ratings.folder))
    _facts(line)
    _dropped(line, counts)
    _ratings(line.ratings, counts)
    _split(line)
    _drift(str(root), versions)


@st.cache_data(show_spinner=False, max_entries=4)
def _data_sets(root: str, seen: Signature) -> list[str]:
    return data.data_sets(Path(root))


@st.cache_data(show_spinner=False, max_entries=8)
def _versions(root: str, name: str, seen: Signature) -> list[Artifact]:
    return data.versions(Path(root), kinds.RAW_RATINGS, name)


@st.cache_data(show_spinner=False, max_entries=16)
def _lines(root: str, name: str, version: str, seen: Signature) -> list[DataLineage]:
    found = next(one for one in _versions(root, name, seen) if one.version == version)
    return data.lines_of(Path(root), found)


@st.cache_data(show_spinner="Counting the ratings", max_entries=16)
def _counts(folder: str) -> list[tuple[float, int]]:
    return data.rating_counts(Path(folder))


@st.cache_data(show_spinner="Counting the ratings", max_entries=16)
def _of_each(folder: str, column: str) -> Each | None:
    return data.ratings_of_each(Path(folder), column)


@st.cache_data(show_spinner="Counting the ratings", max_entries=32)
def _timeline(path: str) -> tuple[str, list[dict[str, Any]]]:
    return data.timeline(Path(path))


@st.cache_data(show_spinner="Counting the ratings", max_entries=16)
def _spans(folder: str) -> list[dict[str, Any]]:
    return data.part_spans(Path(folder))


def _choose_split(lines: list[DataLineage]) -> DataLineage:
    """The split whose data the page shows; no box where there is one alone."""
    by_split = {line.splits.fingerprint: line for line in lines if line.splits is not None}
    if len(by_split) < 2:
        return lines[0]

    def name(key: str) -> str:
        made = by_split[key].splits
        assert made is not None
        return (
            f"{split_label(str(made.facts.get('strategy', 'unknown')))}, {numbers.minute(made.created_at)} ({key[:6]})"
        )

    return by_split[state.choose("Split", "split", list(by_split), name, width=400)]


def _version_name(one: Artifact, versions: list[Artifact]) -> str:
    newest = ", newest" if one.version == versions[0].version else ""
    return f"{numbers.minute(one.created_at)}, {_number(one, 'ratings')} {say('ratings')}{newest} ({one.version[-4:]})"


def _number(one: Artifact | None, name: str) -> str:
    value = one.facts.get(name) if one else None
    return numbers.count(value) if isinstance(value, int | float) else numbers.NONE


def _facts(line: DataLineage) -> None:
    boxes = st.columns(6)
    boxes[0].metric(say("Ratings"), _number(line.ratings, "ratings"))
    boxes[1].metric("Users", _number(line.ratings, "users"))
    boxes[2].metric(say("Movies"), _number(line.ratings, "movies"))
    facts = line.ratings.facts
    cells = facts.get("users", 0) * facts.get("movies", 0)
    share = numbers.percent(facts["ratings"] / cells, 2) if cells and "ratings" in facts else numbers.NONE
    boxes[3].metric("Matrix density", share, help=say("Ratings / (users × movies), before filtering"))
    kept = line.interactions.facts.get("density") if line.interactions else None
    dense = numbers.percent(kept, 2) if isinstance(kept, float) else numbers.NONE
    boxes[4].metric("After filtering", dense, help="Density of the filtered data")
    left = _number(line.interactions, "items")
    boxes[5].metric(say("Movies in the catalogue"), left, help="Those left after filtering")


def _dropped(line: DataLineage, counts: list[tuple[float, int]]) -> None:
    st.header("What was dropped, and why")
    found = line.ratings.facts.get("validation")
    found = found if isinstance(found, dict) else {}
    rows = [
        {"What": say(text), "Count": len(value) if isinstance(value, list | tuple) else int(value)}
        for name, text in _DROPPED.items()
        if isinstance(value := found.get(name), int | list | tuple)
    ]
    bar = _bar(line, found)
    if bar:
        charts.draw(plots.shares(bar, sum(row["rows"] for row in bar)), bar, "what-became-of-the-rows")
    problems = [row for row in rows if row["Count"] and row["What"] != say(_DROPPED["rows_read"])]
    if rows and not problems:
        st.caption(f"Validation read {rows[0]['Count']:,} rows and had nothing to drop or repair.")
    elif rows:
        tables.show(problems, hide_index=True, width="stretch", height="content")
    config = line.interactions.config if line.interactions else {}
    if config:
        threshold = config.get("rating_threshold", 0)
        least = f" of at least {threshold:g}," if counts and threshold > counts[0][0] else ""
        text = (
            f"Kept: ratings{least} of users with at least {config.get('min_user_interactions', 0)} and movies with at "
            f"least {config.get('min_item_interactions', 0)} of them (k-core). "
            f"{_share(line.interactions, 'dropped_share')} of all ratings were filtered out."
        )
        st.caption(shell.plain(say(text)))


def _share(one: Artifact | None, name: str) -> str:
    value = one.facts.get(name) if one else None
    return numbers.percent(value) if isinstance(value, float) else numbers.NONE


def _bar(line: DataLineage, found: dict[str, Any]) -> list[dict[str, Any]]:
    """Rows of the raw file by what became of them."""
    repeated = sum(int(found.get(name) or 0) for name in ("duplicate_rows", "duplicate_pairs"))
    total, kept = (
        one.facts.get(name) if one else None
        for one, name in ((line.ratings, "ratings"), (line.interactions, "interactions"))
    )
    if not isinstance(total, int) or not isinstance(kept, int):
        return []
    parts = [(part, line.splits.facts.get(part, 0)) for part in data.PARTS] if line.splits else [("kept", kept)]
    rows = [*parts, ("filtered out", total - kept), ("repeated", repeated)]
    return [{"what": what, "rows": int(count)} for what, count in rows if count > 0]


def _ratings(version: Artifact, counts: list[tuple[float, int]]) -> None:
    st.header(say("What the ratings look like"))
    folder = version.folder
    if not counts:
        shell.notes(
            [
                f"The ratings of version {folder.name} cannot be read; delete that folder and run "
                "`movierec train model=popularity`."
            ]
        )
        return
    found = [(_of_each(str(folder), column), say(name)) for column, name in _ENTITIES]
    known = [data.long_tail(each, name) for each, name in found if each is not None]
    left, right = st.columns(2, gap="large")
    with left:
        likes = data.are_likes(counts, version.config)
        if likes and len(counts) == 1:
            st.info("Every row is a like: these data have no ratings.", icon=":material/info:")
        else:
            rows = plots.rating_rows(counts)
            charts.draw(plots.ratings(rows, "value" if likes else "rating"), rows, "ratings")
    with right:
        tails = [tail for tail, _ in known]
        charts.draw(plots.long_tails(tails), plots.tail_rows(tails), "long-tails")
    for column, (tail, bins), hue in zip((left, right), known, (charts.HUES[1], charts.HUES[0]), strict=False):
        with column:
            charts.draw(plots.activity(bins, tail, hue), bins, f"{tail.of}-by-ratings")


def _split(line: DataLineage) -> None:
    st.header("How it is split over time")
    if line.splits is None:
        shell.missing("Nothing was split from this version yet; training does it.", "movierec train model=popularity")
        path = line.ratings.folder / data.RATINGS_FILE
    else:
        path = line.splits.folder / data.SPLIT_FILE
    spans = _spans(str(line.splits.folder)) if line.splits else []
    if line.splits is not None and not spans:
        shell.notes([f"The split {line.splits.reference} cannot be read; delete that folder and train again."])
        return
    step, rows = _timeline(str(path))
    if rows:
        busiest = max(rows, key=lambda row: row["ratings"])
        boundaries = _boundaries(line.splits)
        head = _split_head(line.splits) or f"The busiest {step} begins on {busiest['start'][:10]}"
        charts.draw(plots.timeline(rows, step, head, boundaries), rows, "timeline")
    elif _counts(str(line.ratings.folder)):
        times = "are all of one time" if data.has_times(path) else "carry no times"
        st.info(say(f"These ratings {times}, so that there is no timeline."))
    if not spans:
        return
    total = sum(row["rows"] for row in spans)
    table = [
        {
            "Part": row["part"],
            "Rows": row["rows"],
            "Share": numbers.percent(row["rows"] / total),
            "Users": row["users"],
            say("Movies"): row["movies"],
            **({"First": row["first"], "Last": row["last"]} if row["first"] else {}),
        }
        for row in spans
    ]
    whole = st.column_config.NumberColumn(format="localized")
    columns = dict.fromkeys(("Rows", "Users", say("Movies")), whole)
    tables.show(table, hide_index=True, width="stretch", height="content", column_config=columns)
    csv_button(table, "split", "Table (CSV)")
    if total > data.EXACT_ROWS:
        st.caption(f"Users and {say('movies')} are estimates: they are counted exactly up to {data.EXACT_ROWS:,} rows.")


def _split_head(splits: Artifact | None) -> str:
    if splits is None:
        return ""
    strategy = split_label(str(splits.facts.get("strategy", "unknown")))
    future, tied = splits.facts.get("future_share"), splits.facts.get("tied_share")
    by_ties = f". {numbers.percent(tied, 0)} of the test part is a random choice among equal times" if tied else ""
    if isinstance(future, int | float):
        if future > 0.01:
            past = f"training data contains ratings made after {numbers.percent(future, 0)} of the test ratings"
            return f"Split by {strategy}: {say(past)} (optimistic){by_ties}"
        after = say("the test ratings were made after those of train, as in service")
        return f"Split by {strategy}: {after}{by_ties}"
    return f"Split by {strategy}{by_ties}"


def _boundaries(splits: Artifact | None) -> list[str]:
    """The instants at which the split cuts, as ISO texts."""
    found = splits.facts.get("boundaries") if splits else None
    values = found.values() if isinstance(found, dict) else []
    return [
        datetime.fromtimestamp(value, UTC).strftime("%Y-%m-%dT%H:%M")
        for value in values
        if isinstance(value, int | float) and 0 <= value < 4e9
    ]


def _drift(root: str, versions: list[Artifact]) -> None:
    st.header("How versions differ")
    if len(versions) < 2:
        st.info("There is one version of this data set; a second one appears here when the ratings file changes.")
        return
    rows = [
        {
            "made": f"{numbers.minute(one.created_at)} ({one.version[-4:]})",
            **{name: one.facts.get(name, 0) for name in ("ratings", "users", "movies")},
        }
        for one in reversed(versions)
    ]
    charts.draw(plots.versions(rows), rows, "versions")
    by_version = {one.version: one for one in versions}
    left, right = st.columns(2)
    show = lambda key: _version_name(by_version[key], versions)  # noqa: E731
    with left:
        old = state.choose("From", "old", list(by_version)[1:], show)
    with right:
        new = state.choose("to", "new", [key for key in by_version if key != old], show)
    found = drift.between(Path(root), by_version[old], by_version[new])
    if not found:
        shell.notes(["One of these versions cannot be read, so that they cannot be compared; make it again."])
        return
    st.markdown(f"**{shell.plain(drift_plots.conclusion(found, DriftConfig()))}.**")
    columns = st.columns(2, gap="large")
    for place, one in enumerate(found):
        with columns[place % 2]:
            shown = drift_plots.part_rows(one)
            charts.draw(drift_plots.parts(shown, one, DriftConfig()), shown, f"drift-of-{one.of}")
    before, after = (str(by_version[one].folder) for one in (old, new))
    table = [
        {"What": what.capitalize(), "Count": count}
        for column, name in _ENTITIES
        if (lost := _of_each(before, column)) is not None and (gained := _of_each(after, column)) is not None
        for what, count in data.arrivals(lost, gained, say(name)).items()
    ]
    st.markdown(f"**{say('Users and movies that came and went')}**")
    tables.show(table, hide_index=True, width="stretch", height="content")
