"""Pruning: old versions that nothing depends on are deleted from the store."""

from dataclasses import dataclass

from movierec_engine.errors import StoreError
from movierec_engine.evaluation.gate import ReleaseConfig
from movierec_engine.pipeline.data import Origin
from movierec_engine.release.decisions import PRUNED, Decision, decisions, record, releases, served_reference
from movierec_engine.reporting.numbers import memory
from movierec_engine.store import Artifact, ArtifactStore, Slot, kinds
from movierec_engine.store.objects import AwayError
from movierec_engine.store.retention import kept_versions, removable
from movierec_engine.store.storage import REPAIR_OR_REMOVE


@dataclass(frozen=True)
class Pruned:
    """Versions that were deleted, or would be in a dry run."""

    versions: list[Artifact]
    kept_releases: int

    @property
    def megabytes(self) -> float:
        """Size of the files, in MB of 2^20 bytes, without the manifests."""
        return float(sum(file["size"] for one in self.versions for file in one.files.values())) / 2**20


def prune(
    store: ArtifactStore,
    data_set: str,
    keep: int,
    config: ReleaseConfig,
    *,
    dry_run: bool = False,
    origin: Origin | None = None,
) -> Pruned:
    """Delete all but the newest `keep` versions of each slot of a data set, of every kind.

    Never one that LATEST or a pointer (served or pinned) names, one of the last `release.keep_releases` releases, a
    report or canaries of those, a decision, a note, or anything that a kept version was made from. Newer versions go
    first, so that a process that is killed leaves none without its parents. What a run that is at work now was started
    from may go if `keep` newer ones are there: prune between runs.

    Raises StoreError, and deletes nothing, where a manifest, a pointer or a decision cannot be read.
    """
    with store.deciding(data_set):
        _require_decisions(store, data_set)
        kept = releases(store, data_set)[-config.keep_releases :]
        gone = removable(store, data_set, keep, _with_reports(store, kept), records=kinds.RECORDS)
        pruned = Pruned(gone, len(kept))
        if gone and not dry_run:
            served = served_reference(store, data_set)
            references = [one.reference for one in gone]
            sentence = f"{len(gone)} old versions were pruned, {memory(pruned.megabytes)}, keeping {keep} of each"
            evidence = {"pruned": references, "keep": keep, "megabytes": pruned.megabytes, "kept_releases": kept}
            decision = Decision(data_set, PRUNED, sentence, "hand", champion=served, served=served, evidence=evidence)
            record(store, decision, origin)
            for one in gone:
                store.remove(one)
        if not dry_run:
            store.storage.sweep()
        return pruned


def needed(store: ArtifactStore, config: ReleaseConfig, named: set[str]) -> list[Artifact]:
    """The versions of all data sets that `prune` would leave if it kept one of each, and those that are named."""
    kept = named | _with_reports(store, kept_releases(store, config))
    return kept_versions(store, 1, kept, records=kinds.RECORDS)


def kept_releases(store: ArtifactStore, config: ReleaseConfig) -> list[str]:
    """References of the last releases of all data sets, those that were pruned before included."""
    data_sets = store.data_sets(kinds.RELEASE_DECISION)
    return [reference for one in data_sets for reference in releases(store, one)[-config.keep_releases :]]


def _require_decisions(store: ArtifactStore, data_set: str) -> None:
    """Raises StoreError for a decision that cannot be read, since what was released by it cannot be told."""
    readable = {one.reference for one in decisions(store, data_set)}
    for made in store.versions(Slot(kinds.RELEASE_DECISION, data_set)):
        if made.reference not in readable:
            raise StoreError(
                f"nothing is deleted, as {made.reference} is damaged, and what was released by it cannot be told; "
                f"{REPAIR_OR_REMOVE}"
            )


def _with_reports(store: ArtifactStore, references: list[str]) -> set[str]:
    """Indices with the reports and canaries of their models, by which they can still be compared and judged."""
    kept = set(references)
    for reference in references:
        try:
            model = store.resolve(store.resolve(reference).parents[kinds.TRAINED_MODEL])
        except AwayError:
            raise
        except (StoreError, KeyError):  # gone already
            continue
        for kind in (kinds.EVALUATION_REPORT, kinds.LEAK_CANARIES):
            of_model = [
                one
                for one in store.versions(model.slot.beside(kind))
                if one.parents.get(kinds.TRAINED_MODEL) == model.reference and one.fingerprint == model.fingerprint
            ]
            kept |= {one.reference for one in of_model[-1:]}
    return kept
