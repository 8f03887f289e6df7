"""Notes that people pin to a report or a release decision.

A note is an artifact of its own, of kind `pinned_note`, which never changes and is never pruned; one that is withdrawn
stays, and a later one says by whom and when. Notes name what they are about in their facts instead of having it as a
parent, since they outlive it.
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from movierec_engine.errors import ConfigError, StoreError
from movierec_engine.store import ArtifactStore, Slot, content_key, kinds, parse_reference

LONGEST, LONGEST_NAME = 2_000, 60
"""Characters of a note, and of its author's name."""
SUBJECTS = (kinds.EVALUATION_REPORT, kinds.RELEASE_DECISION)


@dataclass(frozen=True)
class Note:
    """A note, or the withdrawal of one."""

    subject: str
    """Reference of the report or the decision that it is about."""
    text: str
    """Plain text, which every surface escapes."""
    author: str = ""
    """As its author wrote it; "" where nobody is named."""
    withdraws: str = ""
    """Reference of the note that this one withdraws, else ""."""
    at: str = ""
    """When, in ISO 8601; filled in when it is pinned, as the reference."""
    reference: str = ""
    withdrawn_at: str = ""
    withdrawn_by: str = ""


def pin_note(store: ArtifactStore, subject: str, text: str, author: str = "") -> Note:
    """Pin a note to a report or a release decision of the store.

    Raises ConfigError for an empty or too long text, StoreError for what is not there.
    """
    slot, version = parse_reference(subject)
    if slot.kind not in SUBJECTS:
        raise ConfigError(f"a note is about a report or a release decision, and {subject} is neither")
    text = text.strip()
    if not text or len(text) > LONGEST:
        raise ConfigError(f"a note has 1 to {LONGEST:,} characters, and this one has {len(text):,}; write it anew")
    store.get(slot, version)
    return _publish(store, Note(subject, _readable(text), _name(author)))


def withdraw(store: ArtifactStore, note: Note, author: str = "") -> Note:
    """Withdraw a note; it stays in the store, and the withdrawal names it."""
    return _publish(store, Note(note.subject, "", _name(author), withdraws=note.reference))


def notes_about(store: ArtifactStore, subjects: Iterable[str]) -> dict[str, list[Note]]:
    """The readable notes about each of some references, oldest first; those withdrawn say when and by whom."""
    wanted = set(subjects)
    sets = sorted({parse_reference(subject)[0].data_set for subject in wanted})
    made = [note for data_set in sets for note in _notes(store, data_set) if note.subject in wanted]
    gone = {note.withdraws: note for note in made if note.withdraws}
    found: dict[str, list[Note]] = {}
    for note in made:
        if not note.withdraws:
            by = gone.get(note.reference)
            known = replace(note, withdrawn_at=by.at, withdrawn_by=by.author) if by else note
            found.setdefault(note.subject, []).append(known)
    return found


def _notes(store: ArtifactStore, data_set: str) -> list[Note]:
    """Every readable note of a data set, oldest first; a note is its manifest's facts."""
    found = []
    for made in store.versions(Slot(kinds.NOTE, data_set)):
        texts = {name: str(made.facts.get(name, "")) for name in ("subject", "text", "author", "withdraws")}
        found.append(Note(**texts, at=made.created_at, reference=made.reference))
    return found


def _publish(store: ArtifactStore, note: Note) -> Note:
    facts = {name: value for name, value in asdict(note).items() if name in ("subject", "text", "author", "withdraws")}
    slot = Slot(kinds.NOTE, parse_reference(note.subject)[0].data_set)
    try:
        made = store.publish(slot, _nothing, key=content_key(facts), fingerprint="", facts=facts)
    except OSError as error:
        raise StoreError(
            f"{store.location}: the note could not be written ({error.strerror}); nothing changed"
        ) from error
    return replace(note, at=made.created_at, reference=made.reference)


def _nothing(_: Path) -> None:
    """A note has no files: its manifest holds it."""


def _name(author: str) -> str:
    name = _readable(" ".join(author.split()))
    if len(name) > LONGEST_NAME:
        raise ConfigError(f"an author's name has at most {LONGEST_NAME} characters, and this one has {len(name)}")
    return name


def _readable(text: str) -> str:
    """The text without what is not printable, such as marks that turn the direction of writing; lines stay."""
    return "".join(one for one in text.replace("\r\n", "\n") if one == "\n" or one.isprintable())
