"""The whole line from the raw files to the release, materialized once, and what Dagster's pages show of it."""

import json
from collections.abc import Iterator
from dataclasses import dataclass

import dagster as dg
import pytest
from dagster_runs import latest

from movierec_assets.materialize import materialize
from movierec_assets.table_columns import table_column
from movierec_engine.store import SERVING, ArtifactStore, is_refitted, measured_index
from worlds import write_noisy_camps


@dataclass(frozen=True)
class Line:
    """A whole line that was materialized once: ease, popularity and lightgcn, from the raw files to the release."""

    instance: dg.DagsterInstance
    store: ArtifactStore
    overrides: list[str]

    def shown(self, asset: str, partition: str | None = None) -> dict[str, object]:
        """The metadata of the newest materialization."""
        records = dg.AssetRecordsFilter(dg.AssetKey(asset), asset_partitions=[partition] if partition else None)
        (record,) = self.instance.fetch_materializations(records, limit=1).records
        assert record.asset_materialization is not None
        return {name: value.value for name, value in record.asset_materialization.metadata.items()}


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Line]:
    root = tmp_path_factory.mktemp("line")
    write_noisy_camps(root / "ratings")
    overrides = ["data.name=camps", f"data.dir='{root / 'ratings'}'", f"paths.checkpoints='{root / 'checkpoints'}'"]
    overrides += ["logger.use_mlflow=false", "logger.use_wandb=false", "trainer.max_epochs=2"]
    with dg.DagsterInstance.ephemeral() as instance, pytest.MonkeyPatch.context() as patch:
        patch.setenv("MOVIEREC_ARTIFACTS", str(root / "store"))
        materialize(["popularity", "ease", "lightgcn"], "cpu", overrides, instance)
        yield Line(instance, ArtifactStore(root / "store"), overrides)


def test_the_whole_line_ends_in_a_served_index_with_its_lineage(line: Line) -> None:
    served = line.store.pointed(SERVING, "camps")
    assert served is not None
    model = line.store.resolve(served.parents["trained_model"])
    split = line.store.resolve(model.parents["splits"])
    interactions = line.store.resolve(split.parents["interactions"])
    ratings = line.store.resolve(interactions.parents["raw_ratings"])
    assert ratings == latest(line.store, "raw_ratings")
    report = latest(line.store, "evaluation_report", served.slot.model, served.slot.device)
    assert served.fingerprint == model.fingerprint == split.fingerprint == report.fingerprint
    runs = {run.run_id for run in line.instance.get_runs()}
    assert {artifact.origin["dagster_run_id"] for artifact in (served, model, split, ratings, report)} <= runs


def test_what_is_served_was_refitted_and_both_versions_are_shown(line: Line) -> None:
    served = line.store.pointed(SERVING, "camps")
    assert served is not None and is_refitted(served)
    measured = latest(line.store, "faiss_index", served.slot.model, served.slot.device)
    assert measured_index(served) == measured.reference
    refit, release = line.shown("refitted_release"), line.shown("serving_release")
    assert (refit["refitted"], refit["measured"]) == (served.reference, measured.reference)
    assert refit["interactions"] == line.store.resolve(served.parents["refitted_model"]).facts["interactions"]
    assert (release["served"], release["measured"]) == (served.reference, measured.reference)
    assert "refit_agrees" in str(release["refit checks"])


def test_materializations_show_what_was_made(line: Line) -> None:
    assert line.shown("raw_ratings")["dagster/row_count"] == 80 * 14
    shown = line.shown("evaluation_report", "cpu|popularity")
    made = latest(line.store, "evaluation_report", "popularity", "cpu")
    saved = json.loads((made.folder / "report.json").read_text())
    assert shown["test ndcg@10"] == round(saved["metrics"]["ndcg@10"], 4), "the file has all digits"
    assert shown["fingerprint"] == saved["fingerprint"]
    assert shown["folder"] == str(made.folder)
    assert "| NDCG |" in str(shown["test metrics"])


@pytest.mark.parametrize(
    ("asset", "partition", "columns"),
    [
        ("interactions", None, ["user_id", "movie_id", "rating", "timestamp"]),
        ("splits", None, ["user_id", "movie_id", "rating", "timestamp", "part"]),
        ("evaluation_report", "cpu|ease", ["user_id", "test_items", "train_items", "precision@5"]),
        ("trained_model", "cpu|lightgcn", ["epoch", "loss", "seconds"]),
        ("leaderboard", None, ["rank", "model", "device"]),
    ],
)
def test_materializations_show_the_columns_that_the_files_have(
    line: Line, asset: str, partition: str | None, columns: list[str]
) -> None:
    schema = line.shown(asset, partition)["dagster/column_schema"]
    assert isinstance(schema, dg.TableSchema)
    assert [column.name for column in schema.columns][: len(columns)] == columns
    assert [column.name for column in schema.columns if not column.description] == []


def test_a_column_of_a_metric_is_described_as_the_metric_is() -> None:
    assert table_column("disliked@10", "double").description == (
        "Disliked: share of a list that the user is known to dislike."
    )
    assert str(table_column("validation ndcg@10", "double").description).startswith("NDCG, on validation: ")
    assert table_column("a_setting", "double").description is None


def test_columns_that_are_taken_from_another_table_say_from_which(line: Line) -> None:
    lineage = line.shown("splits")["dagster/column_lineage"]
    assert isinstance(lineage, dg.TableColumnLineage)
    assert {name: [(of.asset_key, of.column_name) for of in deps] for name, deps in lineage.deps_by_column.items()} == {
        name: [(dg.AssetKey("interactions"), name)] for name in ("user_id", "movie_id", "rating", "timestamp")
    }, "and `part` is from none"


def test_a_learning_curve_is_drawn_of_a_model_trained_by_epochs(line: Line) -> None:
    assert "data:image/svg+xml" in str(line.shown("trained_model", "cpu|lightgcn")["learning curve"])
    assert "learning curve" not in line.shown("trained_model", "cpu|ease")
