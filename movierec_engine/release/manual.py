"""Manual releases: promote, roll back, pin and unpin. Each decision is recorded as the gate's are."""

from dataclasses import asdict
from typing import Any

from movierec_engine.errors import MovierecError, StoreError
from movierec_engine.evaluation.gate import ReleaseConfig
from movierec_engine.pipeline.data import Origin
from movierec_engine.pipeline.training import find_trained_model
from movierec_engine.release.checks import checks_of
from movierec_engine.release.decisions import (
    PIN,
    PROMOTED,
    ROLLED_BACK,
    UNCHANGED,
    UNPIN,
    Decision,
    carry_out,
    pin_of,
    pinned_since,
    record,
    releases,
)
from movierec_engine.release.judging import (
    Champion,
    answers_for,
    champion_of,
    fall_of,
    named,
    newest_index,
    weighed_into,
)
from movierec_engine.release.refit import refit_index
from movierec_engine.store import (
    PINNED,
    Artifact,
    ArtifactStore,
    Slot,
    is_refitted,
    kinds,
    measured_index,
    parse_reference,
)
from movierec_engine.store.objects import AwayError


def find_index(store: ArtifactStore, data_set: str, name: str, device: str = "", version: str = "") -> Artifact:
    """The index of a data set that a person means.

    name: a reference such as faiss_index/DATA_SET/ease/cpu/VERSION or trained_model/DATA_SET/ease/cpu/VERSION; or a
    model, `ease`, `ease/cpu` or `ease/cpu/VERSION`. version: the index's or its trained model's, or the beginning of
    either; without one the newest. Raises StoreError when there is none, or when several begin so.
    """
    if name.startswith((f"{kinds.FAISS_INDEX}/", f"{kinds.TRAINED_MODEL}/")):
        slot, named_version = parse_reference(name)
        _require_of(slot, data_set, name)
        if slot.kind == kinds.FAISS_INDEX:
            return store.get(slot, named_version)
        model, named_device = slot.model, slot.device
    else:
        model, named_device, named_version = [*name.strip("/").split("/"), "", ""][:3]
    device, version = named_device or device, named_version or version
    if not version:
        trained = find_trained_model(store, data_set, model, device)
        index = newest_index(store, trained)
        if index is None:
            raise StoreError(f"{trained.reference} has no index to serve; materialize {kinds.FAISS_INDEX} of it first")
        return index
    indices = [
        index for slot in store.slots(kinds.FAISS_INDEX, data_set, model, device) for index in store.versions(slot)
    ]
    own = [one for one in indices if one.version.startswith(version)]
    measured = [one for one in indices if not is_refitted(one)]
    return _only(store, own or [one for one in measured if _begins(one, version)], version, model)


def promote(
    store: ArtifactStore,
    index: Artifact,
    config: ReleaseConfig,
    metric: str,
    *,
    force: bool = False,
    reason: str = "",
    origin: Origin | None = None,
) -> Decision:
    """Serve an index because a person says so; how it compares is recorded beside it, and does not decide.

    force: serve it though what is served is pinned, or though its recall is low or its model leaks. Nothing serves
    an index that is missing files or does not match its checksums. A measured index is refitted first, unless
    `release.refit=false`; a refitted one is served as it is.
    Raises MovierecError, in one sentence, when it is not promoted.
    """
    model = store.resolve(index.parents[kinds.TRAINED_MODEL])
    data_set, refits = index.slot.data_set, config.refit and not is_refitted(index)
    measured_checks: list[dict[str, Any]] = []
    answers = index
    if refits:
        with store.deciding(data_set):
            champion = champion_of(store, data_set)
            if champion.index and not champion.damage and answers_for(champion.index, index, config):
                return _served_already(champion)
            measured_checks = _check(store, model, index, config, force)
            if not force:
                _refuse_if_pinned(store, champion)
        answers = refit_index(store, index, origin)  # others may decide meanwhile
    with store.deciding(data_set):
        champion = champion_of(store, data_set)
        if answers == champion.index and not champion.damage:
            return _served_already(champion)
        checks = _check(store, model, answers, config, force)
        if not force:
            _refuse_if_pinned(store, champion)
        evidence: dict[str, Any] = {
            "metric": config.metric or metric,
            "part": "validation",
            "fingerprint": index.fingerprint,
            "forced": force,
            **({"checks": measured_checks, "refit_checks": checks} if refits else {"checks": checks}),
        }
        compared = weighed_into(evidence, store, model, champion, config, config.metric or metric)
        lost = [f"next to {row['name']} it {row['sentence']}" for row in compared if not row["passed"]]
        if fall := fall_of(store, model, champion, config):
            lost.append(f"its data have fallen: {fall}")
        form = ", refitted on all interactions" if is_refitted(answers) else ""
        sentence = f"{named(index.reference)} is promoted by hand{form}"
        sentence += f", though {'; '.join(lost)}" if lost else ""
        return _move(store, PROMOTED, sentence, champion, answers, reason, evidence, origin)


