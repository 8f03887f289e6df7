"""Rules are immutable versions, moved by compare-and-swap, with who, when and why; in both kinds of stores."""

from typing import Any

import pytest

from movierec_engine.errors import StoreError
from movierec_engine.recommending.rules.document import RuleDocument
from movierec_engine.recommending.rules.errors import RuleError, RulesMovedError
from movierec_engine.recommending.rules.versions import (
    NONE,
    RulesVersion,
    current_rules,
    pointer_of,
    publish_rules,
    roll_back_rules,
    rules_history,
    version_of,
)
from movierec_engine.store import ArtifactStore, Slot
from movierec_engine.store.storage import Location, LostRaceError


def document(*denied: int) -> RuleDocument:
    return RuleDocument.of({"rules": [{"name": f"no {movie}", "deny": [movie]} for movie in denied]})


def test_a_pointer_moves_only_from_what_was_seen(location: Location) -> None:
    storage = ArtifactStore(location).storage
    storage.swap_pointer("small", "p", None, "one")
    for seen in (None, "two"):
        with pytest.raises(LostRaceError):
            storage.swap_pointer("small", "p", seen, "three")
    storage.swap_pointer("small", "p", "one", "two")
    assert storage.pointer("small", "p") == "two"


def test_history_says_who_published_what_when_and_why_and_a_rollback_is_a_version(location: Location) -> None:
    store = ArtifactStore(location)
    assert current_rules(store, "small", "home") is None and rules_history(store, "small", "home") == []
    first = publish_rules(store, "small", "home", document(1), by="anna", note="lawsuit", based_on=NONE)
    publish_rules(store, "small", "mail", document(7), by="anna")
    second = publish_rules(store, "small", "home", document(2), by="ben", based_on=first.version)
    third = roll_back_rules(store, "small", "home", first.version, by="eve", note="a mistake")
    history = rules_history(ArtifactStore(location), "small", "home")
    assert [(one.version, one.by, one.action, one.note) for one in history] == [
        (third.version, "eve", f"rolled back to {first.version}", "a mistake"),
        (second.version, "ben", "published", ""),
        (first.version, "anna", "published", "lawsuit"),
    ]
    assert history[0].document() == document(1)
    with pytest.raises(RuleError, match="no version"):
        roll_back_rules(store, "small", "mail", second.version, by="eve")


def test_what_is_published_or_rolled_back_again_by_a_repeated_request_is_one_version(location: Location) -> None:
    store = ArtifactStore(location)
    first = publish_rules(store, "small", "home", document(1), by="anna", based_on=NONE)
    assert publish_rules(store, "small", "home", document(1), by="anna", based_on=NONE) == first
    second = publish_rules(store, "small", "home", document(2), by="anna", note="why", based_on=first.version)
    assert publish_rules(store, "small", "home", document(2), by="anna", note="why", based_on=first.version) == second
    by_ben = publish_rules(store, "small", "home", document(2), by="ben", note="why")
    assert by_ben != second, "somebody else's change is their own"
    back = [roll_back_rules(store, "small", "home", first.version, by="eve") for _ in range(2)]
    assert back[0] == back[1]
    held = [one.version for one in rules_history(store, "small", "home")]
    assert held == [back[0].version, by_ben.version, second.version, first.version]
    with pytest.raises(RulesMovedError):
        publish_rules(store, "small", "home", document(1), by="anna", based_on=NONE)


def test_a_change_that_is_based_on_what_holds_no_more_changes_nothing(location: Location) -> None:
    store = ArtifactStore(location)
    first = publish_rules(store, "small", "home", document(1), by="anna")
    second = publish_rules(store, "small", "home", document(2), by="ben", based_on=first.version)
    for seen in (first.version, NONE):
        with pytest.raises(RulesMovedError, match="look at them again"):
            publish_rules(store, "small", "home", document(3), by="anna", based_on=seen)
    assert [one.version for one in rules_history(store, "small", "home")] == [second.version, first.version]


def test_who_loses_the_race_leaves_no_version_behind(location: Location, monkeypatch: pytest.MonkeyPatch) -> None:
    store = ArtifactStore(location)
    first = publish_rules(store, "small", "home", document(1), by="anna")
    swap = store.swap

    def too_late(*of: Any) -> None:
        winner.append(publish_rules(ArtifactStore(location), "small", "home", document(3), by="anna"))
        swap(*of)

    winner: list[RulesVersion] = []
    monkeypatch.setattr(store, "swap", too_late)
    with pytest.raises(RulesMovedError):
        publish_rules(store, "small", "home", document(2), by="ben")
    left = [one.version for one in store.versions(Slot("business_rules", "small"))]
    assert left == [first.version, winner[0].version]
    assert store.pointer(pointer_of("home"), "small")["evidence"] == {"by": "anna", "note": ""}  # type: ignore[index]


def test_history_skips_a_version_that_was_killed_before_it_held(
    location: Location, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = ArtifactStore(location)
    first = publish_rules(store, "small", "home", document(1), by="anna")
    with monkeypatch.context() as killed, pytest.raises(KeyboardInterrupt):
        killed.setattr(store, "swap", lambda *of: (_ for _ in ()).throw(KeyboardInterrupt))
        publish_rules(store, "small", "home", document(2), by="ben")
    assert len(store.versions(Slot("business_rules", "small"))) == 2
    second = publish_rules(store, "small", "home", document(3), by="eve")
    history = rules_history(ArtifactStore(location), "small", "home")
    assert [one.version for one in history] == [second.version, first.version]
    assert version_of(history, document(1)) == history[1] and version_of(history, document(2)) is None


def test_a_damaged_document_is_said_to_be_and_not_heeded(location: Location) -> None:
    store = ArtifactStore(location)
    made = publish_rules(store, "small", "home", document(1), by="anna")
    file = made.artifact.folder / "rules.json"
    file.chmod(0o644)
    if made.artifact.content == "":  # an object store fetches a damaged copy anew
        file.write_text('{"rules": []}')
        with pytest.raises(StoreError, match=r"does not match its manifest's checksum; take it from a backup"):
            made.document()
