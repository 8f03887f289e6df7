"""Checks of the data steps, on what a store holds after something went wrong."""

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from scipy.spatial.distance import jensenshannon

from movierec_engine import pipeline
from movierec_engine.data.config import DataConfig
from movierec_engine.data.id_map import IdMap
from movierec_engine.data.ratings import MOVIES_SCHEMA, RATINGS_SCHEMA, Movies, Ratings
from movierec_engine.evaluation.canaries import Finding
from movierec_engine.evaluation.drift import DriftConfig
from movierec_engine.pipeline import data_checks
from movierec_engine.store import Artifact, ArtifactStore, Slot
from worlds import interactions_of


@pytest.fixture
def config(movielens_folder: Path) -> DataConfig:
    return DataConfig(name="camps", dir=str(movielens_folder))


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(tmp_path / "store")


def ratings(store: ArtifactStore, key: str, **columns: list[float]) -> Artifact:
    """A version of raw_ratings with three ratings, of which columns may be others."""
    count = len(next(iter(columns.values()), [0, 0, 0]))
    values: dict[str, list[float]] = {
        "user_id": list(range(count)),
        "movie_id": [7] * count,
        "rating": [4.0] * count,
        "timestamp": [1_000_000_000] * count,
        **columns,
    }
    table = pa.table(values, schema=RATINGS_SCHEMA)
    return store.publish(
        Slot("raw_ratings", "camps"),
        Ratings(table).save,
        key=key,
        fingerprint="",
        config={"rating_min": 0.5, "rating_max": 5.0},
        facts={"ratings": count, "validation": {"rows_read": count, "duplicate_rows": 0, "duplicate_pairs": 0}},
    )


def test_all_checks_pass_on_what_the_steps_make(store: ArtifactStore, config: DataConfig) -> None:
    made = pipeline.prepare(store, config)
    found = [
        data_checks.ratings_are_valid(store, made["raw_ratings"]),
        data_checks.few_duplicates(store, made["raw_ratings"]),
        data_checks.data_have_not_drifted(store, made["raw_ratings"], DriftConfig()),
        data_checks.volume_has_not_jumped(store, made["raw_ratings"]),
        data_checks.movies_are_valid(store, made["raw_movies"]),
        data_checks.movies_have_titles(store, made["raw_movies"]),
        data_checks.interactions_are_valid(store, made["interactions"]),
        data_checks.few_are_dropped(store, made["interactions"]),
        data_checks.parts_are_disjoint(store, made["splits"]),
        data_checks.graph_is_train(store, made["interaction_graph"]),
    ]
    assert [one.sentence for one in found if not one.passed] == []


@pytest.mark.parametrize(
    ("columns", "named"),
    [
        ({"rating": [4.0, 7.5, 4.0]}, "out_of_range"),
        ({"rating": [4.0, float("nan"), 4.0]}, "out_of_range"),
        ({"user_id": [1, 2, 1]}, "duplicate_pairs"),
        ({"user_id": [1, -2, 3]}, "negative_ids"),
        ({"timestamp": [1, 2, 99_999_999_999]}, "impossible_times"),
    ],
)
def test_one_bad_rating_is_counted_under_its_name(
    store: ArtifactStore, columns: dict[str, list[float]], named: str
) -> None:
    found = data_checks.ratings_are_valid(store, ratings(store, "one", **columns))
    assert not found.passed
    assert {name: value for name, value in found.numbers.items() if value and name != "ratings"} == {named: 1}


def test_a_missing_value_is_told_by_its_column(store: ArtifactStore) -> None:
    found = data_checks.ratings_are_valid(store, ratings(store, "one", movie_id=[1, None, 3]))  # type: ignore[list-item]
    assert not found.passed
    assert "1 without movie_id" in found.sentence


def test_half_of_the_rows_being_repeats_is_unusual(store: ArtifactStore) -> None:
    made = ratings(store, "one")
    report = {"rows_read": 6, "duplicate_rows": 2, "duplicate_pairs": 1}
    found = data_checks.few_duplicates(store, replace(made, facts={**made.facts, "validation": report}))
    assert not found.passed
    assert found.numbers == {"dropped": 3, "dropped_share": 0.5}


def test_drift_and_volume_compare_with_the_version_before_of_other_content(store: ArtifactStore) -> None:
    ratings(store, "one", rating=[1.0, 1.0, 5.0, 5.0] * 50)
    made = ratings(store, "two", rating=[1.0, 5.0, 5.0, 5.0] * 50)
    ratings(store, "two", rating=[1.0, 5.0, 5.0, 5.0] * 50)  # made again after damage, say
    again = store.versions(made.slot)[-1]
    found = data_checks.data_have_not_drifted(store, again, DriftConfig())
    assert not found.passed
    assert found.numbers["ratings"] == pytest.approx(jensenshannon([0.5, 0.5], [0.25, 0.75], base=2))
    assert (found.numbers["users"], found.numbers["items"]) == (0, 0)
    assert "1: 50.0 % before, 25.0 % now" in found.sentence
    assert data_checks.volume_has_not_jumped(store, again).passed