def roll_back(
    store: ArtifactStore,
    data_set: str,
    config: ReleaseConfig,
    *,
    to: str = "",
    steps: int = 1,
    force: bool = False,
    reason: str = "",
    origin: Origin | None = None,
) -> Decision:
    """Serve again what was served before: `steps` releases back among those still in the store, or the index `to`.

    What is rolled back from is not promoted by the gate again. force: roll back though what is served is pinned.
    Raises MovierecError, in one sentence, when there is nothing to go back to.
    """
    with store.deciding(data_set):
        champion = champion_of(store, data_set)
        index = find_kept(store, data_set, to) if to else _earlier(store, data_set, steps)
        if index == champion.index and not champion.damage:
            return _served_already(champion)
        model = store.resolve(index.parents[kinds.TRAINED_MODEL])
        checks = _check(store, model, index, config, force=True)
        if not force:
            _refuse_if_pinned(store, champion)
        sentence = f"{named(index.reference)} is served again instead of {_replaced(champion)}"
        evidence = {
            "fingerprint": index.fingerprint,
            "champion_damage": champion.damage,
            "forced": force,
            "checks": checks,
        }
        return _move(store, ROLLED_BACK, sentence, champion, index, reason, evidence, origin)


def pin(store: ArtifactStore, data_set: str, reason: str = "", origin: Origin | None = None) -> Decision:
    """Keep what is served: the gate does not replace it, and a person has to say force. Raises StoreError for none."""
    with store.deciding(data_set):
        champion = champion_of(store, data_set)
        if champion.index is None or champion.damage:
            why = champion.damage or f"nothing of {data_set} is served from {store.location}"
            raise StoreError(f"there is nothing to pin: {why}; promote first")
        decision = record(store, _steady(PIN, f"{champion.name} is pinned", champion, reason), origin)
        evidence = {"decision": decision.reference, "moved_by": decision.moved_by, "reason": reason}
        store.point(PINNED, champion.index, evidence)
        return decision


def unpin(store: ArtifactStore, data_set: str, reason: str = "", origin: Origin | None = None) -> Decision:
    """Let the gate replace what is served again. Raises StoreError when nothing is pinned."""
    with store.deciding(data_set):
        if store.storage.pointer(data_set, PINNED) is None:
            raise StoreError(
                f"nothing of {data_set} is pinned in {store.location}; `movierec models pin` pins what is served"
            )
        champion = champion_of(store, data_set)
        decision = record(store, _steady(UNPIN, f"{champion.name} is no longer pinned", champion, reason), origin)
        store.unpoint(PINNED, data_set)
        return decision


def find_kept(store: ArtifactStore, data_set: str, name: str) -> Artifact:
    """An index of a data set by its reference, its version or its trained model's, or the beginning of either."""
    if name.startswith(f"{kinds.FAISS_INDEX}/"):
        _require_of(parse_reference(name)[0], data_set, name)
        return store.resolve(name)
    version = name.rsplit("/", 1)[-1]
    indices = [index for slot in store.slots(kinds.FAISS_INDEX, data_set) for index in store.versions(slot)]
    found = [index for index in indices if _begins(index, version)]
    served = set(releases(store, data_set))  # of a trained model's indices, the one that was served
    return _only(store, [index for index in found if index.reference in served] or found, version, "any model")


