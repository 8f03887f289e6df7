"""Versions of the documents of rules in the artifact store, and the audit trail.

Each scenario of a data set has a pointer that names the version that holds. A version is immutable, names the one that
it followed, and says who made it, when and why, so that the versions from the pointer backwards are the audit trail.
The pointer moves by compare-and-swap: of two people who change the same version one is told to look again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from movierec_engine.errors import StoreError
from movierec_engine.recommending.rules.document import SCENARIOS, RuleDocument
from movierec_engine.recommending.rules.errors import RuleError, RulesMovedError
from movierec_engine.store import Artifact, ArtifactStore, Slot, content_key, kinds
from movierec_engine.store.storage import LostRaceError

RULES_FILE = "rules.json"
NONE = "none"
"""Placeholder for the version of a scenario that has none yet."""


@dataclass(frozen=True)
class RulesVersion:
    """One version of a scenario's rules.

    version: its name. before: that of the version that it followed, or NONE. at: when it was made, in ISO 8601.
    action: `published`, or `rolled back to` an earlier version.
    """

    scenario: str
    version: str
    before: str
    by: str
    note: str
    at: str
    action: str
    artifact: Artifact

    def document(self) -> RuleDocument:
        """Raises StoreError for a damaged file, RuleError for a document that this release does not know."""
        return RuleDocument.parse((self.artifact.verify().folder / RULES_FILE).read_bytes())


def pointer_of(scenario: str) -> str:
    """The name of a scenario's pointer. Raises RuleError for what is no scenario."""
    if scenario not in SCENARIOS:
        raise RuleError(f"there is no scenario {scenario!r}; choose from {', '.join(SCENARIOS)}")
    return f"rules-{scenario}"


def current_rules(store: ArtifactStore, data_set: str, scenario: str) -> RulesVersion | None:
    """The version that holds, None while there is none."""
    found = store.pointed(pointer_of(scenario), data_set)
    return None if found is None else _version(found)


def rules_version(store: ArtifactStore, data_set: str, version: str) -> RulesVersion:
    """A version that has held, of any scenario. Raises StoreError where the store has none of that name."""
    return _version(store.get(Slot(kinds.BUSINESS_RULES, data_set), version))


def rules_history(store: ArtifactStore, data_set: str, scenario: str) -> list[RulesVersion]:
    """The versions that have held, the one that holds first."""
    found: list[RulesVersion] = []
    one = current_rules(store, data_set, scenario)
    while one is not None:
        found.append(one)
        one = None if one.before == NONE else _version(store.get(one.artifact.slot, one.before))
    return found


def version_of(held: Sequence[RulesVersion], document: RuleDocument) -> RulesVersion | None:
    """The first of the versions that have held, as `rules_history` lists them, with this document; None without one."""
    return next((one for one in held if one.artifact.key == content_key(one.scenario, document.text)), None)


def publish_rules(
    store: ArtifactStore,
    data_set: str,
    scenario: str,
    document: RuleDocument,
    *,
    by: str,
    note: str = "",
    based_on: str | None = None,
    action: str = "published",
) -> RulesVersion:
    """Let a document hold from now on.

    based_on: the version that whoever changes it has seen, NONE for none; None for whatever holds now. Raises
    RulesMovedError, and changes nothing, where another one holds. What was just published, asked for again as by
    somebody whose answer was lost, is no second version.
    """
    name, slot = pointer_of(scenario), Slot(kinds.BUSINESS_RULES, data_set)
    text = store.storage.pointer(data_set, name)
    held = store.pointed(name, data_set)
    before = NONE if held is None else held.version
    key, said = content_key(scenario, document.text), {"by": by, "note": note, "action": action}
    if held is not None and held.key == key and said.items() <= held.facts.items():
        based_on = before if based_on == held.facts["before"] else based_on
        if based_on in (None, before):
            return _version(held)
    if based_on is not None and based_on != before:
        raise RulesMovedError(f"the rules for {scenario} are now at {before}, not {based_on}; look at them again")

    def write(folder: Path) -> None:
        (folder / RULES_FILE).write_text(document.text, encoding="utf-8")

    about = {"scenario": scenario, "before": before, **said, "rules": [rule.name for rule in document.rules]}
    made = store.publish(slot, write, key=key, fingerprint="", facts=about)
    try:
        store.swap(name, made, {"by": by, "note": note}, text)
    except LostRaceError as error:
        store.remove(made)
        raise RulesMovedError(f"somebody else published rules for {scenario} at this moment; look again") from error
    return _version(made)


def roll_back_rules(
    store: ArtifactStore, data_set: str, scenario: str, to: str, *, by: str, note: str = ""
) -> RulesVersion:
    """Let the document of an earlier version hold again, as a new version. to: its name, or the beginning of it.

    Raises RuleError where no such version has held.
    """
    found = [one for one in rules_history(store, data_set, scenario) if to and one.version.startswith(to)]
    if len(found) != 1:
        said = ("several versions", "begin") if found else ("no version", "begins")
        raise RuleError(
            f"{said[0]} of the rules for {scenario} {said[1]} with {to!r}; `movierec rules history` and "
            f"GET /api/v1/rules/{scenario} list them"
        )
    (one,) = found
    return publish_rules(
        store, data_set, scenario, one.document(), by=by, note=note, action=f"rolled back to {one.version}"
    )


def _version(artifact: Artifact) -> RulesVersion:
    facts = artifact.facts
    try:
        said = {name: str(facts[name]) for name in ("scenario", "before", "by", "note", "action")}
    except KeyError as error:
        raise StoreError(f"{artifact.reference} are no rules ({error} is missing); publish rules again") from error
    return RulesVersion(version=artifact.version, at=artifact.created_at, artifact=artifact, **said)
