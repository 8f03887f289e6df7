"""Feedback becomes ratings once, and erased people stay out of every retraining."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from movierec_engine import pipeline
from movierec_engine.config import load_settings
from movierec_engine.data.config import ColumnNames, DataConfig
from movierec_engine.data.ratings import MOVIES_SCHEMA, RATINGS_SCHEMA, Movies, Ratings
from movierec_engine.evaluation.drift import COUNTS_FILE
from movierec_engine.feedback import FeedbackEvent, Intake, SqliteLog, log_file
from movierec_engine.feedback.intake import ERASURES_SCHEMA, FEEDBACK_SCHEMA
from movierec_engine.pipeline.backtest import backtest
from movierec_engine.pipeline.feedback import FeedbackFacts, with_feedback
from movierec_engine.store import Artifact, ArtifactStore

Row = tuple[int, int, float]


@pytest.fixture
def config(movielens_folder: Path) -> DataConfig:
    return DataConfig(name="camps", dir=str(movielens_folder), min_user_interactions=1, min_item_interactions=1)


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(tmp_path / "store")


@pytest.fixture
def log(store: ArtifactStore) -> SqliteLog:
    return SqliteLog(log_file(store.root, "camps"))


def rows_of(raw_ratings: Artifact, user: int | None = None) -> list[Row]:
    table = Ratings.load(raw_ratings.folder).table
    rows = [(row["user_id"], row["movie_id"], row["rating"]) for row in table.to_pylist()]
    return [row for row in rows if user in (None, row[0])]


def facts(raw_ratings: Artifact) -> FeedbackFacts:
    return FeedbackFacts.of(raw_ratings)


def rate(key: str, user: int, movie: int, value: float = 5.0) -> FeedbackEvent:
    return FeedbackEvent(key, user, movie, "rating", value)


def test_without_a_log_nothing_is_made_and_the_version_is_that_of_the_files(
    store: ArtifactStore, config: DataConfig
) -> None:
    made = pipeline.ingest_ratings(store, config)
    assert not (store.root / "feedback").exists()
    assert facts(made) == FeedbackFacts()
    assert COUNTS_FILE in made.files, "counted once, for every comparison with later versions"
    assert pipeline.ingest_ratings(store, replace(config, feedback=False)) == made


def test_an_event_is_taken_in_once_however_often_a_run_is_repeated(
    store: ArtifactStore, config: DataConfig, log: SqliteLog
) -> None:
    before = pipeline.ingest_ratings(store, config)
    log.record([rate("new", 999, 100), FeedbackEvent("c", 999, 101, "click"), rate("changed", 999, 102, 1.0)])
    log.record([rate("new", 999, 100), rate("again", 999, 102, 2.0)])
    runs = [pipeline.ingest_ratings(store, config) for _ in range(3)]
    assert {run.reference for run in runs} == {runs[0].reference} != {before.reference}
    assert rows_of(runs[0], 999) == [(999, 100, 5.0), (999, 102, 2.0)]
    assert sorted(rows_of(runs[0])) == sorted(rows_of(before) + rows_of(runs[0], 999))
    assert facts(runs[0]) == FeedbackFacts(events=3, taken_in=2, superseded=1, newest_seq=4)
    assert log.count_since(facts(runs[0]).newest_seq, "rating") == 0, "a sensor sees nothing left to take in"
    log.record([rate("more", 999, 103)])
    later = pipeline.ingest_ratings(store, config)
    assert rows_of(later, 999) == [(999, 100, 5.0), (999, 102, 2.0), (999, 103, 5.0)]
    log.record([FeedbackEvent("click", 999, 104, "click")])
    assert pipeline.ingest_ratings(store, config) == later, "a click is no rating"


def test_feedback_carries_its_own_time_in_seconds_and_replaces_an_older_rating(
    store: ArtifactStore, config: DataConfig, log: SqliteLog
) -> None:
    before = pipeline.ingest_ratings(store, config)
    user, movie, _ = rows_of(before)[0]
    log.record([rate("a", user, movie, 0.5)])
    made = pipeline.ingest_ratings(store, config)
    assert (user, movie, 0.5) in rows_of(made)
    assert len(rows_of(made)) == len(rows_of(before))
    assert facts(made).replaced == 1
    table = Ratings.load(made.folder).table
    assert table["timestamp"].to_pylist()[0] == next(log.events()).at_ms // 1000
    assert table.schema.equals(RATINGS_SCHEMA)


def test_what_the_data_set_does_not_know_is_counted_and_left_out(
    store: ArtifactStore, config: DataConfig, log: SqliteLog
) -> None:
    log.record(
        [rate("unknown", 999, 5), rate("high", 999, 100, 5.5), rate("low", 999, 100, 0.25), rate("ok", 999, 101)]
    )
    made = pipeline.ingest_ratings(store, config)
    assert rows_of(made, 999) == [(999, 101, 5.0)]
    assert facts(made) == FeedbackFacts(events=4, taken_in=1, unknown_movies=1, out_of_range=2, newest_seq=4)


def test_a_titled_movie_that_nobody_rated_yet_can_be_rated(
    store: ArtifactStore, config: DataConfig, log: SqliteLog
) -> None:
    path = Path(config.dir) / "movies.csv"
    path.write_text(path.read_text() + "777,New (2026),Drama\n")
    log.record([rate("a", 1, 777)])
    assert (1, 777, 5.0) in rows_of(pipeline.ingest_ratings(store, config))


def test_feedback_can_be_left_out_but_not_an_erasure(store: ArtifactStore, config: DataConfig, log: SqliteLog) -> None:
    before = pipeline.ingest_ratings(store, config)
    log.record([rate("a", 999, 100)])
    without = replace(config, feedback=False)
    assert pipeline.ingest_ratings(store, without) == before
    log.erase(7)
    made = pipeline.ingest_ratings(store, without)
    assert rows_of(made) == [row for row in rows_of(before) if row[0] != 7]
    assert facts(made) == FeedbackFacts(erased_users=1, erased_ratings=14, newest_erasure=1)


def test_an_erased_person_is_out_of_the_next_training_and_back_as_a_new_one(
    store: ArtifactStore, small_data: list[str], log: SqliteLog
) -> None:
    """User 7 is erased, retrained without, then rates twelve movies anew: the model knows those alone."""
    run_settings = load_settings([*small_data, "model=ease"])
    log.record([rate("old", 7, 100)])
    first = pipeline.run(store, run_settings)
    assert 7 in rows_users(first["raw_ratings"])
    erased = log.erase(7)
    second = pipeline.run(store, run_settings)
    assert 7 not in rows_users(second["raw_ratings"])
    assert 7 not in pipeline.load_split(second["splits"]).train.users.ids
    assert second["splits"].fingerprint != first["splits"].fingerprint
    assert facts(second["raw_ratings"]).newest_erasure == erased.number
    again = pipeline.run(store, run_settings)
    assert again["raw_ratings"] == second["raw_ratings"], "kept through every further retraining"
    log.record([rate(f"new {movie}", 7, 100 + movie) for movie in range(12)])
    third = pipeline.run(store, run_settings)
    assert rows_of(third["raw_ratings"], 7) == [(7, 100 + movie, 5.0) for movie in range(12)]
    assert facts(third["raw_ratings"]).newest_erasure == log.state(7).erasure, "so a server may ask the model again"


def rows_users(raw_ratings: Artifact) -> set[int]:
    return {user for user, *_ in rows_of(raw_ratings)}


def test_an_erasure_without_anything_to_erase_still_makes_a_version_that_heeds_it(
    store: ArtifactStore, config: DataConfig, log: SqliteLog
) -> None:
    before = pipeline.ingest_ratings(store, config)
    log.erase(12345)
    made = pipeline.ingest_ratings(store, config)
    assert made != before
    assert rows_of(made) == rows_of(before)
    assert facts(made).newest_erasure == 1


def test_a_backtest_heeds_the_log_of_its_store(store: ArtifactStore, small_data: list[str], log: SqliteLog) -> None:
    log.erase(7)
    run_settings = load_settings([*small_data, "model=popularity"])
    backtest(store, run_settings, windows=1, first_train_share=0.5)
    own = ArtifactStore(store.root / "backtests")
    assert 7 not in rows_users(own.require(pipeline.data_slot("raw_ratings", run_settings.data)))


def test_another_data_set_has_other_people(store: ArtifactStore, config: DataConfig, log: SqliteLog) -> None:
    log.record([rate("a", 999, 100)])
    log.erase(7)
    other = pipeline.ingest_ratings(store, replace(config, name="other"))
    assert {7} <= rows_users(other)
    assert 999 not in rows_users(other)


def test_a_custom_file_without_times_takes_feedback_and_erasures(store: ArtifactStore, tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    path.write_text("who,what\n1,10\n1,11\n2,10\n")
    config = DataConfig(
        name="mine",
        layout="custom",
        ratings_file=str(path),
        columns=ColumnNames("who", "what", rating="", timestamp=""),
    )
    log = SqliteLog(log_file(store.root, "mine"))
    log.erase(2)
    log.record([rate("a", 1, 10, 1.0), rate("b", 2, 11), rate("c", 2, 99)])
    made = pipeline.ingest_ratings(store, config)
    assert rows_of(made) == [(1, 10, 1.0), (1, 11, 5.0), (2, 11, 5.0)]
    assert facts(made).unknown_movies == 1


def test_a_presplit_data_set_takes_erasures_alone(store: ArtifactStore, tmp_path: Path) -> None:
    for name, text in (("train", "1,10\n1,11\n2,10\n2,11\n"), ("test", "1,12\n2,12\n"), ("negatives", "1,13\n2,13\n")):
        (tmp_path / f"{name}.csv").write_text("user,item\n" + text)
    files: dict[str, Any] = {f"{name}_file": str(tmp_path / f"{name}.csv") for name in ("train", "test", "negatives")}
    config = DataConfig(name="given", layout="presplit", **files)
    log = SqliteLog(log_file(store.root, "given"))
    log.record([rate("a", 1, 13)])
    log.erase(2)
    made = Ratings.load(pipeline.ingest_ratings(store, config).folder)
    assert made.presplit and made.negatives is not None
    assert set(zip(made.table["user_id"].to_pylist(), made.table["movie_id"].to_pylist(), strict=True)) == {
        (1, 10),
        (1, 11),
        (1, 12),
    }
    assert made.negatives.to_pylist() == [{"user_id": 1, "movie_id": 13}]


times = st.integers(1, 6)
entries = st.tuples(st.integers(1, 3), st.integers(10, 13), st.sampled_from([0.0, 1.0, 5.0]), times)


def merged_by_hand(
    file: dict[tuple[int, int], tuple[float, int]], logged: list[tuple[int, int, float, int]], erased: dict[int, int]
) -> dict[tuple[int, int], tuple[float, int]]:
    merged = {pair: value for pair, value in file.items() if value[1] > erased.get(pair[0], -1)}
    in_order = sorted(logged, key=lambda one: one[3])  # of equal times the one recorded last stays last
    newest = {(u, m): (r, t) for u, m, r, t in in_order if m in KNOWN | {pair[1] for pair in merged} and r >= 0.5}
    for pair, (value, at) in newest.items():
        if pair not in merged or at >= merged[pair][1]:
            merged[pair] = (value, at)
    return merged


KNOWN = {10, 11}
"""Movies with a title."""


@settings(max_examples=15)
@given(
    st.lists(entries, max_size=8), st.lists(entries, max_size=8), st.dictionaries(st.integers(1, 3), times, max_size=2)
)
def test_the_merge_is_that_of_dictionaries(
    filed: list[tuple[int, int, float, int]], logged: list[tuple[int, int, float, int]], erased: dict[int, int]
) -> None:
    file = {(u, m): (max(r, 0.5), t) for u, m, r, t in filed}
    table = [{"user_id": u, "movie_id": m, "rating": r, "timestamp": t} for (u, m), (r, t) in sorted(file.items())]
    events = [
        {"seq": i + 1, "user_id": u, "movie_id": m, "rating": r, "timestamp": t}
        for i, (u, m, r, t) in enumerate(logged)
    ]
    intake = Intake(
        pa.Table.from_pylist(events, schema=FEEDBACK_SCHEMA),
        pa.Table.from_pylist([{"user_id": u, "through": t} for u, t in erased.items()], schema=ERASURES_SCHEMA),
        len(events),
        len(erased),
    )
    titles = [{"movie_id": movie, "title": str(movie), "year": None, "genres": []} for movie in sorted(KNOWN)]

    def movies() -> Movies:
        return Movies(pa.Table.from_pylist(titles, schema=MOVIES_SCHEMA))

    ratings = Ratings(pa.Table.from_pylist(table, schema=RATINGS_SCHEMA))
    merged, found = with_feedback(ratings, intake, movies, DataConfig())
    rows = {(r["user_id"], r["movie_id"]): (r["rating"], r["timestamp"]) for r in merged.table.to_pylist()}
    assert rows == merged_by_hand(file, logged, erased)
    assert list(rows) == sorted(rows)
    assert found.events == found.taken_in + found.superseded + found.unknown_movies + found.out_of_range
    assert found.taken_in - found.replaced == len(rows) - (len(file) - found.erased_ratings)
    assert np.all(merged.table["timestamp"].to_numpy() >= 1)