def _earlier(store: ArtifactStore, data_set: str, steps: int) -> Artifact:
    """The release of `steps` releases ago, not counting those that are gone from the store."""
    kept = []
    for reference in reversed(releases(store, data_set)[:-1]):
        try:
            kept.append(store.resolve(reference))
        except AwayError:
            raise
        except StoreError:  # pruned
            continue
    if len(kept) < steps:
        raise StoreError(
            f"{len(kept) or 'no'} earlier releases are kept in {store.location}, so one cannot go back {steps}; "
            "`movierec models rollback --to VERSION` takes any version that `movierec models list` shows"
        )
    return kept[steps - 1]


def _check(
    store: ArtifactStore, model: Artifact, index: Artifact, config: ReleaseConfig, force: bool
) -> list[dict[str, Any]]:
    checks = checks_of(store, model, index, config)
    for check in checks:
        if not check.passed and not (check.forcible and force):
            remedy = "; force serves it all the same" if check.forcible else ""
            raise StoreError(f"{index.reference} failed {check.name}: {check.sentence}{remedy}")
    return [asdict(check) for check in checks]


def _replaced(champion: Champion) -> str:
    if champion.damage:
        return f"{champion.name}, which cannot be served" if champion.name else "what an unreadable pointer named"
    return champion.name or "nothing"


def _refuse_if_pinned(store: ArtifactStore, champion: Champion) -> None:
    if held := pin_of(store, champion.data_set):
        raise MovierecError(f"{champion.reference} is {pinned_since(held)}; unpin it first, or force it")


def _move(
    store: ArtifactStore,
    verdict: str,
    sentence: str,
    champion: Champion,
    index: Artifact,
    reason: str,
    evidence: dict[str, Any],
    origin: Origin | None,
) -> Decision:
    decision = Decision(
        data_set=champion.data_set,
        verdict=verdict,
        sentence=sentence,
        by="hand",
        champion=champion.reference,
        served=index.reference,
        challenger=measured_index(index),
        champion_model=champion.model.reference if champion.model else "",
        challenger_model=index.parents[kinds.TRAINED_MODEL],
        reason=reason,
        evidence=evidence,
    )
    decision = record(store, decision, origin)
    carry_out(store, decision, index, {"model": index.slot.model, "device": index.slot.device, "reason": reason})
    return decision


def _steady(verdict: str, sentence: str, champion: Champion, reason: str) -> Decision:
    return Decision(
        data_set=champion.data_set,
        verdict=verdict,
        sentence=sentence,
        by="hand",
        champion=champion.reference,
        served=champion.reference,
        champion_model=champion.model.reference if champion.model else "",
        reason=reason,
    )


def _served_already(champion: Champion) -> Decision:
    return _steady(UNCHANGED, f"{champion.name} is served already", champion, "")


def _require_of(slot: Slot, data_set: str, name: str) -> None:
    if slot.data_set != data_set:
        raise StoreError(f"{name} is of another data set than {data_set}; choose its own by --data {slot.data_set}")


def _begins(index: Artifact, version: str) -> bool:
    trained = index.parents.get(kinds.TRAINED_MODEL, "").rsplit("/", 1)[-1]
    return index.version.startswith(version) or trained.startswith(version)


def _only(store: ArtifactStore, found: list[Artifact], version: str, model: str) -> Artifact:
    """The one index that was found; of several of one trained model the newest."""
    if len({one.parents.get(kinds.TRAINED_MODEL) for one in found}) != 1:
        raise StoreError(
            f"{len(found) or 'no'} indices of {model} in {store.location} begin with {version!r}; "
            "`movierec models list` shows the versions"
        )
    return found[-1]
