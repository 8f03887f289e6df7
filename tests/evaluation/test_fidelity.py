"""Fold-in of held-out users, in two camps: even users like even items, so that one movie tells everything."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from scipy import sparse

from movierec_engine import pipeline
from movierec_engine.cli import cli
from movierec_engine.config import load_settings
from movierec_engine.data.id_map import IdMap
from movierec_engine.data.split import Split
from movierec_engine.errors import EmptyDataError, MovierecError
from movierec_engine.evaluation import Evaluator
from movierec_engine.evaluation.fidelity import (
    SIZES,
    FoldInCurve,
    curve_table,
    enough,
    fold_in_curve,
    held_out_users,
    without,
)
from movierec_engine.models import EASE
from movierec_engine.models.classic.popularity import Popularity
from movierec_engine.pipeline.fidelity import measure_fold_in
from movierec_engine.store import ArtifactStore, Slot
from worlds import interactions_of

USERS, ITEMS = 80, 60
NDCG = "ndcg@10"


def camps() -> Split:
    """Each user has all 30 items of the camp: 24 in train, two in validation, four in test, at random."""
    rng = np.random.default_rng(3)
    parts: tuple[list[tuple[int, int]], ...] = ([], [], [])
    for user in range(USERS):
        for place, item in enumerate(rng.permutation(np.arange(user % 2, ITEMS, 2)).tolist()):
            parts[(place >= 24) + (place >= 26)].append((user, item))
    users, items = IdMap(np.arange(USERS) + 7), IdMap(np.arange(ITEMS) * 2)
    return Split(*(interactions_of(np.array(pairs), users, items) for pairs in parts), strategy="random")


SPLIT = camps()
HELD_OUT = held_out_users(SPLIT, seed=1)


def ease(split: Split) -> EASE:
    model = EASE()
    model.fit(split.train)
    return model


def test_one_movie_tells_the_camp() -> None:
    """What is not masked of the camp is the four test items, which anyone who knows the camp puts first."""
    curve = fold_in_curve(ease(without(SPLIT, HELD_OUT)), ease(SPLIT), SPLIT, HELD_OUT)
    assert curve.fold_in.tolist() == [[1.0] * len(SIZES)] * len(HELD_OUT)
    assert (curve.popularity < 1).all()
    assert enough(curve) == 1


def test_trained_in_and_popularity_are_what_the_evaluator_measures() -> None:
    held_out = without(SPLIT, HELD_OUT)
    model, popularity = ease(SPLIT), Popularity()
    popularity.fit(held_out.train)
    curve = fold_in_curve(ease(held_out), model, SPLIT, HELD_OUT)
    evaluator = Evaluator((10,), ("ndcg",))
    for one, values in ((model, curve.trained_in), (popularity, curve.popularity)):
        evaluation = evaluator.evaluate(one, SPLIT.test_heldout())
        assert values.tolist() == evaluation.per_user[NDCG][np.isin(evaluation.users, HELD_OUT)].tolist()


def test_the_model_without_them_knows_nothing_of_the_held_out_users() -> None:
    held_out = without(SPLIT, HELD_OUT)
    for part in (held_out.train, held_out.validation):
        assert not np.isin(part.user, HELD_OUT).any()
    assert ease(held_out).history[HELD_OUT].nnz == 0
    assert held_out.train.users == SPLIT.train.users
    assert held_out.train.items == SPLIT.train.items
    others = ~np.isin(SPLIT.train.user, HELD_OUT)
    assert held_out.train.item.tolist() == SPLIT.train.item[others].tolist()
    assert held_out.test is SPLIT.test


def test_a_model_that_has_met_them_is_refused() -> None:
    with pytest.raises(MovierecError, match="should not know"):
        fold_in_curve(ease(SPLIT), ease(SPLIT), SPLIT, HELD_OUT)


@pytest.mark.parametrize("ratings", [False, True])
def test_newcomers_come_with_some_of_their_train_movies_the_fewer_among_the_more(
    monkeypatch: pytest.MonkeyPatch, ratings: bool
) -> None:
    rated = replace(SPLIT.train, rating=(SPLIT.train.item % 5 + 1).astype(np.float32))
    split = replace(SPLIT, train=rated)
    model, asked = ease(without(split, HELD_OUT)), []
    model.uses_ratings = ratings

    def fold_in(histories: sparse.csr_matrix) -> np.ndarray:
        asked.append(histories.toarray())
        return np.zeros(histories.shape, dtype=np.float32)

    monkeypatch.setattr(model, "fold_in", fold_in)
    fold_in_curve(model, ease(split), split, HELD_OUT, sizes=(1, 3, 10))
    known = (rated.ratings_matrix() if ratings else rated.matrix())[HELD_OUT].toarray()
    assert [np.unique((history > 0).sum(axis=1)).tolist() for history in asked] == [[1], [3], [10], [24]]
    for fewer, more in zip(asked, [*asked[1:], known], strict=True):
        assert (fewer[fewer > 0] == more[fewer > 0]).all()
    first, last = (known > 0).argmax(axis=1), known.shape[1] - 1 - (known[:, ::-1] > 0).argmax(axis=1)
    drawn = asked[0].argmax(axis=1)
    assert ((drawn != first) & (drawn != last)).any()


def test_only_users_with_long_histories_and_test_items_are_held_out() -> None:
    short = SPLIT.train.select((SPLIT.train.user >= 40) | (SPLIT.train.item < 20))
    split = replace(SPLIT, train=short, test=SPLIT.test.select(SPLIT.test.user != 50))
    assert set(held_out_users(split, 0, share=1).tolist()) == set(range(40, USERS)) - {50}
    assert len(held_out_users(SPLIT, 0)) == 8
    assert len(held_out_users(SPLIT, 0, share=1, most=5)) == 5
    assert held_out_users(SPLIT, 0).tolist() == held_out_users(SPLIT, 0).tolist()
    assert held_out_users(SPLIT, 0).tolist() != held_out_users(SPLIT, 1).tolist()
    with pytest.raises(EmptyDataError, match="longer histories"):
        held_out_users(replace(SPLIT, train=SPLIT.train.select(SPLIT.train.item < 20)), 0)


@pytest.mark.parametrize(
    ("gains", "least"),
    [
        ((0.1, 0.1, 0.1), 1),
        ((-0.1, 0.1, 0.1), 3),
        ((0.1, 0.0, 0.1), 5),
        ((0.1, 0.1, 0.0), None),
        ((-0.1, -0.1, -0.1), None),
    ],
)
def test_enough_is_where_fold_in_is_better_and_stays_so(gains: tuple[float, ...], least: int | None) -> None:
    popularity = np.linspace(0.2, 0.4, 30)
    fold_in = (
        popularity[:, None]
        + np.array(gains)
        + np.random.default_rng(0).normal(0, 0.01, (30, 3)).round(3) * (np.array(gains) != 0)
    )
    curve = FoldInCurve(np.arange(30), (1, 3, 5), fold_in, popularity, popularity, popularity)
    assert enough(curve) == least


def test_the_table_has_means_with_their_intervals() -> None:
    values = np.array([0.0, 1.0, 0.5, 0.5])
    curve = FoldInCurve(np.arange(4), (1, 3), np.stack([values, values / 2], axis=1), values / 4, values, values * 0)
    rows = curve_table(curve).to_pylist()
    found = {(row["source"], row["size"]): row["value"] for row in rows}
    assert found == {
        ("popularity", 0): 0.0,
        ("fold_in", 1): 0.5,
        ("fold_in", 3): 0.25,
        ("whole_history", None): 0.125,
        ("trained_in", None): 0.5,
    }
    assert all(row["low"] <= row["value"] <= row["high"] and row["users"] == 4 for row in rows)


@pytest.fixture
def long_data(small_data: list[str], tmp_path: Path) -> list[str]:
    """The camps of `small_data` with 24 of 30 movies for each of 100 users."""
    folder = tmp_path / "long"
    folder.mkdir()
    rng = np.random.default_rng(5)
    ratings, titles = ["userId,movieId,rating,timestamp"], ["movieId,title,genres"]
    for user in range(1, 101):
        for movie in rng.choice(np.arange(user % 2, ITEMS, 2), size=24, replace=False).tolist():
            ratings.append(f"{user},{100 + movie},4.0,{1_000_000_000 + movie}")
    titles += [f"{100 + movie},Film {movie} (1990),Drama" for movie in range(ITEMS)]
    (folder / "ratings.csv").write_text("\n".join(ratings) + "\n", encoding="utf-8")
    (folder / "movies.csv").write_text("\n".join(titles) + "\n", encoding="utf-8")
    return [*(one for one in small_data if not one.startswith("data.dir=")), f"data.dir='{folder}'"]


def test_the_curve_of_a_trained_model_is_published(long_data: list[str], tmp_path: Path) -> None:
    store, settings = ArtifactStore(tmp_path / "store"), load_settings([*long_data, "model=ease"])
    made = pipeline.prepare(store, settings.data)
    trained = pipeline.train_model(store, settings, made["splits"], made["interaction_graph"])

    found = measure_fold_in(store, trained, {"dagster_run_id": "a run"})

    assert store.latest(Slot("fold_in_fidelity", ("ease", "cpu"))) == found.verify()
    assert found.parents == {"trained_model": trained.reference, "splits": made["splits"].reference}
    assert found.fingerprint == trained.fingerprint
    assert found.origin["dagster_run_id"] == "a run"
    assert (found.facts["enough"], found.facts["users"]) == (1, 10)
    rows = pq.read_table(found.folder / "curve.parquet").to_pylist()
    assert [row["size"] for row in rows if row["source"] == "fold_in"] == list(SIZES)
    assert store.latest(trained.slot) == trained

    again = measure_fold_in(store, trained)
    assert pq.read_table(again.folder / "curve.parquet").to_pylist() == rows


def test_the_command_prints_the_curve(long_data: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("movierec_engine.cli.log_to_console", lambda: None)
    store, settings = ArtifactStore(tmp_path / "store"), load_settings([*long_data, "model=ease"])
    arguments = ["fidelity", "--artifacts", str(store.root), "--model", "ease"]
    missing = CliRunner().invoke(cli, arguments)
    assert (missing.exit_code, missing.output[:6]) == (1, "error:")
    made = pipeline.prepare(store, settings.data)
    pipeline.train_model(store, settings, made["splits"], made["interaction_graph"])

    result = CliRunner().invoke(cli, arguments, env={"COLUMNS": "160"})

    assert result.exit_code == 0, result.output
    assert [f"{size} of their movies" in result.output for size in SIZES] == [True] * len(SIZES)
    assert "From 1 movie on" in " ".join(result.output.split())
