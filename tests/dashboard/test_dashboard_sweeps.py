"""The page Sweeps: what was best, what matters, and how to repeat it."""

from collections.abc import Callable

import numpy as np
import pytest
from page_reading import metrics, text, titles
from streamlit.testing.v1 import AppTest

from dashboard.queries import sweeps
from movierec_engine.store import ArtifactStore
from movierec_engine.tuning.trials import Result, Trial, rank

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
    assert "within the seeds' deviations of 1 other" in " ".join(titles(app)), "0.35 - 0.0707 is under 0.25 + 0.0707"


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


def tried(value: float | None, fingerprint: str = "f", **settings: object) -> Trial:
    """A trial with these settings of the model and this ndcg@10 on validation."""
    overrides = tuple(f"model.{name}={setting}" for name, setting in settings.items())
    validation = {} if value is None else {"ndcg@10": value}
    return Trial(overrides, model="ease", device="cpu", seed=1, fingerprint=fingerprint, validation=validation)


def ranked(*trials: Trial, mode: str = "max") -> list[Result]:
    return rank(trials, "ndcg@10", mode)


def test_searched_settings_are_those_of_several_values() -> None:
    results = ranked(tried(0.3, l2=1, kind="a"), tried(0.2, l2=2, kind="a"), tried(0.1, l2=2, extra=7))
    found = sweeps.searched(results)
    assert {name: set(values) for name, values in found.items()} == {
        "model.l2": {"1", "2"},
        "model.kind": {"a", None},
        "model.extra": {"7", None},
    }
    assert sweeps.searched(ranked(tried(0.3, l2=1))) == {}


def test_importances_come_with_their_direction_the_largest_first() -> None:
    """ndcg is .1 l2 + .01 for kind b: l2 decides nearly all of it, kind next to nothing; both are known exactly."""
    trials = [
        tried(0.1 * l2 + (0.01 if kind == "b" else 0), l2=l2, kind=kind) for l2 in (1, 2, 3, 4) for kind in ("a", "b")
    ]
    l2, kind = sweeps.importances(ranked(*trials), "max")
    assert (l2.setting, l2.values, kind.setting, kind.values) == ("model.l2", 4, "model.kind", 2)
    assert l2.direction == pytest.approx(1, abs=0.03)
    assert kind.direction is None, "words have none"
    scores = np.array([one.validation["ndcg@10"] for one in trials])
    within = sum(((scores[place : place + 2] - scores[place : place + 2].mean()) ** 2).sum() for place in (0, 2, 4, 6))
    total = ((scores - scores.mean()) ** 2).sum()
    assert l2.share == pytest.approx(1 - (within / 4) / (total / 7))
    assert kind.share == 0
    (reverse, _) = sweeps.importances(ranked(*trials, mode="min"), "min")
    assert reverse.direction == pytest.approx(-1, abs=0.03), "less is better, and more of l2 is more"


def test_a_number_of_many_values_is_binned_and_one_that_never_moves_the_metric_has_no_direction() -> None:
    """Eight values in four bins of two each; the metric is that of the bin, so that all variance lies between them."""
    trials = [tried(0.1 * (number // 2), rate=10.0**number) for number in range(8)]
    (rate,) = sweeps.importances(ranked(*trials), "max")
    assert (rate.share, rate.values) == (1.0, 8)
    assert rate.direction == pytest.approx(0.976, abs=0.001), "of ranks, with ties in pairs: sqrt(20 / 21)"
    (flat,) = sweeps.importances(ranked(*(tried(0.5, rate=number) for number in range(3))), "max")
    assert (flat.share, flat.direction) == (0.0, None)
    (two,) = sweeps.importances(ranked(tried(0.1, rate=1), tried(0.2, rate=2)), "max")
    assert two.direction is None, "of two trials nothing can be told"


def test_numbers_are_told_from_words() -> None:
    assert [sweeps.number(text) for text in ("3", "1e-3", "-2.5", "nan", "inf", "x", "")] == [
        *(3, 0.001, -2.5),
        *[None] * 4,
    ]


def test_what_may_be_compared_has_the_metric_and_the_first_fingerprint(known: ArtifactStore) -> None:
    (sweep,) = sweeps.sweeps(known.root)
    assert [trial.error for trial in sweep.failed] == ["l2 must be positive"]
    assert sweep.models == ["ease"]
    assert [one.validation.mean for one in sweep.scored if one.validation] == pytest.approx([0.35, 0.25, 0.15])
    others = ranked(tried(0.3, l2=1), tried(None, l2=2), tried(0.9, "g", l2=3))
    mixed = sweeps.Sweep("", "", "", (), "ndcg@10", "max", (), tuple(others))
    assert [one.fingerprint for one in mixed.scored] == [others[0].fingerprint]
    first = sweep.trials[0]
    assert (first.report, first.seed, first.seconds, first.fingerprint) == (
        "evaluation_report/ease/cpu/1-1",
        1,
        2.0,
        "f" * 12,
    )
    assert (first.validation, first.test) == ({"ndcg@10": 0.1}, {"ndcg@10": pytest.approx(0.05)})
