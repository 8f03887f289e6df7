"""The page Sweeps: what was best, what matters, and how to repeat it."""

from collections.abc import Callable

import numpy as np
import pytest
from page_reading import metrics, text, titles
from streamlit.testing.v1 import AppTest

from dashboard.queries import sweeps
from movierec_engine.store import ArtifactStore

Open = Callable[..., AppTest]


def test_a_sweep_says_what_was_best_and_how_to_repeat_it(visit: Open, known: ArtifactStore) -> None:
    """l2 = 10 has 0.3 and 0.4 on validation: mean 0.35, deviation 0.1 / sqrt(2)."""
    app = visit(known, "sweeps")
    assert "Best on validation: **l2 10** with NDCG@10 0.3500 ± 0.0707" in text(app)
    assert metrics(app)["Trials"] == "7"
    assert metrics(app)["Failed"] == "1"
    assert "Best on validation: l2 10" in titles(app)
    table = app.dataframe[0].value
    assert list(table["model.l2"]) == ["10", "100", "1"]
    assert list(table["Validation NDCG@10"]) == pytest.approx([0.35, 0.25, 0.15])
    assert list(table["± sd"]) == pytest.approx([0.0707] * 3, abs=1e-4)
    assert "movierec_engine.train --multirun model=ease model.l2=10 seed=1,2" in app.code[0].value
    assert list(app.dataframe[1].value["Why"]) == ["l2 must be positive"]
    assert "told apart from 1 other" in " ".join(titles(app)), "0.35 - 0.0707 is under 0.25 + 0.0707"


def test_importance_is_the_share_of_variance_between_values_corrected_for_chance() -> None:
    """Between 4, within 4, total 8: 1 - (4 / 2) / (8 / 3) = 1/4."""
    groups = np.array([0, 0, 1, 1])
    assert sweeps.explained(groups, np.array([0.0, 2.0, 2.0, 4.0])) == pytest.approx(0.25)
    assert sweeps.explained(groups, np.array([0.0, 0.0, 1.0, 1.0])) == 1.0
    assert sweeps.explained(groups, np.array([1.0, 1.0, 1.0, 1.0])) == 0.0
    assert sweeps.explained(np.arange(4), np.arange(4.0)) == 0.0, "as many values as trials tell nothing"


def test_a_setting_without_effect_has_no_importance() -> None:
    rng = np.random.default_rng(0)
    shares = [sweeps.explained(rng.integers(0, 4, 40), rng.normal(size=40)) for _ in range(200)]
    assert np.mean(shares) < 0.04, "eta squared would be 3/39 on average"
