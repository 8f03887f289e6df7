"""Studies in jobs of their own: backtests and sweeps, by device and model."""

import dagster as dg
from pydantic import Field

from movierec_assets import metadata
from movierec_assets.assets.data import columns, interaction_graph, raw_movies, raw_ratings, splits
from movierec_assets.assets.models import TRAINING
from movierec_assets.launch import for_itself, not_run
from movierec_assets.partitions import MODEL_BY_DEVICE, RANGES
from movierec_assets.resources import RETRIES, SettingsResource
from movierec_engine.pipeline.backtest import backtest as run_backtest
from movierec_engine.store import Slot, kinds

DOMAIN = {"domain": "studies"}


class BacktestRunConfig(dg.Config):
    """Run settings of a backtest: the windows that the past is cut into."""

    windows: int = Field(default=4, ge=1, le=1000, description="How many windows are tested, each on what came next.")
    first_train_share: float = Field(
        default=0.5, gt=0, lt=1, description="Share of the interactions that the first window's model is trained on."
    )


@dg.asset(
    tags=DOMAIN,
    kinds={"pytorch", "parquet"},
    partitions_def=MODEL_BY_DEVICE,
    backfill_policy=RANGES,
    pool=TRAINING,
    deps=[raw_ratings, raw_movies],
    metadata=columns(
        window="int64",
        users="all or with_history",
        count="int64",
        metric="text",
        value="double",
        low="double",
        high="double",
    ),
)
def backtest(
    context: dg.AssetExecutionContext, settings: SettingsResource, config: BacktestRunConfig
) -> dg.MaterializeResult[None]:
    """Would it have worked? A model trained up to a moment and tested on what came next, window by window.

    Rolling origin: every window trains on all that came before it. metrics.parquet has a row for each window, group of
    users and metric, with a 95 % interval. Partitioned by device and model, not by window: where windows lie follows
    from the data and their number, and what a killed backtest has finished is used again by the next one. Does nothing
    where it is launched with other assets.
    """
    if not for_itself(context):
        return not_run(context)
    with settings.step(context, retries=RETRIES) as step:
        for partition in step.partitions:
            made = run_backtest(step.store, partition.settings, config.windows, config.first_train_share, step.origin)
            step.done(made, metadata.of_backtest(made, step.metric), partition)
        return step.result()


class SweepRunConfig(dg.Config):
    """Run settings of a sweep: its time, or the number of trials."""

    minutes: float = Field(
        default=0,
        ge=0,
        description="Time in all, that of an earlier, equal sweep included; 0: by number of trials, each a "
        "version in the store with its report.",
    )
    trials: int | None = Field(
        default=None,
        ge=1,
        le=10000,
        description="Trials in all, those of an earlier, equal sweep included; by default 20, or as many as the "
        "minutes allow.",
    )
    jobs: int = Field(
        default=1,
        ge=1,
        le=1000,
        description="Trials at the same time, where there are no minutes: each in a process of its own, on this "
        "machine or on the Ray cluster that trainer.ray_address names.",
    )


@dg.asset(
    tags=DOMAIN,
    kinds={"optuna"},
    partitions_def=MODEL_BY_DEVICE,
    backfill_policy=RANGES,
    pool=TRAINING,
    deps=[splits, interaction_graph],
)
def sweep(
    context: dg.AssetExecutionContext, settings: SettingsResource, config: SweepRunConfig
) -> dg.MaterializeResult[None]:
    """A model's best settings, searched with Optuna over configs/sweep/<model>.yaml and judged on validation.

    With minutes, trials go by shares of the users and are pruned, and the winner is measured against the default.
    trials.parquet has a row for each trial. A sweep that was cut off goes on where it stopped. Does nothing where it is
    launched with other assets, and in a range for models that have no settings.
    """
    if not for_itself(context):
        return not_run(context)
    with settings.step(context, retries=RETRIES) as step:
        from movierec_engine.tuning.sweep import search
        from movierec_engine.tuning.timed_sweep import nothing_to_tune, search_timed

        for partition in step.partitions:
            if len(step.partitions) > 1 and (why := nothing_to_tune(partition.settings.model_name)):
                context.log.info(why)
                continue
            asked = list(partition.settings.overrides) + [f"n_trials={config.trials}"] * (config.trials is not None)
            asked += [f"n_jobs={config.jobs}"] * (config.jobs > 1)
            if config.minutes:
                search_timed([partition.settings.model_name], asked, config.minutes)
            else:
                search(asked)
            made = step.store.require(Slot(kinds.SWEEP, partition.settings.data.name))
            step.done(made, metadata.of_sweep(made), partition)
        return step.result()
