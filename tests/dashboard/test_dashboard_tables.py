"""Tables of the print view: whole, escaped, with the numbers as the grid has them."""

from collections.abc import Callable

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from dashboard import tables
from movierec_engine.store import ArtifactStore

Open = Callable[..., AppTest]


def test_cells_are_written_as_the_grid_has_them_and_escaped() -> None:
    rows = [
        {"Movie": "<b>M*A*S*H</b> & co", "Score": 0.123456, "n": 1200, "Mean": None},
        {"Movie": "x", "Score": float("nan"), "n": 3, "Mean": 0.5},
    ]
    columns = {"Mean": st.column_config.NumberColumn(format="%.1f")}
    names, texts = tables._texts(rows, columns)
    assert names == ["Movie", "Score", "n", "Mean"]
    assert texts == [["<b>M*A*S*H</b> & co", "0.1235", "1200", "–"], ["x", "–", "3", "0.5"]]
    assert "&lt;b&gt;M*A*S*H&lt;/b&gt; &amp; co" in tables._table(names, texts)


def test_the_print_view_has_whole_tables_and_no_grid(visit: Open, known: ArtifactStore) -> None:
    app = visit(known, "leaderboard")
    assert len(app.dataframe) == 1
    next(one for one in app.button if one.label == "Print or save").click().run()
    assert not app.exception
    assert not app.dataframe
    (table,) = (one.proto.body for one in app.get("html") if "<table" in one.proto.body)
    assert "<th>Model</th>" in table and "★ 0.6333" in table and ">ease</td>" in table
    next(one for one in app.button if one.label == "Back to the page").click().run()
    assert len(app.dataframe) == 1


IN_SLOW = [pytest.param(page, marks=pytest.mark.slow) for page in ("side_by_side", "training", "explore", "data")]


@pytest.mark.parametrize("page", ["compare", "segments", "operations", *IN_SLOW])
def test_every_page_has_a_print_view(visit: Open, known: ArtifactStore, page: str) -> None:
    app = visit(known, page)
    next(one for one in app.button if one.label == "Print or save").click().run()
    assert not app.exception
    assert not app.dataframe
