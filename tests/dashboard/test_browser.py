"""What pages ask of the browser: their address, their icon, and what a screen reader says of a chart."""

from collections.abc import Callable
from pathlib import Path

import pytest
from page_reading import drawn, text, titles
from streamlit.testing.v1 import AppTest

from dashboard import browser
from movierec_engine.store import ArtifactStore, Slot

Open = Callable[..., AppTest]


@pytest.mark.parametrize(
    ("page", "asked", "said"),
    [
        (
            "leaderboard",
            {
                "metric": "nonsense",
                "metrics": "nobody",
                "since": "yesterday",
                "ticked": "als/cpu/1",
                "picked": "nobody",
            },
            ["metric=nonsense, which is not to be had here; ndcg is shown instead"],
        ),
        ("leaderboard", {"since": "9999-01-01", "metrik": "ndcg"}, ["metrik=ndcg, and nothing here is called metrik"]),
        ("explore", {"dial_novelty": "7"}, []),
        ("compare", {"user": "4711", "models": "nobody"}, []),
        ("training", {"differing": "maybe"}, []),
    ],
)
def test_a_value_of_the_address_that_is_not_to_be_had_is_said(
    visit: Open, known: ArtifactStore, page: str, asked: dict[str, str], said: list[str]
) -> None:
    app = visit(known, page, **asked)
    expected = [f"{name}={value}, which is not to be had here" for name, value in asked.items() if name != "metrik"]
    for one in (*expected, *said):
        assert f"The address asks for {one}" in text(app)
    app.run()
    assert "The address asks for" not in text(app), "the address has what is shown by now"


def test_what_is_told_of_movies_and_is_none_is_said(visit: Open, known: ArtifactStore) -> None:
    app = visit(known, "explore", who="history", told="10:4,nothing,4711:3")
    assert "The address asks for told=nothing,4711:3, which is not to be had here" in text(app)
    assert app.query_params["told"] in ("10:4", ["10:4"])


def test_switches_and_ticks_stand_in_the_address(visit: Open, known: ArtifactStore) -> None:
    app = visit(known, "training")
    app.toggle(key="differing").set_value(False).run()
    assert app.query_params["differing"] in ("no", ["no"])
    again = visit(known, "training", differing="no")
    assert again.toggle(key="differing").value is False
    app = visit(known, "explore", explained="yes")
    assert app.toggle(key="explained").value is True
    report = known.require(Slot("evaluation_report", "tiny", "popularity", "cpu"))
    ticked = f"popularity/cpu/{report.version}"
    app = visit(known, "leaderboard", ticked=ticked)
    assert app.query_params["ticked"] in (ticked, [ticked])
    assert {row["model"]: row["chosen"] for row in drawn(app, "ease")} == {"ease": False, "popularity": True}


@pytest.mark.parametrize("page", ["leaderboard", "tradeoffs"])
def test_a_model_of_the_address_stands_out_and_leads_on(visit: Open, known: ArtifactStore, page: str) -> None:
    app = visit(known, page, picked="popularity")
    assert {row["model"]: row["chosen"] for row in drawn(app) if "chosen" in row} == {"ease": False, "popularity": True}
    labels = [one.label for one in app.button]
    assert "Compare with ease" in labels and "Side by side with ease" in labels
    assert "For whom it is good" in labels and "Its lists" in labels
    app.button(key="unpick").click().run()
    assert "picked" not in app.query_params
    assert "Compare with ease" not in [one.label for one in app.button]


@pytest.mark.parametrize("page", ["leaderboard", "operations"])
def test_what_a_chart_concludes_is_text_of_the_page_and_told_to_a_screen_reader(
    visit: Open, known: ArtifactStore, page: str
) -> None:
    app = visit(known, page)
    said = titles(app)
    assert said
    for conclusion in said:
        assert f"**{conclusion}**" in text(app)


def test_the_icon_is_a_file_of_the_package() -> None:
    assert Path(browser.ICON).read_text(encoding="utf-8").startswith("<svg")
