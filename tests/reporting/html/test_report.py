"""The page says what the reports say, holds nothing hostile, and needs nothing beside it."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from reporting.html.parsed import FoundTable, ParsedPage

from movierec_engine.cli.main import cli
from movierec_engine.config import load_settings
from movierec_engine.errors import ConfigError, StoreError
from movierec_engine.evaluation.report import SEGMENTS_FILE, EvaluationReport
from movierec_engine.evaluation.strong_generalization import FoldInCurve, curve_table
from movierec_engine.pipeline.backtest import backtest
from movierec_engine.pipeline.comparison import reports_to_compare
from movierec_engine.pipeline.reranking_tradeoff import measure_dials
from movierec_engine.release.decisions import Decision, record
from movierec_engine.release.notes import pin_note, withdraw
from movierec_engine.reporting.comparable import find_groups
from movierec_engine.reporting.html import write_report
from movierec_engine.store import Artifact, ArtifactStore, Slot

MODELS = ("popularity", "ease", "lightgcn")


def report_of(store: ArtifactStore, model: str) -> tuple[Artifact, EvaluationReport]:
    artifact = store.require(Slot("evaluation_report", "camps", model, "cpu"))
    return artifact, EvaluationReport.load(artifact.folder)


def written(store: ArtifactStore, metric: str = "ndcg@10") -> ParsedPage:
    path = write_report(store, "camps", store.root.parent / "report.html", metric)
    return ParsedPage(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(
    ("metric", "title"), [("ndcg@10", "NDCG@10 test"), ("recall@10", "Recall@10"), ("mrr@10", "MRR@10")]
)
def test_a_cell_of_the_leaderboard_is_the_reports_number(
    measured: ArtifactStore, page: str, model: str, metric: str, title: str
) -> None:
    _, report = report_of(measured, model)

    cell = ParsedPage(page).table("Models by NDCG@10").cell(model, title)

    low, high = report.intervals[metric]
    assert cell == f"{report.metrics[metric]:.4f} [{low:.3f}, {high:.3f}]"


def test_the_validation_column_is_the_reports_number(measured: ArtifactStore, page: str) -> None:
    table = ParsedPage(page).table("Models by NDCG@10")

    for model in MODELS:
        expected = report_of(measured, model)[1].validation_metrics["ndcg@10"]
        assert table.cell(model, "NDCG@10 validation") == f"{expected:.4f}"


def test_the_difference_of_two_models_is_that_of_their_users(measured: ArtifactStore, page: str) -> None:
    means = {model: report_of(measured, model)[1].metrics["ndcg@10"] for model in MODELS}
    leader = max(means, key=means.__getitem__)
    table = ParsedPage(page).table(f"{leader} against each other model")

    for other in set(MODELS) - {leader}:
        shown = table.cell(other, "Difference").split()[0].replace("−", "-")
        assert float(shown) == pytest.approx(means[leader] - means[other], abs=5e-5)
        users = [int(table.cell(other, column).split()[0]) for column in ("Users better", "Users equal", "Users worse")]
        assert sum(users) == report_of(measured, leader)[1].counts["users_evaluated"]


def test_the_segments_are_those_of_the_file(measured: ArtifactStore, page: str) -> None:
    artifact, _ = report_of(measured, "ease")
    rows = pq.read_table(artifact.folder / SEGMENTS_FILE).to_pylist()
    table = ParsedPage(page).table("By genre")

    found = {row["segment"]: row for row in rows if row["kind"] == "genre" and row["metric"] == "ndcg@10"}
    assert found
    for genre, row in found.items():
        assert table.cell(genre, "ease") == f"{row['value']:.3f}"
        assert table.cell(genre, "Users") == f"{row['users']:,}"


def test_unlike_fingerprints_are_never_in_one_table(measured: ArtifactStore, page: str) -> None:
    parsed = ParsedPage(page)

    assert sorted(parsed.table("Models by NDCG@10").names()) == sorted(MODELS)
    assert sorted(parsed.table("Models by NDCG@10", "part-2").names()) == ["ease", "lightgcn"]
    full = report_of(measured, "ease")[1].fingerprint
    origins = [table for table in parsed.tables if table.caption.startswith("Where each model came from")]
    fingerprints = [{table.cell(model, "Fingerprint") for model in table.names()} for table in origins]
    assert all(len(own) == 1 for own in fingerprints)
    assert fingerprints[0] == {full}
    assert fingerprints[1] != {full}


def test_sampled_numbers_come_after_full_ranking_and_say_why_they_stand_apart(page: str) -> None:
    words = ParsedPage(page).words()

    assert words.index("sampled ranking against 5 uniform negatives") > words.index("Where each model came from")
    assert "never stand in one table with full ranking" in words


def test_notes_stand_at_their_reports_and_releases_and_withdrawn_ones_do_not(store: ArtifactStore) -> None:
    report, _ = report_of(store, "ease")
    decision = record(store, Decision("camps", "kept", "ease stays", "hand"), None)
    pin_note(store, report.reference, "Half of the shop\nwas <b>closed</b>.", "Ada")
    withdraw(store, pin_note(store, report.reference, "Nonsense."))
    pin_note(store, decision.reference, "Agreed on Monday.")
    parsed = written(store)
    assert parsed.table("Notes, the oldest first").cell("ease", "Note") == "Half of the shop was <b>closed</b>."
    assert "Ada" in parsed.table("Notes, the oldest first").cell("ease", "When and by whom")
    words = parsed.words()
    assert "Agreed on Monday." in words and f"Release decision {decision.reference.rpartition('/')[2]}" in words
    assert "Nonsense." not in words


def test_markup_in_names_and_settings_is_text(page: str, store: ArtifactStore) -> None:
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    rewrite(store, "lightgcn", model="<img src=x onerror=alert(1)>", data="<b>films</b>")

    parsed = written(store)

    assert {"img", "b"}.isdisjoint(tag for tag, _ in parsed.tags)
    assert "<img src=x onerror=alert(1)>" in parsed.words()
    assert not parsed.problems


def test_the_page_needs_nothing_beside_it(page: str) -> None:
    parsed = ParsedPage(page)

    assert {"script", "link", "iframe", "object", "embed", "img", "base"}.isdisjoint(tag for tag, _ in parsed.tags)
    links = [attributes.get(name) for _, attributes in parsed.tags for name in ("href", "src", "xlink:href")]
    assert all(link.startswith("#") for link in links if link is not None)
    assert not re.search(r"@import|url\(|https?://", page)
    assert not any(name.startswith("on") for _, attributes in parsed.tags for name in attributes)


def test_the_page_is_well_formed_and_its_links_lead_somewhere(page: str) -> None:
    parsed = ParsedPage(page)
    ids = [attributes["id"] for _, attributes in parsed.tags if "id" in attributes]

    assert not parsed.problems
    assert len(ids) == len(set(ids))
    targets = {str(attributes["href"])[1:] for tag, attributes in parsed.tags if tag == "a"}
    labels = {str(attributes["aria-labelledby"]) for _, attributes in parsed.tags if "aria-labelledby" in attributes}
    assert targets | labels <= set(ids)


def test_charts_speak_and_table_headers_have_a_scope(page: str) -> None:
    tags = ParsedPage(page).tags
    charts = [attributes for tag, attributes in tags if tag == "svg" and attributes.get("class") == "plot"]

    assert len(charts) >= 8
    assert all(chart["role"] == "img" and len(chart["aria-label"] or "") > 20 for chart in charts)
    assert all(attributes.get("scope") in ("col", "row") for tag, attributes in tags if tag == "th")


def test_no_number_is_missing_from_a_chart(page: str) -> None:
    assert "nan" not in {word.strip("%,;.") for word in page.split()}
    assert '"nan%"' not in page
    assert '"inf%"' not in page


def test_a_missing_segments_file_is_a_sentence(store: ArtifactStore) -> None:
    artifact, _ = report_of(store, "ease")
    (artifact.folder / SEGMENTS_FILE).unlink()

    parsed = written(store)

    assert "The segments of ease cannot be shown:" in parsed.words()
    assert sorted(parsed.table("Models by NDCG@10").names()) == sorted(MODELS)
    assert str(store.root) not in parsed.words()


def test_users_that_cannot_be_read_leave_the_means(store: ArtifactStore) -> None:
    artifact, report = report_of(store, "popularity")
    (artifact.folder / "users.parquet").write_bytes(b"damaged")

    parsed = written(store)

    assert "popularity is compared with no other model:" in parsed.words()
    table = parsed.table("Models by NDCG@10")
    assert table.cell("popularity", "NDCG@10 test").startswith(f"{report.metrics['ndcg@10']:.4f}")
    assert table.cell("popularity", "Against the best") == "not compared"


def test_a_damaged_report_is_left_out_and_named(store: ArtifactStore) -> None:
    artifact, _ = report_of(store, "popularity")
    (artifact.folder / "report.json").write_text("{}", encoding="utf-8")

    parsed = written(store)

    assert sorted(parsed.table("Models by NDCG@10").names()) == ["ease", "lightgcn"]
    assert f"{artifact.reference}/report.json: does not match its manifest's checksum" in parsed.words()


def test_a_missing_history_and_a_broken_pointer_are_sentences(store: ArtifactStore) -> None:
    (store.require(Slot("trained_model", "camps", "lightgcn", "cpu")).folder / "history.parquet").unlink()
    store.storage.pointer_file("serving", "camps").parent.mkdir(parents=True, exist_ok=True)
    store.storage.pointer_file("serving", "camps").write_text("no pointer", encoding="utf-8")

    words = written(store).words()

    assert "The history of lightgcn cannot be shown:" in words
    assert "The served version is not known:" in words


def test_what_is_served_is_named(store: ArtifactStore) -> None:
    store.point("serving", store.require(Slot("faiss_index", "camps", "ease", "cpu")), {})

    words = written(store).words()

    assert "What is served now? ease The promoted index is of this very model" in words


def test_the_report_that_models_are_ranked_by_is_shown_rather_than_a_newer_one(store: ArtifactStore) -> None:
    artifact, report = report_of(store, "ease")
    other = {**json.loads((artifact.folder / "report.json").read_text()), "metrics": {"ndcg@10": 0.9}}
    store.publish(
        artifact.slot,
        lambda folder: (folder / "report.json").write_text(json.dumps(other)) and None,
        key="again",
        fingerprint=artifact.fingerprint,
        newest=False,
    )

    cell = written(store).table("Models by NDCG@10").cell("ease", "NDCG@10 test")

    assert cell.startswith(f"{report.metrics['ndcg@10']:.4f}")


def test_a_training_in_another_set_up_changes_neither_the_report_nor_the_comparison(store: ArtifactStore) -> None:
    artifact, _ = report_of(store, "ease")
    values = {**json.loads((artifact.folder / "report.json").read_text()), "fingerprint": "another"}
    store.publish(
        artifact.slot,
        lambda folder: (folder / "report.json").write_text(json.dumps(values)) and None,
        key="another",
        fingerprint="another",
    )

    parts = find_groups(store, "camps")[0]
    compared = [one.report.model for one in reports_to_compare(store, "camps", [])]
    ease, popularity = reports_to_compare(store, "camps", ["ease", "popularity/cpu"])

    assert set(parts[0].reports) == set(MODELS) == set(compared)
    assert ease.report.fingerprint == popularity.report.fingerprint != "another"


@pytest.mark.parametrize(
    ("metric", "title"),
    [("auc", "AUC"), ("recall@5", "Recall@5"), ("serendipity@10", "Serendipity@10"), ("hit_rate@20", "Hit rate@20")],
)
def test_any_metric_of_single_users_can_be_asked_for(
    measured: ArtifactStore, tmp_path: Path, metric: str, title: str
) -> None:
    path = write_report(measured, "camps", tmp_path / "report.html", metric)

    parsed = ParsedPage(path.read_text(encoding="utf-8"))

    value = report_of(measured, "ease")[1].metrics[metric]
    assert parsed.table(f"Models by {title}").cell("ease", f"{title} test").startswith(f"{value:.4f}")
    assert not parsed.problems


@pytest.mark.parametrize("metric", ["coverage@10", "ndcg@99", "nonsense"])
def test_a_metric_by_which_nothing_can_be_compared_is_refused(measured: ArtifactStore, metric: str) -> None:
    with pytest.raises(ConfigError, match="choose"):
        write_report(measured, "camps", measured.root.parent / "never.html", metric)


def test_an_empty_store_says_which_command_fills_it(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="movierec demo"):
        write_report(ArtifactStore(tmp_path / "nothing"), "camps", tmp_path / "report.html")
    assert not (tmp_path / "report.html").exists()


@pytest.mark.parametrize(("metric", "code"), [("ndcg@10", 0), ("coverage@10", 2)])
def test_the_command_writes_the_page_and_prints_its_path(
    measured: ArtifactStore, tmp_path: Path, metric: str, code: int
) -> None:
    output = tmp_path / "page.html"
    arguments = ["report", "--artifacts", str(measured.root), "--metric", metric, "--output", str(output)]

    result = CliRunner().invoke(cli, arguments)

    assert result.exit_code == code
    assert output.exists() == (code == 0)
    assert (str(output) in result.output) == (code == 0)


def test_the_command_fails_on_an_empty_store(tmp_path: Path) -> None:
    assert CliRunner().invoke(cli, ["report", "--artifacts", str(tmp_path / "nothing")]).exit_code == 1


def rewrite(store: ArtifactStore, of: str, **changes: object) -> None:
    """Publish a model's newest report once more, with other values."""
    artifact, _ = report_of(store, of)
    values = {**json.loads((artifact.folder / "report.json").read_text(encoding="utf-8")), **changes}

    def write(folder: Path) -> None:
        for name in artifact.files:
            (folder / name).write_bytes((artifact.folder / name).read_bytes())
        (folder / "report.json").write_text(json.dumps(values), encoding="utf-8")

    store.publish(
        artifact.slot,
        write,
        key="rewritten",
        fingerprint=artifact.fingerprint,
        config=artifact.config,
        parents={kind: store.resolve(parent) for kind, parent in artifact.parents.items()},
    )


