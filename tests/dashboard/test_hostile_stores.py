"""Stores that mean harm, are odd, or go away: every page shows what it can, and nothing of them becomes markup."""

import re
import shutil
from collections.abc import Callable, Iterator

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from page_reading import text
from streamlit.testing.v1 import AppTest

from movierec_engine.feedback import Exposure, SqliteLog, log_file
from movierec_engine.release.decisions import Decision, record
from movierec_engine.release.notes import pin_note
from movierec_engine.reporting.kept_views import keep_view
from movierec_engine.store import Artifact, ArtifactStore, Slot

Open = Callable[..., AppTest]
Publish = Callable[..., Artifact]
OF_REPORTS = ("leaderboard", "compare", "side_by_side", "tradeoffs", "segments")
PAGES = (*OF_REPORTS, "training", "explore", "data", "sweeps", "operations")
HOSTILE = "<script>alert(1)</script> [x](http://x.y) **b** :red[z] :smile: `c` | \u202e" + "long" * 60
MARKUP = re.compile(r"(?<!\\)(<script|\[x\]\(|\*\*b\*\*|:red\[|:smile:)")
"""What of that would be markup, unless a backslash stands before it."""


def spoken(app: AppTest) -> Iterator[str]:
    """Every text of a page that Streamlit takes for Markdown."""
    for kind in ("markdown", "caption", "warning", "info", "error", "header", "title", "metric"):
        yield from (str(one.value) for one in app.get(kind))
    yield from (one.label for kind in ("button", "expander", "toggle") for one in app.get(kind))


@pytest.mark.slow
def test_texts_of_others_are_no_markup_on_any_page(visit: Open, damaged: ArtifactStore) -> None:
    """Titles, notes, views, decisions and experiments say what would be HTML, links, bold, icons and colours."""
    for folder in damaged.root.rglob("movies.parquet"):
        movies = pq.read_table(folder)
        titles = pa.array([f"{place} {HOSTILE}" for place in range(movies.num_rows)])
        pq.write_table(movies.set_column(movies.schema.get_field_index("title"), "title", titles), folder)
    report = damaged.require(Slot("evaluation_report", "tiny", "ease", "cpu"))
    pin_note(damaged, report.reference, HOSTILE, "**b**")
    record(damaged, Decision("tiny", "kept", HOSTILE, "**b**", HOSTILE), None)
    keep_view(damaged, "**b** [x](http://x.y)", "compare", {"a": HOSTILE})
    log = SqliteLog(log_file(damaged.root, "tiny"))
    log.expose([Exposure("h", 1, (10,), model="ease", version="v", experiment="**b** [x](y)", variant=":red[z]")])
    log.close()
    for page in PAGES:
        address = {"experiment": "**b** [x](y)"} if page == "operations" else {}
        found = [one for one in spoken(visit(damaged, page, **address)) if MARKUP.search(one)]
        assert not found, page
    assert "10" in text(visit(damaged, "explore", user=HOSTILE, like=HOSTILE, movie=HOSTILE))


@pytest.mark.parametrize("page", OF_REPORTS)
def test_odd_reports_break_no_page(visit: Open, store: ArtifactStore, publish: Publish, page: str) -> None:
    """Of one user, of users without a value, of the future, of a day that is none, and of a very long name."""
    nan = float("nan")
    for model, users in (("ease", [0.2]), ("als", [nan]), ("gmf", [0.2, nan, 0.1]), ("mlp", [])):
        folder = publish(model, 0.2, created_at="2999-01-01T00:00:00+00:00", counts={"users_evaluated": 1}).folder
        ids = pa.array(range(len(users)), pa.int64())
        pq.write_table(pa.table({"user_id": ids, "ndcg@10": pa.array(users, pa.float64())}), folder / "users.parquet")
    publish("x" * 200, 0.1, created_at="the day before", seconds=0.0)
    app = visit(store, page)
    assert "unknown split" in str([one.options for one in app.selectbox])


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES)
def test_a_store_that_goes_away_under_an_open_page_is_said(visit: Open, damaged: ArtifactStore, page: str) -> None:
    app = visit(damaged, page)
    shutil.rmtree(damaged.root)
    app.run()
    assert not app.exception
    assert "movierec" in "".join(one.value for one in app.code)


def test_a_store_that_takes_no_writing_is_said_in_a_sentence(visit: Open, damaged: ArtifactStore) -> None:
    for kind in ("kept_views", "pinned_note"):
        (damaged.root / kind).write_text("a file is in the way")
    app = visit(damaged, "leaderboard")
    app.text_input(key="view to keep").set_value("mine")
    app.button(key="FormSubmitter:keep a view-Keep").click().run()
    assert not app.exception
    assert app.toast[0].icon == ":material/warning:"
    app.text_area(key="note reports").set_value("a note")
    app.button(key="FormSubmitter:pin a note reports-Pin").click().run()
    assert not app.exception
    assert app.toast[0].icon == ":material/warning:"


def test_users_whose_ids_are_texts_are_named_as_they_are(visit: Open, damaged: ArtifactStore) -> None:
    """Ids that would be markup stand in the reports' files; the pages that list users show them."""
    names = {1: "**b**", 2: "[x](y)", 3: ":red[z]"}
    for path in damaged.root.glob("evaluation_report/tiny/*/cpu/*/*.parquet"):
        table = pq.read_table(path)
        if "user_id" in table.column_names:
            ids = pa.array([names[user] for user in table["user_id"].to_pylist()])
            pq.write_table(table.set_column(table.schema.get_field_index("user_id"), "user_id", ids), path)
    app = visit(damaged, "compare")
    assert list(app.dataframe[0].value["User"]) == ["**b**", ":red[z]", "[x](y)"]
    assert not [one for one in spoken(app) if MARKUP.search(one)]
