"""The newest evaluation reports as tables.

`load` reads one report of each model and device in every evaluation set-up: the version that LATEST names, or the
newest readable one. Of all other versions it knows the manifest alone; `with_versions` reads those that are chosen.
What cannot be read becomes a note, never an exception.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from dashboard.queries.parquet import cursor
from dashboard.queries.report_file import read_report
from dashboard.queries.store_files import folders, slot_folders, slot_of, store_at
from dashboard.queries.versions import ReportVersion, report_versions
from movierec_engine.errors import StoreError
from movierec_engine.evaluation.metrics import metric_of
from movierec_engine.evaluation.reproduce import train_command
from movierec_engine.store import SERVING, Artifact, ArtifactStore, kinds

_METRIC = re.compile(r"(.+)@(\d{1,6})")

_TEXTS = (
    "id",
    "model",
    "device",
    "version",
    "data",
    "protocol",
    "fingerprint",
    "created_at",
    "code_version",
    "strategy",
)
_REPORTS = pa.schema(
    [
        (name, pa.string())
        for name in (*_TEXTS, kinds.TRAINED_MODEL, kinds.SPLITS, kinds.RAW_MOVIES, "command", "folder")
    ]
    + [(name, pa.float64()) for name in ("seconds", "memory_mb", "evaluation_seconds")]
    + [("users", pa.int64()), ("seed", pa.int64())]
)
_SCORES = pa.schema(
    [("id", pa.string()), ("metric", pa.string()), ("k", pa.int64())]
    + [(name, pa.float64()) for name in ("score", "low", "high", "validation")]
)


@dataclass(frozen=True)
class Serving:
    """The promoted index that the API answers from, and the trained model that it was built from."""

    index: str
    trained_model: str
    since: str
    model: str
    refitted_model: str = ""
    """The model that answers where `trained_model` was refitted on all interactions; else "": it answers itself."""
    fingerprints: frozenset[str] = frozenset()
    """The evaluation set-ups in which `trained_model` was measured."""


@dataclass(frozen=True)
class Snapshot:
    """The newest reports as tables `reports` (one row each) and `scores` (one row a report, metric and k).

    k is 0 for a metric without a depth.
    """

    reports: pa.Table
    scores: pa.Table
    serving: dict[str, Serving]
    """Data set -> what is served of it."""
    root: Path
    """Root folder of the store."""
    notes: tuple[str, ...]
    """One sentence for each thing left out: the file, what is wrong with it, and the remedy."""
    unreadable: int = 0
    """Reports that were wanted and cannot be read."""


def load(root: Path) -> Snapshot:
    """The newest readable report of every data set, model, device and evaluation set-up, and what is served."""
    store = store_at(root)
    notes: list[str] = []
    found: list[tuple[Artifact, dict[str, Any]]] = []
    unreadable = 0
    measured_in: dict[str, set[str]] = {}
    for folder in slot_folders(root, kinds.EVALUATION_REPORT):
        versions = report_versions(root, folder)
        readable, problems = _newest_reports(store, folder, versions, notes)
        found, unreadable = found + readable, unreadable + problems
        for one in versions:
            if isinstance(one, ReportVersion):
                measured_in.setdefault(one.trained_model, set()).add(one.fingerprint)
    found_serving = {folder.name: _serving(store, folder.name, notes) for folder in folders(root / "pointers")}
    serving = {
        data: replace(one, fingerprints=frozenset(measured_in.get(one.trained_model, ())))
        for data, one in found_serving.items()
        if one is not None
    }
    return Snapshot(*_tables(found), serving, root, tuple(notes), unreadable)


def with_versions(snapshot: Snapshot, versions: Sequence[ReportVersion]) -> Snapshot:
    """The same with further versions of reports; one that cannot be read becomes a note."""
    if not versions:
        return snapshot
    store, notes = store_at(snapshot.root), list(snapshot.notes)
    have = set(snapshot.reports.column("id").to_pylist())
    found = []
    for one in versions:
        if one.id not in have:
            folder = Path(one.folder)
            try:
                found.append(read_report(store, slot_of(store.root, folder.parent), folder))
            except StoreError as error:
                notes.append(f"{error}; it is left out.")
    reports, scores = _tables(found)
    both = pa.concat_tables([snapshot.reports, reports]), pa.concat_tables([snapshot.scores, scores])
    return replace(snapshot, reports=both[0], scores=both[1], notes=tuple(notes))


def _tables(found: Sequence[tuple[Artifact, dict[str, Any]]]) -> tuple[pa.Table, pa.Table]:
    return (
        pa.Table.from_pylist([_report_row(*one) for one in found], schema=_REPORTS),
        pa.Table.from_pylist(
            [row for one, report in found for row in _score_rows(one.reference, report)], schema=_SCORES
        ),
    )


def ask(snapshot: Snapshot, query: str, *values: object) -> list[tuple[Any, ...]]:
    with cursor() as connection:
        connection.register("reports", snapshot.reports)
        connection.register("scores", snapshot.scores)
        return connection.execute(query, list(values)).fetchall()


def _newest_reports(
    store: ArtifactStore, folder: Path, versions: Sequence[ReportVersion | Path], notes: list[str]
) -> tuple[list[tuple[Artifact, dict[str, Any]]], int]:
    """The first readable version of each set-up in a slot, and the number of unreadable ones; adds at most one note."""
    slot = slot_of(store.root, folder)
    problems: list[tuple[str, str]] = []
    found: dict[str, tuple[Artifact, dict[str, Any]]] = {}
    for one in versions:
        setup = one.fingerprint if isinstance(one, ReportVersion) else ""
        if setup in found or (not setup and found):
            continue
        version = Path(one.folder) if isinstance(one, ReportVersion) else one
        try:
            artifact, report = read_report(store, slot, version)
            found[artifact.fingerprint] = artifact, report
        except StoreError as error:
            problems.append((f"{error}; delete the folder {slot}/{version.name}", setup))
    if problems:
        model, device = slot.model, slot.device
        more = f" ({len(problems) - 1:,} older damaged versions were skipped too)" if len(problems) > 1 else ""
        problem, setup = problems[0]
        shown = found.get(setup) if setup else next(iter(found.values()), None)
        instead = f"version {shown[0].version} is shown instead" if shown else f"{model} on {device} is left out"
        notes.append(f"{problem} and run `movierec train model={model} device={device}`; {instead}{more}.")
    return list(found.values()), len(problems)


def _report_row(artifact: Artifact, report: dict[str, Any]) -> dict[str, Any]:
    return {
        **{name: report[name] for name in ("data", "protocol", "fingerprint", "created_at")},
        "model": artifact.slot.model,
        "device": artifact.slot.device,
        "id": artifact.reference,
        "version": artifact.version,
        "code_version": artifact.code_version,
        "strategy": str(split.get("strategy", "")) if isinstance(split := report.get("split"), dict) else "",
        kinds.TRAINED_MODEL: str(artifact.parents.get(kinds.TRAINED_MODEL, "")),
        "command": train_command(
            artifact.config, model=artifact.slot.model, device=artifact.slot.device, seed=report.get("seed")
        ),
        "folder": str(artifact.folder),
        kinds.SPLITS: str(artifact.parents.get(kinds.SPLITS, "")),
        kinds.RAW_MOVIES: str(artifact.parents.get(kinds.RAW_MOVIES, "")),
        "evaluation_seconds": _seconds(report.get("evaluation_seconds")),
        "seconds": float(report["seconds"]),
        "memory_mb": float(report["peak_memory_mb"]),
        "users": int(report["counts"].get("users_evaluated", 0)),
        "seed": seed if isinstance(seed := report.get("seed"), int) else None,
    }


def _seconds(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and value > 0 else None


def _score_rows(reference: str, report: dict[str, Any]) -> list[dict[str, Any]]:
    rows = []
    for name, score in report["metrics"].items():
        match = _METRIC.fullmatch(name)
        if match or metric_of(name):
            low, high = report["intervals"].get(name, (None, None))
            rows.append(
                {
                    "id": reference,
                    "metric": match[1] if match else name,
                    "k": int(match[2]) if match else 0,
                    "score": float(score),
                    "low": low,
                    "high": high,
                    "validation": report["validation_metrics"].get(name),
                }
            )
    return rows


def _serving(store: ArtifactStore, data: str, notes: list[str]) -> Serving | None:
    try:
        pointer = store.pointer(SERVING, data)
        if pointer is None:
            return None
        index = store.resolve(pointer["reference"])
        trained, since = str(index.parents[kinds.TRAINED_MODEL]), str(pointer.get("since", ""))
        refitted = str(index.parents.get(kinds.REFITTED_MODEL, ""))
        return Serving(index.reference, trained, since, index.slot.model, refitted)
    except (StoreError, KeyError, TypeError, AttributeError):
        notes.append(
            f"pointers/{data}/{SERVING}.json does not name a readable index, so what is served cannot be shown; "
            "promote a version again."
        )
        return None
