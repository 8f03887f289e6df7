"""The record of release decisions of a data set, and of the versions that were served before.

A decision is an artifact of kind `release_decision`; decision.json has all of it, the manifest's facts all but the
evidence. It is written before the pointers `serving` and `pinned` move, which then name it. A process that is killed in
between leaves a decision that was not carried out: the pointers are the truth, every decision says how they stood when
it was made, and so the next one tells what became of the last. Decisions are never pruned, and name artifacts in their
facts instead of having them as parents, since the record outlives what it is about.
"""

import getpass
import json
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from movierec_engine.errors import StoreError
from movierec_engine.pipeline.data import Origin
from movierec_engine.store import PINNED, SERVING, Artifact, ArtifactStore, Slot, content_key, is_refitted, kinds
from movierec_engine.store.objects import AwayError
from movierec_engine.tracking import registry

DECISION_FILE = "decision.json"
PROMOTED, KEPT, REFUSED, UNCHANGED = "promoted", "kept", "refused", "unchanged"
ROLLED_BACK, PIN, UNPIN, PRUNED = "rolled back", "pinned", "unpinned", "pruned"


@dataclass(frozen=True)
class Decision:
    """One decision; versions are references `<slot>/<version>`, empty where there is none."""

    data_set: str
    verdict: str
    """promoted, kept (the champion holds), refused (the challenger failed a check), unchanged (it is served already and
    nothing was recorded), rolled back, pinned, unpinned or pruned."""
    sentence: str
    """The decision and its reason."""
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
    """The reason that a person gave."""
    evidence: dict[str, Any] = field(default_factory=dict)
    origin: dict[str, str] = field(default_factory=dict)
    """The origin of the decision: dagster_run_id, or user."""
    moved_by: str = ""
    """The decision that let the pointer name the champion; filled in when it is recorded, as all that follows."""
    pinned_by: str = ""
    """The decision by which the champion was pinned, while that held."""
    at: str = ""
    """When, in ISO 8601."""
    reference: str = ""


def record(store: ArtifactStore, decision: Decision, origin: Origin | None) -> Decision:
    """Write a decision down; returns it with its time and its reference."""
    _, moved_by, pinned_by = _pointers(store, decision.data_set)
    origin = dict(origin or {"user": _user()})
    decision = replace(decision, origin=origin, moved_by=moved_by, pinned_by=pinned_by)
    content = {name: value for name, value in asdict(decision).items() if name not in ("at", "reference")}

    def write(folder: Path) -> None:
        (folder / DECISION_FILE).write_text(json.dumps(content, indent=1), encoding="utf-8")

    made = store.publish(
        Slot(kinds.RELEASE_DECISION, decision.data_set),
        write,
        key=content_key(content),
        fingerprint=str(decision.evidence.get("fingerprint", "")),
        origin=decision.origin,
        facts={name: value for name, value in content.items() if name not in ("evidence", "origin")},
    )
    return replace(decision, at=made.created_at, reference=made.reference)


def carry_out(store: ArtifactStore, decision: Decision, index: Artifact, details: dict[str, Any] | None = None) -> None:
    """Moves the serving pointer to the decided version and removes a pin on the previous one.

    MLflow's registry is told last, still one decision at a time, so that its alias names what the pointer does.
    """
    evidence = {
        "decision": decision.reference,
        "verdict": decision.verdict,
        "sentence": decision.sentence,
        kinds.TRAINED_MODEL: index.parents[kinds.TRAINED_MODEL],
        **({kinds.REFITTED_MODEL: index.parents[kinds.REFITTED_MODEL]} if is_refitted(index) else {}),
        **(details or {}),
    }
    store.point(SERVING, index, evidence)
    store.unpoint(PINNED, decision.data_set)
    registry.follow(store, decision.data_set)


def decisions(store: ArtifactStore, data_set: str) -> list[Decision]:
    """Every readable decision about a data set, oldest first. Raises AwayError while the store does not answer."""
    known = {item.name for item in fields(Decision)}
    found = []
    for made in store.versions(Slot(kinds.RELEASE_DECISION, data_set)):
        try:
            content = json.loads((made.verify(DECISION_FILE).folder / DECISION_FILE).read_text(encoding="utf-8"))
            known_values = {name: value for name, value in content.items() if name in known}
            found.append(Decision(**{**known_values, "at": made.created_at, "reference": made.reference}))
        except AwayError:
            raise
        except (StoreError, OSError, ValueError, TypeError):  # damaged; the others still tell
            continue
    return found


def carried_out(store: ArtifactStore, made: list[Decision]) -> list[bool]:
    """True for each decision about a data set, all of them, oldest first, that was carried out.

    The pointers, as the next decision or whoever looks now found them, stand as it would have them. One that was not
    carried out was interrupted between its record and the pointers.
    """
    return [_decided(decision) == found for decision, found in zip(made, _found_after(store, made), strict=True)]


