"""The hybrid ensemble of a device's trained models, with its report and its index: partitions such as `cpu`."""

import dagster as dg

from movierec_assets import metadata
from movierec_assets.assets.data import SINGLE_RUN, interaction_graph, raw_movies, splits
from movierec_assets.assets.models import GROUP, RETRY, TRAINING, trained_model
from movierec_assets.partitions import BY_DEVICE
from movierec_assets.resources import SettingsResource
from movierec_assets.tracking import TrackingResource
from movierec_engine import pipeline
from movierec_engine.store import kinds

MEMBERS = dg.AssetDep(trained_model, partition_mapping=dg.MultiToSingleDimensionPartitionMapping("device"))


@dg.asset(
    group_name=GROUP,
    kinds={"numpy", "faiss"},
    partitions_def=BY_DEVICE,
    backfill_policy=SINGLE_RUN,
    retry_policy=RETRY,
    pool=TRAINING,
    deps=[splits, interaction_graph, raw_movies, MEMBERS],
)
def hybrid_ensemble(
    context: dg.AssetExecutionContext, settings: SettingsResource, tracking: TrackingResource
) -> dg.MaterializeResult[None]:
    """The newest members on the device fused with weights learned on validation, measured on test, and indexed.

    `model.models` names the members; one that is missing is trained, or with `model.missing=error` named.
    """
    with settings.step(context) as step:
        split, graph, movies = (step.parent(kind) for kind in (kinds.SPLITS, kinds.INTERACTION_GRAPH, kinds.RAW_MOVIES))
        for partition in step.partitions:
            with tracking.training(step, partition) as tracker:
                model = pipeline.train_model(step.store, partition.settings, split, graph, tracker, step.origin)
            with tracking.evaluation(step, model) as tracker:
                report = pipeline.evaluate_model(step.store, model, movies, tracker=tracker, origin=step.origin)
                tracker.outcome(model, report)
            pipeline.build_faiss_index(step.store, model, movies, partition.settings.retrieval, step.origin)
            shown = {**metadata.of_trained_model(model, step.metric), **metadata.of_report(report, step.metric)}
            step.done(model, shown, partition)
        return step.result()
