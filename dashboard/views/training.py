"""Training: what is running, how runs learned, with which settings, and what they cost."""

import os
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import streamlit as st

from dashboard import charts, shell, state, tables
from dashboard.downloads import csv_button
from dashboard.plots import training as plots
from dashboard.queries import dagster_runs, store_files, training
from dashboard.queries.store_files import Signature
from dashboard.queries.training import Progress, Run
from movierec_engine.evaluation.metrics import metric_title
from movierec_engine.reporting import numbers
from movierec_engine.store import kinds
from movierec_engine.tracking.server import without_credentials

LIVE_SECONDS = 2
USUAL = 6
"""Runs that are shown by default."""


def page() -> None:
    root = store_files.store_root()
    seen = store_files.signature(root, kinds.TRAINED_MODEL)
    shell.watch(lambda: store_files.signature(root, kinds.TRAINED_MODEL), seen)
    states = training.states(root)
    shell.watch(lambda: training.states(root), states)
    st.title("Training")
    _live(root)
    runs = _runs(str(root), seen)
    if not runs:
        _curves(root, {})
        shell.empty(
            "No trained models yet",
            "Train one; it shows here epoch by epoch while it runs.",
            "movierec train model=lightgcn\n# or everything\nmovierec demo",
            root,
        )
        return
    _compare(root, runs)


@st.cache_data(show_spinner=False, max_entries=4, ttl=600)
def _runs(root: str, seen: Signature) -> list[Run]:
    return training.runs(Path(root))


@st.cache_data(show_spinner=False, max_entries=128, ttl=600)
def _history(path: str) -> list[dict[str, float]]:
    return training.history(Path(path))


@st.fragment(run_every=LIVE_SECONDS)
def _live(root: Path) -> None:
    """The runs that are on, drawn anew while they go on."""
    for progress in training.in_progress(root):
        with st.container(border=True):
            _progress(progress)


def _progress(progress: Progress) -> None:
    done = int(progress.epochs[-1]["epoch"]) if progress.epochs else 0
    last = progress.epochs[-1] if progress.epochs else {}
    name = f"**{shell.plain(progress.name)}** ({shell.plain(progress.model)} on {shell.plain(progress.device)})"
    passed = numbers.duration((time.time() if progress.state == "running" else progress.changed) - progress.started)
    if progress.state != "running":
        end = "failed" if progress.state == "failed" else "stopped before it was finished"
        why = f": {shell.plain(progress.reason)}" if progress.reason else ""
        st.warning(f"{name} {end} after {passed} and {numbers.counted(done, 'epoch')}{why}.", icon=":material/error:")
        return
    limit = f" of at most {progress.max_epochs:,}" if progress.max_epochs else ""
    state_text = f"epoch {done:,}{limit}" if done else "fitting"
    reached = [f"loss {numbers.score(last['loss'])}"] if "loss" in last else []
    if progress.metric in last:
        reached.append(
            f"validation {shell.plain(metric_title(progress.metric))} {numbers.score(last[progress.metric])}"
        )
    st.markdown(f":material/play_circle: {name} is running: {', '.join([state_text, *reached])}, {passed} so far.")
    if best := plots.best_rows(plots.curve_rows({"": list(progress.epochs)}, progress.metric), progress.metric):
        text = f"Best: {numbers.score(best[0]['value'])} at epoch {best[0]['epoch']:,}"
        if progress.patience:
            text += f"; it stops at epoch {best[0]['epoch'] + progress.patience:,} unless a later one is better"
        st.caption(f"{text}.")
    if progress.max_epochs and done:
        st.progress(min(done / progress.max_epochs, 1.0))


ALL = "all"


def _of_data_set(runs: list[Run]) -> list[Run]:
    """The runs on the chosen data set; no box where there is one alone."""
    sets = list(dict.fromkeys(run.data for run in runs))
    if len(sets) < 2:
        return runs
    show = {ALL: "All data sets"}
    data = state.choose("Data set", "data", [*sets, ALL], lambda name: show.get(name, name), width=170)
    return [run for run in runs if data in (ALL, run.data)]


def _compare(root: Path, runs: list[Run]) -> None:
    runs = _of_data_set(runs)
    labels = _labels(runs)
    by_label = {label: run for run, label in zip(runs, labels, strict=True)}
    usual = _newest_of_each(runs)
    chosen = state.choose_many(
        "Runs",
        "runs",
        list(by_label),
        [label for label, run in by_label.items() if run.id in usual],
        explanation=f"The newest {training.PER_SLOT} of each model and device can be chosen",
    )
    shown = {label: by_label[label] for label in chosen}
    models = {label: run.model for label, run in shown.items()}
    _curves(root, shown)
    _resources(shown, models)
    _settings(shown)