def test_backtests_of_the_same_windows_share_a_table_with_the_files_numbers(
    store: ArtifactStore, small_data: list[str]
) -> None:
    made = {
        model: backtest(store, load_settings([*small_data, f"model={model}"]), windows=3, first_train_share=0.5)
        for model in ("popularity", "ease")
    }
    page = written(store)
    assert "Backtest over time" in page.words()
    table = next(found for found in page.tables if found.caption.startswith("The windows"))
    for model, artifact in made.items():
        for row in pq.read_table(artifact.folder / "metrics.parquet").to_pylist():
            if row["users"] == "all" and row["metric"] == "ndcg@10":
                assert table.cell(str(row["window"]), model).startswith(f"{row['value']:.4f}")


def test_a_damaged_backtest_is_a_sentence(store: ArtifactStore, small_data: list[str]) -> None:
    made = backtest(store, load_settings([*small_data, "model=popularity"]), windows=2, first_train_share=0.5)
    (made.folder / "windows.parquet").write_bytes(b"half")
    assert "A backtest cannot be shown" in written(store).words()


def publish_curve(store: ArtifactStore, model: str, gain: float, least: int | None) -> Artifact:
    """A fold-in curve of twenty people, `gain` above popularity at every size."""
    popularity = np.linspace(0.1, 0.3, 20)
    few = popularity[:, None] + gain * np.arange(1, 5)
    table = curve_table(FoldInCurve("test", np.arange(20), (1, 3, 5, 10), few, popularity, popularity, popularity))
    return published(
        store, model, table, {"fold_in_min_items": least, "decided_on": "validation", "users": 20, "folds": 4}
    )


