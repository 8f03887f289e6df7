"""Drift between two versions of ratings, by an oracle, and on halves of the bundled data."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import jensenshannon

from movierec_engine.data.config import DataConfig
from movierec_engine.data.ratings import MOVIES_SCHEMA
from movierec_engine.data.readers import read_movies, read_ratings
from movierec_engine.errors import ConfigError, DataError
from movierec_engine.evaluation.drift import COUNTS_FILE, NEW, Drift, DriftConfig, distance, drifts, save_counts

WEIGHTS = st.lists(st.integers(0, 50), min_size=3, max_size=3).filter(any)
LIMITS = DriftConfig()


def version(folder: Path, rows: list[tuple[object, object, float]] | pa.Table) -> Path:
    """A folder with ratings, of rows user, movie and rating."""
    if isinstance(rows, list):
        users, movies, ratings = zip(*rows, strict=True)
        ids = pa.string() if isinstance(users[0], str) else pa.int64()
        rows = pa.table({"user_id": pa.array(users, ids), "movie_id": pa.array(movies, ids), "rating": ratings})
    folder.mkdir(parents=True)
    pq.write_table(rows, folder / "ratings.parquet")
    return folder


def titled(folder: Path, genres: dict[int, list[str]]) -> Path:
    rows = [{"movie_id": movie, "title": "t", "year": None, "genres": own} for movie, own in genres.items()]
    folder.mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist(rows, schema=MOVIES_SCHEMA), folder / "movies.parquet")
    return folder


def by_name(found: list[Drift]) -> dict[str, Drift]:
    return {one.of: one for one in found}


def shares(one: Drift) -> dict[str, tuple[float, float]]:
    return {part: (then, now) for part, then, now in zip(one.parts, one.then, one.now, strict=True)}


@given(WEIGHTS, WEIGHTS)
def test_the_distance_is_jensen_and_shannons_in_bits(one: list[int], other: list[int]) -> None:
    found = distance(np.array(one, dtype=float), np.array(other, dtype=float))
    assert found == pytest.approx(jensenshannon(one, other, base=2), abs=1e-7)


def test_each_distribution_is_what_is_counted_by_hand(tmp_path: Path) -> None:
    """User 1 has three ratings and 2 one; then 2 has two more, of a new movie and of a comedy that is half a drama."""
    before = [(1, 10, 4.0), (1, 20, 2.0), (1, 30, 4.0), (2, 10, 4.0)]
    then = version(tmp_path / "then", before)
    now = version(tmp_path / "now", [*before, (2, 40, 2.0), (2, 30, 2.0)])
    movies = titled(tmp_path / "movies", {10: ["Drama"], 20: ["Comedy"], 30: ["Comedy", "Drama"], 40: []})
    found = by_name(drifts(then, now, movies))
    assert shares(found["users"]) == {"1 rating": (0.5, 0), "2 to 3 ratings": (0.5, 1)}
    assert shares(found["ratings"]) == {"2": (0.25, 0.5), "4": (0.75, 0.5)}
    assert shares(found["items"])[NEW] == (0, pytest.approx(1 / 6))
    assert shares(found["genres"]) == {"Comedy": (1.5 / 4, 2 / 5), "Drama": (2.5 / 4, 3 / 5)}
    for one in found.values():
        assert one.distance == pytest.approx(jensenshannon(one.then, one.now, base=2)), one.of


def test_ids_may_be_texts_and_movies_may_have_no_genres(tmp_path: Path) -> None:
    same = version(tmp_path / "a [1]", [("ann", "x", 1.0), ("ben", "x", 1.0)])
    broken = tmp_path / "movies"
    broken.mkdir()
    (broken / "movies.parquet").write_text("half")
    assert len(drifts(same, same, broken)) == 3
    assert [(one.of, one.distance) for one in drifts(same, same)] == [("users", 0), ("items", 0), ("ratings", 0)]


def test_many_values_are_binned(tmp_path: Path) -> None:
    rows: list[tuple[object, object, float]] = [(user, 1, user / 10) for user in range(100)]
    found = by_name(drifts(version(tmp_path / "a", rows), version(tmp_path / "b", rows[:50])))
    assert len(found["ratings"].parts) == 20
    assert sum(found["ratings"].now) == pytest.approx(1)


@pytest.fixture(scope="module")
def bundled(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, pa.Table, Path]:
    """A folder, the bundled ratings by time, and their movies."""
    root, config = tmp_path_factory.mktemp("bundled"), DataConfig()
    table = read_ratings(config).table
    movies = root / "movies"
    movies.mkdir()
    read_movies(config).save(movies)
    return root, table.sort_by("timestamp"), movies


def test_unchanged_data_random_halves_and_the_growth_of_a_tenth_have_not_drifted(
    bundled: tuple[Path, pa.Table, Path],
) -> None:
    root, table, movies = bundled
    every = version(root / "all", table)
    assert [one.distance for one in drifts(every, every, movies)] == [0, 0, 0, 0]
    half = np.random.default_rng(0).random(1000)[table["user_id"].to_numpy()] < 0.5
    one, other = (version(root / name, table.filter(pa.array(of))) for name, of in (("one", half), ("other", ~half)))
    told = [found.sentence for found in drifts(one, other, movies) if found.told(LIMITS)]
    tenth = version(root / "first 90 %", table.slice(0, len(table) * 9 // 10))
    told += [found.sentence for found in drifts(tenth, every, movies) if found.told(LIMITS)]
    assert told == []


def test_the_halves_in_time_have_drifted_in_what_is_known_to_have_changed(
    bundled: tuple[Path, pa.Table, Path],
) -> None:
    """Half stars came in 2003, and movies that the first half could not have; users rate as many as before."""
    root, table, movies = bundled
    middle = len(table) // 2
    halves = [version(root / name, table.slice(start, middle)) for name, start in (("early", 0), ("late", middle))]
    found = by_name(drifts(*halves, movies))
    assert {name for name, one in found.items() if one.told(LIMITS)} == {"items", "ratings", "genres"}
    assert shares(found["items"])[NEW][1] > 0.3
    early, late = (pc.mean(pc.equal(pc.floor(one["rating"]), one["rating"])).as_py() for one in
                   (table.slice(0, middle), table.slice(middle, middle)))  # fmt: skip
    assert early > late + 0.1


def test_a_version_that_was_counted_once_has_the_same_drift_without_its_ratings(
    bundled: tuple[Path, pa.Table, Path],
) -> None:
    root, table, movies = bundled
    folders = [version(root / name, table.slice(start, len(table) // 3)) for name, start in (("x", 0), ("y", 30_000))]
    expected = drifts(*folders, movies)
    for folder in folders:
        save_counts(folder)
        (folder / "ratings.parquet").unlink()
    assert drifts(*folders, movies) == expected
    (folders[0] / COUNTS_FILE).write_text("half")
    with pytest.raises(DataError, match="make the damaged one again"):
        drifts(*folders, movies)


def test_a_limit_that_is_none_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"automation.freshness.drift.genres=0 must be above 0 and at most 1"):
        DriftConfig(genres=0)
