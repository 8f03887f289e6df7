"""The gates: checks that run with the assets, and stop what follows where it would be wrong.

The checks of an asset are one step. That of a partitioned asset looks at every partition of its run, so that it is
right for one partition and for a range: a check passes if it does in each of them, and says in which it does not. What
other partitions have failed by stays in its result until they are looked at again.
(Dagster has checks with partitions of their own, but in the single run of a range they do not say which they are of.)
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import dagster as dg
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus

from movierec_assets.assets.data import interaction_graph, interactions, raw_movies, raw_ratings, splits
from movierec_assets.assets.models import evaluation_report, faiss_index, hybrid_ensemble, trained_model
from movierec_assets.assets.release import refitted_release
from movierec_assets.automation import load_automation
from movierec_assets.resources import SettingsResource, partition_slots
from movierec_assets.step import engine_failures
from movierec_assets.termination import while_wanted
from movierec_engine import pipeline
from movierec_engine.config import Settings
from movierec_engine.evaluation.canaries import Finding
from movierec_engine.pipeline import data_checks, model_checks
from movierec_engine.release import refit_checks
from movierec_engine.release.promotion import best_refitted
from movierec_engine.store import Artifact, ArtifactStore, Slot, kinds

FAILING = "failing"
"""Metadata of a result: the slots that fail the check, also those of other partitions -> the finding."""
WARN, ERROR = dg.AssetCheckSeverity.WARN, dg.AssetCheckSeverity.ERROR


def nothing(settings: Settings) -> dict[str, Any]:
    """No setting of the run."""
    return {}


@dataclass(frozen=True)
class ArtifactCheck:
    """A check of the newest version of a kind.

    judge: how grave it is that an artifact fails; an error stops what follows, a warning is for people to look at.
    given: what the examination is told of the run's settings.
    find: the version to look at where it is not the newest of the kind; None where there is none yet.
    """

    kind: str
    examine: Callable[..., Finding]
    judge: Callable[[Artifact], dg.AssetCheckSeverity]
    given: Callable[[Settings], dict[str, Any]] = nothing
    find: Callable[[ArtifactStore, str], Artifact | None] | None = None

    @property
    def name(self) -> str:
        return self.examine.__name__

    def spec(self, asset: dg.AssetsDefinition, after: Sequence[dg.AssetsDefinition]) -> dg.AssetCheckSpec:
        says = " ".join((self.examine.__doc__ or "").split("\n\n")[0].split())
        blocking = self.judge not in (unusual, refused)
        return dg.AssetCheckSpec(self.name, asset=asset, description=says, blocking=blocking, additional_deps=after)

    def result(
        self,
        store: ArtifactStore,
        artifacts: Mapping[str, Artifact],
        asset: dg.AssetKey,
        settings: Settings,
        before: Mapping[str, str] | None = None,
    ) -> dg.AssetCheckResult:
        """One result for the artifacts of all partitions, by their keys; those that fail come first in its words.

        before: slots that failed when they were last looked at -> the finding. Those that are not looked at now still
        fail, as a warning, so that no pass of another partition hides them.
        """
        given = self.given(settings)
        findings = {key: self.examine(store, artifact, **given) for key, artifact in artifacts.items()}
        failed = [key for key, finding in findings.items() if not finding.passed]
        ordered = [*failed, *(key for key in findings if key not in failed)]
        sentences = [f"{key}: {findings[key].sentence}" if key else findings[key].sentence for key in ordered]
        grave = any(self.judge(artifacts[key]) is ERROR for key in failed)
        now = {str(artifact.slot) for artifact in artifacts.values()}
        others = {slot: sentence for slot, sentence in (before or {}).items() if slot not in now}
        failing = {str(artifacts[key].slot): findings[key].sentence for key in failed} | others
        sentences += [f"{slot}, of an earlier run: {sentence}" for slot, sentence in others.items()]
        return dg.AssetCheckResult(
            asset_key=asset,
            check_name=self.name,
            passed=not failing,
            severity=ERROR if grave else WARN,
            description="\n".join(sentences) or "there is no version to look at yet",
            metadata={
                f"{key} {name}" if len(findings) > 1 else name: value
                for key, finding in findings.items()
                for name, value in finding.numbers.items()
            }
            | ({FAILING: dg.MetadataValue.json(failing)} if failing else {}),
        )


def wrong(artifact: Artifact) -> dg.AssetCheckSeverity:
    """The severity of a finding that would make the steps after it wrong."""
    return ERROR


def unusual(artifact: Artifact) -> dg.AssetCheckSeverity:
    """It may well be meant."""
    return WARN


def refused(artifact: Artifact) -> dg.AssetCheckSeverity:
    """The gate looks again, and records with its reasons that it is not served."""
    return ERROR


def wrong_unless_approximate(faiss_index: Artifact) -> dg.AssetCheckSeverity:
    """An index of another factory than the default was asked for, knowing that it misses some."""
    return ERROR if model_checks.is_exact(faiss_index) else WARN


def least_recall(settings: Settings) -> dict[str, Any]:
    """The threshold that the gate has, too."""
    return {"min_recall": settings.release.min_recall}


def least_agreement(settings: Settings) -> dict[str, Any]:
    """The threshold that the gate has, too."""
    return {"min_agreement": settings.release.min_agreement}


def most_cost(settings: Settings) -> dict[str, Any]:
    """The threshold that the gate has, too."""
    return {"max_refit_cost": settings.release.max_refit_cost}


def drift_limits(settings: Settings) -> dict[str, Any]:
    """The limits that the alerts have, too."""
    return {"limits": load_automation().freshness.drift}


def checks_of(
    asset: dg.AssetsDefinition, *checks: ArtifactCheck, after: Sequence[dg.AssetsDefinition] = ()
) -> dg.AssetChecksDefinition:
    """The checks of an asset as one step; after: other assets that it has to wait for."""

    @dg.multi_asset_check(
        name=f"checks_of_{asset.key.to_user_string()}",
        specs=[check.spec(asset, after) for check in checks],
        can_subset=True,
    )
    def step(context: dg.AssetCheckExecutionContext, settings: SettingsResource) -> Iterator[dg.AssetCheckResult]:
        wanted = {key.name for key in context.selected_asset_check_keys}
        with engine_failures():
            shared = settings.shared()
            store = ArtifactStore(shared.paths.artifacts)
            with while_wanted(context.instance, context.run.run_id, store.root):
                yield from _results(context, store, shared, asset, [one for one in checks if one.name in wanted])

    return step


def _results(
    context: dg.AssetCheckExecutionContext,
    store: ArtifactStore,
    shared: Settings,
    asset: dg.AssetsDefinition,
    checks: Sequence[ArtifactCheck],
) -> Iterator[dg.AssetCheckResult]:
    for check in checks:
        if check.find is not None:
            found = check.find(store, shared.data.name)
            artifacts = {"": found} if found else {}
            yield check.result(store, artifacts, asset.key, shared)
            continue
        if asset.partitions_def is None:
            slots = {"": pipeline.data_slot(check.kind, shared.data)}
        else:
            known = [(slot.model, slot.device) for slot in store.slots(check.kind, shared.data.name)]
            of = partition_slots(context, asset, known)
            slots = {key: Slot(check.kind, shared.data.name, *path) for key, path in of.items()}
        artifacts = {key: store.require(slot).verify() for key, slot in slots.items()}
        yield check.result(store, artifacts, asset.key, shared, _failing(context.instance, asset.key, check.name))


def _failing(instance: dg.DagsterInstance, asset: dg.AssetKey, check: str) -> dict[str, str]:
    """The slots that fail a check by its last result -> the finding."""
    ended = {AssetCheckExecutionRecordStatus.SUCCEEDED, AssetCheckExecutionRecordStatus.FAILED}
    history = instance.event_log_storage.get_asset_check_execution_history
    for record in history(dg.AssetCheckKey(asset, check), limit=1, status=ended):
        event = record.event and record.event.dagster_event
        failing = event.asset_check_evaluation_data.metadata.get(FAILING) if event else None
        if isinstance(failing, dg.JsonMetadataValue) and isinstance(failing.data, dict):
            return {str(slot): str(sentence) for slot, sentence in failing.data.items()}
    return {}


REPORT = (
    ArtifactCheck(kinds.EVALUATION_REPORT, model_checks.report_adds_up, wrong),
    ArtifactCheck(kinds.EVALUATION_REPORT, model_checks.nothing_seen_is_recommended, wrong),
)
INDEX = (
    ArtifactCheck(kinds.FAISS_INDEX, model_checks.index_finds_the_best, wrong_unless_approximate, least_recall),
    ArtifactCheck(kinds.FAISS_INDEX, model_checks.serving_parity, wrong_unless_approximate),
    ArtifactCheck(kinds.FAISS_INDEX, model_checks.nothing_rated_is_served, wrong),
)
REFIT = (
    ArtifactCheck(kinds.FAISS_INDEX, model_checks.index_finds_the_best, refused, least_recall, best_refitted),
    ArtifactCheck(kinds.FAISS_INDEX, refit_checks.refit_is_finite, refused, find=best_refitted),
    ArtifactCheck(kinds.FAISS_INDEX, refit_checks.refit_agrees, refused, least_agreement, best_refitted),
    ArtifactCheck(kinds.FAISS_INDEX, refit_checks.refit_costs_alike, refused, most_cost, best_refitted),
)
CHECKS = [
    checks_of(
        raw_ratings,
        ArtifactCheck(kinds.RAW_RATINGS, data_checks.ratings_are_valid, wrong),
        ArtifactCheck(kinds.RAW_RATINGS, data_checks.few_duplicates, unusual),
        ArtifactCheck(kinds.RAW_RATINGS, data_checks.data_have_not_drifted, unusual, drift_limits),
        ArtifactCheck(kinds.RAW_RATINGS, data_checks.volume_has_not_jumped, unusual),
    ),
    checks_of(
        raw_movies,
        ArtifactCheck(kinds.RAW_MOVIES, data_checks.movies_are_valid, wrong),
        ArtifactCheck(kinds.RAW_MOVIES, data_checks.movies_have_titles, unusual),
    ),
    checks_of(
        interactions,
        ArtifactCheck(kinds.INTERACTIONS, data_checks.interactions_are_valid, wrong),
        ArtifactCheck(kinds.INTERACTIONS, data_checks.few_are_dropped, unusual),
    ),
    checks_of(splits, ArtifactCheck(kinds.SPLITS, data_checks.parts_are_disjoint, wrong)),
    checks_of(interaction_graph, ArtifactCheck(kinds.INTERACTION_GRAPH, data_checks.graph_is_train, wrong)),
    checks_of(
        trained_model,
        ArtifactCheck(kinds.TRAINED_MODEL, model_checks.loss_is_finite, wrong),
        ArtifactCheck(kinds.TRAINED_MODEL, model_checks.loss_falls, unusual),
        ArtifactCheck(kinds.TRAINED_MODEL, model_checks.reaches_popularity, unusual),
        ArtifactCheck(kinds.TRAINED_MODEL, model_checks.ancestors_saw_the_same, wrong),
    ),
    checks_of(evaluation_report, *REPORT),
    checks_of(faiss_index, *INDEX, after=[evaluation_report]),
    checks_of(hybrid_ensemble, *REPORT, *INDEX),
    checks_of(refitted_release, *REFIT),
]