def published(store: ArtifactStore, model: str, table: pa.Table, facts: dict[str, Any]) -> Artifact:
    return store.publish(
        Slot("strong_generalization", "camps", model, "cpu"),
        lambda folder: pq.write_table(table, folder / "curve.parquet"),
        key="0" * 12,
        fingerprint="f" * 12,
        facts=facts,
    )


def fold_in_table(page: ParsedPage) -> FoundTable:
    return next(found for found in page.tables if found.caption.startswith("New users by model"))


def test_new_users_have_the_curves_numbers_and_a_conclusion(store: ArtifactStore) -> None:
    for model, gain, least in (("ease", 0.05, 3), ("lightgcn", -0.02, None)):
        publish_curve(store, model, gain, least)

    page = written(store)

    table = fold_in_table(page)
    assert table.cell("ease", "10 movies folded in").startswith("0.4000")
    assert table.cell("lightgcn", "1 movie folded in").startswith("0.1800")
    assert table.cell("ease", "Popularity nothing known").startswith("0.2000")
    assert [table.cell(model, "Folds in from movies, on validation") for model in ("ease", "lightgcn")] == [
        "3",
        "no size",
    ]
    assert (
        "ease is the best on test; on validation it is significantly better than popularity from 3 movies on"
        in page.words()
    )
    assert "20 users were held out in turn, in 4 folds" in page.words()
    sizes = ("1 movie folded in", "3 movies folded in", "5 movies folded in", "10 movies folded in")
    assert ["★" in table.cell("ease", size) for size in sizes] == [True] * 4
    assert ["★" in table.cell("lightgcn", size) for size in sizes] == [False] * 4
    assert not page.problems


