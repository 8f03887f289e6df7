"""Checks of an index before it is served, whatever the metrics of its model are."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pyarrow as pa

from movierec_engine.errors import MovierecError
from movierec_engine.evaluation.canaries import Finding
from movierec_engine.evaluation.gate import ReleaseConfig
from movierec_engine.pipeline import model_checks
from movierec_engine.release import refit_checks
from movierec_engine.store import Artifact, ArtifactStore, is_refitted, kinds
from movierec_engine.store.objects import AwayError


@dataclass(frozen=True)
class ReleaseCheck:
    """Something that holds of an index, or does not."""

    name: str
    passed: bool
    sentence: str
    forcible: bool = False
    """Whether a person may serve the index in spite of it."""


def checks_of(
    store: ArtifactStore, model: Artifact, index: Artifact | None, config: ReleaseConfig
) -> list[ReleaseCheck]:
    """Checks of an index before it is served, whatever its model's metrics are; the first that fails last."""
    if index is None:
        sentence = f"{model.reference} has no index to serve; materialize {model.slot.beside(kinds.FAISS_INDEX)} first"
        return [ReleaseCheck("index_is_there", False, sentence)]
    checks = [ReleaseCheck("index_is_there", True, f"{index.reference} is the newest index of its model")]
    damage = damage_of(index)
    if not damage and index.fingerprint != model.fingerprint:
        damage = f"{index.reference} has another fingerprint than its model; materialize it again"
    checks.append(ReleaseCheck("index_is_whole", not damage, damage or "its files match their checksums and load"))
    if damage:
        return checks
    lineage = model_checks.ancestors_saw_the_same(store, model)
    checks.append(ReleaseCheck(lineage.name, lineage.passed, lineage.sentence, forcible=True))
    recall = model_checks.index_finds_the_best(store, index, config.min_recall)
    checks.append(ReleaseCheck(recall.name, recall.passed, recall.sentence, forcible=True))
    if is_refitted(index):
        checks += _checks_of_refit(store, index, config)
    elif model_checks.is_exact(index):
        checks.append(_found(store, index, model_checks.serving_parity))
    checks.append(_found(store, index, model_checks.nothing_rated_is_served))
    for canaries in reversed(store.versions(model.slot.beside(kinds.LEAK_CANARIES))):
        if canaries.parents.get(kinds.TRAINED_MODEL) == model.reference:
            failed = [finding["name"] for finding in canaries.facts["findings"] if not finding["passed"]]
            sentence = f"{canaries.reference} found {', '.join(failed) or 'no leak'}"
            checks.append(ReleaseCheck("nothing_leaks", bool(canaries.facts["passed"]), sentence, forcible=True))
            break
    return checks


def _found(
    store: ArtifactStore, index: Artifact, examine: Callable[[ArtifactStore, Artifact], Finding]
) -> ReleaseCheck:
    """The finding of a check of the API's answers; without readable lists to hold them against, it has not passed."""
    try:
        found = examine(store, index)
    except (MovierecError, OSError, KeyError, pa.ArrowException) as error:
        return ReleaseCheck(examine.__name__, False, f"its files cannot be read ({error})", forcible=True)
    return ReleaseCheck(found.name, found.passed, found.sentence, forcible=True)


def _checks_of_refit(store: ArtifactStore, index: Artifact, config: ReleaseConfig) -> Iterator[ReleaseCheck]:
    """The checks of a refitted index's own; one whose files cannot be read has not passed."""
    examinations: tuple[tuple[str, Callable[[], Finding], bool], ...] = (
        ("refit_is_finite", lambda: refit_checks.refit_is_finite(store, index), False),
        ("refit_agrees", lambda: refit_checks.refit_agrees(store, index, config.min_agreement), True),
        ("refit_costs_alike", lambda: refit_checks.refit_costs_alike(store, index, config.max_refit_cost), True),
    )
    for name, examine, forcible in examinations:
        try:
            found = examine()
            yield ReleaseCheck(name, found.passed, found.sentence, forcible)
        except (MovierecError, OSError, KeyError) as error:
            yield ReleaseCheck(name, False, f"what it was made from cannot be read ({error})", forcible)


def damage_of(index: Artifact) -> str:
    """The damage that keeps a server from answering from an index, or ""."""
    from movierec_engine.retrieval.index import RetrievalIndex

    try:
        RetrievalIndex.load(index.verify().folder)
    except AwayError:  # no damage: nobody can tell now
        raise
    except Exception as error:  # whatever is wrong with the files, as a server sees it
        return str(error) or type(error).__name__
    return ""
