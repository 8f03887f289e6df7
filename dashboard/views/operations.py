"""Operations: what is served and how fresh it is, what was decided and why, and how models, people and the API fare."""

import time
from pathlib import Path
from typing import Any

import streamlit as st

from dashboard import charts, shell, state, tables
from dashboard.downloads import csv_button
from dashboard.plots import operations as plots
from dashboard.queries import api_health, checks, feedback, releases, store_files
from dashboard.queries.api_health import Health
from dashboard.queries.asking import Asking
from dashboard.queries.checks import Checked
from dashboard.queries.feedback import Feedback
from dashboard.queries.releases import Made, Served
from dashboard.queries.store_files import Signature
from dashboard.views import backtests, decisions, off_policy, over_time, what_waits
from movierec_engine.errors import MovierecError
from movierec_engine.feedback.summary import share_with_interval
from movierec_engine.reporting import numbers
from movierec_engine.store import kinds

API_SECONDS = 5
"""How often the API is asked."""
TIMEOUT_SECONDS = 0.3
"""How long the page waits for the API's first answer."""
_KINDS = (*checks.KINDS, kinds.RELEASE_DECISION, kinds.RAW_RATINGS)


def page() -> None:
    root = store_files.store_root()
    seen = _signature(root)
    shell.watch(lambda: _signature(root), seen)
    st.title("Operations")
    sets = releases.data_sets(root)
    data = state.choose("Data set", "data", sets) if len(sets) > 1 else next(iter(sets), "")
    served, (made, unreadable) = _served(str(root), data, seen), _made(str(root), data, seen)
    _now(served, data, root)
    what_waits.show()
    decisions.show(root, made, unreadable)
    finish = over_time.show(root, data, served, made, store_files.signature(root) + feedback.signature(root))
    _checks(_checked(str(root), data, store_files.signature(root, *checks.KINDS)))
    backtests.show(root, data, made)
    _feedback(root, data)
    off_policy.show(root, data, store_files.signature(root, kinds.OFF_POLICY))
    _api()
    finish()


def _signature(root: Path) -> Signature:
    of_each = (
        folder / f"{name}.json" for folder in store_files.folders(root / "pointers") for name in releases.POINTERS
    )
    pointers = map(store_files.stamp, of_each)
    return (
        *store_files.signature(root, *_KINDS, kinds.BACKTEST, kinds.OFF_POLICY),
        *pointers,
        *feedback.signature(root),
    )


@st.cache_data(show_spinner=False, max_entries=4, ttl=60)
def _served(root: str, data: str, seen: Signature) -> Served | None:
    return releases.served(Path(root), data) if data else None


@st.cache_data(show_spinner=False, max_entries=4, ttl=600)
def _made(root: str, data: str, seen: Signature) -> tuple[list[Made], list[Path]]:
    return releases.decisions(Path(root), data)


@st.cache_data(show_spinner="Checking the newest versions", max_entries=4, ttl=600)
def _checked(root: str, data: str, seen: Signature) -> list[Checked]:
    return checks.checks(Path(root), data)


@st.cache_data(show_spinner=False, max_entries=4, ttl=600)
def _said(root: str, data: str, seen: Signature) -> Feedback:
    return feedback.feedback(Path(root), data)


@st.cache_resource(max_entries=4)
def _asking(url: str) -> Asking[Health]:
    return Asking(lambda: api_health.ask(url), API_SECONDS)


