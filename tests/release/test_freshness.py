"""Freshness of the served model, with a clock and a log of feedback whose answers are known."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from release_world import GOOD, NEW, World

from movierec_engine.errors import ConfigError
from movierec_engine.evaluation.drift import DriftConfig
from movierec_engine.feedback import Exposure, FeedbackEvent, SqliteLog, log_file
from movierec_engine.release.freshness import FreshnessConfig, StaleReason, stale_reasons
from movierec_engine.store import SERVING, Artifact, ArtifactStore, Slot


@pytest.fixture
def world(tmp_path: Path) -> World:
    """popularity was served, then ease."""
    world = World(ArtifactStore(tmp_path / "store"))
    world.train("popularity", GOOD - 0.1)
    world.challenge()
    world.train("ease", GOOD)
    world.challenge()
    return world


@pytest.fixture
def log(world: World) -> SqliteLog:
    return SqliteLog(log_file(world.store.root, "camps"))


def found(world: World, hours: float = 0, **settings: float | DriftConfig) -> list[StaleReason]:
    return stale_reasons(world.store, "camps", FreshnessConfig(**settings), datetime.now(UTC) + timedelta(hours=hours))  # type: ignore[arg-type]


def index_of(world: World, model: str) -> Artifact:
    return world.store.require(Slot("faiss_index", "camps", model, "cpu"))


def shown(log: SqliteLog, index: Artifact, lists: int, clicked: int, liked: int = 0) -> None:
    """So many lists of an index, the first of them with a click or with a rating of 5."""
    name = index.version
    numbers = range(lists)
    log.expose([Exposure(f"{name}{n}", 1, (10, 20), index.slot.model, index.version, "test") for n in numbers])
    clicks = [FeedbackEvent(f"c{name}{n}", 1, 10, "click", None, f"{name}{n}") for n in range(clicked)]
    log.record([*clicks, *(FeedbackEvent(f"r{name}{n}", 1, 10, "rating", 5.0, f"{name}{n}") for n in range(liked))])


def trained_hours_ago(world: World, hours: float) -> None:
    """Let the manifest of the served model say so."""
    manifest = world.store.require(Slot("trained_model", "camps", "ease", "cpu")).folder / "manifest.json"
    content = json.loads(manifest.read_text())
    content["created_at"] = (datetime.now(UTC) - timedelta(hours=hours)).isoformat()
    manifest.write_text(json.dumps(content))


def test_nothing_is_stale_just_after_a_release_or_without_one(world: World, tmp_path: Path) -> None:
    assert found(world) == []
    assert stale_reasons(ArtifactStore(tmp_path / "empty"), "camps", FreshnessConfig()) == []


def test_an_old_model_is_stale_and_once_more_after_as_long_again(world: World) -> None:
    assert found(world, 47) == []
    (first,) = found(world, 49)
    assert first.retrain
    assert "whose model is 49 h 00 min old; up to 48 h 00 min is fresh" in first.sentence
    assert found(world, 95) == [StaleReason(first.key, found(world, 95)[0].sentence, True)], "the same one"
    assert found(world, 97)[0].key != first.key
    trained_hours_ago(world, 49)
    (old,) = found(world)
    assert old.key == first.key, "counted from its training, not from its index"


def test_other_data_make_it_stale_after_a_while_and_are_trained_on_unless_that_was_done(world: World) -> None:
    world.store.publish(Slot("splits", "camps"), lambda folder: None, key="new", fingerprint=NEW)
    assert found(world, 5) == []
    trained_hours_ago(world, 20)
    assert found(world, 5) == [], "counted from the split"
    (stale,) = found(world, 7)
    assert stale.retrain
    assert "no model was measured on it yet" in stale.sentence
    world.train("popularity", GOOD - 0.2, NEW)
    (kept,) = found(world, 7)
    assert not kept.retrain, "the gate has looked at it, and kept what is served"
    assert kept.key == stale.key


def test_a_click_rate_is_stale_only_if_its_whole_interval_lies_below_the_least(world: World, log: SqliteLog) -> None:
    """Wilson's interval of 5 of 100 is .0215 to .1118, and of 50 of 1,000 .0381 to .0653."""
    shown(log, index_of(world, "ease"), 100, 5)
    assert found(world, min_click_rate=0.11) == []
    (stale,) = found(world, min_click_rate=0.112)
    assert not stale.retrain
    assert "a click rate of 5.0 % [2.2 %, 11.2 %] over 100 lists; at least 11.2 % is asked for" in stale.sentence
    assert [one.key.partition(":")[0] for one in found(world, min_like_rate=0.5)] == ["like_rate"]