def test_a_damaged_curve_is_a_sentence(store: ArtifactStore) -> None:
    publish_curve(store, "ease", 0.05, 3)
    made = publish_curve(store, "lightgcn", 0.05, 3)
    (made.folder / "curve.parquet").write_bytes(b"half")

    page = written(store)

    assert fold_in_table(page).names() == ["ease"]
    assert "A fold-in curve cannot be shown" in page.words()


def test_curves_of_other_folds_are_a_group_of_their_own(store: ArtifactStore) -> None:
    made = publish_curve(store, "ease", 0.05, 3)
    table = pq.read_table(made.folder / "curve.parquet")
    published(store, "lightgcn", table, {**made.facts, "folds": 10})

    page = written(store)

    assert [table.names() for table in page.tables if table.caption == fold_in_table(page).caption] == [
        ["ease"],
        ["lightgcn"],
    ]
    assert not page.problems


def test_a_curve_that_test_decided_is_a_sentence_that_says_how_to_measure_again(
    store: ArtifactStore,
) -> None:
    made = publish_curve(store, "ease", 0.05, 3)
    older = pq.read_table(made.folder / "curve.parquet").drop_columns("part")
    published(store, "lightgcn", older, {"fold_in_min_items": None, "users": 20, "folds": 4})

    page = written(store)

    assert fold_in_table(page).names() == ["ease"]
    assert "decided on the test items from how many movies on fold-in is enough" in page.words()
    assert "movierec strong-generalization --model lightgcn --device cpu" in page.words()
    assert not page.problems


