"""Fold-in of held-out users, in two camps: even users like even items, so that one movie tells everything."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import sparse

from movierec_engine import pipeline
from movierec_engine.cli import study_tables
from movierec_engine.cli.main import cli
from movierec_engine.config import load_settings
from movierec_engine.data.dataset import Dataset
from movierec_engine.data.id_map import IdMap
from movierec_engine.data.split import Split
from movierec_engine.errors import EmptyDataError, MovierecError, StoreError
from movierec_engine.evaluation import Evaluator
from movierec_engine.evaluation.comparison import ALPHA, compare_paired
from movierec_engine.evaluation.strong_generalization import (
    FOLDS,
    SIZES,
    FoldInCurve,
    Gain,
    curve_table,
    fold_in_curves,
    fold_in_min_items,
    gains,
    held_out_curves,
    held_out_folds,
    ndcg_of_scores,
    without,
)
from movierec_engine.models import EASE
from movierec_engine.models.classic.popularity import Popularity
from movierec_engine.pipeline.strong_generalization import curve_rows, measure_strong_generalization
from movierec_engine.reporting.html.fold_in import fold_in
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
HELD_OUT = held_out_folds(SPLIT, 4, seed=1)


def ease(split: Split) -> EASE:
    model = EASE()
    model.fit(Dataset(split.train))
    return model


def made_without(folds: list[NDArray[np.int64]], split: Split = SPLIT) -> Iterator[tuple[NDArray[np.int64], EASE]]:
    for users in folds:
        yield users, ease(without(split, users))


def test_one_movie_tells_the_camp() -> None:
    """What is not masked of the camp is the four test items, which anyone who knows the camp puts first."""
    validation, test = fold_in_curves(made_without(HELD_OUT), ease(SPLIT), SPLIT)
    assert test.fold_in.tolist() == [[1.0] * len(SIZES)] * USERS
    for part, curve in (("validation", validation), ("test", test)):
        assert curve.part == part
        assert curve.users.tolist() == list(range(USERS))
        assert curve.popularity.mean() < 0.5 < curve.fold_in.mean()
        assert fold_in_min_items(gains(curve)) == 1


def test_trained_in_and_popularity_are_what_the_evaluator_measures() -> None:
    curves, trained_in = fold_in_curves(made_without(HELD_OUT), ease(SPLIT), SPLIT), ease(SPLIT)
    evaluator = Evaluator((10,), ("ndcg",))
    for users in HELD_OUT:
        popularity = Popularity()
        popularity.fit(Dataset(without(SPLIT, users).train))
        for curve, heldout in zip(curves, (SPLIT.validation_heldout(), SPLIT.test_heldout()), strict=True):
            for one, values in ((trained_in, curve.trained_in), (popularity, curve.popularity)):
                evaluation = evaluator.evaluate(one, heldout)
                assert values[users].tolist() == evaluation.per_user[NDCG][np.isin(evaluation.users, users)].tolist()


def test_whole_history_is_what_the_evaluator_measures_of_the_model_that_then_learns_of_them() -> None:
    """A model without them whose memory is given their histories scores them as known users, by the same weights."""
    curves = fold_in_curves(made_without(HELD_OUT), ease(SPLIT), SPLIT)
    for users, model in made_without(HELD_OUT):
        model.set_history(SPLIT.train)
        for curve, heldout in zip(curves, (SPLIT.validation_heldout(), SPLIT.test_heldout()), strict=True):
            evaluation = Evaluator((10,), ("ndcg",)).evaluate(model, heldout)
            assert curve.whole_history[users].tolist() == pytest.approx(
                evaluation.per_user[NDCG][np.isin(evaluation.users, users)].tolist()
            )


def test_the_model_without_them_knows_nothing_of_the_held_out_users() -> None:
    users = HELD_OUT[0]
    held_out = without(SPLIT, users)
    for part in (held_out.train, held_out.validation):
        assert not np.isin(part.user, users).any()
    assert ease(held_out).history[users].nnz == 0
    assert held_out.train.users == SPLIT.train.users
    assert held_out.train.items == SPLIT.train.items
    others = ~np.isin(SPLIT.train.user, users)
    assert held_out.train.item.tolist() == SPLIT.train.item[others].tolist()
    assert held_out.test is SPLIT.test


def test_a_model_that_has_met_them_is_refused() -> None:
    swapped = [(HELD_OUT[0], ease(without(SPLIT, HELD_OUT[1])))]
    with pytest.raises(MovierecError, match="should not know"):
        fold_in_curves(swapped, ease(SPLIT), SPLIT)


def told(
    monkeypatch: pytest.MonkeyPatch, split: Split, users: NDArray[np.int64], ratings: bool = False, draws: int = 1
) -> list[NDArray[np.float32]]:
    """The histories that a model is asked about, one matrix [n, n_items] a size, and then the whole."""
    model, model_with = ease(without(split, users)), ease(split)
    asked: list[NDArray[np.float32]] = []
    model_with.history_values = "ratings" if ratings else "ones"

    def fold_in(histories: sparse.csr_matrix) -> NDArray[np.float32]:
        asked.append(histories.toarray())
        return np.zeros(histories.shape, dtype=np.float32)

    monkeypatch.setattr(model, "fold_in", fold_in)
    fold_in_curves([(users, model)], model_with, split, sizes=(1, 3, 10), draws=draws)
    return asked


@pytest.mark.parametrize("ratings", [False, True])
def test_new_users_come_with_some_of_their_train_movies_the_fewer_among_the_more(
    monkeypatch: pytest.MonkeyPatch, ratings: bool
) -> None:
    rated = replace(SPLIT.train, rating=(SPLIT.train.item % 5 + 1).astype(np.float32))
    asked = told(monkeypatch, replace(SPLIT, train=rated), HELD_OUT[0], ratings)
    known = (rated.ratings_matrix() if ratings else rated.matrix())[HELD_OUT[0]].toarray()
    assert [np.unique((history > 0).sum(axis=1)).tolist() for history in asked] == [[1], [3], [10], [24]]
    for fewer, more in zip(asked, [*asked[1:], known], strict=True):
        assert (fewer[fewer > 0] == more[fewer > 0]).all()
    first, last = (known > 0).argmax(axis=1), known.shape[1] - 1 - (known[:, ::-1] > 0).argmax(axis=1)
    drawn = asked[0].argmax(axis=1)
    assert ((drawn != first) & (drawn != last)).any()


def test_a_new_user_comes_with_the_same_movies_whatever_the_fold(monkeypatch: pytest.MonkeyPatch) -> None:
    alone = told(monkeypatch, SPLIT, np.array([17]))
    among = told(monkeypatch, SPLIT, np.array([3, 17, 40]))
    assert [one[0].tolist() for one in alone] == [one[1].tolist() for one in among]


def test_values_are_means_over_random_choices_of_the_movies(monkeypatch: pytest.MonkeyPatch) -> None:
    users = HELD_OUT[0]
    three = told(monkeypatch, SPLIT, users, draws=3)[:3]
    assert not (three[0] == three[1]).all()
    assert not (three[1] == three[2]).all()
    curves = fold_in_curves([(users, scoring_next(users))], ease(SPLIT), SPLIT, sizes=(1,), draws=3)
    masks, parts = (
        (SPLIT.train.matrix(), SPLIT.known_before_test()),
        (SPLIT.validation.matrix(), SPLIT.test.matrix()),
    )
    for curve, seen, relevant in zip(curves, masks, parts, strict=True):
        each = [ndcg_of_scores(np.roll(one, 2, axis=1), seen[users], relevant[users]) for one in three]
        assert curve.fold_in[:, 0].tolist() == pytest.approx(np.mean(each, axis=0).tolist())
        assert np.ptp(each, axis=0).any()


def scoring_next(users: NDArray[np.int64]) -> EASE:
    """A model without them that recommends the next item of the camp after each one that it is told of."""
    model = ease(without(SPLIT, users))
    model.fold_in = lambda histories: np.roll(histories.toarray(), 2, axis=1)
    return model


def test_blocks_of_users_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Scores are counts of who has both items, exact in any block; train lacks a third, so that not all is found."""
    kept = np.random.default_rng(0).random(len(SPLIT.train.user)) < 0.7
    split = replace(SPLIT, train=SPLIT.train.select(kept))
    train = split.train.matrix()
    together = (train.T @ train).toarray().astype(np.float32)
    models = [(users, ease(without(split, users))) for users in HELD_OUT]
    model_with = ease(split)
    for _, model in models:
        monkeypatch.setattr(model, "fold_in", lambda histories: histories @ together)
    monkeypatch.setattr(model_with, "score", lambda users: train[users] @ together)
    whole = [curve_table(curve) for curve in fold_in_curves(models, model_with, split)]
    monkeypatch.setattr("movierec_engine.evaluation.strong_generalization._BLOCK_CELLS", 3 * ITEMS)
    assert [curve_table(curve) for curve in fold_in_curves(models, model_with, split)] == whole
    for table in whole:
        assert 0 < table["value"][0].as_py() < table["value"][1].as_py() < 1


