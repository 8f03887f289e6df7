"""A metric is one function: every surface takes it and what is said of it from the registry, wherever it is from."""

import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from dashboard.queries import leaderboard, reports
from movierec_engine import pipeline
from movierec_engine.cli.main import cli
from movierec_engine.config import load_settings
from movierec_engine.errors import ConfigError, MovierecError
from movierec_engine.evaluation import Evaluator
from movierec_engine.evaluation.config import EvaluationConfig
from movierec_engine.evaluation.metrics import (
    Hits,
    PerUser,
    Reported,
    hits_at,
    metric_title,
    metrics,
    register_metric,
    registry,
)
from movierec_engine.evaluation.rankings import Rankings
from movierec_engine.evaluation.report import SEGMENTS_FILE, USERS_FILE, EvaluationReport
from movierec_engine.models import plugins
from movierec_engine.pipeline.model_checks import report_adds_up
from movierec_engine.reporting.html import write_report
from movierec_engine.store import ArtifactStore

OUTSIDE = '''
"""A metric of a package of its own."""
from movierec_engine.evaluation.metrics import register_metric


@register_metric(title="First hit", formula="1 where the first item is a hit, else 0", direction="higher")
def first_hit(hits):
    return hits[:, 0].astype(float)


@register_metric(title="Fame", formula="mean popularity of a place", bounds=(0, 99), direction="lower", per_user=False)
def fame(lists, catalogue, k):
    return float(catalogue.popularity[lists[:, :k]].mean())
'''


