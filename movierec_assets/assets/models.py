"""Training, evaluation and index of every model on every kind of device, and the device's hybrid ensemble.

Partitions such as `cpu|lightgcn`; of the ensemble such as `cpu`.
"""

import dagster as dg

from movierec_assets import metadata
from movierec_assets.assets.data import columns, interaction_graph, raw_movies, splits
from movierec_assets.launch import for_itself, not_run
from movierec_assets.partitions import BY_DEVICE, MODEL_BY_DEVICE, RANGES
from movierec_assets.resources import RETRIES, SettingsResource
from movierec_assets.tracking import TrackingResource
from movierec_engine import pipeline
from movierec_engine.errors import LeakError
from movierec_engine.pipeline.canaries import run_canaries
from movierec_engine.store import kinds

DOMAIN = {"domain": "models"}
TRAINING = "training"
"""The pool of everything that trains; dagster.yaml says how many may at once."""


@dg.asset(
    tags=DOMAIN,
    kinds={"pytorch", "mlflow"},
    partitions_def=MODEL_BY_DEVICE,
    backfill_policy=RANGES,
    pool=TRAINING,
    deps=[splits, interaction_graph],
    metadata=columns(epoch="int64", loss="double", seconds="double", **{"metric@k": "double, on validation"}),
)
def trained_model(
    context: dg.AssetExecutionContext, settings: SettingsResource, tracking: TrackingResource
) -> dg.MaterializeResult[None]:
    """A model trained on train and measured on validation: weights, settings, id maps and its history by epoch.

    A partition whose device is not on the machine fails at once; nothing falls back to another device. A run that was
    killed goes on from its last checkpoint when it is retried.
    """
    with settings.step(context, retries=RETRIES) as step:
        split, graph = step.parent(kinds.SPLITS), step.parent(kinds.INTERACTION_GRAPH)
        for partition in step.partitions:
            with tracking.training(step, partition) as tracker:
                made = pipeline.train_model(
                    step.store, partition.settings, split, graph, tracker, step.origin, step.retried
                )
            step.done(made, metadata.of_trained_model(made, step.metric), partition)
        return step.result()


@dg.asset(
    tags=DOMAIN,
    kinds={"parquet", "mlflow"},
    partitions_def=MODEL_BY_DEVICE,
    backfill_policy=RANGES,
    deps=[trained_model, raw_movies],
    metadata=columns(user_id="int64 or string", test_items="int64", train_items="int64", **{"metric@k": "double"}),
)
def evaluation_report(
    context: dg.AssetExecutionContext, settings: SettingsResource, tracking: TrackingResource
) -> dg.MaterializeResult[None]:
    """The newest trained model measured on test: means with 95 % intervals, and every user's own metrics.

    users.parquet has a row `[n_users]` for each evaluated user, lists.parquet what was recommended, relevant.parquet
    the rank of every test item, segments.parquet the metrics by kinds of users and items.
    """
    with settings.step(context) as step:
        for partition in step.partitions:
            model = step.trained_model(partition)
            with tracking.evaluation(step, model) as tracker:
                made = pipeline.evaluate_model(
                    step.store, model, step.movies_of(model), None, tracker, step.origin, partition.settings.trainer
                )
                tracker.outcome(model, made)
            step.done(made, metadata.of_report(made, step.metric), partition)
        return step.result()


@dg.asset(
    tags=DOMAIN,
    kinds={"faiss"},
    partitions_def=MODEL_BY_DEVICE,
    backfill_policy=RANGES,
    deps=[trained_model, raw_movies],
    metadata=columns(movie_id="int64 or string", title="text", year="int", genres="list of text"),
)
def faiss_index(context: dg.AssetExecutionContext, settings: SettingsResource) -> dg.MaterializeResult[None]:
    """The index that the API answers from: the newest model's item vectors `float32 [items, dimensions]` in FAISS.

    With them the users' query vectors, what everybody has rated, similar items, and the recall against exact search.
    """
    with settings.step(context) as step:
        for partition in step.partitions:
            model = step.trained_model(partition)
            made = pipeline.build_faiss_index(
                step.store, model, step.movies_of(model), partition.settings.retrieval, step.origin
            )
            step.done(made, metadata.facts(made), partition)
        return step.result()


@dg.asset(
    tags=DOMAIN,
    kinds={"pytorch"},
    partitions_def=MODEL_BY_DEVICE,
    backfill_policy=RANGES,
    pool=TRAINING,
    deps=[trained_model],
)
def leak_canaries(context: dg.AssetExecutionContext, settings: SettingsResource) -> dg.MaterializeResult[None]:
    """Leak canaries of the newest trained model: six checks of leaks from test, two of which train it again.

    Fails, once the findings are recorded, when a check fails. Not in the job `everything`, as it trains twice; does
    nothing where it is launched with other assets.
    """
    if not for_itself(context):
        return not_run(context)
    with settings.step(context) as step:
        for partition in step.partitions:
            made = run_canaries(step.store, step.trained_model(partition), step.origin)
            step.done(made, metadata.of_canaries(made), partition)
            if not made.facts["passed"]:
                failed = [one["sentence"] for one in made.facts["findings"] if not one["passed"]]
                raise LeakError(f"{made.parents[kinds.TRAINED_MODEL]} leaks: {'; '.join(failed)}")
        return step.result()


@dg.asset(
    tags=DOMAIN,
    kinds={"numpy", "faiss"},
    partitions_def=BY_DEVICE,
    backfill_policy=RANGES,
    pool=TRAINING,
    deps=[
        splits,
        interaction_graph,
        raw_movies,
        dg.AssetDep(trained_model, partition_mapping=dg.MultiToSingleDimensionPartitionMapping("device")),
    ],
)
def hybrid_ensemble(
    context: dg.AssetExecutionContext, settings: SettingsResource, tracking: TrackingResource
) -> dg.MaterializeResult[None]:
    """The newest members on the device fused with weights learned on validation, measured on test, and indexed.

    `model.models` names the members; one that is missing is trained, or with `model.missing=error` named.
    """
    with settings.step(context, retries=RETRIES) as step:
        split, graph, movies = (step.parent(kind) for kind in (kinds.SPLITS, kinds.INTERACTION_GRAPH, kinds.RAW_MOVIES))
        for partition in step.partitions:
            with tracking.training(step, partition) as tracker:
                model = pipeline.train_model(step.store, partition.settings, split, graph, tracker, step.origin)
            with tracking.evaluation(step, model) as tracker:
                report = pipeline.evaluate_model(
                    step.store, model, movies, None, tracker, step.origin, partition.settings.trainer
                )
                tracker.outcome(model, report)
            pipeline.build_faiss_index(step.store, model, movies, partition.settings.retrieval, step.origin)
            shown = {**metadata.of_trained_model(model, step.metric), **metadata.of_report(report, step.metric)}
            step.done(model, shown, partition)
        return step.result()
