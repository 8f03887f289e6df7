"""The served model over time: its metric in every training, and the feedback on every release's lists."""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dashboard.queries.feedback import feedback_logs, liked_from
from dashboard.queries.report_file import read_report
from dashboard.queries.store_files import folders, slot_of, store_at
from movierec_engine.errors import MovierecError, StoreError
from movierec_engine.feedback.summary import version_rates
from movierec_engine.release.notes import Note, notes_about
from movierec_engine.store import kinds

MOST = 60
"""Trainings that are drawn, the newest."""


@dataclass(frozen=True)
class Training:
    """One training's report. Values of different set-ups are over other data, users or splits."""

    version: str
    at: str
    setup: str
    """Fingerprint of the evaluation set-up."""
    value: float
    low: float | None
    high: float | None
    reference: str = ""


def trainings(root: Path, data: str, model: str, device: str, metric: str) -> list[Training]:
    """The newest MOST readable reports of a model that hold a metric, oldest first."""
    store = store_at(root)
    folder = root / kinds.EVALUATION_REPORT / data / model / device
    found = []
    for version in folders(folder)[-MOST:]:
        try:
            artifact, report = read_report(store, slot_of(root, folder), version)
        except StoreError:
            continue
        if metric in report["metrics"]:
            low, high = report["intervals"].get(metric, (None, None))
            value = float(report["metrics"][metric])
            found.append(
                Training(
                    artifact.version, artifact.created_at, artifact.fingerprint, value, low, high, artifact.reference
                )
            )
    return found


def release_rates(root: Path, data: str) -> list[dict[str, Any]]:
    """Click and like rate of the lists of every version that answered, the first published first.

    Rows: model, version, lists, and click_rate and like_rate with _low and _high, the ends of Wilson's 95 % interval.
    """
    try:
        with closing(feedback_logs(root).of(data)) as log:
            rates = version_rates(log, liked_from(root, data))
    except (MovierecError, OSError, ValueError):
        return []
    return sorted((row for row in rates.values() if row["version"]), key=lambda row: str(row["version"]))


def notes(root: Path, subjects: Sequence[str]) -> list[Note]:
    """The notes about some reports and decisions, oldest first; none where they cannot be read."""
    try:
        found = notes_about(store_at(root), subjects)
    except (MovierecError, OSError, ValueError):
        return []
    return sorted((note for own in found.values() for note in own), key=lambda one: one.at)
