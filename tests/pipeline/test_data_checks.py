"""Checks of the data steps, on what a store holds after something went wrong."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from movierec_engine import pipeline
from movierec_engine.data.config import DataConfig
from movierec_engine.data.ratings import RATINGS_SCHEMA, Ratings
from movierec_engine.pipeline import data_checks
from movierec_engine.store import Artifact, ArtifactStore, Slot

VALUES = st.lists(st.sampled_from([0.5, 1.0, 3.0, 4.5, 5.0]), min_size=1, max_size=30)


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
        data_checks.ratings_have_not_drifted(store, made["raw_ratings"]),
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
    ratings(store, "one", rating=[1.0, 1.0, 5.0, 5.0])
    made = ratings(store, "two", rating=[1.0, 5.0, 5.0, 5.0])
    ratings(store, "two", rating=[1.0, 5.0, 5.0, 5.0])  # made again after damage, say
    again = store.versions(made.slot)[-1]
    found = data_checks.ratings_have_not_drifted(store, again)
    assert not found.passed
    assert found.numbers["total_variation"] == pytest.approx(0.25)
    assert data_checks.volume_has_not_jumped(store, again).passed


@pytest.mark.parametrize(("count", "usual"), [(8, False), (9, True), (20, True), (21, False)])
def test_volume_may_shrink_by_a_tenth_and_double(store: ArtifactStore, count: int, usual: bool) -> None:
    ratings(store, "one", rating=[4.0] * 10)
    assert data_checks.volume_has_not_jumped(store, ratings(store, "two", rating=[4.0] * count)).passed is usual


@given(VALUES, VALUES)
def test_total_variation_is_the_largest_difference_of_any_sets_shares(one: list[float], other: list[float]) -> None:
    """Its other definition, by brute force over all sets of values."""
    values = sorted({*one, *other})
    largest = 0.0
    for bits in range(2 ** len(values)):
        chosen = [value for place, value in enumerate(values) if bits >> place & 1]
        shares = [np.isin(sample, chosen).mean() for sample in (one, other)]
        largest = max(largest, abs(shares[0] - shares[1]))
    assert data_checks.total_variation(np.array(one), np.array(other)) == pytest.approx(largest)
