"""A pair of models has one p value: on Leaderboard, Compare, Side by side, in the report, on the command line."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from reporting.html.parsed import ParsedPage
from streamlit.testing.v1 import AppTest

from movierec_engine.cli.main import cli
from movierec_engine.reporting import numbers
from movierec_engine.reporting.html import write_report
from movierec_engine.store import ArtifactStore, Slot

APP = str(Path(__file__).parents[3] / "dashboard" / "app.py")


def bring_near(store: ArtifactStore, model: str, other: str) -> None:
    """A report of a model whose users fare as another's do, but for noise: a pair that is far from significant."""
    ours, theirs = (store.require(Slot("evaluation_report", "camps", name, "cpu")) for name in (model, other))
    users = pq.read_table(theirs.folder / "users.parquet")
    values = users["ndcg@10"].to_numpy()
    near = np.clip(values + np.random.default_rng(1).normal(0.002, 0.05, len(values)), 0, 1)
    users = users.set_column(users.column_names.index("ndcg@10"), "ndcg@10", pa.array(near))
    report = json.loads((ours.folder / "report.json").read_text())
    report["metrics"]["ndcg@10"] = float(near.mean())

    def write(folder: Path) -> None:
        for name in ours.files:
            (folder / name).write_bytes((ours.folder / name).read_bytes())
        pq.write_table(users, folder / "users.parquet")
        (folder / "report.json").write_text(json.dumps(report))

    parents = {kind: store.resolve(one) for kind, one in ours.parents.items()}
    of = {"fingerprint": ours.fingerprint, "config": ours.config, "parents": parents}
    store.publish(ours.slot, write, key="near", **of)


def opened(page: str, **address: str) -> AppTest:
    app = AppTest.from_file(APP, default_timeout=120)
    if page:
        app.switch_page(f"views/{page}.py")
    for name, value in address.items():
        app.query_params[name] = value
    app.run()
    assert not app.exception
    return app


@pytest.mark.slow
def test_a_pair_has_one_p_value_on_every_surface(store: ArtifactStore, monkeypatch: pytest.MonkeyPatch) -> None:
    bring_near(store, "ease", "lightgcn")
    monkeypatch.setenv("MOVIEREC_ARTIFACTS", str(store.root))
    board = opened("").dataframe[0].value
    leader, second = board["Model"][:2]
    assert {leader, second} == {"ease", "lightgcn"}
    p = board["Against the best"][1].removeprefix("tied (p = ").rstrip(")")
    assert 0.05 < float(p) < 1, "else every surface would say the same of any test"
    metrics = {one.label: one.value for one in opened("compare", a=leader, b=second).metric}
    pairs = next(one.value for one in opened("side_by_side").dataframe if "p" in one.value.columns)
    beside = next(row for row in pairs.to_dict("records") if {row["Better"], row["Worse"]} == {leader, second})
    page = ParsedPage(write_report(store, "camps", store.root / "report.html").read_text(encoding="utf-8"))
    asked = ["compare", leader, second, "--artifacts", str(store.root), "--format", "json"]
    said = json.loads(CliRunner().invoke(cli, asked, catch_exceptions=False).stdout)
    assert {
        "Compare": metrics["Corrected p"],
        "Side by side": beside["p"],
        "report": page.table(f"{leader} against each other model").cell(second, "p"),
        "command line": numbers.p_value(next(row["p"] for row in rows_of(said) if row.get("model") == second)),
    } == dict.fromkeys(("Compare", "Side by side", "report", "command line"), p)


def rows_of(said: object) -> list[dict[str, float]]:
    """All rows of the tables that a command has printed as JSON."""
    if isinstance(said, list):
        return [row for one in said for row in rows_of(one)]
    if isinstance(said, dict):
        nested = [row for one in said.values() if isinstance(one, list | dict) for row in rows_of(one)]
        return [said, *nested]
    return []
