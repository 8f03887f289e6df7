"""The leaderboard as a visitor sees it."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from streamlit.testing.v1 import AppTest

from movierec_engine.evaluation.metrics import metric_title, metrics
from movierec_engine.store import Artifact, ArtifactStore

ROOT = Path(__file__).parents[2]

Open = Callable[..., AppTest]
Publish = Callable[..., Artifact]


def text(app: AppTest) -> str:
    """All text of the page, its Markdown escapes undone."""
    parts = [
        element.value for kind in ("markdown", "caption", "warning", "info", "header") for element in app.get(kind)
    ]
    return re.sub(r"\\(.)", r"\1", "\n".join(parts))


def test_an_empty_store_says_which_command_fills_it(open_page: Open) -> None:
    app = open_page()
    assert "No evaluation reports yet" in text(app)
    assert "movierec demo" in app.code[0].value
    assert "movierec train model=lightgcn" in app.code[0].value


def test_the_conclusion_names_the_leader_its_margins_and_the_tests(open_page: Open, publish: Publish) -> None:
    publish("ease", 0.22)
    publish("lightgcn", 0.20, half=0.02)
    publish("popularity", 0.10)
    shown = text(open_page())
    assert "ease is the best of three models, with NDCG@10 0.2200 on test, significantly ahead of every other" in shown
    assert "ease against the baseline: 2.2 times popularity" in shown
    assert "Pick on validation; test only confirms. Validation picks ease (NDCG@10 0.3200), and test confirms" in shown
    assert "ease scores +0.0200 against lightgcn over the same 10 users" in shown


def test_a_validation_that_prefers_another_model_is_said(open_page: Open, publish: Publish) -> None:
    publish("ease", 0.22, validation_metrics={"ndcg@10": 0.1})
    publish("lightgcn", 0.20, validation_metrics={"ndcg@10": 0.3})
    assert "Validation picks lightgcn (NDCG@10 0.3000), which on test is significantly worse than ease" in text(
        open_page()
    )


def test_the_table_ranks_models_with_their_costs(open_page: Open, publish: Publish) -> None:
    publish("popularity", 0.1, seconds=0.5)
    publish("ease", 0.2)
    table = open_page().dataframe[0].value
    assert list(table["Model"]) == ["ease", "popularity"]
    assert list(table["NDCG@10"]) == [0.2, 0.1]
    assert list(table["Validation NDCG@10"]) == pytest.approx([0.3, 0.2])
    assert list(table.columns)[:2] == ["Model", "NDCG@10"]
    assert list(table["Training"]) == [61.0, 0.5]
    table = open_page(metrics="memory,coverage").dataframe[0].value
    assert list(table["Peak memory"]) == [2048.0, 2048.0]


def test_a_metric_without_values_of_users_has_no_intervals_and_no_tests(open_page: Open, publish: Publish) -> None:
    publish("popularity", 0.1, metrics={"coverage@10": 0.1})
    publish("ease", 0.2, metrics={"coverage@10": 0.4})
    app = open_page(metric="coverage")
    assert {"95 % interval", "Against the best"}.isdisjoint(app.dataframe[0].value.columns)
    shown = text(app)
    assert "Coverage@10 is one number for all users, so that models are not compared user by user." in shown
    assert not any(
        untrue in shown for untrue in ("Holm", "95 %", "mean over", "means over", "not known", "confirms it")
    )


def test_every_metric_and_every_cost_can_be_a_column(open_page: Open, publish: Publish) -> None:
    """All metrics that the engine has, those beyond accuracy among them, and the costs that a report holds."""
    every = {name: metric.at([10])[0] for name, metric in metrics().items()}
    for model, seconds in (("ease", 5.0), ("popularity", 0.5)):
        publish(model, 0.2, seconds=seconds, metrics=dict.fromkeys(every.values(), 0.2), evaluation_seconds=3.0)
    costs = ["evaluation", "latency", "memory", "model_size"]
    table = open_page(metrics=",".join([*(set(every) - {"ndcg"}), *costs])).dataframe[0].value
    assert {metric_title(key) for key in every.values()} <= set(table.columns)
    assert {"Training", "Evaluation", "Time per user", "Peak memory", "Model size"} <= set(table.columns)
    assert list(table["Evaluation"]) == [3.0, 3.0] and list(table["Time per user"]) == [0.3, 0.3], "of ten users"


def test_the_answer_stands_above_the_boxes(open_page: Open, publish: Publish) -> None:
    publish("ease", 0.2)
    publish("popularity", 0.1)
    app = open_page()
    elements = flat(app.main)
    answer, *_ = (element for element in elements if element.type == "markdown")
    assert answer.value.startswith("## ease is the best of two models")
    assert elements.index(answer) < elements.index(app.selectbox[0]) < elements.index(app.dataframe[0])


def flat(block: object) -> list[Any]:
    """The elements of a page in reading order."""
    children = getattr(block, "children", None)
    return [block] if children is None else [leaf for child in children.values() for leaf in flat(child)]


def test_metric_and_k_come_from_the_url_and_go_into_it(open_page: Open, publish: Publish) -> None:
    publish("ease", 0.2)
    publish("lightgcn", 0.3)
    publish("popularity", 0.1, device="cuda")
    app = open_page(metric="recall", k="10", device="nonsense")
    assert "popularity has the best mean of three models, Recall@10 0.9000 on test" in text(app)
    assert app.selectbox(key="device").value == "all"
    app.selectbox(key="metric").select("ndcg").run()
    app.selectbox(key="k").select("5").run()
    assert "lightgcn has the best mean of three models, NDCG@5 0.1500 on test" in text(app)
    state = {name: app.query_params[name] for name in ("metric", "k", "device", "group")}
    assert [value if isinstance(value, str) else value[0] for value in state.values()] == [
        "ndcg",
        "5",
        "all",
        "small/full/ffffffffffff",
    ]


def test_several_seeds_of_a_model_are_summed_up(open_page: Open, publish: Publish) -> None:
    publish("ease", 0.4)
    for seed, score in ((42, 0.1), (123, 0.2), (456, 0.3)):
        publish("lightgcn", score, seed=seed)
    shown = text(open_page())
    assert "**lightgcn** over 3 seeds (42, 123, 456): NDCG@10 0.2000 ± 0.1000 on test" in shown
    assert "**ease** over" not in shown


@pytest.mark.slow
def test_an_older_version_can_be_ticked_and_stands_in_the_table(open_page: Open, publish: Publish) -> None:
    older = publish("ease", 0.3, seed=7)
    publish("ease", 0.2)
    publish("popularity", 0.1)
    key = f"ease/cpu/{older.version}"
    app = open_page()
    assert list(app.dataframe[0].value["Model"]) == ["ease", "popularity"]
    assert app.multiselect(key="models").options == ["ease", "popularity", "ease · seed 7"]
    app = open_page(models=f"{key},popularity,ease")
    assert list(app.dataframe[0].value["Model"]) == ["ease · seed 7", "ease", "popularity"]
    assert "ease · seed 7 is the best of three models" in text(app)


def test_unlike_fingerprints_are_never_in_one_table(open_page: Open, publish: Publish) -> None:
    publish("lightgcn", 0.9, fingerprint="0" * 12, protocol="sampled_given")
    publish("ease", 0.2)
    publish("popularity", 0.1)
    app = open_page()
    assert list(app.dataframe[0].value["Model"]) == ["ease", "popularity"]
    assert "sampled ranking against given candidates · 10 users · 1 model · 2026-01-02 · 000000000000" in text(app)
    app = open_page(group="small/sampled_given/000000000000")
    assert list(app.dataframe[0].value["Model"]) == ["lightgcn"]
    assert "*sampled* protocol (sampled_given)" in text(app)


def test_models_are_marked_by_the_paired_test_against_the_best(open_page: Open, publish: Publish) -> None:
    """Ten users all differ by the same amount, so that a lower mean is significantly worse and an equal one is not."""
    for model, score in (("ease", 0.2), ("als", 0.2), ("popularity", 0.1)):
        publish(model, score)
    marks = dict(zip(*(open_page().dataframe[0].value[name] for name in ("Model", "Against the best")), strict=True))
    assert sorted(marks) == ["als", "ease", "popularity"]
    assert marks["popularity"].startswith("worse (p = .0")
    assert sorted([marks["als"].partition(" (")[0], marks["ease"].partition(" (")[0]]) == ["tied", "tied best"]


def test_the_conclusion_and_the_table_tell_of_the_same_tests(open_page: Open, publish: Publish) -> None:
    for model, score in (("ease", 0.3), ("als", 0.2), ("popularity", 0.1)):
        publish(model, score)
    app = open_page()
    marks = dict(zip(*(app.dataframe[0].value[name] for name in ("Model", "Against the best")), strict=True))
    verdict, _, p = marks["als"].rstrip(")").partition(" (")
    assert verdict == "worse"
    assert f"{p}, corrected for all pairs of models): significant." in text(app)


@pytest.mark.slow
def test_a_model_that_is_as_good_for_less_is_named(open_page: Open, publish: Publish) -> None:
    """Lower for half of the users as much as it is higher for the others, so that none is better."""
    publish("lightgcn", 0.2, seconds=100.0)
    quick = publish("ease", 0.2, seconds=7.0)
    publish("popularity", 0.1, seconds=0.02)
    users = {"user_id": list(range(10)), "ndcg@10": [0.2 + 0.001 * (9 - user) for user in range(10)]}
    pq.write_table(pa.table(users), quick.folder / "users.parquet")
    assert "If cost matters" not in text(open_page()), "of two that tie the quicker one leads"
    publish("lightgcn", 0.2001, seconds=100.0)
    shown = text(open_page())
    assert "If cost matters: ease is statistically tied with lightgcn and trains in 7.0 s instead of 100 s." in shown


def test_models_metrics_and_dates_can_be_chosen_by_the_url(open_page: Open, publish: Publish) -> None:
    for model, score in (("ease", 0.3), ("als", 0.2), ("popularity", 0.1)):
        publish(model, score, created_at=f"2026-0{int(score * 10)}-02T03:04:05+00:00")
    table = open_page(models="als,ease,nonsense", metrics="coverage").dataframe[0].value
    assert list(table["Model"]) == ["ease", "als"]
    assert [name for name in table.columns if "@" in name] == ["NDCG@10", "Validation NDCG@10", "Coverage@10"]
    assert list(open_page(since="2026-02-02").dataframe[0].value["Model"]) == ["ease", "als"]
    assert len(open_page(since="nonsense").dataframe[0].value) == 3


def test_a_data_set_can_be_singled_out(open_page: Open, publish: Publish) -> None:
    publish("ease", 0.2)
    publish("als", 0.3, data="large", fingerprint="0" * 12)
    app = open_page(data="small")
    assert list(app.dataframe[0].value["Model"]) == ["ease"]
    assert app.selectbox(key="group").options == ["unknown split · 10 users · 1 model · 2026-01-02 · ffffffffffff"]


def test_a_device_can_be_singled_out(open_page: Open, publish: Publish) -> None:
    publish("ease", 0.2)
    publish("ease", 0.3, device="cuda")
    app = open_page()
    assert "ease/cuda is the best of two models" in text(app)
    app.selectbox(key="device").select("cpu").run()
    assert list(app.dataframe[0].value["Model"]) == ["ease/cpu"]


def test_the_served_model_is_marked(open_page: Open, publish: Publish, serve: Callable[[Artifact], None]) -> None:
    publish("ease", 0.2)
    serve(publish("lightgcn", 0.1))
    app = open_page()
    assert list(app.dataframe[0].value["Status"]) == ["", "champion"]
    assert "lightgcn is served now" in text(app)


def test_a_damaged_report_is_left_out_with_a_note(open_page: Open, publish: Publish) -> None:
    publish("ease", 0.2)
    damaged = publish("lightgcn", 0.3)
    (damaged.folder / "report.json").write_text('{"model": "lightg', encoding="utf-8")
    app = open_page()
    assert list(app.dataframe[0].value["Model"]) == ["ease"]
    note = text(app)
    assert f"{damaged.reference}/report.json does not match its manifest's checksum" in note
    assert "run `movierec train model=lightgcn device=cpu`" in note


def test_a_hostile_model_name_injects_nothing(open_page: Open, publish: Publish) -> None:
    publish("<b>[x](http://x.y)**$1$ :red[a]", 0.2, slot="hostile")
    app = open_page()
    for element in [*app.markdown, *app.caption]:
        assert "<b>" not in element.value
        assert "[x](" not in element.value
        assert not element.proto.allow_html


def test_a_new_report_shows_on_the_next_look(open_page: Open, publish: Publish) -> None:
    publish("ease", 0.2)
    app = open_page()
    publish("lightgcn", 0.3)
    app.run()
    assert list(app.dataframe[0].value["Model"]) == ["lightgcn", "ease"]


def test_each_row_can_be_made_again(open_page: Open, publish: Publish) -> None:
    report = publish("ease", 0.2)
    app = open_page()
    assert app.code[0].value == "movierec train model=ease device=cpu seed=42"
    assert f"fingerprint ffffffffffff · version {report.version} · created at 2026-01-02 03:04 UTC" in text(app)


def test_a_deleted_store_empties_the_page(open_page: Open, publish: Publish, store: ArtifactStore) -> None:
    publish("ease", 0.2)
    app = open_page()
    shutil.rmtree(store.root)
    app.run()
    assert "No evaluation reports yet" in text(app)


@pytest.mark.slow
def test_the_dashboard_imports_nothing_heavy_from_any_folder(tmp_path: Path, publish: Publish) -> None:
    publish("ease", 0.2)
    program = (
        "import sys; from streamlit.testing.v1 import AppTest;"
        f"app = AppTest.from_file({str(ROOT / 'dashboard' / 'app.py')!r}, default_timeout=120).run();"
        "assert not app.exception and len(app.dataframe) == 1;"
        "print([name for name in ('torch', 'mlflow', 'faiss', 'wandb', 'dagster') if name in sys.modules])"
    )
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=tmp_path, env={**os.environ}
    )
    assert result.stdout.strip() == "[]"