def _now(served: Served | None, data: str, root: Path) -> None:
    if served is None:
        gate = "movierec models promote ease\n# or let the gate decide\nmovierec models challenge"
        shell.empty(
            "Nothing is promoted yet",
            "The API answers from the newest index until the gate, or a person, promotes one.",
            gate if data else "movierec train model=ease\n# or everything\nmovierec demo",
            root,
        )
        return
    if served.problem:
        shell.notes([f"The served version is not known: {served.problem}; `movierec models rollback` serves another."])
        return
    pinned = f", {shell.plain(served.pin)}" if served.pin else ""
    st.markdown(
        f"## **{shell.plain(served.model)}** ({shell.plain(served.device)}) is served since "
        f"{shell.plain(numbers.minute(served.since))}{pinned}."
    )
    boxes = st.columns(4)
    boxes[0].metric("Served for", numbers.age(served.since), help=served.reference)
    boxes[1].metric("Model trained", _ago(served.trained_at), help=f"{served.trained_at} UTC")
    boxes[2].metric("Data read", _ago(served.data_at), help=f"{served.data}, {served.data_at} UTC")
    waiting = numbers.count(served.waiting)
    boxes[3].metric("Ratings not trained on", waiting, help="In the feedback log since the training data was read")
    stale = []
    if served.newer_data:
        stale.append(f"its data set was read again at {numbers.minute(served.newer_data)}")
    if served.newer_model:
        stale.append(f"a newer version of the model was trained at {numbers.minute(served.newer_model)}")
    if served.waiting:
        stale.append(f"{numbers.counted(served.waiting, 'rating')} came in since")
    if stale:
        st.warning(f"Not the freshest: {shell.plain(numbers.listed(stale))}.", icon=":material/schedule:")
    else:
        st.caption("Fresh: no newer version of its data or of the model is in the store, and no rating waits.")
    st.caption(f"Index {shell.plain(served.reference)}")
    if served.measured:
        st.caption(
            f"Refitted on all interactions at {shell.plain(numbers.minute(served.refitted_at))}, with the settings "
            f"of {shell.plain(served.measured)}, whose metrics vouch for it"
        )


def _ago(instant: str) -> str:
    age = numbers.age(instant)
    return age if age == numbers.NONE else f"{age} ago"


def _checks(found: list[Checked]) -> None:
    st.header("Are the newest versions fit to be served?")
    if not found:
        shell.missing("There is no trained model to check.", "movierec train model=ease")
        return
    failed = [one for one in found if not one.passed]
    if failed:
        st.markdown(f"**{len(failed)} of the {len(found)} checks that ran fail:**")
        for one in failed[:20]:
            name = f"{one.model} ({one.device}), {one.name.replace('_', ' ')}"
            st.markdown(f"✗ {shell.plain(name)}: {shell.sentence(one.sentence)}")
    else:
        st.markdown(f"**All {len(found)} checks that ran pass.**")
    names = list(dict.fromkeys(one.name for one in found))
    table: dict[tuple[str, str], dict[str, Any]] = {}
    for one in found:
        row = table.setdefault((one.model, one.device), {"Model": one.model, "Device": one.device})
        row[one.name.replace("_", " ")] = "✓" if one.passed else "✗ fails"
    columns = [name.replace("_", " ") for name in names]
    rows = [{**row, **{name: row.get(name, numbers.NONE) for name in columns}} for row in table.values()]
    tables.show(
        rows,
        hide_index=True,
        width="stretch",
        height="content" if len(rows) <= 14 else 500,
        column_config={"Model": st.column_config.TextColumn(width=130)},
    )
    left, right = st.columns([6, 1], vertical_alignment="center")
    canaries = {(one.model, one.device) for one in found if one.leak}
    without = [row["Model"] for key, row in table.items() if key not in canaries]
    text = (
        "–: not run, as the version has nothing of the kind, such as epochs. Leak canaries train a model twice again."
    )
    if without:
        text += f" None were run for {shell.plain(numbers.listed(without))}: `movierec canaries --model {without[0]}`."
    left.caption(text)
    with right:
        csv_button([vars(one) for one in found], "checks", "Table (CSV)")


def _feedback(root: Path, data: str) -> None:
    st.header("Feedback")
    try:
        sets = feedback.data_sets(root)
    except MovierecError as error:
        shell.notes([f"Feedback cannot be read: {error}"])
        return
    if not sets:
        shell.missing(
            "No feedback yet. The API records it:",
            f"curl -X POST {api_health.address()}/api/feedback -H 'Content-Type: application/json' \\\n"
            '  -d \'{"user_id": 1, "movie_id": 318, "kind": "rating", "rating": 5}\'',
        )
        return
    if data not in sets:
        st.info(f"There is no feedback on {shell.plain(data)}; there is some on {shell.plain(numbers.listed(sets))}.")
        return
    found = _said(str(root), data, feedback.signature(root))
    if found.problem:
        shell.notes([f"The feedback log of {data} cannot be read: {found.problem}"])
        return
    if not found.by_day:
        st.info("The feedback log is empty.")
        return
    left, right = st.columns(2, gap="large")
    with left:
        charts.draw(plots.by_day(list(found.by_day), found.totals), found.by_day, "feedback-by-day")
    with right:
        _experiments(found)


