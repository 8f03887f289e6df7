"""The notes that people have pinned: to a part's reports, and to other reports and releases of the data set."""

from collections.abc import Collection, Iterable

from movierec_engine.errors import MovierecError
from movierec_engine.release.notes import Note, notes_about
from movierec_engine.reporting import numbers
from movierec_engine.reporting.comparable import within
from movierec_engine.reporting.html.document import Cell, Column, Prose, Row, Section, Table
from movierec_engine.reporting.html.ranking import Ranking
from movierec_engine.store import ArtifactStore, kinds, parse_reference

_CAPTION = "Notes, the oldest first"


def notes_of_part(ranking: Ranking) -> list[Section]:
    """The notes on a part's reports; no section where there are none."""
    labels = {one.artifact.reference: label for label, one in ranking.reports.items()}
    found, missing = _notes(ranking.store, labels)
    rows = [(labels[note.subject], note) for note in found]
    return _section("notes", "Notes", "What people have pinned to these reports.", rows, missing)


def other_notes(store: ArtifactStore, data_set: str, shown: Collection[str]) -> list[Section]:
    """The notes on releases and on reports that no part shows. shown: references of those that are shown."""
    subjects = [
        f"{slot}/{version}"
        for kind in (kinds.EVALUATION_REPORT, kinds.RELEASE_DECISION)
        for slot in store.slots(kind, data_set)
        for version in store.storage.versions(slot)
    ]
    found, missing = _notes(store, [one for one in subjects if one not in shown])
    rows = [(_name(note.subject), note) for note in found]
    lede = "What people have pinned to releases, and to reports that stand in no table above."
    return _section("release-notes", "Notes on releases and other reports", lede, rows, missing)


def _notes(store: ArtifactStore, subjects: Iterable[str]) -> tuple[list[Note], str]:
    """The notes that hold, oldest first; and why they cannot be read, else ""."""
    try:
        found = notes_about(store, subjects)
    except (MovierecError, OSError) as error:
        return [], f"The notes cannot be read: {within(store, error)}."
    held = [note for own in found.values() for note in own if not note.withdrawn_at]
    return sorted(held, key=lambda note: note.at), ""


def _section(name: str, title: str, lede: str, rows: list[tuple[str, Note]], missing: str) -> list[Section]:
    if missing:
        return [Section(name, title, lede, (Prose(missing, quiet=True),))]
    if not rows:
        return []
    columns = (Column("About", words=True), Column("Note", words=True), Column("When", "and by whom", words=True))
    table = tuple(
        Row(Cell(about), (Cell(" ".join(note.text.split())), Cell(numbers.minute(note.at), note.author)))
        for about, note in rows
    )
    return [Section(name, title, lede, (Table(_CAPTION, columns, table),))]


def _name(reference: str) -> str:
    slot, version = parse_reference(reference)
    what = "Release decision" if slot.kind == kinds.RELEASE_DECISION else f"Report of {slot.label}"
    return f"{what} {version}"
