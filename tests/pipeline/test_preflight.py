"""What a model needs is known before it is trained, and what cannot succeed is refused before anything is written."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from movierec_engine import pipeline
from movierec_engine.cli.main import cli
from movierec_engine.config import load_settings
from movierec_engine.errors import TooLargeError
from movierec_engine.models.cost import DataSize
from movierec_engine.models.registry import model_class, model_names
from movierec_engine.pipeline.preflight import FIT, STEPS, DataCounts, estimates, require_memory
from movierec_engine.store import ArtifactStore, kinds
from movierec_engine.training.config import TrainerConfig

ML_25M = DataCounts(users=162_500, items=59_047, train=19_400_000, interactions=24_000_000)
TOO_WIDE = "model.embedding_dim=2000000000"


def test_every_model_of_the_package_says_what_it_needs() -> None:
    for name in model_names():
        small, large = (
            model_class(name)().cost(size, TrainerConfig())
            for size in (DataSize(1_000, 1_000, 20_000), DataSize(10_000, 10_000, 400_000))
        )
        assert small is not None and large is not None
        for amount in ("fit_bytes", "seconds", "model_bytes", "index_bytes", "score_operations"):
            assert getattr(small, amount) <= getattr(large, amount), (name, amount)


def test_ease_over_59047_items_fits_into_8_gb_by_neighbours_and_not_into_24_gb_by_all_items() -> None:
    by_neighbours, by_all_items = (
        estimates(load_settings(["model=ease", *words]), ML_25M) for words in ([], ["model.neighbours=59046"])
    )
    assert all(step.fits(8 * 2**30) for step in by_neighbours)
    assert by_all_items[0].fits(24 * 2**30) is False
    assert by_all_items[0].instead == "set model.neighbours=200"


def test_an_ensemble_with_ease_over_59047_items_is_refused_since_it_joins_dense_vectors() -> None:
    room = 24 * 2**30
    fit, *others = estimates(load_settings(["model=hybrid_ensemble"]), ML_25M)
    assert fit.fits(room)
    (refused,) = (step for step in others if step.fits(room) is False)
    assert refused.instead.endswith("without ease")
    without = estimates(load_settings(["model=hybrid_ensemble", "model.models=[als,gmf,lightgcn]"]), ML_25M)
    assert all(step.fits(room) for step in without)


def test_data_that_is_not_there_is_estimated_and_a_smaller_model_is_no_way_out_of_its_own_size() -> None:
    size = ["--users", "10000000", "--items", "1000000", "--ratings", "1000000000", "data.train_ratio=0.7"]
    told = CliRunner().invoke(cli, ["estimate", "als", *size, "--format", "json"])
    (fit,) = (row for row in json.loads(told.stdout) if row["step"] == FIT)
    counts = DataCounts(users=10**7, items=10**6, train=7 * 10**8, interactions=10**9)
    assert fit["bytes"] == estimates(load_settings(["model=als"]), counts)[0].n_bytes
    assert fit["bytes"] > 100 * 10**9
    assert not fit["fits"]
    assert fit["instead"].startswith("take a machine with more memory")
    for wrong in (["--users", "10"], ["--users", "10", "--items", "10", "--ratings", "101"]):
        assert CliRunner().invoke(cli, ["estimate", "als", *wrong], standalone_mode=False).exit_code != 0


def test_several_models_are_estimated_by_words_or_by_commas_as_tune_takes_them() -> None:
    size = ["--users", "1000", "--items", "100", "--ratings", "9000", "--format", "json"]
    needed = []
    for words in (["als", "ease"], ["als,ease"]):
        told = json.loads(CliRunner().invoke(cli, ["estimate", *words, *size]).stdout)
        needed.append([(row["model"], row["step"], row["bytes"]) for row in told])
    assert needed[0] == needed[1]
    assert {model for model, *_ in needed[1]} == {"als", "ease"}


def test_a_model_from_outside_that_says_nothing_is_not_refused() -> None:
    from movierec_engine.models.base import Recommender

    class Silent(model_class("popularity")):  # type: ignore[misc]
        cost = Recommender.cost

    assert Silent().cost(DataSize(10, 10, 10), TrainerConfig()) is None


def test_what_needs_more_memory_than_there_is_says_what_to_change() -> None:
    with pytest.raises(TooLargeError, match=r"the fit of als needs about .* TB .*; set a smaller model.embedding_dim"):
        require_memory(FIT, load_settings(["model=als", TOO_WIDE]), ML_25M)


def test_a_refused_training_exits_with_1_and_writes_no_model(small_data: list[str], tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path / "store")
    run = [*small_data, f"paths.artifacts={store.root}", "model=als", TOO_WIDE]
    with pytest.raises(TooLargeError):
        pipeline.run_tracked(load_settings(run))
    assert not list(store.slots(kinds.TRAINED_MODEL))


def estimated(words: list[str]) -> Result:
    return CliRunner().invoke(cli, ["estimate", *words], env={"COLUMNS": "200"})


@pytest.mark.slow
def test_the_command_has_a_row_a_model_and_step_before_and_after_the_data_are_prepared(
    small_data: list[str], tmp_path: Path
) -> None:
    settings = [word for word in small_data if not word.startswith("model")]
    settings.append(f"paths.artifacts={tmp_path / 'store'}")
    first, second = (estimated([*settings, "--format", "json"]) for _ in range(2))
    rows = json.loads(first.stdout)
    assert [(row["model"], row["step"]) for row in rows] == [(name, step) for name in model_names() for step in STEPS]
    assert all(row["fits"] for row in rows)
    assert [row["bytes"] for row in json.loads(second.stdout)] == [row["bytes"] for row in rows]


def test_the_command_says_what_to_do_about_a_model_that_does_not_fit(small_data: list[str], tmp_path: Path) -> None:
    shown = estimated(["als", TOO_WIDE, *small_data, f"paths.artifacts={tmp_path / 'store'}"])
    assert shown.exit_code == 0
    assert "too much: set a smaller model.embedding_dim" in " ".join(shown.stdout.split())