def _labels(runs: list[Run]) -> list[str]:
    """A model's newest run by its name, the others with their time; device and data set where there are several."""
    several, sets = len({run.device for run in runs}) > 1, len({run.data for run in runs}) > 1
    labels: list[str] = []
    for run in runs:
        name = f"{run.model} ({run.device})" if several else run.model
        name = f"{run.data} · {name}" if sets else name
        if name in labels:
            name = f"{name} {numbers.minute(run.created_at)}"
        if name in labels:
            name = f"{name} {run.version[-4:]}"
        labels.append(name)
    return labels


def _newest_of_each(runs: list[Run]) -> set[str]:
    """The newest run of each model and device that has a learning curve, at most USUAL; else just the newest runs."""
    newest: dict[tuple[str, str, str], Run] = {}
    for run in runs:
        newest.setdefault((run.data, run.model, run.device), run)
    learned = [run for run in newest.values() if run.history is not None]
    return {run.id for run in (learned or list(newest.values()))[:USUAL]}


def _curves(root: Path, shown: dict[str, Run]) -> None:
    """The learning curves of the chosen runs, and of those that go on."""
    histories = {label: _history(str(run.history)) for label, run in shown.items() if run.history}
    histories = {label: rows for label, rows in histories.items() if rows}
    closed = [label for label, run in shown.items() if run.history is None]
    unreadable = [label for label in shown if label not in histories and label not in closed]
    live = [list(one.epochs) for one in training.in_progress(root) if one.state == "running" and one.epochs]
    measured = dict.fromkeys(name for rows in [*histories.values(), *live] for row in rows[:1] for name in row)
    metrics = [name for name in measured if name not in ("epoch", "seconds")]
    if metrics:
        left, right = st.columns(2)
        with left:
            metric = state.choose("Curve", "curve", metrics, _curve_name, default="ndcg@10")
        with right:
            names = {"epoch": "by epoch", "seconds": "by training time"}
            along = state.choose("X axis", "along", list(names), lambda name: names[name])
        st.fragment(_draw_curves, run_every=LIVE_SECONDS if live else None)(root, shown, histories, metric, along)
    elif shown:
        shell.missing(
            "None of these runs has a learning curve: models in closed form are fitted in one go. Choose others above, "
            "or train one by gradient.",
            "movierec train model=lightgcn",
        )
    if closed and histories:
        st.caption(f"Fitted in one go, without epochs to draw: {shell.plain(numbers.listed(closed))}.")
    if unreadable:
        shell.notes([f"The learning curve of {numbers.listed(unreadable)} cannot be read; train it again."])


def _draw_curves(
    root: Path, shown: dict[str, Run], histories: dict[str, list[dict[str, float]]], metric: str, along: str
) -> None:
    live = {f"{one.name}{plots.LIVE}": one for one in training.in_progress(root) if one.state == "running"}
    rows = plots.curve_rows(histories | {label: list(one.epochs) for label, one in live.items()}, metric)
    if not rows:
        return
    drawn = {row["model"] for row in rows}
    every: dict[str, Run | Progress] = {**{name: shown[name] for name in histories}, **live}
    runs = {label: run for label, run in every.items() if label in drawn}
    patience = {label: run.patience for label, run in runs.items() if run.patience and run.metric == metric}
    subtitle = "diamond: the best epoch of each run"
    if patience and along == "epoch":
        subtitle += "; thin line from it: the epochs that early stopping waits for a better one"
    if live:
        subtitle += "; dashed: still running"
    title = charts.title(plots.conclusion(rows, metric), subtitle, charts.WIDE)
    models = {label: run.model for label, run in runs.items()}
    charts.draw(plots.curves(rows, models, metric, along, title, patience), rows, f"learning-curves-{metric}")


def _curve_name(metric: str) -> str:
    return "Training loss" if metric == "loss" else f"Validation {metric_title(metric)}"


