"""The page Sweeps: what was best, what matters, and how to repeat it."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from page_reading import metrics, text, titles
from streamlit.testing.v1 import AppTest

from dashboard.plots import sweeps as plots
from dashboard.queries import importance, sweeps
from dashboard.queries.importance import Importance
from dashboard.queries.sweeps import Sweep
from movierec_engine.store import ArtifactStore
from movierec_engine.tuning.axis import CHOICE, LINEAR, LOG, Axis
from movierec_engine.tuning.space import axes, space_of
from movierec_engine.tuning.trials import Result, SweepTrials, Trial, publish, rank

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


def shares(parts: list[int], *scores: list[float]) -> list[float]:
    return [round(one, 9) for one in importance.explained(np.array(parts), np.array(scores)).tolist()]


def test_importance_is_the_share_of_variance_between_parts_corrected_for_chance() -> None:
    """Means 1 and 3: variance 1; within 2, of which 2 (1 - 1/2) / 2 = .5 is by chance: .5 / (.5 + 2) = .2."""
    assert shares([0, 0, 1, 1], [0, 2, 2, 4], [0, 0, 1, 1], [1, 1, 1, 1]) == [0.2, 1, 0]
    assert shares([0, 1, 2, 3], [0, 1, 2, 3]) == [0], "as many parts as trials tell nothing"


def test_a_part_that_was_tried_more_often_weighs_no_more() -> None:
    """Nine trials of the one part and three of the other, 0.3 apart: as if there were six of each, but for chance."""
    wave = [-0.1, 0, 0.1]
    few, many = [0.2 + one for one in wave], [0.5 + one for one in wave] * 3
    (uneven,), (even,) = shares([0] * 3 + [1] * 9, few + many), shares([0] * 6 + [1] * 6, few * 2 + many[:6])
    assert uneven == pytest.approx(even, abs=0.03)


def test_a_setting_without_effect_has_no_importance_and_one_with_effect_is_told() -> None:
    rng = np.random.default_rng(0)
    noise = [shares(rng.integers(0, 4, 40).tolist(), rng.normal(size=40).tolist())[0] for _ in range(200)]
    assert np.mean(noise) < 0.04, "without a correction it would be 3/39 on average"
    rates = [f"{10 ** rng.uniform(-4, -1):.6f}" for _ in range(40)]
    kinds = [str(one) for one in rng.integers(0, 3, 40)]
    scores = np.log10(np.array(rates, dtype=float)) + rng.normal(0, 0.5, 40)
    columns = {"rate": rates, "kind": kinds}
    rate, kind = importance.importances(columns, scores, {"rate": Axis(LOG, 1e-4, 0.1), "kind": Axis(CHOICE)}, True)
    assert (rate.setting, rate.told, rate.scale, rate.trials) == ("rate", True, "log", 40)
    assert (kind.setting, kind.told, kind.direction) == ("kind", False, None)
    few = importance.importances({"rate": rates[:9]}, scores[:9], {}, True)
    assert not few[0].told, "nine trials say nothing"


def test_parts_are_of_the_scale_that_was_searched() -> None:
    values = ["0.001", "0.02", "0.05", "0.9"]
    assert list(importance.parts_of(values, Axis(LOG, 0.0001, 1))) == [1, 2, 2, 3], "a decade each"
    assert list(importance.parts_of(values, Axis(LINEAR, 0, 1))) == [0, 0, 0, 3]
    assert list(importance.parts_of(["1", "2", "4", None], Axis(LINEAR, 1, 4))) == [0, 1, 3, 4], "not set: by itself"
    assert list(importance.parts_of(["64", "32", "128"], Axis(CHOICE))) == [2, 1, 0], "each choice by itself"
    guessed = [
        importance.axis_of([str(one) for one in own]).scale for own in ((1, 10, 100), range(1, 9), (0.1, 1, 2, 5, 9))
    ]
    assert guessed == [CHOICE, LINEAR, LOG], "of an older sweep, which has not kept its space"


def test_a_sweep_keeps_its_space(tmp_path: Path) -> None:
    space = axes(space_of("lightgcn"))
    assert (space["model.relative_l2"], space["model.embedding_dim"]) == (Axis(LOG, 0.001, 10), Axis(CHOICE))
    assert space["model.num_layers"] == Axis(LINEAR, 1, 4)
    tries = tuple(tried(0.1 * number, l2=number) for number in (1, 2, 3))
    publish(ArtifactStore(tmp_path), "tiny", SweepTrials(tries, "ndcg@10", "max", space=space), [])
    (kept,) = sweeps.sweeps(tmp_path)
    assert (kept.space, kept.data) == (space, "tiny")


def test_what_few_trials_cannot_tell_is_not_told(visit: Open, known: ArtifactStore) -> None:
    app = visit(known, "sweeps")
    assert "Too few trials to say which setting matters: 3 results, and it takes 10." in text(app)
    assert not [one for one in titles(app) if "matters" in one], "nothing to draw"
    row = {"setting": "model.l2", "share": 0.6, "trials": 24, "more than chance": True}
    assert plots.importance_conclusion([row]) == "l2 matters most: 60 % of the differences between 24 results"
    assert "more than chance over 24 results" in plots.importance_conclusion([{**row, "more than chance": False}])


def found_by(mode: str, *trials: Trial) -> list[Importance]:
    sweep = Sweep("", "", "", (), "ndcg@10", mode, tuple(trials), tuple(ranked(*trials, mode=mode)))
    return sweeps.importances(sweep)


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
    l2, kind = found_by("max", *trials)
    assert (l2.setting, l2.values, kind.setting, kind.values) == ("model.l2", 4, "model.kind", 2)
    assert l2.direction is None, "four values of an older sweep are taken as choices"
    assert l2.share == pytest.approx(0.01247 / (0.01247 + 0.00005), abs=1e-3), "of means .1 apart, and .01 within"
    assert kind.share == 0
    more = [tried(0.1 * l2, l2=l2) for l2 in range(1, 9)]
    assert found_by("max", *more)[0].direction == pytest.approx(1)
    assert found_by("min", *more)[0].direction == pytest.approx(-1), "less is better, and more of l2 is more"


def test_a_number_of_many_values_is_cut_into_parts_and_one_that_never_moves_the_metric_has_no_direction() -> None:
    """Eight powers of ten in four parts of two each; the metric is that of the part: all variance lies between them."""
    trials = [tried(0.1 * (number // 2), rate=10.0**number) for number in range(8)]
    (rate,) = found_by("max", *trials)
    assert (rate.share, rate.values) == (1.0, 8)
    assert rate.direction == pytest.approx(0.976, abs=0.001), "of ranks, with ties in pairs: sqrt(20 / 21)"
    (flat,) = found_by("max", *(tried(0.5, rate=number) for number in range(5)))
    assert (flat.share, flat.direction) == (0.0, None)


def test_numbers_are_told_from_words() -> None:
    assert [importance.number(text) for text in ("3", "1e-3", "-2.5", "nan", "inf", "x", "")] == [
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
