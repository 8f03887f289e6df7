"""Reports found by name and compared, on a real store of three models."""

import json
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from movierec_engine import pipeline
from movierec_engine.cli.main import cli
from movierec_engine.config import load_settings
from movierec_engine.errors import ConfigError, MovierecError, StoreError
from movierec_engine.evaluation.comparison import compare_all_pairs, holm
from movierec_engine.evaluation.protocols import Protocol
from movierec_engine.evaluation.report import LISTS_FILE, RELEVANT_FILE, EvaluationReport
from movierec_engine.evaluation.segments import segment_table
from movierec_engine.pipeline import comparison, reports
from movierec_engine.store import ArtifactStore, Slot
from worlds import write_noisy_camps

UNIFORM = Protocol.parse("uniform:5")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> ArtifactStore:
    """popularity, ease and item_cf on a random split; ease and popularity by a sampled protocol too."""
    folder = tmp_path_factory.mktemp("compared")
    data = folder / "data"
    write_noisy_camps(data)
    store = ArtifactStore(folder / "store")
    quiet = ["logger.use_mlflow=false", "logger.use_wandb=false", "device=cpu", "data.name=camps", f"data.dir='{data}'"]
    for model in ("popularity", "item_cf", "ease"):
        made = pipeline.run(store, load_settings([*quiet, f"model={model}"]))
        if model != "item_cf":
            pipeline.evaluate_model(store, made["trained_model"], made["raw_movies"], UNIFORM)
    return store


def test_a_report_by_another_protocol_is_not_what_models_are_ranked_by(store: ArtifactStore) -> None:
    latest = store.require(Slot("evaluation_report", "camps", "ease", "cpu"))
    assert latest.facts["protocol"] == "full"
    found = reports.find_report(store, "camps", "ease", UNIFORM)
    assert found.report.protocol == "sampled_uniform_5_seed_0"
    assert found.report.fingerprint != latest.fingerprint
    ranked = pipeline.rank_models(store, "camps", "ndcg@10").facts["rows"]
    assert {row["report"] for row in ranked}.isdisjoint({found.artifact.reference})
    assert len(ranked) == 3


@pytest.mark.parametrize("name", ["ease", "ease/cpu", "ease/cpu/{version}", "ease/cpu/{model_version}"])
def test_a_report_is_found_by_model_device_and_version(store: ArtifactStore, name: str) -> None:
    latest = store.require(Slot("evaluation_report", "camps", "ease", "cpu"))
    report = EvaluationReport.load(latest.folder)
    named = name.format(version=latest.version[:-2], model_version=report.model_version)
    assert reports.find_report(store, "camps", named).artifact == latest


@pytest.mark.parametrize(
    ("name", "protocol", "remedy"),
    [
        ("ncf", None, "movierec train model=ncf"),
        ("item_cf", UNIFORM, "movierec evaluate --model item_cf --protocol uniform:5:0"),
        ("ease/cuda", None, "movierec train model=ease"),
        ("ease/cpu/2020", None, "movierec evaluate --model ease"),
    ],
)
def test_a_missing_report_is_an_error_with_the_command_that_makes_it(
    store: ArtifactStore, name: str, protocol: Protocol | None, remedy: str
) -> None:
    with pytest.raises(StoreError, match=remedy):
        reports.find_report(store, "camps", name, protocol)


def test_unlike_fingerprints_are_never_compared(store: ArtifactStore) -> None:
    full, sampled = reports.find_report(store, "camps", "ease"), reports.find_report(store, "camps", "ease", UNIFORM)
    for compare in (
        lambda: comparison.board(store, [full, sampled], "ndcg@10"),
        lambda: comparison.head_to_head(store, full, sampled, 10),
        lambda: comparison.by_segment(store, full, sampled, "ndcg@10"),
    ):
        with pytest.raises(MovierecError, match=r"not comparable.*"):
            compare()


