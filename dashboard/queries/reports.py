"""The newest evaluation reports as tables.

`load` reads one report of each model and device: the version that LATEST names, or the newest readable one. Its cost
grows with the number of models, not of versions. What cannot be read becomes a note, never an exception.
"""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from dashboard.queries.report_file import read_report
from dashboard.queries.store_files import folders, slot_folders, slot_of, wanted_first
from movierec_engine.data.table_file import connect
from movierec_engine.errors import StoreError
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
    + [("users", pa.int64())]
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


@dataclass(frozen=True)
class Snapshot:
    """The newest reports as tables `reports` (one row each) and `scores` (one row a report, metric and k)."""

    reports: pa.Table
    scores: pa.Table
    serving: dict[str, Serving]
    """Data set -> what is served of it."""
    notes: tuple[str, ...]
    """One sentence for each thing left out: the file, what is wrong with it, and the remedy."""


def load(root: Path) -> Snapshot:
    """The newest readable report of every data set, model and device, and what is served."""
    store = ArtifactStore(root)
    notes: list[str] = []
    reports: list[dict[str, Any]] = []
    scores: list[dict[str, Any]] = []
    for folder in slot_folders(root, kinds.EVALUATION_REPORT):
        found = _newest_report(store, folder, notes)
        if found is not None:
            artifact, report = found
            reports.append(_report_row(artifact, report))
            scores += _score_rows(artifact.reference, report)
    found_serving = {folder.name: _serving(store, folder.name, notes) for folder in folders(root / "pointers")}
    serving = {data: one for data, one in found_serving.items() if one is not None}
    return Snapshot(
        pa.Table.from_pylist(reports, schema=_REPORTS),
        pa.Table.from_pylist(scores, schema=_SCORES),
        serving,
        tuple(notes),
    )


def ask(snapshot: Snapshot, query: str, *values: object) -> list[tuple[Any, ...]]:
    with connect() as connection:
        connection.register("reports", snapshot.reports)
        connection.register("scores", snapshot.scores)
        return connection.execute(query, list(values)).fetchall()


def _newest_report(store: ArtifactStore, folder: Path, notes: list[str]) -> tuple[Artifact, dict[str, Any]] | None:
    """LATEST if it can be read, else the newest version that can; each slot adds at most one note."""
    slot = slot_of(store.root, folder)
    problems: list[str] = []
    found = None
    for version in wanted_first(folder):
        try:
            found = read_report(store, slot, folder / version)
            break
        except StoreError as error:
            problems.append(f"{error}; delete the folder {slot}/{version}")
    if problems:
        model, device = slot.model, slot.device
        more = f" ({len(problems) - 1:,} older damaged versions were skipped too)" if len(problems) > 1 else ""
        instead = f"version {found[0].version} is shown instead" if found else f"{model} on {device} is left out"
        notes.append(f"{problems[0]} and run `movierec train model={model} device={device}`; {instead}{more}.")
    return found


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
    }


def _seconds(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and value > 0 else None


def _score_rows(reference: str, report: dict[str, Any]) -> list[dict[str, Any]]:
    rows = []
    for name, score in report["metrics"].items():
        if match := _METRIC.fullmatch(name):
            low, high = report["intervals"].get(name, (None, None))
            rows.append(
                {
                    "id": reference,
                    "metric": match[1],
                    "k": int(match[2]),
                    "score": float(score),
                    "low": low,
                    "high": high,
                    "validation": report["validation_metrics"].get(name),
                }
            )
    return rows


def _serving(store: ArtifactStore, data: str, notes: list[str]) -> Serving | None:
    path = store.pointer_file(SERVING, data)
    where = path.relative_to(store.root).as_posix()
    try:
        pointer = json.loads(path.read_text(encoding="utf-8"))
        index = store.resolve(pointer["reference"])
        trained, since = str(index.parents[kinds.TRAINED_MODEL]), str(pointer.get("since", ""))
        refitted = str(index.parents.get(kinds.REFITTED_MODEL, ""))
        return Serving(index.reference, trained, since, index.slot.model, refitted)
    except FileNotFoundError:
        return None
    except (StoreError, OSError, ValueError, KeyError, TypeError, AttributeError):
        notes.append(
            f"{where} does not name a readable index, so what is served cannot be shown; promote a version again."
        )
        return None
