"""The gate over models whose data have fallen against those of the served one."""

import logging
from pathlib import Path

import pyarrow as pa
import pytest
from release_world import GOOD, NEW, OLD, World

from movierec_engine.data.ratings import RATINGS_SCHEMA, Ratings, with_ids_of
from movierec_engine.evaluation.gate import ReleaseConfig
from movierec_engine.pipeline.data_fall import data_fall, warn_of_fallen_data
from movierec_engine.release.decisions import KEPT, PROMOTED
from movierec_engine.store import SERVING, Artifact, ArtifactStore, Slot
from worlds import RATED


def rated(users: int, movies: int, *, first_user: int = 101, first_movie: int = 101) -> pa.Table:
    """RATED, and further users who have each rated each of further movies."""
    pairs = [(user, movie) for user in range(users) for movie in range(movies)]
    table = {
        "user_id": [first_user + user for user, _ in pairs],
        "movie_id": [first_movie + movie for _, movie in pairs],
        "rating": [4.0] * len(pairs),
        "timestamp": list(range(len(pairs))),
    }
    return pa.concat_tables([RATED, pa.table(table, RATINGS_SCHEMA)])


WHOLE = rated(10, 10)
FALLS = {
    "half": (rated(10, 5), "52 ratings after 102 (release.min_volume=0.8)"),
    "other items": (rated(10, 10, first_movie=108), "5 of 12 items are still there (release.min_overlap=0.5)"),
    "other users": (rated(10, 10, first_user=111), "2 of 12 users are still there (release.min_overlap=0.5)"),
}
"""Data after WHOLE, and what is said of them."""
HELD = [
    rated(8, 10),
    rated(10, 10, first_movie=107),
    rated(10, 10, first_user=107),
    rated(20, 20),
]
"""Data after WHOLE that are just enough, or more."""


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(ArtifactStore(tmp_path / "store"))


def retrained_on(world: World, ratings: pa.Table) -> Artifact:
    """ease is served, trained on WHOLE, and was trained again on newer ratings."""
    world.split(OLD, WHOLE)
    world.train("ease", GOOD)
    assert world.challenge().verdict == PROMOTED, "the first release has nothing to fall against"
    world.split(NEW, ratings)
    return world.train("ease", GOOD, NEW)


@pytest.mark.parametrize(("ratings", "said"), FALLS.values(), ids=FALLS)
def test_the_champion_stays_where_the_data_of_its_successor_have_fallen(
    world: World, ratings: pa.Table, said: str
) -> None:
    retrained = retrained_on(world, ratings)
    champion = world.served_model
    decision = world.challenge(retrained)
    assert decision.verdict == KEPT
    assert said in decision.sentence
    assert "`movierec models promote ease` serves it all the same" in decision.sentence
    assert world.served_model == champion


@pytest.mark.parametrize("ratings", HELD, ids=range(len(HELD)))
def test_data_that_are_just_enough_or_more_are_promoted(world: World, ratings: pa.Table) -> None:
    assert world.challenge(retrained_on(world, ratings)).verdict == PROMOTED


def test_a_limit_of_0_promotes_whatever_the_data_are(world: World) -> None:
    retrained = retrained_on(world, rated(3, 3, first_user=1001, first_movie=1001))
    assert world.challenge(retrained, min_volume=0.0).verdict == KEPT
    assert world.challenge(retrained, min_volume=0.0, min_overlap=0.0).verdict == PROMOTED


def test_a_person_promotes_fallen_data_and_later_ones_are_held_against_those(world: World) -> None:
    retrained = retrained_on(world, FALLS["half"][0])
    assert world.challenge(retrained).verdict == KEPT
    assert world.challenge(retrained).verdict == KEPT, "asked once more it is no other"
    decision = world.promote(retrained.reference)
    assert "by hand" in decision.sentence
    assert f"though its data have fallen: {FALLS['half'][1]}" in decision.sentence
    assert world.served_model == retrained.reference
    world.split("2" * 12, rated(9, 5))
    assert world.challenge(world.train("ease", GOOD, "2" * 12)).verdict == PROMOTED


def test_what_is_damaged_does_not_stay_for_the_sake_of_its_data(world: World) -> None:
    retrained = retrained_on(world, FALLS["half"][0])
    champion = world.store.pointed(SERVING, "camps")
    assert champion is not None
    (champion.folder / "index.faiss").write_bytes(b"half")
    assert world.challenge(retrained).verdict == PROMOTED


def published(store: ArtifactStore, key: str, ratings: pa.Table) -> Artifact:
    return store.publish(Slot("raw_ratings", "camps"), Ratings(ratings).save, key=key, fingerprint="")


def test_ids_that_became_texts_are_other_ids(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path)
    then = published(store, "one", WHOLE)
    schema = RATINGS_SCHEMA.set(0, pa.field("user_id", pa.string()))
    now = published(store, "two", WHOLE.cast(with_ids_of(schema, RATINGS_SCHEMA)))
    assert data_fall(then, now, ReleaseConfig()) == "0 of 12 users are still there (release.min_overlap=0.5)"


def test_training_warns_of_fallen_data_against_the_served_or_else_the_version_before(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    before = published(world.store, "before", rated(40, 10))
    warn_of_fallen_data(world.store, before, ReleaseConfig())
    assert not caplog.messages, "the first version"
    after = published(world.store, "after", rated(10, 10))
    warn_of_fallen_data(world.store, after, ReleaseConfig())
    assert caplog.messages == [
        "camps: 102 ratings after 402 (release.min_volume=0.8); "
        "12 of 42 users are still there (release.min_overlap=0.5), against the version before; "
        "see whether the data are whole"
    ]
    caplog.clear()
    retrained_on(world, FALLS["half"][0])
    newest = world.store.require(Slot("raw_ratings", "camps"))
    warn_of_fallen_data(world.store, newest, ReleaseConfig())
    assert caplog.messages == [
        f"camps: {FALLS['half'][1]}, against the data of the served model, which the release gate keeps; "
        "see whether the data are whole"
    ]