def test_every_user_with_a_long_history_and_items_of_both_parts_is_held_out_once() -> None:
    short = SPLIT.train.select((SPLIT.train.user >= 40) | (SPLIT.train.item < 20))
    validation, test = (part.select(part.user != user) for part, user in ((SPLIT.validation, 60), (SPLIT.test, 50)))
    folds = held_out_folds(replace(SPLIT, train=short, validation=validation, test=test), 6, seed=0)
    assert sorted(np.concatenate(folds).tolist()) == sorted(set(range(40, USERS)) - {50, 60})
    assert sorted(len(users) for users in folds) == [6, 6, 6, 6, 7, 7]
    assert all((np.diff(users) > 0).all() for users in folds)


def test_folds_are_drawn_by_their_seed() -> None:
    drawn, again, other = (np.concatenate(held_out_folds(SPLIT, 4, seed)).tolist() for seed in (0, 0, 1))
    assert drawn == again
    assert drawn != other


def test_folds_that_cannot_be_are_sentences() -> None:
    with pytest.raises(MovierecError, match="at least 2"):
        held_out_folds(SPLIT, 1, seed=0)
    with pytest.raises(EmptyDataError, match=r"80 users .* fewer folds"):
        held_out_folds(SPLIT, 81, seed=0)
    with pytest.raises(EmptyDataError, match="longer histories"):
        held_out_folds(replace(SPLIT, train=SPLIT.train.select(SPLIT.train.item < 20)), 2, seed=0)
    with pytest.raises(EmptyDataError, match=r"0 users .* a validation part"):
        held_out_folds(replace(SPLIT, validation=SPLIT.validation.select(SPLIT.validation.item < 0)), 2, seed=0)


