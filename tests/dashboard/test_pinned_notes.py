"""Notes on the pages: pinned, escaped, shown at the report and the decision, withdrawn; none where it is read-only."""

from collections.abc import Callable

import pytest
from page_reading import text
from streamlit.testing.v1 import AppTest

from movierec_engine.release.notes import notes_about, pin_note
from movierec_engine.store import ArtifactStore, Slot

Open = Callable[..., AppTest]


def test_a_note_is_pinned_on_the_leaderboard_and_withdrawn(visit: Open, damaged: ArtifactStore) -> None:
    report = damaged.require(Slot("evaluation_report", "tiny", "ease", "cpu")).reference
    app = visit(damaged, "leaderboard")
    app.selectbox(key="noted reports").select(report)
    app.text_area(key="note reports").set_value("<script>alert(1)</script> **bold**\nsecond line")
    app.text_input(key="author reports").set_value("Ada")
    app.button(key="FormSubmitter:pin a note reports-Pin").click().run()
    assert not app.exception
    (note,) = notes_about(damaged, [report])[report]
    assert note.author == "Ada"
    (shown,) = (one.value for one in app.markdown if "noted by Ada" in one.value)
    assert r"\<script\>alert(1)\</script\> \*\*bold\*\*" in shown
    assert "  \nsecond line" in shown
    app.button(key="withdraw reports").click().run()
    assert "withdrawn" in text(app) and "second line" not in text(app)


def test_a_note_about_a_decision_stands_at_the_decision(
    visit: Open, damaged: ArtifactStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    decision = damaged.versions(Slot("release_decision", "tiny"))[-1]
    pin_note(damaged, decision.reference, "Rolled out on Monday.")
    monkeypatch.setenv("MOVIEREC_DASHBOARD_READ_ONLY", "yes")
    app = visit(damaged, "operations", decision=decision.version)
    assert "Rolled out on Monday" in text(app)
    assert not [one for one in app.text_area if one.key == "note release"], "it is read-only"
