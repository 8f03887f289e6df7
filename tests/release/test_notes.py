"""Notes pinned to reports and decisions: kept for good, withdrawn with a trace, refused where they make no sense."""

from pathlib import Path

import pytest

from movierec_engine.errors import ConfigError, StoreError
from movierec_engine.evaluation.gate import ReleaseConfig
from movierec_engine.release.notes import notes_about, pin_note, withdraw
from movierec_engine.release.retention import prune
from movierec_engine.store import Artifact, ArtifactStore, Slot


@pytest.fixture
def report(tmp_path: Path) -> Artifact:
    store = ArtifactStore(tmp_path / "store")
    slot = Slot("evaluation_report", "small", "ease", "cpu")
    return store.publish(slot, lambda folder: None, key="k", fingerprint="f")


def store_of(report: Artifact) -> ArtifactStore:
    return ArtifactStore(Path(report.storage.location))


def test_a_note_stays_with_its_report_and_a_withdrawn_one_says_by_whom(report: Artifact) -> None:
    store = store_of(report)
    first = pin_note(store, report.reference, " The split was wrong.\nSee the log. ", "Ada")
    second = pin_note(store, report.reference, "<b>fine</b>\u202e now")
    withdraw(store, first, "Bob")
    ours = notes_about(store, [report.reference])[report.reference]
    assert [(one.text, one.author) for one in ours] == [
        ("The split was wrong.\nSee the log.", "Ada"),
        ("<b>fine</b> now", ""),
    ]
    assert ours[0].withdrawn_by == "Bob" and ours[0].withdrawn_at and not ours[1].withdrawn_at
    assert second.reference == ours[1].reference
    assert len(store.versions(Slot("pinned_note", "small"))) == 3, "the store keeps all that was said"


def test_notes_are_never_pruned(report: Artifact) -> None:
    store = store_of(report)
    for place in range(4):
        pin_note(store, report.reference, f"note {place}")
    prune(store, "small", 1, ReleaseConfig())
    assert len(notes_about(store, [report.reference])[report.reference]) == 4


@pytest.mark.parametrize("text", ["", "  \n ", "x" * 2_001])
def test_an_empty_or_endless_note_is_refused(report: Artifact, text: str) -> None:
    with pytest.raises(ConfigError, match="characters"):
        pin_note(store_of(report), report.reference, text)


def test_a_note_is_about_a_report_or_a_decision_that_is_there(report: Artifact) -> None:
    store = store_of(report)
    with pytest.raises(ConfigError, match="neither"):
        pin_note(store, "trained_model/small/ease/cpu/x", "text")
    with pytest.raises(StoreError, match="no version"):
        pin_note(store, "evaluation_report/small/ease/cpu/20200101T000000000Z-x-0000", "text")
    with pytest.raises(StoreError, match="cannot be part of"):
        pin_note(store, "../../etc", "text")
