"""Off-policy estimates on the page Operations: the newest of each model, with intervals and what they rest on."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from page_reading import text, titles
from streamlit.testing.v1 import AppTest

from dashboard.plots.off_policy import conclusion
from dashboard.queries.off_policy import estimates
from movierec_engine.store import ArtifactStore, Slot

Open = Callable[..., AppTest]


def published(store: ArtifactStore, model: str, gain: tuple[float, float, float] | None, rules: str = "then") -> None:
    ends = dict(zip(("value", "low", "high"), gain or (None, None, None), strict=True))
    found = {"value": 0.5, "low": 0.4, "high": 0.6}
    facts: dict[str, Any] = {
        "question": {
            "reward": "click",
            "minutes": 30.0,
            "by": "movie",
            "clip": 0.0,
            "exploration": {"share": 0.0},
            "rules": rules,
        },
        "estimates": {
            **dict.fromkeys(("logged", "ips", "snips", "dr", "covered"), found),
            **dict.fromkeys(("ips_gain", "snips_gain", "dr_gain"), ends),
            "lists": 200,
            "users": 90,
            "effective_places": 321.0,
            "largest_weight": 12.5,
        },
        "sentences": ["From 200 explored lists."],
    }
    slot = Slot("off_policy_estimate", "tiny", model, "cpu")
    store.publish(slot, lambda folder: None, key=model + rules, fingerprint="f", facts=facts)


@pytest.mark.slow
def test_the_newest_estimates_stand_on_operations_with_what_they_rest_on(visit: Open, known: ArtifactStore) -> None:
    assert "No estimate yet: it needs lists that were explored" in text(visit(known, "operations"))
    published(known, "ease", (0.1, 0.02, 0.2))
    published(known, "als", (-0.1, -0.2, 0.01))
    app = visit(known, "operations")
    assert "ease would have earned 0.100 clicks a list more than shown" in titles(app)
    assert "From 200 explored lists" in text(app)
    table = next(one.value for one in app.dataframe if "Largest weight" in one.value.columns)
    assert table["DR"].to_list() == ["0.500 [0.400, 0.600]"] * 2
    assert estimates(known.root, "another set") == []


def test_estimates_under_other_rules_stand_beside_those_under_the_rules_of_then(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path / "store")
    for rules in ("then", "rules.json", "none", "then"):
        published(store, "ease", (0.1, 0.0, 0.2), rules)
    found = estimates(store.root, "tiny")
    assert [one.name for one in found] == ["ease", "ease, no rules", "ease, rules.json rules"]
    assert found[0].created_at >= found[1].created_at, "the newest of each"


def test_what_is_not_known_has_no_mark(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path / "store")
    published(store, "ease", None)
    (found,) = estimates(store.root, "tiny")
    assert (found.rows(), found.about) == ([], "clicks within 30 minutes, by movie")


def test_the_conclusion_says_whether_it_is_sure() -> None:
    def row(model: str, value: float, low: float, high: float) -> dict[str, Any]:
        return {"model": model, "estimator": "DR", "value": value, "low": low, "high": high}

    assert conclusion([row("a", 0.1, 0.01, 0.2)], "like") == "a would have earned 0.100 likes a list more than shown"
    assert conclusion([row("a", 0.1, -0.01, 0.2), row("b", 0, -1, 1)], "like").endswith("; a comes first")
    assert conclusion([row("a", -0.1, -0.3, -0.01)], "click").startswith("No model would have earned as many clicks")