@pytest.fixture(autouse=True)
def own_registry(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What a test registers is forgotten after it."""
    metrics()
    monkeypatch.setattr(registry, "_registered", dict(registry._registered))
    yield
    registry._load_entry_points.cache_clear()


def install(folder: Path, monkeypatch: pytest.MonkeyPatch, source: str, value: str) -> None:
    """A distribution `outside` on sys.path, with an entry point."""
    (folder / "outside-1.0.dist-info").mkdir(parents=True)
    (folder / "outside_metrics.py").write_text(source, encoding="utf-8")
    (folder / "outside-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: outside\nVersion: 1.0\n")
    (folder / "outside-1.0.dist-info" / "entry_points.txt").write_text(f"[movierec.metrics]\nmine = {value}\n")
    monkeypatch.syspath_prepend(folder)
    monkeypatch.delitem(sys.modules, "outside_metrics", raising=False)
    registry._load_entry_points.cache_clear()


def test_every_metric_says_what_it_is_and_asks_for_what_rankings_have() -> None:
    for metric in metrics().values():
        assert metric.title and metric.formula and metric.bounds[0] < metric.bounds[1]
    own = {name: one for name, one in metrics().items() if one.function.__module__.startswith("movierec_engine.")}
    of_hits = {"precision", "recall", "capped_recall", "ndcg", "hit_rate", "map", "mrr"}
    dislikes = {"liked_ndcg", "disliked"}
    assert {name for name, one in own.items() if one.of_hits} == of_hits
    assert {name for name, one in own.items() if one.of_accuracy} == of_hits | {"auc"}
    assert {name for name, one in own.items() if one.judges} == of_hits | dislikes | {"auc", "serendipity"}
    assert {name for name, one in own.items() if one.of_dislikes} == dislikes
    assert {name for name, one in own.items() if one.of_first_ranks} == of_hits | {"coverage", "gini"}
    assert [name for name, one in own.items() if one.deep] == ["auc"]
    assert [name for name, one in own.items() if one.direction == "lower"] == ["disliked"]
    having = set(dir(Rankings)) | set(Rankings.__dataclass_fields__) | {"k"}
    assert set(registry.INPUTS) <= having


@pytest.mark.slow
def test_a_metric_from_another_package_works_on_every_surface(
    tmp_path: Path, small_data: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path / "site", monkeypatch, OUTSIDE, "outside_metrics")
    store = ArtifactStore(tmp_path / "store")
    for model in ("popularity", "ease"):
        made = pipeline.run(store, load_settings([*small_data, f"model={model}"]))
    folder = made["evaluation_report"].folder

    report, users = EvaluationReport.load(folder), pq.read_table(folder / USERS_FILE)
    assert report.metrics["first_hit"] == pytest.approx(np.mean(users["first_hit"].to_numpy()))
    assert report.intervals["first_hit"][0] <= report.metrics["first_hit"] <= report.intervals["first_hit"][1]
    assert report_adds_up(store, made["evaluation_report"]).passed
    page = write_report(store, "camps", tmp_path / "report.html").read_text(encoding="utf-8")
    assert "First hit" in page and "1 where the first item is a hit, else 0" in page
    board = CliRunner().invoke(
        cli, ["compare", "--artifacts", str(store.root), "--metric", "first_hit"], env={"COLUMNS": "200"}
    )
    assert board.exit_code == 0 and f"{report.metrics['first_hit']:.4f}" in board.output
    snapshot = reports.load(store.root)
    (group,) = leaderboard.groups(snapshot)
    assert leaderboard.metrics(snapshot, group)["fame"] == [5, 10, 20]
    fame = [one.score or 0 for one in leaderboard.standings(snapshot, group, "fame", 10)]
    assert fame[0] < fame[1], "the lower one stands first"
    assert metric_title("fame@10") == "Fame@10"


def test_a_file_of_metrics_that_is_named_as_a_plugin_and_imported_as_well_registers_each_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plugins, "_loaded", set())
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("first", "later"):
        (tmp_path / f"{name}_metrics.py").write_text(
            OUTSIDE.replace("fame", f"{name}_fame").replace("first_hit", f"{name}_one")
        )
    monkeypatch.setenv("MOVIEREC_PLUGINS", f"{tmp_path / 'first_metrics.py'}:{tmp_path / 'later_metrics.py'}")
    import_module("first_metrics")
    before = len(metrics())
    import_module("later_metrics")
    assert len(metrics()) == before and {"first_fame", "first_one", "later_fame", "later_one"} <= set(metrics())
    with pytest.raises(
        ConfigError, match=r"metric first_fame is registered by .*_metrics.first_fame and by .*; rename one"
    ):

        @register_metric(title="Another", formula="another", name="first_fame")
        def another(hits: Hits) -> PerUser:
            return hits[:, 0].astype(float)


def test_a_metric_of_hits_is_taken_by_kinds_of_users_and_items_as_well(tmp_path: Path, small_data: list[str]) -> None:
    @register_metric(title="Last place", formula="1 where place k is a hit")
    def last_place(hits: np.ndarray, k: int) -> PerUser:
        return hits[:, k - 1].astype(float)

    made = pipeline.run(ArtifactStore(tmp_path), load_settings([*small_data, "model=popularity"]))
    rows = pq.read_table(made["evaluation_report"].folder / SEGMENTS_FILE)
    assert {"last_place@5", "ndcg@5"} <= set(rows["metric"].to_pylist())


def test_a_value_outside_the_bounds_of_a_metric_is_found(tmp_path: Path, small_data: list[str]) -> None:
    @register_metric(title="Places", formula="number of hits", bounds=(0, 1))
    def places(hits: np.ndarray) -> PerUser:
        return 2.0 + hits.sum(axis=1)

    store = ArtifactStore(tmp_path)
    made = pipeline.run(store, load_settings([*small_data, "model=popularity"]))
    found = report_adds_up(store, made["evaluation_report"])
    assert not found.passed and "places outside the metric's bounds" in found.sentence


def test_by_default_all_that_are_registered_are_measured_and_the_settings_name_them() -> None:
    @register_metric(title="Nothing", formula="0")
    def nothing(relevant: np.ndarray) -> PerUser:
        return np.zeros(len(relevant))

    assert EvaluationConfig().metrics == tuple(metrics()) and "nothing" in metrics()
    assert Evaluator([3, 5], ["ndcg", "auc", "nothing"]).metric_names == ["ndcg@3", "ndcg@5", "auc", "nothing"]


@pytest.mark.parametrize(
    ("source", "value", "sentence"),
    [
        ("import no_such_module", "outside_metrics", "cannot be loaded"),
        ("def mine(hits): ...", "outside_metrics:mine", "registers no metric"),
        (OUTSIDE.replace("def first_hit(hits)", "def ndcg(hits)"), "outside_metrics", "ndcg is registered by"),
        (OUTSIDE.replace("def first_hit(hits)", "def first_hit(hit)"), "outside_metrics", "asks for 'hit'"),
    ],
)
def test_an_entry_point_that_is_no_metric_is_refused_in_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, value: str, sentence: str
) -> None:
    install(tmp_path, monkeypatch, source, value)
    with pytest.raises(ConfigError, match=sentence):
        metrics()


def test_a_value_that_is_not_one_a_user_is_refused(small_data: list[str], tmp_path: Path) -> None:
    @register_metric(title="Flat", formula="one number")
    def flat(hits: np.ndarray) -> float:
        return float(hits.mean())

    with pytest.raises(MovierecError, match="metric flat returned values of shape"):
        pipeline.run(ArtifactStore(tmp_path), load_settings([*small_data, "model=popularity"]))


@pytest.mark.parametrize(
    ("text", "name", "depth"),
    [
        ("ndcg@10", "ndcg", 10),
        ("auc", "auc", None),
        ("ndcg@ten", "ndcg@ten", None),
        ("ndcg@", "ndcg@", None),
        ("@10", "@10", None),
        ("", "", None),
    ],
)
def test_a_reported_name_has_a_depth_where_a_number_stands_behind_it(text: str, name: str, depth: int | None) -> None:
    assert Reported.read(text) == (name, depth)
    assert str(Reported.read(text)) == text


def test_hits_are_asked_for_by_a_metric_of_hits_and_a_depth() -> None:
    assert hits_at("recall@20") == ("recall", 20)
    for wrong in ("recall", "recall@0", "recall@x", "auc", "auc@10", "nothing@10"):
        with pytest.raises(ConfigError, match=rf"model\.metric={wrong} must be one of .*, ndcg, .* at a depth"):
            hits_at(wrong, "model.metric")