@pytest.mark.parametrize(("count", "usual"), [(8, False), (9, True), (20, True), (21, False)])
def test_volume_may_shrink_by_a_tenth_and_double(store: ArtifactStore, count: int, usual: bool) -> None:
    ratings(store, "one", rating=[4.0] * 10)
    assert data_checks.volume_has_not_jumped(store, ratings(store, "two", rating=[4.0] * count)).passed is usual


def with_facts(artifact: Artifact, **facts: Any) -> Artifact:
    return replace(artifact, facts={**artifact.facts, **facts})


@pytest.mark.parametrize(("more", "usual"), [(0, True), (1, False)])
def test_what_is_usual_ends_just_where_it_is_said_to(store: ArtifactStore, more: int, usual: bool) -> None:
    """5 % of repeats, 1 % of movies without a title, half of the ratings dropped, a limit of drift."""
    made = ratings(store, "one", rating=[1.0, 1.0] * 40 + [4.0] * 320)
    report = {"rows_read": 1000, "duplicate_rows": 20, "duplicate_pairs": 30 + more}
    assert data_checks.few_duplicates(store, with_facts(made, validation=report)).passed is usual
    untitled = {"movies": 100, "validation": {"movies_without_title": 1 + more}}
    assert data_checks.movies_have_titles(store, with_facts(made, **untitled)).passed is usual
    assert data_checks.few_are_dropped(store, with_facts(made, dropped_share=0.5 + more / 1000)).passed is usual
    limit = float(jensenshannon([0.2, 0, 0.8], [0.1, 0.1, 0.8], base=2)) - more * 1e-9 + 1e-12
    two = ratings(store, "two", rating=[1.0, 5.0] * 40 + [4.0] * 320)
    assert data_checks.data_have_not_drifted(store, two, DriftConfig(ratings=limit)).passed is usual


def test_the_bounds_of_ratings_and_of_the_clock_are_valid_themselves(store: ArtifactStore) -> None:
    at_the_bounds = ratings(store, "one", rating=[0.5, 5.0], timestamp=[0, time.time() + 23 * 3600])
    assert data_checks.ratings_are_valid(store, at_the_bounds).passed
    late = ratings(store, "two", timestamp=[1, 2, time.time() + 25 * 3600])
    assert data_checks.ratings_are_valid(store, late).numbers["impossible_times"] == 1


def test_a_movie_that_is_there_twice_or_has_a_negative_id_is_counted(store: ArtifactStore) -> None:
    rows = [{"movie_id": movie, "title": "t", "year": None, "genres": []} for movie in (1, 2, 2, 2, -1)]
    table = pa.Table.from_pylist(rows, schema=MOVIES_SCHEMA)
    made = store.publish(Slot("raw_movies", "camps"), Movies(table).save, key="k", fingerprint="")
    found = data_checks.movies_are_valid(store, made)
    assert not found.passed
    assert found.numbers == {"movies": 5, "duplicate_movies": 2, "negative_ids": 1}


def test_interactions_that_are_doubled_or_too_few_are_counted(store: ArtifactStore) -> None:
    """User 0 has items 0 and 1 and item 1 once more, user 1 has item 0 alone; two of each are asked for."""
    pairs = np.array([(0, 0), (0, 1), (0, 1), (1, 0)])

    def checked(pairs: np.ndarray, **config: Any) -> Finding:
        made = interactions_of(pairs, IdMap(np.arange(2)), IdMap(np.arange(2)))
        asked = {"min_user_interactions": 2, "min_item_interactions": 3, "layout": "auto", **config}
        where = Slot("interactions", "camps")
        return data_checks.interactions_are_valid(
            store, store.publish(where, made.save, key="k", fingerprint="", config=asked)
        )

    found = checked(pairs)
    assert not found.passed
    assert found.numbers == {
        "interactions": 4, "duplicate_pairs": 1, "users_with_too_few": 1, "items_with_too_few": 2
    }  # fmt: skip
    assert checked(pairs, min_user_interactions=1, min_item_interactions=2).numbers["duplicate_pairs"] == 1
    once = pairs[[0, 1, 3]]
    assert checked(once, min_user_interactions=1, min_item_interactions=1).passed
    assert checked(once, layout="presplit").passed, "such data are taken as they come"