def releases(store: ArtifactStore, data_set: str) -> list[str]:
    """References of the indices of a data set that were served, the one that is served now last.

    Rolling back takes away what it rolled back from, so that going back twice goes back two.
    """
    made = decisions(store, data_set)
    order = [made[0].champion] if made and made[0].champion else []
    for decision, (found, *_) in zip(made, _found_after(store, made), strict=True):
        if not found or order[-1:] == [found]:
            continue
        if decision.verdict == ROLLED_BACK and found in order:
            del order[len(order) - order[::-1].index(found) :]
        else:
            order.append(found)
    now = served_reference(store, data_set)
    return order if made or not now else [now]


def rolled_back_from(store: ArtifactStore, data_set: str) -> set[str]:
    """Keys of a data set's trained models that were rolled back from and not served since: the gate leaves them out."""
    out: set[str] = set()
    for decision in decisions(store, data_set):
        if decision.verdict == ROLLED_BACK and decision.champion_model:
            out.add(key_of(decision.champion_model))
        if decision.verdict in (PROMOTED, ROLLED_BACK) and decision.challenger_model:
            out.discard(key_of(decision.challenger_model))
    return out


def rolled_back_indices(store: ArtifactStore, data_set: str) -> set[str]:
    """References of a data set's indices that were rolled back from and not served since."""
    out: set[str] = set()
    for decision in decisions(store, data_set):
        if decision.verdict == ROLLED_BACK:
            out.add(decision.champion)
        if decision.verdict in (PROMOTED, ROLLED_BACK):
            out.discard(decision.served)
    return out


def key_of(reference: str) -> str:
    """The key in a version's name: equal for models of the same settings on the same split, trained again or not."""
    return [*reference.rsplit("/", 1)[-1].split("-"), "", ""][1]


def served_reference(store: ArtifactStore, data_set: str) -> str:
    """The reference that the pointer names, be it still there or not; "" while it names nothing that can be read."""
    return _pointers(store, data_set)[0]


def served_model(store: ArtifactStore, data_set: str) -> str:
    """The reference of the trained model that the pointer names beside its index, or ""."""
    return str(_evidence(_content(store, SERVING, data_set)).get(kinds.TRAINED_MODEL, ""))


def pin_of(store: ArtifactStore, data_set: str) -> dict[str, Any] | None:
    """The pin that holds: its reference, since when, and its evidence with the reason.

    It holds for one release: not for the same version once that is served again by a later decision.
    Raises StoreError for one that cannot be read: better nothing is replaced than what was pinned.
    """
    pin = store.pointer(PINNED, data_set)
    serving = _content(store, SERVING, data_set)
    same = pin and pin.get("reference") == serving.get("reference")
    return pin if same and _evidence(pin).get("moved_by", "") == _evidence(serving).get("decision", "") else None


def pinned_since(pin: dict[str, Any]) -> str:
    """A pin for people: `pinned since TIME (reason)`."""
    reason = pin.get("evidence", {}).get("reason")
    return f"pinned since {pin.get('since')}" + (f" ({reason})" if reason else "")


_Pointers = tuple[str, str, str]
"""The served index, the decision behind it, and the decision by which it is pinned; "" where there is none."""


def _pointers(store: ArtifactStore, data_set: str) -> _Pointers:
    """A data set's pointers as they stand now, an unreadable one as if it was not there."""
    serving = _content(store, SERVING, data_set)
    try:
        pin = pin_of(store, data_set)
    except AwayError:
        raise
    except StoreError:
        pin = None
    return tuple(
        str(one)
        for one in (  # type: ignore[return-value]
            serving.get("reference", ""),
            _evidence(serving).get("decision", ""),
            _evidence(pin).get("decision", ""),
        )
    )


def _decided(decision: Decision) -> _Pointers:
    """The pointers once a decision is carried out."""
    if decision.verdict in (PROMOTED, ROLLED_BACK):
        return decision.served, decision.reference, ""
    pins = {PIN: decision.reference, UNPIN: ""}
    return decision.served, decision.moved_by, pins.get(decision.verdict, decision.pinned_by)


def _found_after(store: ArtifactStore, made: list[Decision]) -> list[_Pointers]:
    """The pointers after each decision, as the next one found them, or as they stand now."""
    if not made:
        return []
    found = [(decision.champion, decision.moved_by, decision.pinned_by) for decision in made[1:]]
    return [*found, _pointers(store, made[0].data_set)]


def _content(store: ArtifactStore, pointer: str, data_set: str) -> dict[str, Any]:
    try:
        return store.pointer(pointer, data_set) or {}
    except AwayError:
        raise
    except StoreError:
        return {}


def _evidence(pointer: dict[str, Any] | None) -> dict[str, Any]:
    evidence = (pointer or {}).get("evidence")
    return evidence if isinstance(evidence, dict) else {}


def _user() -> str:
    try:
        return getpass.getuser()
    except OSError:  # a container's user without a name
        return "unknown"
