"""Views by a name: kept, opened on another machine, renamed and deleted; refused where nothing may be written."""

from collections.abc import Callable

import pytest
from page_reading import text
from streamlit.testing.v1 import AppTest

from movierec_engine.reporting.kept_views import keep_view, kept_views
from movierec_engine.store import ArtifactStore

Open = Callable[..., AppTest]


def test_a_view_that_is_kept_opens_on_its_page_with_its_choices(visit: Open, damaged: ArtifactStore) -> None:
    app = visit(damaged, "compare", metric="disliked", a="popularity", b="ease")
    app.text_input(key="view to keep").set_value("Who is disliked <less>?")
    app.button(key="FormSubmitter:keep a view-Keep").click().run()
    assert not app.exception
    view = kept_views(damaged)["Who is disliked <less>?"]
    assert (view.page, view.choices["metric"], view.choices["a"]) == ("compare", "disliked", "popularity")

    other = visit(damaged, "leaderboard", view=view.name)  # another visitor, by the first page's address
    assert other.title[0].value == "Compare two"
    assert "**ease** is statistically tied with popularity on Disliked@2" in text(other)
    assert other.selectbox(key="a").value == "popularity"
    assert other.query_params["metric"] == "disliked"
    assert "view" not in other.query_params, "the address has the choices themselves from then on"


def test_a_view_leaves_the_visits_other_choices_behind(visit: Open, damaged: ArtifactStore) -> None:
    keep_view(damaged, "usual", "compare", {})
    app = visit(damaged, "compare", a="popularity", b="ease")
    app.query_params["view"] = "usual"
    app.run()
    assert app.selectbox(key="a").value == "ease", "the best comes first where nothing is chosen"


@pytest.mark.slow
def test_what_a_view_names_may_be_gone(visit: Open, damaged: ArtifactStore) -> None:
    keep_view(damaged, "old", "compare", {"a": "lightgcn", "metric": "ndcg"})
    said = text(visit(damaged, "compare", view="old"))
    assert "The address asks for a=lightgcn, which is not to be had here; ease is shown instead." in said
    assert "The view 'gone' is not kept in this store" in text(visit(damaged, "compare", view="gone"))
    keep_view(damaged, "of another release", "no_such_page", {})
    assert "a page that this release does not have" in text(visit(damaged, "compare", view="of another release"))


def test_a_view_is_renamed_and_deleted(visit: Open, damaged: ArtifactStore) -> None:
    keep_view(damaged, "one", "compare", {})
    app = visit(damaged, "leaderboard")
    app.text_input(key="new name of a view").set_value("two")
    next(one for one in app.button if one.label == "Rename").click().run()
    assert list(kept_views(damaged)) == ["two"]
    next(one for one in app.button if one.label == "Delete").click().run()
    assert not app.exception
    assert kept_views(damaged) == {}


def test_a_read_only_dashboard_offers_no_form_and_refuses_one_of_before(
    visit: Open, damaged: ArtifactStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = visit(damaged, "leaderboard")
    app.text_input(key="view to keep").set_value("mine")
    monkeypatch.setenv("MOVIEREC_DASHBOARD_READ_ONLY", "1")
    app.button(key="FormSubmitter:keep a view-Keep").click().run()
    assert kept_views(damaged) == {}
    assert "read-only" in app.toast[0].value
    assert not [one for one in app.text_input if one.key == "view to keep"]
