"""A retraining: a run for each model on each device, and when the last of them has ended, one release."""

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg

from movierec_assets.automation import (
    BATCH,
    BATCH_SIZE,
    DEVICE,
    RAW_RATINGS,
    STARTED_BY,
    AutomationConfig,
    usable,
)
from movierec_assets.jobs import DATA, MODEL, RELEASE, everything, hybrid
from movierec_assets.partitions import partition_key

RETRAININGS = ("nightly_retraining", "ratings_file", "feedback_events", "served_model")
"""The names of what starts a retraining, as in the runs' tag `movierec/started_by`."""
REMEMBERED = timedelta(days=3)
"""For how long a retraining is waited for."""


def requests(
    started_by: str,
    moment: str,
    models: Sequence[str],
    devices: Sequence[str],
    run_config: dict[str, Any],
    assets: Sequence[str] | None = None,
) -> list[dg.RunRequest]:
    """A run for each model on each device, of the whole job or of some assets of it.

    The same moment never starts one twice.
    """
    keys = [partition_key(device, model) for device in devices for model in models]
    return [
        dg.RunRequest(
            run_key=f"{started_by}:{moment}:{key}",
            partition_key=key,
            run_config=run_config,
            asset_selection=None if assets is None else [dg.AssetKey(name) for name in assets],
            tags={
                STARTED_BY: started_by,
                DEVICE: key.keys_by_dimension["device"],
                BATCH: f"{started_by}:{moment}",
                BATCH_SIZE: str(len(keys)),
            },
        )
        for key in keys
    ]


def retraining(config: AutomationConfig, started_by: str, moment: str) -> list[dg.RunRequest]:
    """The runs that train, measure and index the configured models again, from the raw files on.

    Data that have not changed are used again. Nothing is released before all of them have ended: of new data the first
    model has nothing to be compared with. The sensor `after_retraining` sees to that.
    """
    wanted = config.retraining
    devices = usable(config, wanted.devices)
    return requests(started_by, moment, wanted.models, devices, config.run_config(), (*DATA, *MODEL))


def started(
    config: AutomationConfig,
    instance: dg.DagsterInstance,
    started_by: str,
    moment: str,
    cursor: str,
    seen: Sequence[dg.AssetObservation] = (),
) -> dg.SensorResult:
    """A sensor's answer that starts a retraining, unless one is waiting that will take in the new data.

    seen: what it has observed, for Dagster to show.
    """
    if waiting := waiting_retraining(instance):
        return dg.SensorResult(skip_reason=absorbed_by(waiting), cursor=cursor, asset_events=seen)
    return dg.SensorResult(retraining(config, started_by, moment), cursor=cursor, asset_events=seen)


def waiting_retraining(instance: dg.DagsterInstance) -> str:
    """The retraining of which no run has begun, or ``: it will read the files and the feedback as they are by then."""
    begins = (dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.NOT_STARTED)
    for batch, runs in retrainings(instance).items():
        if all(run.status in begins and RAW_RATINGS not in run.tags for run in runs):
            return batch
    return ""


def absorbed_by(waiting: str) -> str:
    return f"the retraining {waiting} has not begun yet; it takes this in"


def make_after_retraining(config: AutomationConfig) -> dg.SensorDefinition:
    """Ends retrainings; the cursor keeps which ones it has ended."""

    @dg.sensor(
        name="after_retraining",
        jobs=[hybrid, everything],
        default_status=config.sensor_status,
        description=config.description(
            "When the last run of a retraining has ended: the hybrid ensemble of its models, and one release."
        ),
    )
    def after_retraining(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        followed = json.loads(context.cursor or "[]")
        batches = retrainings(context.instance)
        ended = [name for name, runs in batches.items() if name not in followed and has_ended(runs)]
        kept = json.dumps([name for name in batches if name in followed or name in ended])
        requests = [one for name in ended for one in releases(config, name, batches[name])]
        if not requests:
            return dg.SensorResult(skip_reason="no retraining has ended since", cursor=kept)
        return dg.SensorResult(requests, cursor=kept)

    return after_retraining


def retrainings(instance: dg.DagsterInstance) -> dict[str, list[dg.DagsterRun]]:
    """The newest run of each partition of each retraining of the last days, by what their tag calls the retraining."""
    since = datetime.now(UTC) - REMEMBERED
    wanted = dg.RunsFilter(job_name=everything.name, tags={STARTED_BY: list(RETRAININGS)}, created_after=since)
    found: dict[str, dict[str, dg.DagsterRun]] = {}
    for run in instance.get_runs(wanted):  # the newest first
        if batch := run.tags.get(BATCH):
            found.setdefault(batch, {}).setdefault(run.tags.get("dagster/partition", ""), run)
    return {batch: list(runs.values()) for batch, runs in found.items()}


def has_ended(runs: Sequence[dg.DagsterRun]) -> bool:
    """True once all runs of a retraining were started and have ended, and none is about to be tried again."""
    return len(runs) >= int(runs[0].tags[BATCH_SIZE]) and all(
        run.is_finished and run.tags.get("dagster/will_retry") != "true" for run in runs
    )


def releases(config: AutomationConfig, batch: str, runs: Sequence[dg.DagsterRun]) -> Iterator[dg.RunRequest]:
    """The runs that end a retraining: the hybrid ensemble of each device and the release, or the release alone.

    Nothing where every training failed.
    """
    devices = dict.fromkeys(run.tags[DEVICE] for run in reversed(runs) if run.is_success)
    tags = {STARTED_BY: "after_retraining", BATCH: batch}
    if config.retraining.hybrid:
        for device in devices:
            yield dg.RunRequest(
                run_key=f"after:{batch}:{device}",
                job_name=hybrid.name,
                partition_key=device,
                run_config=config.run_config(),
                tags={**tags, DEVICE: device},
            )
    elif devices:
        yield dg.RunRequest(
            run_key=f"after:{batch}",
            job_name=everything.name,
            asset_selection=[dg.AssetKey(name) for name in RELEASE],
            run_config=config.run_config(),
            tags=tags,
        )
