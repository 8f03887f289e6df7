"""Notes about reports and release decisions: shown where those are, pinned and withdrawn there."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import streamlit as st

from dashboard import shell
from dashboard.queries.store_files import Signature, folders, of_folder, stamp
from movierec_engine.errors import MovierecError
from movierec_engine.release.notes import LONGEST, LONGEST_NAME, Note, notes_about, pin_note, withdraw
from movierec_engine.reporting import numbers
from movierec_engine.store import kinds, parse_reference


def show(root: Path, subjects: Mapping[str, str], place: str) -> None:
    """The notes about some things, oldest first, and a form that pins another.

    subjects: reference -> label. place: tells the forms of several places on a page apart.
    """
    found = about(root, tuple(subjects))
    notes = [note for reference in subjects for note in found.get(reference, [])]
    for note in sorted(notes, key=lambda one: one.reference.rpartition("/")[2]):
        st.markdown(line(note, subjects[note.subject]))
    if shell.may_write():
        with st.popover("Notes", icon=":material/add_notes:", type="tertiary"):
            _pin_form(root, subjects, place)
            _withdraw_form(root, subjects, [note for note in notes if not note.withdrawn_at], place)


def listed(notes: Sequence[Note]) -> None:
    """Notes that stand as marks in the chart above, in words: for the keyboard, and for paper."""
    if notes:
        st.markdown("\n\n".join(line(note, subject_name(note.subject)) for note in notes[-_LISTED:]))
    if len(notes) > _LISTED:
        st.caption(f"The newest {_LISTED} of {len(notes)} notes.")


def subject_name(reference: str) -> str:
    """The report or the decision that a note is about, for people."""
    slot, version = parse_reference(reference)
    what = "release decision" if slot.kind == kinds.RELEASE_DECISION else f"report of {slot.label}"
    return f"{what} {version[:8]}-{version[9:13]}"


_LISTED = 20


def line(note: Note, label: str) -> str:
    """A note as Markdown, its own text escaped and its lines kept."""
    by = f" by {shell.plain(note.author)}" if note.author else ""
    head = f":material/sticky_note_2: **{shell.plain(label)}**, noted{by} {numbers.minute(note.at)}"
    if note.withdrawn_at:
        who = f" by {shell.plain(note.withdrawn_by)}" if note.withdrawn_by else ""
        return f":gray[{head}; withdrawn{who} {numbers.minute(note.withdrawn_at)}]"
    return "  \n".join([head, *map(shell.plain, note.text.split("\n"))])


def about(root: Path, subjects: tuple[str, ...]) -> dict[str, list[Note]]:
    """Reference -> the notes about it."""
    try:
        return _about(str(root), tuple(stamp(folder) for folder in folders(root / kinds.NOTE)), subjects)
    except (MovierecError, OSError) as error:
        shell.notes([f"The notes cannot be read: {error}"])
        return {}


@st.cache_data(show_spinner=False, max_entries=64, ttl=600)
def _about(root: str, seen: Signature, subjects: tuple[str, ...]) -> dict[str, list[Note]]:
    return notes_about(of_folder(Path(root)), subjects) if seen else {}


def _pin_form(root: Path, subjects: Mapping[str, str], place: str) -> None:
    with st.form(f"pin a note {place}", border=False, clear_on_submit=True):
        st.selectbox("About", list(subjects), key=f"noted {place}", format_func=subjects.__getitem__)
        st.text_area("Note", key=f"note {place}", max_chars=LONGEST)
        st.text_input("By (optional)", key=f"author {place}", max_chars=LONGEST_NAME)
        st.form_submit_button("Pin", icon=":material/push_pin:", on_click=_pin, args=(root, place))


def _withdraw_form(root: Path, subjects: Mapping[str, str], notes: list[Note], place: str) -> None:
    if not notes:
        return
    names = {note.reference: f"{subjects[note.subject]}: {note.text[:40]}" for note in notes}
    with st.expander("Withdraw a note"):
        st.selectbox("Note", list(names), key=f"withdrawn {place}", format_func=names.__getitem__)
        st.text_input("By (optional)", key=f"withdrawn by {place}", max_chars=LONGEST_NAME)
        st.button("Withdraw", key=f"withdraw {place}", on_click=_withdraw, args=(root, notes, place))


def _pin(root: Path, place: str) -> None:
    subject, text, author = (st.session_state[f"{name} {place}"] for name in ("noted", "note", "author"))
    shell.change(lambda: pin_note(of_folder(root), subject, text, author), "The note is pinned.")


def _withdraw(root: Path, notes: list[Note], place: str) -> None:
    chosen, author = st.session_state[f"withdrawn {place}"], st.session_state[f"withdrawn by {place}"]
    note = next(one for one in notes if one.reference == chosen)
    shell.change(lambda: withdraw(of_folder(root), note, author), "The note is withdrawn.")