def test_the_tradeoffs_of_the_dials_are_those_of_the_file(store: ArtifactStore) -> None:
    made = measure_dials(store, store.require(Slot("trained_model", "camps", "ease", "cpu")))
    page = written(store)
    assert not page.problems
    assert "What taste dials cost" in page.words()
    assert re.search(r"Decade balance 0.5 costs .* and brings the decades \d+ % nearer to the user's own", page.words())
    table = next(found for found in page.tables if found.caption == "Taste dials of ease")
    shown = {cells[0]: dict(zip(table.rows[0], cells, strict=True)) for cells in table.rows[1:]}
    for row in pq.read_table(made.folder / "tradeoff.parquet").to_pylist():
        cells = shown[f"{row['dial'].replace('_', ' ').capitalize()} {row['setting']:g}"]
        if row["measure"] == "ndcg@10":
            assert cells["NDCG@10"].startswith(f"{row['value']:.4f}")
        if row["measure"] == "decade_divergence@10":
            assert cells["Decade divergence"].startswith(f"{row['value']:.3f}")


def test_damaged_tradeoffs_are_a_sentence(store: ArtifactStore) -> None:
    made = measure_dials(store, store.require(Slot("trained_model", "camps", "ease", "cpu")))
    (made.folder / "tradeoff.parquet").write_bytes(b"half")
    assert "The trade-off of taste dials cannot be shown" in written(store).words()
