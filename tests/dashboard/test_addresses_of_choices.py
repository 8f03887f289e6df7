"""The address after a choice: it has what the page shows, and what was chosen before is not held against it."""

from collections.abc import Callable

import pytest
from page_reading import text
from streamlit.testing.v1 import AppTest

from movierec_engine.store import ArtifactStore

Open = Callable[..., AppTest]


@pytest.mark.slow
def test_a_choice_that_the_page_has_no_box_for_just_now_leaves_the_address_and_comes_back(
    visit: Open, known: ArtifactStore
) -> None:
    app = visit(known, "explore", who="history", told="10:4")
    app.selectbox(key="who").select("user").run()
    assert "The address asks for" not in text(app)
    assert "told" not in app.query_params
    app.selectbox(key="who").select("history").run()
    assert app.query_params["told"] in ("10:4", ["10:4"])
