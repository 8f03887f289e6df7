"""The page of segments: its verdict, and the models that always stand in it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from page_reading import drawn, text, titles
from streamlit.testing.v1 import AppTest

from dashboard.plots import by_segment
from movierec_engine.store import ArtifactStore, Slot

Open = Callable[..., AppTest]


def add_models(store: ArtifactStore, *models: str, as_popularity: str = "") -> None:
    """Further reports of the known store: ease's, under other names and better by as much as they come earlier.

    as_popularity: the one whose segments are those of popularity.
    """
    slot = Slot("evaluation_report", "tiny", "ease", "cpu")
    ease, popularity = store.require(slot), store.require(Slot("evaluation_report", "tiny", "popularity", "cpu"))
    content = json.loads((ease.folder / "report.json").read_text())
    for place, model in enumerate(models):
        trained = store.publish(Slot("trained_model", "tiny", model, "cpu"), str, key="k", fingerprint=ease.fingerprint)
        score = content["metrics"]["ndcg@2"] + 0.1 - 0.01 * place
        own = content | {"model": model, "metrics": content["metrics"] | {"ndcg@2": score}}

        def write(folder: Path, own: dict[str, Any] = own, model: str = model) -> None:
            for name in ease.files:
                (folder / name).write_bytes((ease.folder / name).read_bytes())
            if model == as_popularity:
                (folder / "segments.parquet").write_bytes((popularity.folder / "segments.parquet").read_bytes())
            (folder / "report.json").write_text(json.dumps(own))

        parents = {**{kind: store.resolve(one) for kind, one in ease.parents.items()}, "trained_model": trained}
        of = trained.slot.beside("evaluation_report")
        store.publish(of, write, key="k", fingerprint=ease.fingerprint, parents=parents)


@pytest.mark.slow
def test_champion_and_baseline_stand_in_whatever_else_is_chosen(visit: Open, damaged: ArtifactStore) -> None:
    """Seven models are better than ease, which is served, and than popularity: six in all are shown at first."""
    others = ["als", "gmf", "svd", "mlp", "ncf", "gf_cf", "item_cf"]
    add_models(damaged, *others)

    def shown(**address: str) -> set[str]:
        return {row["model"] for row in drawn(visit(damaged, "segments", **address), "By genre") if "model" in row}

    assert shown() == {"ease", "popularity", *others[:4]}
    assert shown(shown="item_cf") == {"ease", "popularity", "item_cf"}


@pytest.mark.slow
def test_conclusions_are_over_models_that_are_not_drawn_and_who_is_better_is_drawn_first(
    visit: Open, damaged: ArtifactStore
) -> None:
    """item_cf, the seventh by the metric, is better than ease for Drama, as popularity is."""
    add_models(damaged, "als", "gmf", "svd", "mlp", "ncf", "gf_cf", "item_cf", as_popularity="item_cf")

    first = visit(damaged, "segments")
    assert {row["model"] for row in drawn(first, "By genre") if "model" in row} == {
        *("ease", "popularity", "item_cf", "als", "gmf", "svd"),
    }
    without = visit(damaged, "segments", shown="als")
    assert {row["model"] for row in drawn(without, "By genre") if "model" in row} == {"ease", "popularity", "als"}
    assert "Drawn: 3 of the 9 models that the conclusions are over." in text(without)
    for page in (first, without):
        assert "item_cf for Drama movies" in text(page)
        assert any(title.startswith("By genre: item_cf is above ease") for title in titles(page))


def test_the_verdict_stands_above_the_boxes(visit: Open, known: ArtifactStore) -> None:
    """popularity has .4 for Drama where ease has .1, and is below it in the three other segments."""
    said = text(visit(known, "segments"))
    assert said.startswith("## No single winner: ease loses in 1 of 4 segments.")
    assert "Above ease by intervals that do not overlap: popularity for Drama movies." in said


@pytest.mark.parametrize(
    ("leads", "tested", "head", "where"),
    [
        ([], True, "No model is significantly better than a in any of 3 segments.", ""),
        (
            [("b", "War"), ("c", "War"), ("c", "Noir")],
            True,
            "No single winner: a loses in 2 of 3 segments.",
            "Significantly better than a: b for War movies; c for War movies and Noir movies.",
        ),
    ],
)
def test_the_verdict_counts_segments_and_names_who_is_better_there(
    leads: list[tuple[str, str]], tested: bool, head: str, where: str
) -> None:
    rows = [
        {"kind": "genre", "segment": segment, "model": model, "lead": (model, segment) in leads}
        for segment in ("War", "Noir", "Drama")
        for model in "abc"
    ]
    assert by_segment.verdict(rows, "a", tested) == (head, where)
    alone = [row for row in rows if row["model"] == "a"]
    assert by_segment.verdict(alone, "a", tested) == ("a is the only model here.", "")
