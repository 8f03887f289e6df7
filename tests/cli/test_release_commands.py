"""`movierec models`, on a store where it is known which model is better, and the pruning behind it."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from release_world import GOOD, World

from movierec_engine.cli.main import cli
from movierec_engine.evaluation.gate import ReleaseConfig
from movierec_engine.release import decisions
from movierec_engine.release.retention import prune
from movierec_engine.store import ArtifactStore, Slot, kinds


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = World(ArtifactStore(tmp_path / "store"))
    world.train("popularity", GOOD - 0.1)
    world.train("ease", GOOD)
    return world


def models(world: World, *arguments: str) -> Result:
    if arguments[0] in ("challenge", "promote"):  # the world's models have no weights to refit
        arguments = (*arguments, "release.refit=false")
    return CliRunner().invoke(cli, ["models", *arguments, "--artifacts", str(world.store.root)], env={"COLUMNS": "220"})


def test_a_challenge_promotes_keeps_and_tells_the_difference_by_its_exit_code(world: World) -> None:
    first = models(world, "challenge")
    assert first.exit_code == 0, first.output
    assert "ease on cpu is promoted" in first.output
    assert models(world, "challenge").exit_code == 0
    kept = models(world, "challenge", "popularity")
    assert kept.exit_code == 1
    assert "LOSES" in kept.output
    assert "ease on cpu stays" in kept.output
    assert models(world, "challenge", "popularity", "release.above=[]").exit_code == 1
    assert world.served == "ease"


def test_promote_rollback_pin_and_history_say_what_they_did(world: World) -> None:
    models(world, "promote", "ease")
    promoted = models(world, "promote", "popularity", "--reason", "for a [test]")
    assert promoted.exit_code == 0
    assert "popularity on cpu is promoted by hand" in promoted.output
    assert world.served == "popularity"
    assert "is pinned" in models(world, "pin", "--reason", "demo").output
    refused = models(world, "rollback")
    assert (refused.exit_code, world.served) == (1, "popularity")
    assert refused.stderr.startswith("error: ") and "pinned" in refused.stderr
    listed = models(world, "list").output
    (row,) = [line for line in listed.splitlines() if "★ served, pinned" in line]
    assert row.startswith("popularity ")
    (row,) = [line for line in listed.splitlines() if "released before" in line]
    assert row.startswith("ease ")
    assert models(world, "unpin").exit_code == 0
    assert models(world, "rollback").exit_code == 0
    assert world.served == "ease"
    history = models(world, "history").output
    for word in ("promoted", "pinned", "unpinned", "rolled back", "reason: for a [test]"):
        assert word in history
    assert "pinned" not in models(world, "history", "last=1").output


@pytest.mark.parametrize("damage", ["gone", "future"])
def test_a_served_version_that_cannot_be_read_is_marked_and_replaced_by_hand(world: World, damage: str) -> None:
    models(world, "promote", "popularity")
    models(world, "promote", "ease")
    pointer = world.store.pointer("serving", "camps")
    assert pointer is not None
    manifest = world.store.root / pointer["reference"] / "manifest.json"
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "format": 99}))
    if damage == "gone":
        manifest.unlink()
    listed = models(world, "list")
    assert listed.exit_code == 0, listed.output
    (row,) = [line for line in listed.output.splitlines() if "its index cannot be read" in line]
    assert row.startswith("ease ")
    assert "What is to be served cannot be read (" in listed.output
    assert "serve another version by `movierec models promote MODEL`" in " ".join(listed.output.split())
    back = models(world, "rollback")
    assert back.exit_code == 0, back.output
    assert "served again instead of ease on cpu, which cannot be served" in back.output
    assert world.served == "popularity"
    world.train("als", GOOD)
    manifest.unlink(missing_ok=True)
    assert models(world, "promote", "als").exit_code == 0
    assert world.served == "als"
    assert "cannot be read" not in models(world, "list").output


@pytest.mark.parametrize("content", ["", '{"ref'])
def test_an_unreadable_pointer_is_said_by_list_and_by_rollback(world: World, content: str) -> None:
    models(world, "promote", "popularity")
    models(world, "promote", "ease")
    models(world, "promote", "popularity")
    (world.store.root / "pointers" / "camps" / "serving.json").write_text(content)
    listed = models(world, "list")
    assert listed.exit_code == 0, listed.output
    assert "not a readable pointer" in " ".join(listed.output.split())
    back = models(world, "rollback")
    assert back.exit_code == 0, back.output
    assert "is served again instead of what an unreadable pointer named" in back.output


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["promote", "nope"], 1),
        (["promote", "ease", "--version", "1999"], 1),
        (["rollback"], 1),
        (["rollback", "--to", "1999"], 1),
        (["pin"], 1),
        (["unpin"], 1),
        (["challenge", "nope"], 1),
        (["challenge", "release.tolernce=1"], 2),
        (["prune", "--keep", "0"], 2),
        (["prune", "kep=3"], 2),
    ],
)
def test_what_cannot_be_done_is_one_sentence_and_changes_nothing(world: World, arguments: list[str], code: int) -> None:
    result = models(world, *arguments)
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.stderr
    assert world.served == ""
    assert decisions.decisions(world.store, "camps") == []


@pytest.mark.parametrize("command", ["list", "history", "challenge", "promote", "rollback", "pin", "unpin", "prune"])
def test_every_command_explains_itself(command: str) -> None:
    result = CliRunner().invoke(cli, ["models", command, "--help"])
    assert result.exit_code == 0
    assert "Usage:" in result.output


def test_pruning_keeps_the_releases_with_all_that_they_rest_on_and_says_what_is_freed(world: World) -> None:
    for gain in (0.01, 0.02, 0.03, 0.04):
        world.train("ease", GOOD + gain, key=f"k{gain}")
        world.challenge()
    dry = models(world, "prune", "--keep", "1", "--dry-run", "release.keep_releases=2")
    assert dry.exit_code == 0, dry.output
    assert len(world.store.versions(Slot("trained_model", "camps", "ease", "cpu"))) == 5
    wet = models(world, "prune", "--keep", "1", "release.keep_releases=2")
    assert "versions, " in wet.output and "B, were deleted; the last 2 releases are kept" in wet.output
    assert wet.output.replace("were", "would be") == dry.output
    for kind in ("trained_model", "evaluation_report", "faiss_index"):
        assert len(world.store.versions(Slot(kind, "camps", "ease", "cpu"))) == 2
    pruned = decisions.decisions(world.store, "camps")[-1]
    assert pruned.verdict == "pruned"
    assert not [one for one in pruned.evidence["pruned"] if one.startswith(kinds.RELEASE_DECISION)]
    world.roll_back()
    assert world.served == "ease"
    assert prune(world.store, "camps", 1, ReleaseConfig(keep_releases=2)).versions == []


def test_a_rolled_back_release_is_still_refused_after_its_versions_are_pruned(world: World) -> None:
    world.challenge()
    world.train("gmf", GOOD + 0.1)
    world.challenge()
    world.roll_back()
    world.train("gmf", GOOD - 0.1, key="worse")
    prune(world.store, "camps", 1, ReleaseConfig(keep_releases=1))
    again = world.train("gmf", GOOD + 0.1)
    assert world.challenge(again).verdict == decisions.KEPT
