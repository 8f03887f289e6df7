"""A report of lists that another system made stands beside those of models."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result

from dashboard.queries import leaderboard, reports
from movierec_engine import pipeline
from movierec_engine.cli.main import cli
from movierec_engine.config import load_settings
from movierec_engine.evaluation.report import LISTS_FILE, SEGMENTS_FILE, EvaluationReport
from movierec_engine.pipeline.model_checks import nothing_seen_is_recommended, report_adds_up
from movierec_engine.reporting.html import write_report
from movierec_engine.store import Artifact, ArtifactStore, Slot, kinds

Made = dict[str, Artifact]


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(tmp_path / "store")


@pytest.fixture
def made(store: ArtifactStore, small_data: list[str]) -> Made:
    return pipeline.run(store, load_settings([*small_data, "model=ease"]))


def evaluated(store: ArtifactStore, *arguments: str) -> Result:
    return CliRunner().invoke(cli, ["evaluate", "--artifacts", str(store.root), *arguments], env={"COLUMNS": "200"})


def theirs(made: Made, path: Path) -> Path:
    """The model's own lists, as another system would write them, with a movie that nobody knows."""
    lists = pq.read_table(made[kinds.EVALUATION_REPORT].folder / LISTS_FILE)
    strange = pa.table({"user_id": lists["user_id"][:1], "rank": [99], "movie_id": [123456789]}).cast(lists.schema)
    pq.write_table(pa.concat_tables([lists, strange]), path)
    return path


def test_a_models_lists_given_by_file_have_its_numbers_and_are_compared_with_it(
    store: ArtifactStore, made: Made, tmp_path: Path
) -> None:
    result = evaluated(store, "--lists", str(theirs(made, tmp_path / "theirs.parquet")))
    assert result.exit_code == 0 and "1 rows of the lists are of users or movies" in result.output
    given = store.require(Slot(kinds.EVALUATION_REPORT, "camps", "theirs", "lists"))
    report, own = (EvaluationReport.load(one.folder) for one in (given, made[kinds.EVALUATION_REPORT]))
    assert report.fingerprint == own.fingerprint
    assert report.metrics == {name: value for name, value in own.metrics.items() if name != "auc"}
    assert report.intervals["ndcg@10"] == pytest.approx(own.intervals["ndcg@10"])
    assert report_adds_up(store, given).passed and nothing_seen_is_recommended(store, given).passed
    assert pq.read_table(given.folder / SEGMENTS_FILE) == pq.read_table(
        made[kinds.EVALUATION_REPORT].folder / SEGMENTS_FILE
    )
    board = CliRunner().invoke(cli, ["compare", "--artifacts", str(store.root), "ease", "theirs"])
    assert board.exit_code == 0 and "statistically tied with" in " ".join(board.output.split())
    snapshot = reports.load(store.root)
    (group,) = leaderboard.groups(snapshot)
    standings = leaderboard.standings(snapshot, group, "ndcg", 10)
    assert {one.model: one.score for one in standings} == dict.fromkeys(("ease", "theirs"), own.metrics["ndcg@10"])
    page = write_report(store, "camps", tmp_path / "page.html").read_text(encoding="utf-8")
    assert "movierec evaluate --lists" in page


def test_lists_are_ranked_by_no_leaderboard_and_take_no_models_place(
    store: ArtifactStore, made: Made, tmp_path: Path
) -> None:
    path = theirs(made, tmp_path / "theirs.parquet")
    assert evaluated(store, "--lists", str(path), "--name", "other").exit_code == 0
    rows = pipeline.rank_models(store, "camps", "ndcg@10").facts["rows"]
    assert [row["model"] for row in rows] == ["ease"]
    refused = evaluated(store, "--lists", str(path), "--name", "ease")
    assert refused.exit_code == 2 and "ease is the name of a model" in refused.output
    assert store.require(Slot(kinds.EVALUATION_REPORT, "camps", "ease", "cpu")) == made[kinds.EVALUATION_REPORT]


def test_a_model_or_lists_are_measured_and_not_both(store: ArtifactStore, tmp_path: Path) -> None:
    path = tmp_path / "lists.csv"
    path.write_text("user,item,rank\n1,2,1\n")
    for arguments, said in (([], "name a model to measure"), (["--model", "ease", "--lists", str(path)], "not both")):
        result = evaluated(store, *arguments)
        assert result.exit_code == 2 and said in result.output
