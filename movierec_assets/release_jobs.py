"""Jobs by which a person changes what is served: promote, roll back, pin, unpin and prune.

They do what `movierec models` does, and show on the asset serving_release what is served from then on.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg
from pydantic import Field

from movierec_assets import metadata
from movierec_assets.resources import SettingsResource
from movierec_assets.step import engine_failures
from movierec_assets.termination import while_wanted
from movierec_engine.config import Settings
from movierec_engine.pipeline.data import choose_data_set, named_data_set
from movierec_engine.release import manual
from movierec_engine.release.decisions import Decision
from movierec_engine.release.retention import prune
from movierec_engine.store import SERVING, ArtifactStore, kinds

REASON = "Why; it is recorded with the decision."
FORCE = "Do it in spite of a pin, of low recall or of a leak."


class Promotion(dg.Config):
    """Run config of promoting: the version to serve."""

    model: str = Field(
        description="A model such as `ease`, or a reference such as faiss_index/DATA_SET/ease/cpu/VERSION."
    )
    device: str = Field(default="", description="The kind of device that it was trained on; empty: any.")
    version: str = Field(default="", description="A version of it, or the beginning of one; empty: the newest.")
    force: bool = Field(default=False, description=FORCE)
    reason: str = Field(default="", description=REASON)


class Rollback(dg.Config):
    """Run config of rolling back: how far, or to which version."""

    to: str = Field(default="", description="A version in the store, or the beginning of one; empty: by steps.")
    steps: int = Field(default=1, ge=1, description="How many releases to go back.")
    force: bool = Field(default=False, description=FORCE)
    reason: str = Field(default="", description=REASON)


class Pin(dg.Config):
    """Run config of pinning and unpinning: the reason."""

    reason: str = Field(default="", description=REASON)


class Pruning(dg.Config):
    """Run config of pruning: what to keep."""

    keep: int = Field(default=5, ge=1, description="How many of the newest versions of each model and step to keep.")
    dry_run: bool = Field(default=False, description="Only log what would go.")


@dg.op(description="Serve a version because a person says so.")
def promote_version(context: dg.OpExecutionContext, config: Promotion, settings: SettingsResource) -> None:
    with _opened(context, settings) as (store, shared, data_set):
        index = manual.find_index(store, data_set, config.model, config.device, config.version)
        metric = shared.trainer.early_stopping.metric
        decision = manual.promote(
            store, index, shared.release, metric, force=config.force, reason=config.reason, origin=_origin(context)
        )
        _tell(context, store, decision)


@dg.op(description="Serve again what was served before.")
def go_back(context: dg.OpExecutionContext, config: Rollback, settings: SettingsResource) -> None:
    with _opened(context, settings) as (store, shared, data_set):
        decision = manual.roll_back(
            store,
            data_set,
            shared.release,
            to=config.to,
            steps=config.steps,
            force=config.force,
            reason=config.reason,
            origin=_origin(context),
        )
        _tell(context, store, decision)


@dg.op(description="Keep what is served: the gate leaves it.")
def pin_served(context: dg.OpExecutionContext, config: Pin, settings: SettingsResource) -> None:
    with _opened(context, settings) as (store, _, data_set):
        _tell(context, store, manual.pin(store, data_set, config.reason, _origin(context)))


@dg.op(description="Let the gate replace what is served again.")
def unpin_served(context: dg.OpExecutionContext, config: Pin, settings: SettingsResource) -> None:
    with _opened(context, settings) as (store, _, data_set):
        _tell(context, store, manual.unpin(store, data_set, config.reason, _origin(context)))


@dg.op(description="Delete old versions that nothing rests on. Run it while nothing is being trained.")
def prune_versions(context: dg.OpExecutionContext, config: Pruning, settings: SettingsResource) -> None:
    with _opened(context, settings) as (store, shared, data_set):
        pruned = prune(store, data_set, config.keep, shared.release, dry_run=config.dry_run, origin=_origin(context))
        for version in pruned.versions:
            context.log.info(version.reference)
        context.add_output_metadata({"versions": len(pruned.versions), "megabytes": pruned.megabytes})


@dg.job(description="Serve a version because you say so; how it compares is recorded, and does not decide.")
def promote_release() -> None:
    promote_version()


@dg.job(description="Serve again what was served before; the gate does not promote again what was rolled back from.")
def rollback_release() -> None:
    go_back()


@dg.job(description="Keep what is served, whatever is trained.")
def pin_release() -> None:
    pin_served()


@dg.job(description="Let the gate replace what is served again.")
def unpin_release() -> None:
    unpin_served()


@dg.job(description="Delete old versions of every kind that nothing rests on; run it while nothing is being trained.")
def prune_store() -> None:
    prune_versions()


release_jobs = [promote_release, rollback_release, pin_release, unpin_release, prune_store]


@contextmanager
def _opened(
    context: dg.OpExecutionContext, settings: SettingsResource
) -> Iterator[tuple[ArtifactStore, Settings, str]]:
    """The store, the settings that are no model's own, and the data set that the run names, or the usual one.

    An error of the engine's ends the run with its sentence.
    """
    with engine_failures():
        shared = settings.shared()
        store = ArtifactStore(shared.paths.artifacts)
        data_set = choose_data_set(store, kinds.TRAINED_MODEL, named_data_set(shared), option="data_name")
        with while_wanted(context.instance, context.run.run_id, store.root):
            yield store, shared, data_set


def _origin(context: dg.OpExecutionContext) -> dict[str, str]:
    return {"dagster_run_id": context.run_id}


def _tell(context: dg.OpExecutionContext, store: ArtifactStore, decision: Decision) -> None:
    """Log a decision, and show it on the asset, whose data version is the index that is served."""
    context.log.info(decision.sentence)
    index = store.pointed(SERVING, decision.data_set)
    if index is not None:
        context.log_event(
            dg.AssetMaterialization(
                "serving_release",
                metadata={**metadata.of_release(index, decision), **metadata.described(index)},
                tags={"dagster/data_version": index.version},
            )
        )