def test_a_board_has_the_means_of_the_reports_and_the_better_model_first(store: ArtifactStore) -> None:
    measured = comparison.reports_to_compare(store, "camps", [])
    board = comparison.board(store, measured, "recall@10")
    for name, one in board.measured.items():
        assert board.means[name] == pytest.approx(one.report.metrics["recall@10"])
        assert board.intervals[name] == pytest.approx(one.report.intervals["recall@10"])
    assert board.outcome.leader == max(board.means, key=lambda name: board.means[name])
    assert "popularity" not in board.outcome.among_best, "two camps: popularity knows neither"
    kept = comparison.publish_board(store, board)
    rows = pq.read_table(kept.folder / "comparison.parquet").to_pylist()
    assert {row["model"] for row in rows} == set(board.means) - {board.outcome.leader}
    assert rows[0]["wins"] + rows[0]["ties"] + rows[0]["losses"] == board.users


def test_validation_is_compared_as_it_was_measured_after_training(store: ArtifactStore) -> None:
    measured = comparison.reports_to_compare(store, "camps", ["ease", "popularity"])
    board = comparison.board(store, measured, "ndcg@10", "validation")
    for name, one in board.measured.items():
        assert board.means[name] == pytest.approx(one.report.validation_metrics["ndcg@10"])
    assert "auc" not in comparison.head_to_head(store, *measured, 10, "validation")


def test_rankings_are_read_back_as_they_were(store: ArtifactStore) -> None:
    """The reports' own numbers follow from the ranks and lists in the files, so nothing needs the model again."""
    measured = reports.find_report(store, "camps", "ease")
    rankings = reports.rankings_of(measured, reports.heldout_of(store, measured))
    again = segment_table(rankings, (5, 10, 20))
    assert again.equals(pq.read_table(measured.artifact.folder / "segments.parquet"))
    assert len(rankings.rank) == len(pq.read_table(measured.artifact.folder / RELEVANT_FILE))
    assert (rankings.lists >= 0).sum() == len(pq.read_table(measured.artifact.folder / LISTS_FILE))


def test_segments_of_two_models_have_the_differences_of_their_tables(store: ArtifactStore) -> None:
    a, b = (reports.find_report(store, "camps", name) for name in ("ease", "popularity"))
    values = {
        name: {(row["kind"], row["segment"]): row["value"] for row in rows if row["metric"] == "ndcg@10"}
        for name, rows in (
            (one.report.model, pq.read_table(one.artifact.folder / "segments.parquet").to_pylist()) for one in (a, b)
        )
    }
    rows = comparison.by_segment(store, a, b, "ndcg@10")
    assert {(row.kind, row.segment) for row in rows} == set(values["ease"])
    for row in rows:
        better, worse = row.verdict.better, row.verdict.worse
        key = (row.kind, row.segment)
        assert row.verdict.comparison.difference == pytest.approx(values[better][key] - values[worse][key], abs=1e-9)


def test_a_pair_has_one_p_value_however_many_are_shown_and_segments_are_corrected_by_kind(store: ArtifactStore) -> None:
    a, b = (reports.find_report(store, "camps", name) for name in ("ease", "item_cf"))
    family = comparison.family_of(store, "camps", [a, b])
    everybody = comparison.reports_to_compare(store, "camps", [])
    assert {one.report.model for one in family} == {one.report.model for one in everybody} > {"ease", "item_cf"}
    two = comparison.board(store, [a, b], "ndcg@10", family=family)
    names = reports.labels(everybody)
    values = reports.users_of(store, everybody, ["ndcg@10"])
    all_pairs = compare_all_pairs(dict(zip(names, (one["ndcg@10"] for one in values), strict=True)))
    (expected,) = (one for one in all_pairs if {one.better, one.worse} == {"ease", "item_cf"})
    assert two.outcome.verdicts == (expected,) and two.family == len(everybody)
    assert comparison.head_to_head(store, a, b, 10, family=family)["ndcg@10"] == expected
    rows = comparison.by_segment(store, a, b, "ndcg@10")
    for kind in {row.kind for row in rows}:
        own = [row.verdict for row in rows if row.kind == kind]
        raw = [one.comparison.p_wilcoxon for one in own]
        assert [one.p_wilcoxon for one in own] == pytest.approx(holm(raw).tolist())


