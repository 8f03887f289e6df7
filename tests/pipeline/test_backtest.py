"""Rolling-origin backtests, on a timeline that is cut by hand."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from movierec_engine import pipeline
from movierec_engine.cli.main import cli
from movierec_engine.config import Settings, load_settings
from movierec_engine.errors import ConfigError
from movierec_engine.evaluation.report import EvaluationReport
from movierec_engine.pipeline.backtest import backtest
from movierec_engine.store import ArtifactStore, Slot


@pytest.fixture
def settings(small_data: list[str]) -> Settings:
    return load_settings([*small_data, "model=ease", "data.min_user_interactions=1", "data.min_item_interactions=1"])


def test_every_window_is_trained_on_its_past_and_tested_on_what_came_next(settings: Settings, tmp_path: Path) -> None:
    """60 users rate 14 movies each, one user after the other: the windows are 105 interactions, of 7 or 8 users."""
    store = ArtifactStore(tmp_path / "store")
    made = backtest(store, settings, windows=4, first_train_share=0.5)
    windows = pq.read_table(made.folder / "windows.parquet").to_pylist()
    assert [row["test"] for row in windows] == [105] * 4
    assert [row["train"] + row["validation"] for row in windows] == [420, 525, 630, 735]
    assert [row["validation"] / (row["train"] + row["validation"]) for row in windows] == pytest.approx(
        [0.1 / 0.9] * 4, abs=0.005
    )
    assert all(row["validation_from"] < row["test_from"] < row["test_until"] for row in windows)
    assert [row["test_until"] for row in windows[:-1]] == [row["test_from"] for row in windows[1:]]
    assert len({row["fingerprint"] for row in windows}) == 4
    own = ArtifactStore(store.root / "backtests")
    for row in windows:
        report = EvaluationReport.load(own.resolve(row["report"]).folder)
        assert report.split["strategy"] == "rolling_origin"
        assert report.split["future_share"] == 0
    measures = pq.read_table(made.folder / "metrics.parquet").to_pylist()
    of_all = [row for row in measures if row["users"] == "all" and row["metric"] == "recall@10"]
    assert [row["value"] for row in of_all] == pytest.approx(
        [EvaluationReport.load(own.resolve(row["report"]).folder).metrics["recall@10"] for row in windows]
    )
    assert [row["count"] for row in of_all] == [row["users"] for row in windows]
    assert all(row["low"] <= row["value"] <= row["high"] for row in measures)
    with_history = [row for row in measures if row["users"] == "with_history" and row["metric"] == "recall@10"]
    without = {row["window"]: row["users"] - row["users_without_history"] for row in windows}
    assert {row["window"]: row["count"] for row in with_history} == {w: n for w, n in without.items() if n}


def test_nothing_of_a_backtest_is_ranked_or_newest_and_nothing_is_made_twice(
    settings: Settings, tmp_path: Path
) -> None:
    store = ArtifactStore(tmp_path / "store")
    real = pipeline.run(store, settings)
    first = backtest(store, settings, windows=2, first_train_share=0.5)
    assert store.require(Slot("trained_model", "camps", "ease", "cpu")) == real["trained_model"]
    assert [row["model"] for row in pipeline.rank_models(store, "camps", "ndcg@10").facts["rows"]] == ["ease"]
    again = backtest(store, settings, windows=2, first_train_share=0.5)
    reports = [
        [row["report"] for row in pq.read_table(made.folder / "windows.parquet").to_pylist()] for made in (first, again)
    ]
    assert reports[0] == reports[1]
    assert again.fingerprint == first.fingerprint


def test_every_window_starts_from_models_of_its_own_past_and_is_used_again(
    small_data: list[str], tmp_path: Path
) -> None:
    tiny = ["trainer.max_epochs=1", "model.mf_dim=4", "model.mlp_layers=[8,4]"]
    start = ["model.pretrained_gmf=latest", "model.pretrained_mlp=latest"]
    settings = load_settings([*small_data, "model=ncf", *tiny, *start])
    store = ArtifactStore(tmp_path / "store")
    first, again = (backtest(store, settings, windows=2, first_train_share=0.5) for _ in range(2))
    assert again.key == first.key, "the reports of the first were used again"
    own = ArtifactStore(store.root / "backtests")
    for row in pq.read_table(first.folder / "windows.parquet").to_pylist():
        ncf = own.resolve(row["trained_model"])
        members = [own.resolve(ncf.parents[name]) for name in ("gmf", "mlp")]
        assert [one.parents["splits"] for one in members] == [ncf.parents["splits"]] * 2


def test_windows_that_cannot_be_cut_are_one_sentence(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="backtest windows"):
        backtest(ArtifactStore(tmp_path), settings, windows=0, first_train_share=0.5)


def test_the_command_prints_a_window_a_row(small_data: list[str], tmp_path: Path) -> None:
    arguments = ["backtest", "--artifacts", str(tmp_path / "store"), "--windows", "3", "model=popularity", *small_data]
    result = CliRunner().invoke(cli, arguments, env={"COLUMNS": "160"})
    assert result.exit_code == 0, result.output
    assert "backtest of NDCG@10" in result.output
    assert sum("2001-09-09 to" in line for line in result.output.splitlines()) == 3
    wrong = CliRunner().invoke(cli, ["backtest", "--artifacts", str(tmp_path), "model=nope"])
    assert wrong.exit_code == 2