@pytest.mark.parametrize(
    ("added", "least"),
    [
        ((0.1, 0.1, 0.1), 1),
        ((-0.1, 0.1, 0.1), 3),
        ((0.1, 0.0, 0.1), 5),
        ((0.1, 0.1, 0.0), None),
        ((-0.1, -0.1, -0.1), None),
    ],
)
def test_enough_is_where_fold_in_is_better_and_stays_so(added: tuple[float, ...], least: int | None) -> None:
    popularity = np.linspace(0.2, 0.4, 30)
    fold_in = (
        popularity[:, None]
        + np.array(added)
        + np.random.default_rng(0).normal(0, 0.01, (30, 3)).round(3) * (np.array(added) != 0)
    )
    curve = FoldInCurve("test", np.arange(30), (1, 3, 5), fold_in, popularity, popularity, popularity)
    assert fold_in_min_items(gains(curve)) == least


SURE = compare_paired(np.linspace(0.5, 0.9, 20), np.zeros(20))


@given(st.dictionaries(st.integers(1, 30), st.booleans(), max_size=6))
def test_enough_is_the_least_size_with_nothing_but_better_ones_from_there_on(better: dict[int, bool]) -> None:
    found = [Gain(size, SURE, 0.001, 0.001 if so else 0.9) for size, so in better.items()]
    right = [size for size in better if all(so for larger, so in better.items() if larger >= size)]
    assert fold_in_min_items(found) == min(right, default=None)


def test_a_size_that_is_significant_only_by_itself_is_not_better() -> None:
    """Its p values are above .05 / 4 and below .05, and the least of the four sizes."""
    rng = np.random.default_rng(2)
    popularity = rng.uniform(0.2, 0.4, 60)
    noise = rng.normal(0, 0.1, (60, 4))
    fold_in = popularity[:, None] + noise - noise.mean(axis=0) + np.array([0.0, 0.0, 0.0, 0.034])
    found = gains(FoldInCurve("test", np.arange(60), SIZES, fold_in, popularity, popularity, popularity))
    last = found[-1]
    alone = max(last.comparison.p_bootstrap, last.comparison.p_wilcoxon)
    assert ALPHA / 4 < alone < ALPHA
    assert last.comparison.p_bootstrap == min(one.comparison.p_bootstrap for one in found)
    assert last.p_bootstrap == pytest.approx(4 * last.comparison.p_bootstrap)
    assert not last.better


def test_significantly_worse_is_not_better() -> None:
    popularity = np.linspace(0.2, 0.4, 30)
    few = (popularity - np.linspace(0.01, 0.1, 30))[:, None]
    found = gains(FoldInCurve("test", np.arange(30), (3,), few, popularity, popularity, popularity))
    assert max(found[0].p_bootstrap, found[0].p_wilcoxon) < ALPHA
    assert not found[0].better