def test_the_leaderboard_is_by_validation_the_best_first_with_test_beside_it(store: ArtifactStore) -> None:
    for metric in ("ndcg@10", "recall@5"):
        made = pipeline.rank_models(store, "camps", metric)
        rows = made.facts["rows"]
        facts = [store.resolve(row["report"]).facts for row in rows]
        values = [one["validation_metrics"][metric] for one in facts]
        assert values == sorted(values, reverse=True)
        assert [row["rank"] for row in rows] == [1, 2, 3]
        assert [row[f"validation {metric}"] for row in rows] == values
        assert [row[f"test {metric}"] for row in rows] == [one["metrics"][metric] for one in facts]
        assert pq.read_table(made.folder / "leaderboard.parquet").to_pylist() == rows
    with pytest.raises(StoreError, match="has ndcg@99 on validation"):
        pipeline.rank_models(store, "camps", "ndcg@99")


def test_reports_of_one_model_are_told_apart_by_device_and_version(store: ArtifactStore) -> None:
    ease, popularity = (reports.find_report(store, "camps", name) for name in ("ease", "popularity"))
    on_cuda = replace(ease, report=replace(ease.report, device="cuda"))
    older = replace(ease, report=replace(ease.report, model_version="older"))
    assert reports.labels([ease, popularity]) == ["ease", "popularity"]
    assert reports.labels([ease, on_cuda, popularity]) == ["ease/cpu", "ease/cuda", "popularity"]
    version = f"ease/cpu/{ease.report.model_version}"
    assert reports.labels([ease, older, on_cuda]) == [version, "ease/cpu/older", "ease/cuda"]


@pytest.mark.parametrize("metric", ["gini@10", "ndcg", "ndgc@10", "average_popularity@10", "ndcg@7"])
def test_a_metric_by_which_none_is_better_is_refused(store: ArtifactStore, metric: str) -> None:
    with pytest.raises((ConfigError, MovierecError), match="choose"):
        comparison.board(store, comparison.reports_to_compare(store, "camps", []), metric)


def test_one_report_alone_is_not_compared(store: ArtifactStore) -> None:
    with pytest.raises(MovierecError, match="not two reports"):
        comparison.reports_to_compare(store, "camps", ["ease", "ease/cpu"])


def test_the_commands_print_tables_and_say_where_the_files_are(store: ArtifactStore) -> None:
    run = CliRunner().invoke
    at = ["--artifacts", str(store.root)]
    evaluated = run(cli, ["evaluate", *at, "--model", "ease", "--protocol", "popularity:5:3"])
    assert evaluated.exit_code == 0, evaluated.output
    assert "sampled ranking against 5 popularity negatives (seed 3)" in " ".join(evaluated.output.split())
    path = evaluated.output.split("report: ")[1].strip()
    assert json.loads(Path(path).read_text())["protocol"] == "sampled_popularity_5_seed_3"
    compared = run(cli, ["compare", *at, "ease", "popularity"], env={"COLUMNS": "160"})
    assert compared.exit_code == 0, compared.output
    assert "★ ease is significantly better than every other." in compared.output
    for table in ("by metric, test", "by activity", "by popularity", "by genre", "by decade"):
        assert table in compared.output


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["compare", "ease", "nope"], 1),
        (["compare", "ease", "popularity", "--metric", "gini@10"], 2),
        (["evaluate", "--model", "ease", "--protocol", "uniform:0"], 2),
        (["evaluate", "--model", "ease", "--protocol", "given"], 2),
        (["evaluate", "--model", "ease", "--version", "1999"], 1),
        (["evaluate", "--model", "nope"], 1),
        (["evaluate", "--model", "ease", "--device", "cuda"], 1),
    ],
)
def test_wrong_arguments_are_one_sentence_and_an_exit_code(
    store: ArtifactStore, arguments: list[str], code: int
) -> None:
    result = CliRunner().invoke(cli, [*arguments, "--artifacts", str(store.root)])
    assert result.exit_code == code, result.output
    assert result.stderr.startswith("error: ")
    assert "Traceback" not in result.stderr


def test_the_rank_of_every_test_item_is_kept_whatever_is_measured(store: ArtifactStore) -> None:
    trained = store.require(Slot("trained_model", "camps", "ease", "cpu"))
    few = replace(trained, config={**trained.config, "evaluation": {"k_values": [1], "metrics": ["ndcg"]}})
    made = pipeline.evaluate_model(store, few, pipeline.movies_of(store, trained), Protocol.parse("uniform:25"))
    ranks = pq.read_table(made.folder / RELEVANT_FILE)["rank"].to_numpy()
    assert ranks.min() >= 1
    assert ranks.max() > 1
