"""Stores with no model, one, forty, and with nothing but damaged reports: every page says something of use."""

from collections.abc import Callable

import pytest
from page_reading import text, titles
from streamlit.testing.v1 import AppTest

from movierec_engine.store import Artifact, ArtifactStore

Open = Callable[..., AppTest]
OF_REPORTS = ("leaderboard", "compare", "side_by_side", "tradeoffs", "segments")


@pytest.mark.slow
@pytest.mark.parametrize("page", ["leaderboard", "compare", "tradeoffs"])
def test_forty_models_are_readable(
    visit: Open, store: ArtifactStore, publish: Callable[..., Artifact], page: str
) -> None:
    for number in range(40):
        publish(f"model_{number:02d}", 0.2 + 0.001 * number)
    app = visit(store, page)
    assert titles(app) or app.dataframe
    if page == "leaderboard":
        assert len(app.dataframe[0].value) == 40
        assert "model_39" in text(app)


@pytest.mark.parametrize("page", OF_REPORTS)
def test_one_model_is_shown_and_what_is_missing_is_said(
    visit: Open, store: ArtifactStore, publish: Callable[..., Artifact], page: str
) -> None:
    publish("ease", 0.2)
    app = visit(store, page)
    if page == "compare":
        assert "There is only one model here" in text(app)
        assert "movierec train model=ease" not in app.code[0].value, "it is there: another one is needed"
    elif page == "side_by_side":
        assert "Choose two or more reports" in text(app)
    elif page == "segments":
        assert "The baseline has not been measured" in text(app)
    else:
        assert titles(app)


@pytest.mark.parametrize("page", OF_REPORTS)
def test_nothing_but_damaged_reports_is_said_with_the_way_out(
    visit: Open, store: ArtifactStore, publish: Callable[..., Artifact], page: str
) -> None:
    for model in ("ease", "als"):
        (publish(model, 0.2).folder / "report.json").write_text("half", encoding="utf-8")
    app = visit(store, page)
    assert "2 of 2 reports unreadable" in text(app)
    assert "None of the reports can be read" in text(app), "which is not the same as none"
    assert "delete the folder evaluation_report/small/als/cpu" in text(app)
