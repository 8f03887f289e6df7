"""Decisions with a clock that goes back, and decisions that were cut off before their pointers moved."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, tzinfo

import pytest
from release_world import GOOD, METRIC, World

from movierec_engine import pipeline, release
from movierec_engine.errors import StoreError
from movierec_engine.evaluation.gate import ReleaseConfig
from movierec_engine.release import decisions, manual
from movierec_engine.release.decisions import KEPT, PROMOTED
from movierec_engine.release.promotion import refit_best
from movierec_engine.release.retention import prune
from movierec_engine.store import ArtifactStore, artifact_store


@pytest.fixture
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """gmf is served, and ease was before."""
    made = World(ArtifactStore(tmp_path_factory.mktemp("world") / "store"))
    made.train("popularity", GOOD - 0.1)
    made.train("ease", GOOD)
    made.challenge()
    made.train("gmf", GOOD + 0.1)
    made.challenge()
    return made


def done(world: World) -> list[bool]:
    return decisions.carried_out(world.store, decisions.decisions(world.store, "camps"))


class Cut(BaseException):
    """A process that ends here."""


def cut(monkeypatch: pytest.MonkeyPatch, method: str, pointer: str) -> None:
    """Let the store end the process instead of moving a pointer."""
    real = getattr(ArtifactStore, method)

    def moved(self: ArtifactStore, name: str, *rest: object) -> None:
        if name == pointer:
            raise Cut
        real(self, name, *rest)

    monkeypatch.setattr(ArtifactStore, method, moved)


def test_a_clock_that_goes_back_does_not_undo_a_rollback(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    class Clock(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
            return datetime.now(UTC) - timedelta(seconds=2)

    monkeypatch.setattr(artifact_store, "datetime", Clock)
    world.roll_back(reason="people complain")
    assert world.served == "ease"
    made = decisions.decisions(world.store, "camps")
    assert [one.verdict for one in made] == ["promoted", "promoted", "rolled back"]
    assert done(world) == [True, True, True]
    assert [reference.split("/")[2] for reference in decisions.releases(world.store, "camps")] == ["ease"]
    assert (world.challenge().verdict, world.served) == (KEPT, "ease")


def test_nobody_decides_while_somebody_else_does(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    board = pipeline.rank_models(world.store, "camps", METRIC)
    before = done(world), world.served
    commands: dict[str, Callable[[], object]] = {
        "challenge": lambda: release.decide_release(world.store, board, ReleaseConfig(refit=False)),
        "refit": lambda: refit_best(world.store, board, ReleaseConfig()),
        "promote": lambda: world.promote("ease"),
        "roll back": lambda: world.roll_back(reason="people complain"),
        "pin": lambda: manual.pin(world.store, "camps"),
        "unpin": lambda: manual.unpin(world.store, "camps"),
        "prune": lambda: prune(world.store, "camps", 1, ReleaseConfig()),
    }
    manual.pin(world.store, "camps")
    monkeypatch.setattr(artifact_store, "_DECISION_SECONDS", 0.01)
    with world.store.deciding("camps"):
        for command in commands.values():
            with pytest.raises(StoreError, match=r"decisions\.lock: another process has held it"):
                command()
    assert (done(world)[:-1], world.served) == before
    commands["unpin"]()
    commands["roll back"]()
    assert world.served == "ease"


def test_a_pin_that_was_cut_off_holds_nothing_and_is_told_apart(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        cut(patch, "point", "pinned")
        with pytest.raises(Cut):
            manual.pin(world.store, "camps", "first")
    assert done(world) == [True, True, False]
    assert decisions.pin_of(world.store, "camps") is None
    manual.pin(world.store, "camps", "second")
    assert done(world) == [True, True, False, True]
    with monkeypatch.context() as patch:
        cut(patch, "point", "pinned")
        with pytest.raises(Cut):
            manual.pin(world.store, "camps", "third")
    assert done(world) == [True, True, False, True, False], "pinned by the second, not by the third"


def test_an_unpin_that_was_cut_off_leaves_the_pin_and_is_told_apart(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    manual.pin(world.store, "camps")
    with monkeypatch.context() as patch:
        cut(patch, "unpoint", "pinned")
        with pytest.raises(Cut):
            manual.unpin(world.store, "camps")
    assert decisions.pin_of(world.store, "camps") is not None
    assert done(world) == [True, True, True, False]
    manual.unpin(world.store, "camps")
    assert done(world) == [True, True, True, False, True]


def test_a_pin_that_a_promotion_left_behind_does_not_hold_when_its_version_is_served_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    manual.pin(world.store, "camps")
    with monkeypatch.context() as patch:
        cut(patch, "unpoint", "pinned")
        with pytest.raises(Cut):
            world.promote("ease", force=True)
    assert world.served == "ease"
    with monkeypatch.context() as patch:
        cut(patch, "unpoint", "pinned")
        with pytest.raises(Cut):
            world.promote("gmf")
    assert (world.served, world.store.storage.pointer_file("pinned", "camps").exists()) == ("gmf", True)
    assert decisions.pin_of(world.store, "camps") is None
    assert done(world) == [True] * 5
    world.train("als", GOOD + 0.2)
    assert (world.challenge().verdict, world.served) == (PROMOTED, "als")
