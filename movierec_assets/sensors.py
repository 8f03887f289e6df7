"""What runs because something has happened: a ratings file has changed, or a run has failed."""

import dagster as dg

from movierec_assets.alerts import Alerts
from movierec_assets.automation import AutomationConfig
from movierec_assets.jobs import everything
from movierec_assets.schedules import retraining
from movierec_engine import pipeline
from movierec_engine.config import load_settings
from movierec_engine.data.input_files import signature
from movierec_engine.errors import MovierecError
from movierec_engine.store import ArtifactStore


def make_sensors(config: AutomationConfig) -> list[dg.SensorDefinition]:
    """The sensors; they are off unless the settings say otherwise."""

    @dg.sensor(
        name="ratings_file",
        job=everything,
        minimum_interval_seconds=config.ratings_seconds,
        default_status=config.sensor_status,
        description="Train the nightly models again when a ratings file is new or has changed; files arrive by rename.",
    )
    def ratings_file(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        try:
            settings = load_settings([*config.overrides, "model=popularity", "device=cpu"])
            found = signature(settings.data)
        except MovierecError as error:
            return dg.SkipReason(str(error))
        if found == context.cursor:
            return dg.SkipReason("the files have not changed")
        store = ArtifactStore(settings.paths.artifacts)
        if context.cursor is None and store.latest(pipeline.data_slot("raw_ratings", settings.data)):
            return dg.SensorResult(skip_reason="these files have been read already; watching from now on", cursor=found)
        return dg.SensorResult(run_requests=retraining(config, "ratings_file", found), cursor=found)

    @dg.run_failure_sensor(
        name="failed_runs",
        default_status=config.sensor_status,
        description="Tell of every run that fails, and of whether it is retried.",
    )
    def failed_runs(context: dg.RunFailureSensorContext, alerts: Alerts) -> None:
        run = context.dagster_run
        partition = run.tags.get("dagster/partition", "")
        retried = run.tags.get("dagster/will_retry") == "true"
        subject = " ".join(part for part in (run.job_name, partition, "failed") if part)
        sentences = [sentence_of(event) for event in context.get_step_failure_events()]
        text = "\n".join(sentences or [context.failure_event.message or "the run ended without a word"])
        alerts.send(subject, f"{text}\nrun {run.run_id}{', which is retried' if retried else ''}")

    return [ratings_file, failed_runs]


def sentence_of(event: dg.DagsterEvent) -> str:
    """What a failed step says: the engine's sentence, or the error's last line."""
    data = event.step_failure_data
    if data.user_failure_data and data.user_failure_data.description:
        return f"{event.step_key}: {data.user_failure_data.description}"
    return f"{event.step_key}: {data.error.message.strip().splitlines()[-1] if data.error else event.message}"
