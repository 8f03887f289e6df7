"""Segments beside the champion: differences, leads, and how the charts say them."""

from typing import Any

import pytest

from dashboard.plots import by_segment
from dashboard.queries import segments

MODELS = {"als": "als", "ease": "ease", "popularity": "popularity"}
BESIDE = by_segment.BesideChampion(MODELS, "NDCG@10", "als", tested=True)


def row(model: str, segment: str, value: float, kind: str = "genre") -> dict[str, Any]:
    """Intervals are 0.02 to either side."""
    ends = {"low": value - 0.02, "high": value + 0.02}
    return {"model": model, "kind": kind, "segment": segment, "users": 40, "test_items": 60, "value": value, **ends}


ROWS = [
    *(row("als", "War", 0.2), row("ease", "War", 0.21), row("popularity", "War", 0.3)),
    *(row("als", "Drama", 0.5), row("ease", "Drama", 0.509), row("popularity", "Drama", 0.1)),
    *(row("als", "1990s", 0.5, "decade"), row("ease", "1990s", 0.1, "decade")),
]


def test_only_a_mean_above_the_champions_is_worth_a_test() -> None:
    assert segments.contested(ROWS, "als") == {"ease": ("genre",), "popularity": ("genre",)}


def test_where_users_are_too_many_a_lead_is_an_interval_above_the_champions() -> None:
    assert segments.interval_leads(ROWS, "als") == {("popularity", "genre", "War")}


def test_every_mean_has_its_difference_from_the_champion_and_a_tested_lead_alone_its_star() -> None:
    found = segments.beside(ROWS, "als", frozenset({("popularity", "genre", "War")}))
    differences = {(one["model"], one["segment"]): one["difference"] for one in found}
    assert differences[("popularity", "War")] == pytest.approx(0.1)
    assert differences[("ease", "1990s")] == pytest.approx(-0.4)
    assert [(one["model"], one["segment"]) for one in found if one["mark"]] == [("popularity", "War")]


def test_a_chart_names_the_tested_leads_and_no_other() -> None:
    war = segments.beside(ROWS, "als", frozenset({("popularity", "genre", "War")}))
    genres = [one for one in war if one["kind"] == "genre"]
    said = "By genre: popularity is significantly better than als for War"
    assert by_segment.conclusion("genre", genres, "als", tested=True) == said
    none = segments.beside(ROWS, "als", frozenset())
    assert by_segment.conclusion("genre", none, "als", tested=True) == (
        "By genre: no model is significantly better than als"
    )


def test_the_shade_has_one_scale_for_all_rows_and_every_row_says_how_many_users() -> None:
    """Drama's .009 is a tenth of War's .1, and is shaded so: 0.4 is the farthest anywhere."""
    shown = segments.beside([one for one in ROWS if one["kind"] == "genre"], "als", frozenset())
    chart = by_segment.differences(shown, "genre", "head", BESIDE)
    spec = chart.to_dict()
    cells = spec["layer"][0]["encoding"]
    assert cells["color"]["field"] == "difference"
    assert cells["color"]["scale"]["domain"] == pytest.approx([-0.4, 0, 0.4])
    assert cells["y"]["sort"] == ["War (n = 40)", "Drama (n = 40)"]


def test_a_star_is_explained_by_the_name_of_whom_models_stand_beside() -> None:
    """Without a release there is no champion, but the leader."""
    rows = segments.beside([one for one in ROWS if one["kind"] == "genre"], "als", frozenset())
    for draw in (by_segment.tiers, by_segment.differences):
        read = " ".join(draw(rows, "genre", "head", BESIDE).title.subtitle)
        assert "★: significantly better than als" in read
        assert "champion" not in read
