"""The record of what was decided about what is served, and which versions were served before.

A decision is an artifact of kind `release_decision`; decision.json has all of it, the manifest's facts all but the
evidence. It is written before the `serving` pointer moves. A process that is killed in between leaves a decision that
was not carried out: the pointer is the truth, every decision names what the pointer named when it was made, and so the
next one tells what became of the last. Decisions are never pruned, and name artifacts in their facts instead of having
them as parents, since the record outlives what it is about.
"""

import getpass
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from movierec_engine.errors import StoreError
from movierec_engine.pipeline.data import Origin
from movierec_engine.store import SERVING, Artifact, ArtifactStore, Slot, content_key
from movierec_engine.tracking import registry

KIND = "release_decision"
DECISION_FILE = "decision.json"
PINNED = "pinned"
"""The pointer that names a pinned release. It holds while it names what is served."""

PROMOTED, KEPT, REFUSED, UNCHANGED = "promoted", "kept", "refused", "unchanged"
ROLLED_BACK, PIN, UNPIN, PRUNED = "rolled back", "pinned", "unpinned", "pruned"
_LOCK_SECONDS = 600


@dataclass(frozen=True)
class Decision:
    """One decision; versions are references `<slot>/<version>`, empty where there is none."""

    verdict: str
    """promoted, kept (the champion holds), refused (the challenger failed a check), unchanged (it is served already and
    nothing was recorded), rolled back, pinned, unpinned or pruned."""
    sentence: str
    """What was decided and why."""
    by: str
    """`gate` for the automatic comparison, else `hand`."""
    champion: str = ""
    """The index that the pointer named before."""
    served: str = ""
    """The index that the pointer names from now on."""
    challenger: str = ""
    """The index that might have been served instead, if it was found."""
    champion_model: str = ""
    challenger_model: str = ""
    """The trained models of both."""
    reason: str = ""
    """What a person gave as the reason."""
    evidence: dict[str, Any] = field(default_factory=dict)
    origin: dict[str, str] = field(default_factory=dict)
    """Who or what decided: dagster_run_id, or user."""
    at: str = ""
    """When, in ISO 8601; with `reference` filled in when it is recorded."""
    reference: str = ""


@contextmanager
def deciding(store: ArtifactStore) -> Iterator[None]:
    """One decision at a time: what it looks at stays until it is carried out. A killed process lets go of it."""
    lock = store.pointer_file(SERVING).with_name("decisions.lock")
    lock.parent.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(lock, timeout=_LOCK_SECONDS):
            yield
    except Timeout as error:
        raise StoreError(f"{lock}: another process has been deciding for {_LOCK_SECONDS} s; wait, or end it") from error


def record(store: ArtifactStore, decision: Decision, origin: Origin | None) -> Decision:
    """Write a decision down; returns it with its time and its reference."""
    decision = replace(decision, origin=dict(origin or {"user": _user()}))
    content = {name: value for name, value in asdict(decision).items() if name not in ("at", "reference")}

    def write(folder: Path) -> None:
        (folder / DECISION_FILE).write_text(json.dumps(content, indent=1), encoding="utf-8")

    made = store.publish(
        Slot(KIND),
        write,
        key=content_key(content),
        fingerprint=str(decision.evidence.get("fingerprint", "")),
        origin=decision.origin,
        facts={name: value for name, value in content.items() if name not in ("evidence", "origin")},
    )
    return replace(decision, at=made.created_at, reference=made.reference)


def carry_out(store: ArtifactStore, decision: Decision, index: Artifact, details: dict[str, Any] | None = None) -> None:
    """Let the pointer name what was decided; a pin on another version holds no more, and goes.

    MLflow's registry is told last, still one decision at a time, so that its alias names what the pointer does.
    """
    evidence = {
        "decision": decision.reference,
        "verdict": decision.verdict,
        "sentence": decision.sentence,
        "trained_model": index.parents["trained_model"],
        **(details or {}),
    }
    store.point(SERVING, index, evidence)
    if _named(store, PINNED) != index.reference:
        store.unpoint(PINNED)
    registry.follow(store, index)


def decisions(store: ArtifactStore) -> list[Decision]:
    """Every readable decision, oldest first."""
    known = {item.name for item in fields(Decision)}
    found = []
    for made in store.versions(Slot(KIND)):
        try:
            content = json.loads((made.verify(DECISION_FILE).folder / DECISION_FILE).read_text(encoding="utf-8"))
            known_values = {name: value for name, value in content.items() if name in known}
            found.append(Decision(**{**known_values, "at": made.created_at, "reference": made.reference}))
        except (StoreError, OSError, ValueError, TypeError):  # damaged; the others still tell
            continue
    return found


def carried_out(store: ArtifactStore, made: list[Decision]) -> list[bool]:
    """Whether each of all decisions, oldest first, was carried out: whether the next one, or the pointer, found it so.

    One that was not was interrupted between its record and the pointer.
    """
    return [decision.served == found for decision, found in zip(made, _found_after(store, made), strict=True)]


def releases(store: ArtifactStore) -> list[str]:
    """References of the indices that were served, the one that is served now last.

    Rolling back takes away what it rolled back from, so that going back twice goes back two.
    """
    made = decisions(store)
    order = [made[0].champion] if made and made[0].champion else []
    for decision, found in zip(made, _found_after(store, made), strict=True):
        if not found or order[-1:] == [found]:
            continue
        if decision.verdict == ROLLED_BACK and found in order:
            del order[len(order) - order[::-1].index(found) :]
        else:
            order.append(found)
    now = served_reference(store)
    return order if made or not now else [now]


def rolled_back_from(store: ArtifactStore) -> set[str]:
    """Keys of the trained models that were rolled back from and not served since: the gate leaves them out."""
    out: set[str] = set()
    for decision in decisions(store):
        if decision.verdict == ROLLED_BACK and decision.champion_model:
            out.add(key_of(decision.champion_model))
        if decision.verdict in (PROMOTED, ROLLED_BACK) and decision.challenger_model:
            out.discard(key_of(decision.challenger_model))
    return out


def key_of(reference: str) -> str:
    """The key in a version's name: equal for models of the same settings on the same split, trained again or not."""
    return [*reference.rsplit("/", 1)[-1].split("-"), "", ""][1]


def served_reference(store: ArtifactStore) -> str:
    """What the pointer names, be it still there or not; "" while it names nothing that can be read."""
    return _named(store, SERVING)


def pin_of(store: ArtifactStore) -> dict[str, Any] | None:
    """The pin that holds: its reference, since when, and its evidence with the reason.

    Raises StoreError for one that cannot be read: better nothing is replaced than what was pinned.
    """
    pin = store.pointer(PINNED)
    return pin if pin and pin.get("reference") == served_reference(store) else None


def pinned_since(pin: dict[str, Any]) -> str:
    """A pin for people: `pinned since TIME (reason)`."""
    reason = pin.get("evidence", {}).get("reason")
    return f"pinned since {pin.get('since')}" + (f" ({reason})" if reason else "")


def _found_after(store: ArtifactStore, made: list[Decision]) -> list[str]:
    """What was served once each decision was over, as the next one found it, or the pointer names it now."""
    return [decision.champion for decision in made[1:]] + ([served_reference(store)] if made else [])


def _named(store: ArtifactStore, pointer: str) -> str:
    try:
        content = store.pointer(pointer)
    except StoreError:
        return ""
    return str(content.get("reference", "")) if content else ""


def _user() -> str:
    try:
        return getpass.getuser()
    except OSError:  # a container's user without a name
        return "unknown"