def _experiments(found: Feedback) -> None:
    experiments = list(
        dict.fromkeys(str(row["experiment"]) for row in (*found.rates, *found.duels) if row["experiment"])
    )
    if not experiments:
        shell.missing(
            "No experiment has shown a list yet.", "movierec serve  # with experiment.name in configs/serving"
        )
        return
    experiment = state.choose("Experiment", "experiment", experiments)
    rows = plots.rate_rows(found.rates, experiment)
    if rows:
        charts.draw(plots.rates(rows, experiment), rows, "experiment-rates")
    duels = plots.duel_rows(found.duels, experiment)
    if duels:
        charts.draw(plots.duels(duels, found.duels, experiment), duels, "experiment-duels")
    refitted = found.refitted.get(experiment, {})
    if len({*refitted.values()}) > 1:
        more, less = ([model for model, own in refitted.items() if own is which] for which in (True, False))
        st.caption(
            f"Not comparable: {numbers.listed(more)} answers refitted on all interactions, as promoted versions do, "
            f"{numbers.listed(less)} as measured, without the held-out ones."
        )


@st.fragment(run_every=API_SECONDS)
def _api() -> None:
    """The API's health, drawn anew as it is asked again in the background."""
    st.header("Does the API answer?")
    url = api_health.address()
    found = _asking(url).latest(TIMEOUT_SECONDS)
    if found is None:
        st.info(f"Asking {url} …")
    elif found.problem:
        shell.missing(
            f"The API is not running at `{url}` ({shell.plain(found.problem)}). MOVIEREC_API_URL names "
            "another address.",
            "movierec serve",
        )
    else:
        _health(found, url)


def _fallback(lists: dict[str, int]) -> str:
    """How many lists popularity answered, as for people whom the model knows too little of; "" without any list."""
    total = sum(lists.values())
    if not total:
        return ""
    found = share_with_interval("fallback", lists.get("popularity", 0), total)
    interval = numbers.percent_interval(found["fallback_low"], found["fallback_high"])
    return (
        f"Fallback rate: popularity answered **{numbers.percent(found['fallback'])}** {interval} of "
        f"{numbers.counted(total, 'list')} since the API's start; {lists.get('fold-in', 0):,} were folded in."
    ).replace("[", "\\[")


def _health(found: Health, url: str) -> None:
    state_text = "is ready" if found.ready else f"is not ready ({shell.plain(found.status) or 'no reason given'})"
    serving = f" and answers from **{shell.plain(found.serving.get('model', '?'))}**" if found.serving else ""
    st.markdown(f"**The API at `{url}` {state_text}**{serving}.")
    requests = sum(one.requests for one in found.endpoints)
    errors = sum(one.errors for one in found.endpoints)
    if said := _fallback(found.lists):
        st.markdown(said)
    boxes = st.columns(4)
    boxes[0].metric("Requests", f"{requests:,}", help="Since its start, /metrics itself included")
    boxes[1].metric("Server errors", f"{errors:,}", help="Answers of status 500 or more")
    boxes[2].metric("Refused requests", f"{sum(one.refused for one in found.endpoints):,}", help="Status 400 to 499")
    boxes[3].metric("Workers", numbers.count(found.workers))
    for reference, why in list(found.refused.items())[:10]:
        shell.notes([f"It refuses {reference}: {why}"])
    rows = plots.endpoint_rows(found.endpoints)
    if rows:
        charts.draw(plots.latencies(rows), rows, "latencies")
    st.caption(f"Asked {numbers.duration(max(time.time() - found.asked_at, 0.001))} ago, every {API_SECONDS} s.")