def test_a_rate_far_below_the_previous_releases_is_told_of(world: World, log: SqliteLog) -> None:
    shown(log, index_of(world, "popularity"), 200, 60, liked=20)
    shown(log, index_of(world, "ease"), 200, 20, liked=20)
    (stale,) = found(world)
    assert "had a click rate of 30.0 %" in stale.sentence
    assert found(world, below_previous=False) == []


def test_a_like_is_what_the_served_index_says(world: World, log: SqliteLog) -> None:
    """Ratings of 5, on a scale whose likes begin at 7: nobody liked anything."""
    shown(log, index_of(world, "ease"), 100, 0, liked=100)
    assert found(world, min_like_rate=0.5) == []
    manifest = index_of(world, "ease").folder / "manifest.json"
    content = json.loads(manifest.read_text())
    manifest.write_text(json.dumps({**content, "facts": {**content["facts"], "liked_from": 7.0}}))
    (stale,) = found(world, min_like_rate=0.5)
    assert "a like rate of 0.0 %" in stale.sentence


def test_few_lists_show_nothing_and_those_of_other_versions_do_not_count(world: World, log: SqliteLog) -> None:
    shown(log, index_of(world, "popularity"), 10, 5)
    shown(log, index_of(world, "ease"), 10, 1)
    assert found(world) == []
    other = world.index(world.store.require(Slot("trained_model", "camps", "ease", "cpu")))
    shown(log, other, 500, 0)
    assert world.store.pointed(SERVING, "camps") != other
    assert found(world) == []


@pytest.mark.parametrize(
    ("setting", "sentence"),
    [
        ({"max_age_hours": 0.09}, "max_age_hours=0.09 must be at least"),
        ({"min_click_rate": 2.0}, "must be from 0 to 1"),
    ],
)
def test_wrong_limits_are_one_sentence(setting: dict[str, float], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        FreshnessConfig(**setting)  # type: ignore[arg-type]


def raw_ratings(world: World, key: str, values: list[float]) -> Artifact:
    """A version of the raw ratings, one of each user."""
    table = pa.table({"user_id": range(len(values)), "movie_id": [10] * len(values), "rating": values})

    def write(folder: Path) -> None:
        pq.write_table(table, folder / "ratings.parquet")

    return world.store.publish(Slot("raw_ratings", "camps"), write, key=key, fingerprint="")


def test_data_that_have_drifted_from_those_of_the_training_are_told_of_until_they_are_trained_on(
    world: World,
) -> None:
    model = world.store.require(Slot("trained_model", "camps", "ease", "cpu"))
    manifest = model.folder / "manifest.json"
    content = json.loads(manifest.read_text())

    def trained_on(version: Artifact) -> None:
        manifest.write_text(json.dumps({**content, "parents": {"raw_ratings": version.reference}}))

    old = raw_ratings(world, "old", [3.0, 4.0] * 50)
    trained_on(old)
    assert found(world) == []
    raw_ratings(world, "more", [3.0, 4.0] * 52)
    assert found(world) == [], "more of the same"
    new = raw_ratings(world, "new", [3.0, 5.0] * 50)
    (stale,) = found(world)
    assert not stale.retrain
    assert f"{new.reference} has drifted" in stale.sentence
    assert "4: 50.0 % before, 0.0 % now" in stale.sentence
    assert found(world, drift=DriftConfig(ratings=1.0)) == []
    trained_on(new)
    assert found(world) == []
