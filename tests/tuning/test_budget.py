"""Searches within a time: the default first, shares of the users, the winner against the default."""

import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from pytest import CaptureFixture

from movierec_engine.cli import train as training
from movierec_engine.config import load_settings
from movierec_engine.data.dataset import Dataset
from movierec_engine.errors import ConfigError, MovierecError
from movierec_engine.evaluation.comparison import compare_paired
from movierec_engine.models.fitting import Epoch
from movierec_engine.store import ArtifactStore, Slot, kinds
from movierec_engine.tuning import budget, measure, trials, users
from movierec_engine.tuning.budget import TimedTrial, Tuned, tune
from movierec_engine.tuning.measure import Measurement
from movierec_engine.tuning.request import read_request
from movierec_engine.tuning.timed_sweep import gain_of, nothing_to_tune, trials_of

pytest.importorskip("optuna")

HOUR = 3600.0
Search = Callable[..., Tuned]


@pytest.fixture
def search(small_data: list[str], tmp_path: Path) -> Search:
    def run(*arguments: str, seconds: float = HOUR) -> Tuned:
        words = [*arguments, *small_data, f"paths.artifacts={tmp_path / 'store'}"]
        return tune(read_request(words, timed=True), seconds)

    return run


@pytest.fixture
def three_levels(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Let the camps' 60 users have the shares 1/9, 1/3 and 1; the number of users of each fit."""
    monkeypatch.setattr(users, "LEAST_USERS", 6)
    fitted: list[int] = []

    def counted(settings: Any, data: Dataset, *others: Any) -> Measurement | None:
        fitted.append(data.train.n_users)
        return run(settings, data, *others)

    run = measure.measure
    monkeypatch.setattr(budget, "measure", counted)
    return fitted


def test_settings_are_tried_on_few_users_and_the_best_third_on_all(search: Search, three_levels: list[int]) -> None:
    tuned = search("model=ease", "n_trials=6")
    assert tuned.share == 1
    assert three_levels == [7] * 6 + [20] * 3 + [60] * 2, "6, then the default and 2 of 6, then the default and 1 of 3"
    assert tuned.default.values == ()
    values = [one.measured[1.0].value for one in tuned.outcomes if 1.0 in one.measured]
    assert tuned.winner.measured[1.0].value == max(values)
    assert tuned.gain.difference == pytest.approx(max(values) - values[0]), "the default is measured in any case"
    best = sorted(tuned.outcomes, key=lambda one: -one.measured[1 / 9].value)
    assert {one.values for one in tuned.outcomes if 1 / 3 in one.measured} >= {one.values for one in best[:2]}
    ranked = trials_of(tuned)
    assert [result.fingerprint for result in ranked.results[:2]] == [tuned.fingerprint] * 2
    assert {result.fingerprint for result in ranked.results} == {
        tuned.fingerprint, f"{tuned.fingerprint} on 1/3 of the users", f"{tuned.fingerprint} on 1/9 of the users"
    }  # fmt: skip


def test_a_time_too_short_for_all_users_chooses_on_fewer_and_says_so(
    search: Search, three_levels: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The time of a fit is made up: 10 s on 1/9 of the users. A pair on all takes 180 s, more than half of 100 s."""
    run = budget.measure
    monkeypatch.setattr(budget, "measure", lambda *given: replace(run(*given), seconds=10.0))  # type: ignore[type-var]
    monkeypatch.setattr(budget, "growth", lambda smaller, larger: len(larger.train) / len(smaller.train))
    tuned = search("model=ease", "n_trials=3", seconds=100.0)
    assert tuned.share == pytest.approx(1 / 9)
    assert set(three_levels) == {7}
    assert "over 1/9 of the users" in gain_of(tuned)


@pytest.mark.slow
def test_an_equal_search_goes_on_where_a_killed_one_stopped(search: Search, monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[int] = []

    def killed(self: Any, number: int, *others: Any) -> Measurement | None:
        ran.append(number)
        if len(ran) == 3:
            raise KeyboardInterrupt
        return run(self, number, *others)

    run = budget._Search.fit
    monkeypatch.setattr(budget._Search, "fit", killed)
    with pytest.raises(KeyboardInterrupt):
        search("model=ease", "n_trials=3")
    tuned = search("model=ease", "n_trials=3")
    assert len(tuned.outcomes) == 3
    assert len(ran) == 4, "the default and one trial before the kill, one after it"
    again = search("model=ease", "n_trials=3")
    assert [one.values for one in again.outcomes] == [one.values for one in tuned.outcomes]
    assert len(ran) == 4, "nothing is left to do"
    assert again.seconds > tuned.seconds, "time is counted in all"


def test_a_default_that_was_out_of_time_is_measured_again_when_there_is_more(
    search: Search, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else trials would win against a training that was cut short."""
    settings = ("model=gmf", "n_trials=1", "trainer.max_epochs=4")
    monkeypatch.setattr(budget, "measure", lambda *given: replace(run(*given), seconds=0.0))  # type: ignore[type-var]
    run = measure.measure
    cut = search(*settings, seconds=1e-3).default.measured[1.0]
    assert (cut.epochs, cut.out_of_time) == (1, True)
    whole = search(*settings).default.measured[1.0]
    assert (whole.epochs, whole.out_of_time) == (4, False)
    assert search(*settings, seconds=2 * HOUR).default.measured[1.0].epochs == 4


def test_no_trial_is_begun_that_would_not_fit(search: Search, monkeypatch: pytest.MonkeyPatch) -> None:
    run = budget.measure
    monkeypatch.setattr(budget, "measure", lambda *given: replace(run(*given), seconds=HOUR))  # type: ignore[type-var]
    tuned = search("model=ease", seconds=HOUR / 2)
    assert len(tuned.outcomes) == 1
    assert "there was time for the default settings alone" in gain_of(tuned)


def test_a_trial_that_fails_is_listed_and_the_search_goes_on(search: Search) -> None:
    tuned = search("model=ease", "n_trials=5", "model.l2=choice(1e9,-1)")
    failed = [one for one in tuned.outcomes if one.note]
    assert 0 < len(failed) < 4
    assert tuned.winner is tuned.default
    assert "none of 4 trials is better than the default settings" in gain_of(tuned)
    assert all("model.l2=-1.0 must be" in one.note for one in failed)
    assert len(trials_of(tuned).failed) == len(failed)


def test_a_model_of_other_models_is_measured_on_all_users(search: Search, three_levels: list[int]) -> None:
    tuned = search("model=hybrid_ensemble", "model.models=[ease,popularity]", "n_trials=1")
    assert tuned.share == 1
    assert set(three_levels) == {60}


# --------------------------------------------------------------------------------------------------- measuring a trial


def gmf(small_data: list[str], *words: str) -> Any:
    return load_settings(["model=gmf", "trainer.max_epochs=6", "model.mf_dim=8", *words, *small_data])


@pytest.fixture
def data(small_data: list[str], tmp_path: Path) -> Dataset:
    from movierec_engine import pipeline

    settings = load_settings(small_data)
    made = pipeline.prepare(ArtifactStore(tmp_path / "data"), settings.data)
    parts = pipeline.load_split(made[kinds.SPLITS])
    return Dataset(parts.train, parts.validation_heldout())


def test_a_pruned_trial_ends_with_its_epoch_and_keeps_the_best_until_then(small_data: list[str], data: Dataset) -> None:
    told: list[tuple[int, float]] = []

    def keep(epoch: int, best: float) -> bool:
        told.append((epoch, best))
        return epoch < 3

    made = measure.measure(gmf(small_data), data, time.monotonic() + HOUR, keep=keep)
    assert made is not None
    assert (made.epochs, made.note, made.pruned) == (3, "stopped after epoch 3", True)
    assert [epoch for epoch, _ in told] == [1, 2, 3]
    assert made.value == pytest.approx(told[-1][1])
    assert [best for _, best in told] == sorted(best for _, best in told)
    other = measure.measure(gmf(small_data, "seed=1"), data, time.monotonic() + HOUR, keep=lambda epoch, best: False)
    assert other is not None and other.value != pytest.approx(told[0][1])


def test_an_epoch_that_would_be_too_late_is_not_begun(small_data: list[str], data: Dataset) -> None:
    made = measure.measure(gmf(small_data), data, time.monotonic())
    assert made is not None
    assert (made.epochs, made.note, made.pruned) == (1, "out of time after epoch 1", False)


def test_a_closed_form_that_runs_over_is_given_up(small_data: list[str], data: Dataset) -> None:
    assert measure.measure(load_settings(["model=als", *small_data]), data, time.monotonic() - 1) is None


def test_what_is_measured_comes_back_from_its_file(tmp_path: Path) -> None:
    made = Measurement(np.array([0.5, 1.0]), 2.5, 3, "stopped after epoch 3")
    assert Measurement(np.array([0.5, np.nan, 1.0]), 2.5, 3).value == 0.75, "of users of whom it is known"
    made.save(tmp_path / "0-1.npz")
    assert asdict_of(Measurement.load(tmp_path / "0-1.npz")) == asdict_of(made)
    assert [file.name for file in tmp_path.iterdir()] == ["0-1.npz"]


def asdict_of(made: Measurement) -> dict[str, Any]:
    return {**vars(made), "per_user": made.per_user.tolist()}


def test_a_callback_ends_the_training_with_its_epoch(data: Dataset) -> None:
    from movierec_engine.models import GMF
    from movierec_engine.models.fitting import Fitting, StopTraining

    def second(epoch: Epoch) -> None:
        if epoch.number == 2:
            raise StopTraining

    assert len(GMF(mf_dim=4).fit(data, Fitting(on_epoch=second)).epochs) == 2


# ---------------------------------------------------------------------------------------------------------- the command


@pytest.mark.slow
def test_the_command_shares_its_minutes_and_ends_with_the_gain_and_the_best_command(
    small_data: list[str], capsys: CaptureFixture[str], tmp_path: Path
) -> None:
    store = ArtifactStore(tmp_path / "store")
    words = ["popularity,ease,item_cf", "--minutes=60", "--n-trials=2", *small_data, f"paths.artifacts={store.root}"]
    training.tune_main(words)
    output = capsys.readouterr().out
    assert "popularity has nothing to tune: it counts, and has no settings\n" in output
    for model in ("ease", "item_cf"):
        assert f"\n{model}: " in output
        assert f"again: python -m movierec_engine.train model={model}" in output
    assert "test, not chosen by" not in output
    swept = store.versions(Slot(kinds.SWEEP, "camps"))
    assert [one.facts["trials"] for one in swept] == [2, 2]
    assert all("default" in one.facts["gain"] for one in swept)
    rows = pq.read_table(swept[0].folder / trials.TRIALS_FILE).to_pylist()
    assert "test ndcg@10" not in rows[0]
    assert json.loads((swept[0].folder / trials.SUMMARY_FILE).read_text())["gain"] == swept[0].facts["gain"]


def test_popularity_alone_has_nothing_to_tune_and_that_is_no_error(capsys: CaptureFixture[str]) -> None:
    training.tune_main(["popularity", "--minutes=1"])
    assert capsys.readouterr().out == "popularity has nothing to tune: it counts, and has no settings\n"
    assert not nothing_to_tune("ease")


def test_without_validation_or_time_a_sentence_says_what_to_do(search: Search, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="has no validation part to choose settings by"):
        search("model=ease", "data.val_ratio=0")
    monkeypatch.setattr(budget, "measure", lambda *given: None)
    with pytest.raises(MovierecError, match="the default settings alone take longer than 30 s on all users"):
        search("model=ease", seconds=30.0)


def test_a_gain_over_a_default_that_was_out_of_time_says_so() -> None:
    cut, better = (Measurement(np.full(30, value), 1.0, 1, note) for value, note in ((0.4, "out of time"), (0.5, "")))
    outcomes = (TimedTrial((), {1.0: cut}), TimedTrial(("model.l2=1",), {1.0: better}))
    tuned = Tuned(load_settings(["model=ease", "device=cpu"]), "f", (), outcomes, 1.0, 1.0)
    assert "the best of 1 trial; the default was out of time and may reach more" in gain_of(tuned)


def test_the_first_of_equals_wins() -> None:
    made = Measurement(np.array([0.5, 0.7]), 1.0, 0)
    outcomes = (TimedTrial((), {1.0: made}), TimedTrial(("model.l2=1",), {1.0: made}))
    tuned = Tuned(load_settings(["model=ease", "device=cpu"]), "f", ("model=ease",), outcomes, 1.0, 1.0)
    assert tuned.winner is tuned.default


def test_where_less_is_better_the_lowest_wins() -> None:
    low, high = (Measurement(np.linspace(0, 0.1, 30) + more, 1.0, 0) for more in (0, 0.5))
    outcomes = (TimedTrial((), {1.0: high}), TimedTrial(("model.l2=1",), {1.0: low}))
    stopping = ("trainer.early_stopping.metric=disliked@10", "trainer.early_stopping.mode=min")
    least = load_settings(["model=ease", "device=cpu", *stopping])
    tuned = Tuned(least, "f", ("model=ease",), outcomes, 1.0, 1.0)
    assert tuned.winner is outcomes[1]
    assert tuned.gain == compare_paired(low.per_user, high.per_user, less_is_better=True)
