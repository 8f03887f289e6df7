"""A store with two data sets, and with set and order protocols on one: no page mixes what answers other questions."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from known_store import DAY, FINGERPRINT, START, TRIALS
from page_reading import drawn, text
from streamlit.testing.v1 import AppTest

from movierec_engine.store import Artifact, ArtifactStore, Slot
from movierec_engine.tuning.trials import SweepTrials, Trial, publish

Open = Callable[..., AppTest]
ORDER, OTHER = "a" * 12, "b" * 12
"""Fingerprints: of the next-item protocol on the data set `tiny`, and of the data set `large`."""


@pytest.fixture
def mixed(damaged: ArtifactStore) -> ArtifactStore:
    """The known store of the data set `tiny`, with sasrec by its next-item protocol, and als on `large`."""
    add_report(damaged, "tiny", "sasrec", ORDER, "next_item", 0.4)
    add_report(damaged, "tiny", "markov", ORDER, "next_item", 0.3)
    trained = add_report(damaged, "large", "als", OTHER, "random", 0.2)
    add_report(damaged, "large", "svd", OTHER, "random", 0.1)
    interactions = damaged.require(Slot("interactions", "tiny"))
    facts = {"strategy": "next_item", "items": 4, "train": 2, "validation": 1, "test": 2}
    old = damaged.require(Slot("splits", "tiny")).folder / "split.parquet"
    damaged.publish(
        Slot("splits", "tiny"),
        lambda folder: shutil.copy(old, folder),
        key="k2",
        fingerprint=ORDER,
        parents={"interactions": interactions},
        facts=facts,
    )
    tries = tuple(
        Trial(("model=als", f"model.l2={l2}"), model="als", fingerprint=OTHER, validation={"ndcg@10": values[0]})
        for l2, values in TRIALS.items()
    )
    publish(damaged, "large", SweepTrials(tries, "ndcg@10", "max"), ["model=als"])
    curve = [{"part": "test", "source": "fold_in", "size": 1, "value": 0.1, "low": 0.1, "high": 0.1}]
    add_tables(damaged, Slot("strong_generalization", "large", "ease", "cpu"), {"curve": curve}, trained)
    windows = [{"window": 1, "test_from": START, "test_until": START + DAY, "users": 2, "users_without_history": 0}]
    of = {"window": 1, "users": "all", "count": 2, "metric": "ndcg@10", "value": 0.7, "low": 0.6, "high": 0.8}
    add_tables(damaged, Slot("backtest", "large", "als", "cpu"), {"windows": windows, "metrics": [of]}, trained)
    return damaged


def add_report(store: ArtifactStore, data: str, model: str, fingerprint: str, strategy: str, ndcg: float) -> Artifact:
    """A trained model, its set-up's report of three users, and the model."""
    config = {"data": {"name": data}, "seed": 1, "model": {"name": model}}
    slot, facts = Slot("trained_model", data, model, "cpu"), {"seconds": 1.0, "epochs": 0, "peak_memory_mb": 1.0}
    trained = store.publish(slot, lambda _: None, key="k", fingerprint=fingerprint, config=config, facts=facts)
    usual = store.require(Slot("evaluation_report", "tiny", "ease", "cpu")).folder / "report.json"
    report = json.loads(usual.read_text(encoding="utf-8"))
    report |= {"model": model, "data": data, "fingerprint": fingerprint, "split": {"strategy": strategy}}
    report |= {"metrics": {"ndcg@2": ndcg}, "intervals": {}, "validation_metrics": {"ndcg@2": ndcg}}

    def write(folder: Path) -> None:
        (folder / "report.json").write_text(json.dumps(report), encoding="utf-8")
        users = {"user_id": [1, 2, 3], "ndcg@2": [ndcg, ndcg + 0.1, ndcg - 0.1]}
        pq.write_table(pa.table(users), folder / "users.parquet")

    parents = {"trained_model": trained}
    store.publish(slot.beside("evaluation_report"), write, key="k", fingerprint=fingerprint, parents=parents)
    return trained


def add_tables(store: ArtifactStore, slot: Slot, tables: dict[str, list[dict[str, object]]], trained: Artifact) -> None:
    def write(folder: Path) -> None:
        for name, rows in tables.items():
            pq.write_table(pa.Table.from_pylist(rows), folder / f"{name}.parquet")

    store.publish(slot, write, key="k", fingerprint=OTHER, parents={"trained_model": trained})


