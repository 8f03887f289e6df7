"""The leaderboard, the release of its best model, and the lists that are exported after it."""

import dagster as dg

from movierec_assets import metadata
from movierec_assets.assets.data import SINGLE_RUN
from movierec_assets.assets.models import TRAINING, evaluation_report, faiss_index, hybrid_ensemble
from movierec_assets.automation import ON_NEWS, ON_RELEASE, load_automation
from movierec_assets.resources import RETRIES, SettingsResource
from movierec_assets.step import Step
from movierec_engine import pipeline, release
from movierec_engine.config import load_serving
from movierec_engine.errors import StoreError
from movierec_engine.pipeline.data import choose_data_set, named_data_set
from movierec_engine.store import SERVING, Slot, kinds

DOMAIN = {"domain": "release"}
NO_TARGET = "automation.export.to names no target; set it in configs/automation/, such as a file or a bucket's"


@dg.asset(
    tags=DOMAIN,
    kinds={"parquet"},
    backfill_policy=SINGLE_RUN,
    deps=[evaluation_report, hybrid_ensemble],
    automation_condition=ON_NEWS,
)
def leaderboard(context: dg.AssetExecutionContext, settings: SettingsResource) -> dg.MaterializeResult[None]:
    """The newest reports ranked on validation by `trainer.early_stopping.metric`, among equal fingerprints alone.

    Columns: rank, model, device, report, trained_model, and the metric on validation and on test.
    """
    with settings.step(context) as step:
        made = pipeline.rank_models(step.store, _data_set(step), step.metric, step.origin)
        step.done(made, metadata.of_leaderboard(made))
        return step.result()


@dg.asset(
    tags=DOMAIN,
    kinds={"pytorch", "faiss"},
    backfill_policy=SINGLE_RUN,
    pool=TRAINING,
    deps=[leaderboard, faiss_index, hybrid_ensemble],
    automation_condition=ON_NEWS,
)
def refitted_release(context: dg.AssetExecutionContext, settings: SettingsResource) -> dg.MaterializeResult[None]:
    """The leaderboard's best trained on all interactions with its measured settings, and indexed, to be served.

    Made where the gate would serve it and `release.refit` is set; else the metadata says why not. The measured version
    keeps vouching for it: nothing is measured on what it was trained on. Nothing is served before `serving_release`.
    """
    with settings.step(context, retries=RETRIES) as step:
        ranking = step.store.require(Slot(kinds.LEADERBOARD, step.settings.data.name))
        decision, index = release.refit_best(step.store, ranking, step.settings.release, step.origin)
        step.done(index or ranking, metadata.of_refit(step.store, index, decision))
        return step.result()


@dg.asset(
    tags=DOMAIN,
    kinds={"json"},
    backfill_policy=SINGLE_RUN,
    deps=[refitted_release],
    automation_condition=ON_NEWS,
)
def serving_release(context: dg.AssetExecutionContext, settings: SettingsResource) -> dg.MaterializeResult[None]:
    """The pointer that the API follows: the champion's index, which the leaderboard's best model has to match.

    The best becomes champion if it is at least as good as the one that is served and as the baselines of
    `release.above`, by the paired test on validation, and if its refitted version passes its checks; else what was
    served stays, and the metadata says why.
    """
    with settings.step(context) as step:
        ranking = step.store.require(Slot(kinds.LEADERBOARD, data_set := _data_set(step)))
        decision = release.decide_release(step.store, ranking, step.settings.release, origin=step.origin)
        index = step.store.pointed(SERVING, data_set)
        if index is None:
            raise StoreError(f"nothing of {data_set} is served from {step.store.location}: {decision.sentence}")
        step.done(index, metadata.of_release(index, decision))
        return step.result()


@dg.asset(
    tags={"domain": "surfaces"},  # so that `tag:domain=release` releases, and exports nothing
    kinds={"parquet"},
    backfill_policy=SINGLE_RUN,
    deps=[serving_release],
    automation_condition=ON_RELEASE,
)
def exported_lists(context: dg.AssetExecutionContext, settings: SettingsResource) -> dg.MaterializeResult[None]:
    """The lists of all users or a segment by what is served, written to the target that `automation.export.to` names.

    Made after each release by itself, once a target is named; without one nothing is done. `movierec export` does the
    same. The target is replaced whole or stays as it was, and an export that was killed goes on where it stopped.
    """
    from movierec_engine.pipeline.batch_export import export_lists

    asked = load_automation().export
    if not asked.to:  # no failure, since *Materialize all* takes this asset too
        context.log.info(NO_TARGET)
        return dg.MaterializeResult(metadata={"not run": NO_TARGET})
    with settings.step(context, retries=RETRIES) as step:
        made = export_lists(
            step.store,
            asked,
            data_set=_data_set(step),
            feedback_url=step.settings.feedback.url,
            repeat=load_serving([]).repeat,
            parts=step.store.root / "exports" / "automation",
        )
        return dg.MaterializeResult(metadata=metadata.of_export(made))


def _data_set(step: Step) -> str:
    """The data set that the run names, else the only one that was measured, else the usual one."""
    return choose_data_set(step.store, kinds.EVALUATION_REPORT, named_data_set(step.settings), option="data_name")
