"""Any reports side by side, and every measure against every other, as a visitor sees them."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from page_reading import text, titles
from streamlit.testing.v1 import AppTest

from dashboard.queries import side_by_side, versions
from movierec_engine.store import Artifact, ArtifactStore

Publish = Callable[..., Artifact]
Visit = Callable[..., AppTest]


def test_ticked_versions_stand_side_by_side_with_what_differs(
    visit: Visit, store: ArtifactStore, publish: Publish
) -> None:
    for seed, l2, score in ((1, 1.0, 0.2), (2, 1.0, 0.3), (1, 9.0, 0.1)):
        publish("als", score, seed=seed, config={"model": {"name": "als", "l2": l2}})
    publish("ease", 0.25)
    keys = {one.id: one.key for one in versions.versions_in(store.root, "small", "f" * 12)}
    app = visit(store, "side_by_side", reports=",".join(keys.values()))
    measures = app.dataframe[0].value.set_index("Measure")
    assert (
        list(measures.columns) == ["als · l2 9.0", "als · seed 2 · l2 1.0 · 2 seeds", "ease"]
        or len(measures.columns) == 3
    )
    assert "0.2500 ± 0.0707" in " ".join(measures.loc["NDCG@10"])
    assert measures.loc["NDCG@10, 95 % interval"]["ease"] == "[0.2400, 0.2600]", "of users, of one report"
    assert "has the highest NDCG@10" in text(app)
    settings = app.dataframe[2].value.set_index("Setting")
    assert {"seed", "model.l2"} <= set(settings.index)


def test_runs_of_one_configuration_are_a_mean_with_a_band(store: ArtifactStore, publish: Publish) -> None:
    for seed in (1, 2):
        publish("als", 0.1 * seed, seed=seed, config={"model": {"l2": 1.0}})
    found = versions.versions_in(store.root, "small", "f" * 12)
    labels = {one.id: f"als {one.seed}" for one in found}
    (group,) = side_by_side.grouped(found, labels, together=True)
    assert (group.seeds, group.label) == (2, "als 2 · 2 seeds")
    assert len(side_by_side.grouped(found, labels, together=False)) == 2
    values = {one.id: 0.1 * float(one.seed or 0) for one in found}
    assert side_by_side.over(group, values) == (pytest.approx(0.15), pytest.approx(0.0707, abs=1e-4))
    other = replace(group, members=group.members[:1])
    assert side_by_side.over(other, values) == (pytest.approx(0.2), None)
    histories = {"als": [[{"epoch": 1, "ndcg@10": 0.1}, {"epoch": 2, "ndcg@10": 0.4}], [{"epoch": 1, "ndcg@10": 0.3}]]}
    (row,) = side_by_side.curve_rows(histories, "ndcg@10")
    assert (row["epoch"], row["mean"]) == (1, pytest.approx(0.2))
    assert row["high"] - row["mean"] == pytest.approx(0.1414, abs=1e-4)


@pytest.mark.slow
def test_any_measure_stands_against_any_other(visit: Visit, known: ArtifactStore) -> None:
    app = visit(known, "tradeoffs", x="novelty", y="ndcg", size="memory")
    assert "ease has the highest NDCG@2 and the highest Novelty@2" in titles(app)
    assert "Each model over every measure and setting" in titles(app)
    assert len(visit(known, "tradeoffs", x="memory", y="training").get("vega_lite_chart")) == 2


def test_lists_of_one_user_stand_side_by_side(visit: Visit, known: ArtifactStore) -> None:
    app = visit(known, "side_by_side", listed="1")
    lists = app.dataframe[-1].value
    assert list(lists["ease"]) == ["Ten", "✓ Twenty"]
    segments = app.dataframe[-2].value.set_index("Segment")
    assert (segments.loc["Drama"]["ease"], segments.loc["Drama"]["popularity"]) == ("0.1000", "★ 0.4000")
    assert "No user nobody was evaluated" in text(visit(known, "side_by_side", listed="nobody"))


def test_side_by_side_the_lowest_leads_where_less_is_better(visit: Visit, known: ArtifactStore) -> None:
    app = visit(known, "side_by_side", metric="disliked")
    assert "ease has the lowest Disliked@2" in text(app)
    tests = next(one.value for one in app.dataframe if "Verdict" in one.value)
    assert tests[["Better", "Worse", "Difference"]].to_numpy().tolist() == [["ease", "popularity", "+0.1667"]]
    assert "a difference is by how much the better one is lower" in text(app)
