"""Queries about releases: what is served, its freshness, and the decisions about it."""

import json
from contextlib import closing
from dataclasses import dataclass, fields
from functools import lru_cache
from pathlib import Path
from typing import Any

from dashboard.queries.feedback import feedback_logs
from dashboard.queries.store_files import folders, slot_folders, slot_of, store_at
from movierec_engine.errors import MovierecError, StoreError
from movierec_engine.release.decisions import (
    DECISION_FILE,
    Decision,
    carried_out,
    pin_of,
)
from movierec_engine.store import PINNED, SERVING, Artifact, ArtifactStore, Slot, is_refitted, kinds, measured_index

MOST = 500
"""Decisions that are shown, newest first."""
POINTERS = (SERVING, PINNED)


@dataclass(frozen=True)
class Made:
    """A decision, and whether what it says is served was found so afterwards."""

    decision: Decision
    carried_out: bool


@dataclass(frozen=True)
class Served:
    """The served index, which the pointer names; texts are empty, and numbers None, where they are not known."""

    reference: str
    model: str
    device: str
    since: str
    trained_at: str
    data: str
    data_at: str
    pin: str
    newer_data: str
    """When a newer version of its data set was read, if one was."""
    newer_model: str
    """When a newer version of the same model and device was trained, if one was."""
    waiting: int | None
    """Ratings in the feedback log that its training data had not taken in."""
    problem: str = ""
    measured: str = ""
    """Reference of the measured index that vouches for it, where it was refitted on all interactions."""
    refitted_at: str = ""


def data_sets(root: Path) -> list[str]:
    """Names of the data sets that have trained models, or of which something is served."""
    return sorted({folder.name for place in (kinds.TRAINED_MODEL, "pointers") for folder in folders(root / place)})


def decisions(root: Path, data: str) -> tuple[list[Made], list[Path]]:
    """Read a data set's newest MOST decisions, newest first; and the folders of those that cannot be read."""
    newest = [
        version for folder in slot_folders(root, kinds.RELEASE_DECISION, data) for version in folders(folder)[-MOST:]
    ]
    found = {version: _decision(root, version) for version in newest}
    made = [decision for decision in found.values() if decision is not None]
    done = carried_out(store_at(root), made)
    unreadable = [version for version, decision in found.items() if decision is None]
    return [Made(decision, ok) for decision, ok in zip(made, done, strict=True)][::-1], unreadable


def served(root: Path, data: str) -> Served | None:
    """The promoted index of a data set; None while nothing is."""
    store = store_at(root)
    try:
        pointer = store.pointer(SERVING, data)
    except StoreError as error:
        return _unknown(str(error))
    if pointer is None:
        return None
    try:
        index = store.resolve(str(pointer["reference"]))
    except (StoreError, KeyError, OSError, ValueError):
        return _unknown(f"{pointer.get('reference', 'what the pointer names')} is not in the store")
    trained, raw = (_ancestor(store, index, kind) for kind in (kinds.TRAINED_MODEL, kinds.RAW_RATINGS))
    newest_model = _latest(store, trained.slot) if trained else None
    newest_data = _latest(store, raw.slot) if raw else None
    model, device = index.slot.model, index.slot.device
    return Served(
        reference=index.reference,
        model=model,
        device=device,
        since=str(pointer.get("since", "")),
        trained_at=trained.created_at if trained else "",
        data=raw.slot.data_set if raw else "",
        data_at=raw.created_at if raw else "",
        pin=_pin(store, data),
        newer_data=newest_data.created_at if raw and newest_data and newest_data.version > raw.version else "",
        newer_model=newest_model.created_at
        if trained and newest_model and newest_model.version > trained.version
        else "",
        waiting=_waiting(root, raw) if raw else None,
        measured=measured_index(index) if is_refitted(index) else "",
        refitted_at=index.created_at if is_refitted(index) else "",
    )


@lru_cache(maxsize=2_000)
def _decision(root: Path, folder: Path) -> Decision | None:
    """One version, which never changes; None when it cannot be used."""
    known = {item.name for item in fields(Decision)}
    try:
        artifact = store_at(root).get(slot_of(root, folder.parent), folder.name)
        content = json.loads((folder / DECISION_FILE).read_text(encoding="utf-8"))
        values = {name: value for name, value in content.items() if name in known}
        return Decision(**{**values, "at": artifact.created_at, "reference": artifact.reference})
    except (StoreError, OSError, ValueError, TypeError, AttributeError, RecursionError):
        return None


def _ancestor(store: ArtifactStore, artifact: Artifact, kind: str) -> Artifact | None:
    """The nearest artifact of a kind that this one was made from."""
    for reference in artifact.parents.values():
        try:
            parent = store.resolve(reference)
        except (StoreError, OSError, ValueError):
            continue
        found = parent if parent.slot.kind == kind else _ancestor(store, parent, kind)
        if found is not None:
            return found
    return None


def _latest(store: ArtifactStore, slot: Slot) -> Artifact | None:
    try:
        return store.latest(slot)
    except (StoreError, OSError, ValueError):
        return None


def _pin(store: ArtifactStore, data: str) -> str:
    """Since when, and why, what is served is pinned; "" where it is not."""
    try:
        found: dict[str, Any] = pin_of(store, data) or {}
    except StoreError as error:
        return str(error)
    if not found:
        return ""
    evidence = found.get("evidence")
    reason = evidence.get("reason") if isinstance(evidence, dict) else ""
    since = str(found.get("since", ""))[:16].replace("T", " ")
    return f"pinned since {since} UTC" + (f": {reason}" if reason else "")


def _waiting(root: Path, raw: Artifact) -> int | None:
    taken = raw.facts.get("feedback")
    if not isinstance(taken, dict):
        return None
    try:
        with closing(feedback_logs(root).of(raw.slot.data_set)) as log:
            return log.count_since(int(taken.get("newest_seq", 0)), "rating")
    except (MovierecError, OSError, ValueError):
        return None


def _unknown(problem: str) -> Served:
    return Served("", "", "", "", "", "", "", "", "", "", None, problem)