SET_UPS = {
    f"tiny/full/{FINGERPRINT}": ({"ease", "popularity"}, "tiny · unknown split"),
    f"tiny/full/{ORDER}": ({"sasrec", "markov"}, "tiny · next item"),
    f"large/full/{OTHER}": ({"als", "svd"}, "large · random split"),
}
"""Set-up -> the models that were measured in it, and how it is named."""


@pytest.mark.parametrize(
    ("page", "setup"),
    [
        *(("leaderboard", setup) for setup in SET_UPS),
        *zip(["compare", "side_by_side", "tradeoffs"], SET_UPS, strict=True),
        ("segments", f"tiny/full/{ORDER}"),
    ],
)
def test_reports_of_one_set_up_alone_stand_on_a_page(visit: Open, mixed: ArtifactStore, page: str, setup: str) -> None:
    everybody = set.union(*(models for models, _ in SET_UPS.values()))
    models, name = SET_UPS[setup]
    app = visit(mixed, page, group=setup)
    box = next(one for one in app.selectbox if one.label == "Evaluation set-up")
    assert box.value == setup and any(option.startswith(name) for option in box.options)
    rows = [row for chart in range(len(app.get("vega_lite_chart"))) for row in rows_of(app, chart)]
    shown = {row["model"] for row in rows if "model" in row} | {
        name for one in app.dataframe for name in map(str, [*one.value.columns, *one.value.get("Model", [])])
    }
    assert not shown & (everybody - models), f"{page} of {name}"
    if page == "leaderboard":
        assert {row["model"] for row in drawn(app) if "model" in row} == models


def rows_of(app: AppTest, chart: int) -> list[dict[str, object]]:
    datasets = app.get("vega_lite_chart")[chart].proto.datasets
    return [row for one in datasets for row in pa.ipc.open_stream(one.data.data).read_all().to_pylist()]


def test_curves_of_another_data_set_are_not_this_ones(visit: Open, mixed: ArtifactStore) -> None:
    """With one movie known ease has 0.12 on `tiny`, and 0.1 on `large`, which was measured later."""
    app = visit(mixed, "segments", group=f"tiny/full/{FINGERPRINT}")
    rows = [row for chart in range(len(app.get("vega_lite_chart"))) for row in rows_of(app, chart)]
    assert {row["value"] for row in rows if row.get("known") == 1 and row.get("source") == "fold_in"} == {0.12}


@pytest.mark.slow
def test_runs_of_one_data_set_stand_together_and_all_are_named_by_theirs(visit: Open, mixed: ArtifactStore) -> None:
    app = visit(mixed, "training", data="large")
    assert set(app.multiselect(key="runs").options) == {"als", "svd"}
    app = visit(mixed, "training", data="all")
    assert {"large · als", "tiny · ease"} <= set(app.multiselect(key="runs").options)


@pytest.mark.slow
def test_a_sweep_says_its_data_set_and_a_split_can_be_chosen(visit: Open, mixed: ArtifactStore) -> None:
    names = visit(mixed, "sweeps").selectbox(key="sweep").options
    assert {name.partition(" · ")[0] for name in names} == {"tiny", "large"}
    app = visit(mixed, "data", data="tiny", split=ORDER)
    assert any(option.startswith("next_item") for option in app.selectbox(key="split").options)
    assert any(one.proto.alt.startswith("Split by next_item") for one in app.get("vega_lite_chart"))


@pytest.mark.slow
def test_operations_tell_of_the_chosen_data_set_alone(visit: Open, mixed: ArtifactStore) -> None:
    app = visit(mixed, "operations", data="large")
    assert "als: NDCG@10 of 0.700 to 0.700 over the windows" in " ".join(
        one.proto.alt for one in app.get("vega_lite_chart")
    )
    assert "There is no feedback on large; there is some on tiny." in text(app)
    app = visit(mixed, "operations", data="tiny")
    assert not [one for one in app.get("vega_lite_chart") if one.proto.alt.startswith("als")]


@pytest.mark.slow
def test_what_is_served_is_told_from_what_was_measured(visit: Open, mixed: ArtifactStore) -> None:
    """ease answers on `tiny`; nothing does on `large`, whose models are not called champions."""
    app = visit(mixed, "leaderboard", group=f"tiny/full/{FINGERPRINT}")
    assert (
        dict(zip(app.dataframe[0].value["Model"], app.dataframe[0].value["Status"], strict=True))["ease"] == "champion"
    )
    app = visit(mixed, "leaderboard", group=f"large/full/{OTHER}")
    assert set(app.dataframe[0].value["Status"]) == {""}
    assert "Nothing is promoted" in text(app)
    app = visit(mixed, "leaderboard", group=f"tiny/full/{ORDER}")
    assert "ease is served now" in text(app) and "not in this table" in text(app)
