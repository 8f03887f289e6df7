"""The charts' colours on both themes, and what they say."""

from dataclasses import fields
from typing import Any

import pytest

from dashboard import charts
from dashboard.plots import leaderboard, tradeoffs
from dashboard.queries.leaderboard import Standing
from dashboard.queries.measures import COSTS, Measure
from movierec_engine.reporting import numbers
from movierec_engine.reporting.conclusions import Outcome


def contrast(one: str, other: str) -> float:
    """Contrast ratio of two colours by WCAG 2.2: (L1 + 0.05) / (L2 + 0.05) of their relative luminances."""

    def luminance(color: str) -> float:
        channels = [int(color[place : place + 2], 16) / 255 for place in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        return sum(weight * c for weight, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))

    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_can_be_read_and_marks_be_seen(theme: str) -> None:
    assert contrast("#000000", "#FFFFFF") == pytest.approx(21)
    for text in (charts.INK, charts.SUBTITLE, charts.CHOSEN):
        assert contrast(text[theme], charts.BACKGROUND[theme]) >= 4.5
    assert contrast(charts.GREY, charts.BACKGROUND[theme]) >= 3


def standing(model: str, score: float) -> Standing:
    of: dict[str, Any] = dict.fromkeys((one.name for one in fields(Standing)), "")
    return Standing(**of | {"id": model, "model": model, "score": score, "low": score - 0.01, "high": score + 0.01})


def test_the_leaderboards_charts_are_grey_but_for_what_is_chosen_with_names_in_ink() -> None:
    """No model has a colour of its own there, and no name the colour of its mark."""
    ndcg = Measure("ndcg@10", "NDCG@10", "NDCG@10 on test", "higher", numbers.score)
    values = {"ease": {"ndcg@10": 0.3, "training": 2.0}, "als": {"ndcg@10": 0.2, "training": 1.0}}
    rows = tradeoffs.point_rows(list(values), values, COSTS["training"], ndcg, chosen=["ease"])
    assert {row["model"]: row["chosen"] for row in rows} == {"ease": True, "als": False}
    ranked = [standing(model, own["ndcg@10"]) for model, own in values.items()]
    found = Outcome("ndcg@10", {"ease": 0.3, "als": 0.2})
    dots = leaderboard.intervals(ranked, {"ease": "ease", "als": "als"}, found, ["ease"])
    layers = [*dots.to_dict()["layer"], *tradeoffs.scatter(rows, COSTS["training"], ndcg).to_dict()["layer"]]
    of_models = [one for one in layers if one["mark"]["type"] in ("point", "rule")]
    assert len(of_models) == 5
    for layer in of_models:
        color = layer["encoding"]["color"]
        assert color["field"] == "chosen" and color["scale"]["range"] == [charts.CHOSEN["light"], charts.GREY]
    names = [one["encoding"]["color"] for one in layers if one["mark"]["type"] == "text"]
    assert names and all(color == {"value": charts.INK["light"]} for color in names)
