"""One version of an evaluation report, read and checked."""

import json
from pathlib import Path
from typing import Any

from movierec_engine.errors import StoreError
from movierec_engine.evaluation.report import REPORT_FILE, SCHEMA
from movierec_engine.store import Artifact, ArtifactStore, Slot

_LARGEST = 1e15
"""No number of a report is larger, or negative."""


def read_report(store: ArtifactStore, slot: Slot, folder: Path) -> tuple[Artifact, dict[str, Any]]:
    """A version's manifest and report, checked. Raises StoreError with the file and what is wrong with it."""
    for name in ("manifest.json", REPORT_FILE):
        if not (folder / name).is_file():
            raise StoreError(f"{slot}/{folder.name}/{name} is missing")
    where = f"{slot}/{folder.name}/{REPORT_FILE}"
    try:
        artifact = store.get(slot, folder.name)
    except (StoreError, OSError) as error:
        raise StoreError(f"{slot}/{folder.name}/manifest.json is not a readable manifest") from error
    try:
        artifact.verify(REPORT_FILE)
    except StoreError as error:
        raise StoreError(f"{where} does not match its manifest's checksum") from error
    try:
        report = json.loads((folder / REPORT_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise StoreError(f"{where} is not readable JSON") from error
    if not isinstance(report, dict):
        raise StoreError(f"{where} is not a report")
    if report.get("schema", SCHEMA) != SCHEMA:
        raise StoreError(f"{where} has schema {report['schema']}, this dashboard reads {SCHEMA}")
    for name, check in _CHECKS.items():
        if name not in report:
            raise StoreError(f"{where} lacks {name!r}, so an older program wrote it")
        if not check(report[name]):
            raise StoreError(f"{where} has an unusable {name!r}")
    return artifact, report


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= _LARGEST


def _is_text(value: object) -> bool:
    return isinstance(value, str) and value != "" and value.isprintable()


def _are_numbers(value: object) -> bool:
    return isinstance(value, dict) and all(map(_is_number, value.values()))


def _are_intervals(value: object) -> bool:
    return isinstance(value, dict) and all(
        isinstance(pair, list) and len(pair) == 2 and all(map(_is_number, pair)) for pair in value.values()
    )


_CHECKS = {
    **dict.fromkeys(("data", "protocol", "fingerprint", "created_at"), _is_text),
    **dict.fromkeys(("metrics", "validation_metrics", "counts"), _are_numbers),
    **dict.fromkeys(("seconds", "peak_memory_mb"), _is_number),
    "intervals": _are_intervals,
}
"""Checks of the fields that the pages need of a report."""