def _resources(shown: dict[str, Run], models: dict[str, str]) -> None:
    st.header("What the runs cost")
    rows: list[dict[str, Any]] = [
        {
            "model": label,
            "seconds": run.seconds,
            "seconds shown": numbers.duration(run.seconds),
            "memory": run.memory_mb,
            "memory shown": numbers.memory(run.memory_mb),
        }
        for label, run in shown.items()
        if run.seconds is not None and run.memory_mb is not None
    ]
    if rows:
        slowest, largest = (max(rows, key=lambda row: float(row[field])) for field in ("seconds", "memory"))
        left, right = st.columns(2, gap="large")
        with left:
            head = f"{slowest['model']} takes longest to train: {slowest['seconds shown']}"
            chart = plots.resources(rows, models, "seconds", "Training time, seconds", charts.title(head))
            charts.draw(chart, rows, "training-seconds")
        with right:
            head = f"{largest['model']} needs most memory: {largest['memory shown']}"
            title = charts.title(head, "of the whole process, so models trained in one process share a peak")
            charts.draw(plots.resources(rows, models, "memory", "Peak memory, MB", title), rows, "training-memory")
    _table(shown)


def _table(shown: dict[str, Run]) -> None:
    dagster = dagster_runs.address()
    mlflow = without_credentials(os.environ.get("MLFLOW_TRACKING_URI", "").rstrip("/"))
    linked = mlflow.startswith(("http://", "https://"))
    table = [
        {
            "Run": label,
            "Device": run.device,
            "Made": f"{numbers.minute(run.created_at)}",
            "Data": run.data,
            "Fingerprint": run.fingerprint,
            "Epochs": run.epochs,
            "Best epoch": _best_epoch(run),
            "Patience": run.patience if run.history else None,
            "Seconds per epoch": round(run.seconds / run.epochs, 3) if run.seconds and run.epochs else None,
            "Validation NDCG@10": run.validation.get("ndcg@10"),
            "MLflow": f"{mlflow}/#/runs/{run.mlflow}" if linked and run.mlflow else run.mlflow,
            "Dagster": f"{dagster}/runs/{run.dagster}" if run.dagster else "",
        }
        for label, run in shown.items()
    ]
    link = st.column_config.LinkColumn(display_text=r"/runs/(.{8})", width="small")
    tables.show(
        table,
        hide_index=True,
        width="stretch",
        height="content",
        column_config={
            "MLflow": link if linked else st.column_config.TextColumn(width="small"),
            "Dagster": link,
            "Validation NDCG@10": st.column_config.NumberColumn(format="%.4f"),
        },
    )
    left, right = st.columns([6, 1], vertical_alignment="center")
    where = (
        "MLFLOW_TRACKING_URI"
        if linked
        else f"the store's own database: `mlflow ui --port 5001 --backend-store-uri sqlite:///{store_files.store_root()}/mlflow/mlflow.db`"
    )
    left.caption(
        f"MLflow: run ids of {where}. Dagster: at {shell.plain(dagster)} (MOVIEREC_DAGSTER_URL names another)."
    )
    with right:
        csv_button(table, "runs", "Table (CSV)")


def _best_epoch(run: Run) -> int | None:
    """The epoch whose weights were kept."""
    rows = plots.curve_rows({run.model: _history(str(run.history))}, run.metric) if run.history else []
    return plots.best_rows(rows, run.metric)[0]["epoch"] if rows else None


def _settings(shown: dict[str, Run]) -> None:
    st.header("Settings side by side")
    rows = setting_rows(shown)
    differing = [row for row in rows if row["differs"]]
    only = state.switch("Only what differs", "differing", default=True)
    listed = differing if only else rows
    if not listed:
        st.info("These runs have the same settings." if rows else "These runs have kept no settings.")
        return
    named = [{"Setting": row["setting"], **{label: row[label] for label in shown}} for row in listed]
    marks = {row["setting"] for row in differing}
    frame = pa.Table.from_pylist(named).to_pandas()
    style = frame.style.apply(
        lambda line: [_MARK if line["Setting"] in marks and place else "" for place in range(len(line))], axis=1
    )
    tables.show(style, hide_index=True, width="stretch", height="content" if len(named) <= 15 else 560)
    left, right = st.columns([6, 1], vertical_alignment="center")
    left.caption(f"{len(differing)} of {len(rows)} settings differ, tinted. – : the run has no such setting.")
    with right:
        csv_button(named, "settings", "Table (CSV)")


_MARK = "background-color: rgba(213, 94, 0, 0.14)"


def setting_rows(shown: dict[str, Run]) -> list[dict[str, Any]]:
    """One row a setting: its dotted name, each run's value as text, and whether they differ."""
    names = list(dict.fromkeys(name for run in shown.values() for name in run.config))
    rows = []
    for name in sorted(names):
        values = {label: (str(run.config[name]) or '""') if name in run.config else "–" for label, run in shown.items()}
        rows.append({"setting": name, **values, "differs": len(set(values.values())) > 1})
    return rows