def test_the_table_has_means_with_their_intervals() -> None:
    values = np.array([0.0, 1.0, 0.5, 0.5])
    curve = FoldInCurve(
        "test", np.arange(4), (1, 3), np.stack([values, values / 2], axis=1), values / 4, values, values * 0
    )
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
    assert {(row["size"], row["gain"], row["better"]) for row in rows} == {
        (0, None, None),
        (1, 0.5, False),
        (3, 0.25, False),
        (None, None, None),
    }
    assert all(row["gain_low"] <= row["gain"] <= row["gain_high"] for row in rows if row["gain"] is not None)


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


def test_the_curve_of_a_trained_model_is_published(
    long_data: list[str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store, settings = ArtifactStore(tmp_path / "store"), load_settings([*long_data, "model=ease"])
    made = pipeline.prepare(store, settings.data)
    trained = pipeline.train_model(store, settings, made["splits"], made["interaction_graph"])

    with caplog.at_level("INFO", logger="movierec_engine"):
        found = measure_strong_generalization(store, trained, {"dagster_run_id": "a run"}, folds=3)

    assert store.latest(Slot("strong_generalization", "camps", "ease", "cpu")) == found.verify()
    assert found.parents == {"trained_model": trained.reference, "splits": made["splits"].reference}
    assert found.fingerprint == trained.fingerprint
    assert found.origin["dagster_run_id"] == "a run"
    assert (found.facts["fold_in_min_items"], found.facts["users"], found.facts["folds"]) == (1, 100, 3)
    assert 0 < found.facts["training_seconds"] < found.facts["seconds"]
    assert found.facts["peak_memory_mb"] > 0
    for number, users in ((1, 34), (2, 33), (3, 33)):
        assert f"fold {number} of 3, ease is trained again without {users} users" in caplog.text
    assert found.facts["decided_on"] == "validation"
    rows, validation = curve_rows(found), curve_rows(found, "validation")
    for part, own in (("test", rows), ("validation", validation)):
        assert {row["part"] for row in own} == {part}
        assert [row["size"] for row in own if row["source"] == "fold_in"] == list(SIZES)
        assert {row["users"] for row in own} == {100}
    assert store.latest(trained.slot) == trained

    again = measure_strong_generalization(store, trained, folds=3)
    assert curve_rows(again) == rows
    assert curve_rows(again, "validation") == validation


def test_only_the_validation_items_decide_what_is_enough(
    long_data: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Movies of the other camp take the place of a part's own, so that fold-in finds none of them."""
    store, settings = ArtifactStore(tmp_path / "store"), load_settings([*long_data, "model=ease"])
    made = pipeline.prepare(store, settings.data)
    trained = pipeline.train_model(store, settings, made["splits"], made["interaction_graph"])
    parts = pipeline.load_split(made["splits"])

    def decided(split: Split) -> tuple[int | None, set[bool]]:
        """What is enough, and whether fold-in is better on test at any and every size."""
        monkeypatch.setattr("movierec_engine.pipeline.strong_generalization.load_split", lambda splits: split)
        found = measure_strong_generalization(store, trained, folds=2)
        return found.facts["fold_in_min_items"], {
            row["better"] for row in curve_rows(found) if row["source"] == "fold_in"
        }

    validation, test = (replace(part, item=part.item ^ 1) for part in (parts.validation, parts.test))
    assert decided(parts) == (1, {True})
    assert decided(replace(parts, test=test)) == (1, {False})
    assert decided(replace(parts, validation=validation)) == (None, {True})


@pytest.mark.parametrize("facts", [{}, {"folds": 5, "draws": 4}])
def test_a_curve_that_test_decided_asks_to_be_measured_again(tmp_path: Path, facts: dict[str, int]) -> None:
    made = ArtifactStore(tmp_path).publish(
        Slot("strong_generalization", "camps", "als", "cpu"),
        lambda folder: (folder / "curve.parquet").touch(),
        key="0" * 12,
        fingerprint="f" * 12,
        facts={"fold_in_min_items": None, "users": 67, **facts},
    )
    for shown in (study_tables.fold_in_table, curve_rows):
        with pytest.raises(
            StoreError, match=r"decided on the test.*movierec strong-generalization --model als --device cpu"
        ):
            shown(made)


def test_a_damaged_curve_is_a_sentence(tmp_path: Path) -> None:
    made = ArtifactStore(tmp_path).publish(
        Slot("strong_generalization", "camps", "als", "cpu"),
        lambda folder: (folder / "curve.parquet").touch(),
        key="0" * 12,
        fingerprint="f" * 12,
        facts={"fold_in_min_items": None, "users": 67, "folds": 5, "decided_on": "validation"},
    )
    with pytest.raises(StoreError, match="not a readable curve"):
        curve_rows(made)


def test_the_command_prints_the_curve(long_data: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, settings = ArtifactStore(tmp_path / "store"), load_settings([*long_data, "model=ease"])
    arguments = ["strong-generalization", "--artifacts", str(store.root), "--model", "ease"]
    missing = CliRunner().invoke(cli, arguments)
    assert (missing.exit_code, missing.output[:6]) == (1, "error:")
    made = pipeline.prepare(store, settings.data)
    pipeline.train_model(store, settings, made["splits"], made["interaction_graph"])

    result = CliRunner().invoke(cli, [*arguments, "--folds", "2"], env={"COLUMNS": "160"})

    assert result.exit_code == 0, result.output
    assert [f"{size} of their movies" in result.output for size in SIZES] == [True] * len(SIZES)
    said = " ".join(result.output.split())
    assert "on test of 100 people" in said
    assert "From 1 movie on, fold-in is significantly better than popularity (decided on validation)" in said
    assert "held out in 2 folds" in said


def test_the_command_takes_as_many_folds_as_the_engine() -> None:
    assert next(one.default for one in cli.commands["strong-generalization"].params if one.name == "folds") == FOLDS


def held_out_camps() -> Split:
    """The camps, of whom users 0 to 39 are trained on, 40 to 59 are for validation and the rest for test."""
    train, later = (SPLIT.train.select((SPLIT.train.user < 40) == first) for first in (True, False))
    validation = SPLIT.test.select((SPLIT.test.user >= 40) & (SPLIT.test.user < 60))
    return Split(train, validation, SPLIT.test.select(SPLIT.test.user >= 60), "users", fold_in=later)


def test_held_out_users_are_met_as_they_are_and_nothing_is_trained_again() -> None:
    split = held_out_camps()
    curves = held_out_curves(ease(split), split)
    for curve, first in zip(curves, (40, 60), strict=True):
        assert curve.users.tolist() == list(range(first, first + 20))
        assert curve.fold_in.shape == (20, len(SIZES)) and curve.trained_in is None
        assert fold_in_min_items(gains(curve)) == 1
        assert [row["source"] for row in curve_table(curve).to_pylist()][-1] == "whole_history"


def test_the_whole_history_of_held_out_users_is_what_the_evaluator_measures() -> None:
    split = held_out_camps()
    model, popularity = ease(split), Popularity().fit(Dataset(split.train))
    for curve, heldout in zip(
        held_out_curves(model, split), (split.validation_heldout(), split.test_heldout()), strict=True
    ):
        for one, values in ((model, curve.whole_history), (popularity, curve.popularity)):
            assert values.tolist() == Evaluator((10,), ("ndcg",)).evaluate(one, heldout).per_user[NDCG].tolist()


def test_held_out_users_with_short_histories_have_no_curve() -> None:
    split = held_out_camps()
    assert split.fold_in is not None
    short = replace(split, fold_in=split.fold_in.select((split.fold_in.user < 60) | (split.fold_in.item < 20)))
    with pytest.raises(EmptyDataError, match=r"^no test user has 15 interactions to fold in.*data\.val_ratio"):
        held_out_curves(ease(split), short)


def test_the_command_trains_nothing_again_where_whole_users_are_held_out(long_data: list[str], tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path / "store")
    settings = load_settings([*long_data, "model=ease", "data.split=users", "data.train_ratio=0.5"])
    made = pipeline.prepare(store, settings.data)
    pipeline.train_model(store, settings, made["splits"], made["interaction_graph"])
    arguments = ["strong-generalization", "--artifacts", str(store.root), "--model", "ease"]
    result = CliRunner().invoke(cli, arguments, env={"COLUMNS": "160"})
    assert result.exit_code == 0, result.output
    assert "The test users of data.split=users" in " ".join(result.output.split())
    (found,) = store.versions(Slot("strong_generalization", "camps", "ease", "cpu"))
    assert (found.facts["folds"], found.facts["training_seconds"]) == (0, 0)
    (section,) = fold_in(store, "camps")
    assert "are held out by the split" in section.lede
