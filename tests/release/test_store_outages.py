"""Releases while the store does not answer for a moment: whichever request fails, nothing is decided by it."""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from release_world import GOOD, METRIC, World

from movierec_engine import pipeline, release
from movierec_engine.errors import StoreError
from movierec_engine.evaluation.gate import ReleaseConfig
from movierec_engine.release.retention import prune
from movierec_engine.store import ArtifactStore, Slot, kinds
from movierec_engine.store.objects import AwayError

READS = ("manifest", "pointer")


@pytest.fixture(autouse=True)
def not_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


@pytest.fixture
def world(tmp_path: Path) -> World:
    """ease was released after popularity, which was trained again since."""
    world = World(ArtifactStore(tmp_path / "store"))
    world.train("popularity", GOOD - 0.1, key="released")
    world.challenge()
    world.train("ease", GOOD)
    world.challenge()
    for key in ("needless", "newest"):
        world.train("popularity", GOOD - 0.1, key=key)
    assert world.served == "ease"
    return world


@contextmanager
def away_at(store: ArtifactStore, number: int) -> Iterator[list[str]]:
    """The store answers each reading request in the body but one, by its number; the requests that were made."""
    asked: list[str] = []

    def failing(read: Callable[..., object]) -> Callable[..., object]:
        def ask(*arguments: object) -> object:
            asked.append(read.__name__)
            if len(asked) == number:
                raise AwayError("the object store is out of reach")
            return read(*arguments)

        return ask

    with pytest.MonkeyPatch.context() as patch:
        for name in READS:
            patch.setattr(store.storage, name, failing(getattr(store.storage, name)))
        yield asked


def test_a_worse_model_is_not_promoted_since_the_champion_could_not_be_read(world: World) -> None:
    worse = world.train("als", GOOD - 0.05)
    board = pipeline.rank_models(world.store, "camps", METRIC)
    refused = 0
    for number in range(1, 1000):
        with away_at(world.store, number) as asked:
            try:
                release.decide_release(world.store, board, ReleaseConfig(refit=False), worse)
            except AwayError:
                refused += 1
        assert world.served == "ease", asked
        if len(asked) < number:
            break
    assert refused > 3


def test_rolling_back_goes_to_the_release_before_and_to_no_earlier_one(world: World) -> None:
    world.train("gmf", GOOD + 0.1)
    world.challenge()
    for number in range(1, 1000):
        with away_at(world.store, number) as asked, suppress(AwayError):
            world.roll_back()
        assert world.served in ("gmf", "ease"), asked
        if len(asked) < number:
            break
        if world.served == "ease":
            world.promote("gmf")
    assert world.served == "ease"


def test_pruning_deletes_what_it_would_delete_anyhow_or_nothing(world: World) -> None:
    config = ReleaseConfig(keep_releases=2)

    def deleted() -> list[str]:
        return [one.reference for one in prune(world.store, "camps", 1, config, dry_run=True).versions]

    expected = deleted()
    assert expected
    for number in range(1, 1000):
        with away_at(world.store, number) as asked:
            try:
                assert deleted() == expected, asked
            except AwayError:
                continue
        if len(asked) < number:
            break
    assert number > 5


def test_pruning_deletes_nothing_while_a_decision_is_damaged(world: World) -> None:
    """What was released by it would no longer count as a release."""
    first, *_ = world.store.versions(Slot(kinds.RELEASE_DECISION, "camps"))
    path = first.folder / "decision.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"sentence": "something else"}))
    with pytest.raises(StoreError, match=f"nothing is deleted, as {first.reference} is damaged"):
        prune(world.store, "camps", 1, ReleaseConfig(keep_releases=2))
