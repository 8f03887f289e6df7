"""What pages ask of the browser: their address, their icon, and what a screen reader says of a chart."""

from collections.abc import Callable
from pathlib import Path

import pytest
from page_reading import text, titles
from streamlit.testing.v1 import AppTest

from dashboard import browser
from movierec_engine.store import ArtifactStore

Open = Callable[..., AppTest]


@pytest.mark.parametrize(
    ("page", "name", "value", "said"),
    [
        ("leaderboard", "metric", "nonsense", "metric=nonsense, which is not to be had here; ndcg is shown instead"),
        ("leaderboard", "metrics", "nobody", "metrics=nobody, which is not to be had here"),
        ("explore", "dial_novelty", "7", "dial_novelty=7, which is not to be had here"),
        ("compare", "user", "4711", "user=4711, which is not to be had here"),
    ],
)
def test_a_value_of_the_address_that_is_not_to_be_had_is_said(
    visit: Open, known: ArtifactStore, page: str, name: str, value: str, said: str
) -> None:
    app = visit(known, page, **{name: value})
    assert f"The address asks for {said}" in text(app)
    app.run()
    assert "The address asks for" not in text(app), "the address has what is shown by now"


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
