"""Sensors: new ratings or feedback, a stale model, the end of a retraining, a failure."""

import json
from contextlib import closing

import dagster as dg
from dagster._core.definitions.data_version import DATA_VERSION_TAG

from movierec_assets.alerts import Alerts
from movierec_assets.automation import AutomationConfig
from movierec_assets.jobs import EXPORT, RELEASE, everything
from movierec_assets.lost_runs import make_lost_runs
from movierec_assets.observation import observation
from movierec_assets.retraining import make_after_retraining, started
from movierec_engine import pipeline
from movierec_engine.config import Settings, load_settings
from movierec_engine.data import input_files
from movierec_engine.errors import MovierecError
from movierec_engine.feedback import FeedbackLogs
from movierec_engine.pipeline.feedback import FeedbackFacts
from movierec_engine.release.freshness import stale_reasons
from movierec_engine.store import ArtifactStore, kinds

CURSOR_SEPARATOR = "\n"
"""Between the two things that the cursor of `ratings_file` keeps."""


def make_sensors(config: AutomationConfig) -> list[dg.SensorDefinition]:
    """The sensors; they are off unless the settings say otherwise."""
    release_automation = dg.AutomationConditionSensorDefinition(
        "release_automation",
        target=dg.AssetSelection.assets(*RELEASE, EXPORT),
        default_status=config.sensor_status,
        description=config.description(
            "Rank and release anew when reports or indices were made by hand, and export lists after a release where "
            "automation.export.to names a target."
        ),
    )
    makers = (
        make_ratings_file,
        make_feedback_events,
        make_served_model,
        make_after_retraining,
        make_failed_runs,
        make_lost_runs,
    )
    return [*(make(config) for make in makers), release_automation]


def make_ratings_file(config: AutomationConfig) -> dg.SensorDefinition:
    """Watches the raw files: their times and sizes, and where those change, their bytes. The cursor keeps both."""

    @dg.sensor(
        name="ratings_file",
        job=everything,
        minimum_interval_seconds=config.ratings_seconds,
        default_status=config.sensor_status,
        description=config.description(
            "Train the nightly models again when a ratings file is new or has changed; files arrive by rename."
        ),
    )
    def ratings_file(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        try:
            settings = shared_settings(config)
            found = input_files.signature(settings.data)
            seen, _, seen_content = (context.cursor or "").partition(CURSOR_SEPARATOR)
            if found == seen:
                return dg.SkipReason("the files have not changed")
            observed = observation(context.instance, settings.data)
            store = ArtifactStore(settings.paths.artifacts)
        except MovierecError as error:
            return dg.SkipReason(str(error))
        content = observed.tags[DATA_VERSION_TAG]
        cursor = f"{found}{CURSOR_SEPARATOR}{content}"
        if content == seen_content:
            why = "the files were written again, with what was in them"
            return dg.SensorResult(skip_reason=why, cursor=cursor, asset_events=[observed])
        if context.cursor is None and store.latest(pipeline.data_slot(kinds.RAW_RATINGS, settings.data)):
            why = "these files have been read already; watching from now on"
            return dg.SensorResult(skip_reason=why, cursor=cursor, asset_events=[observed])
        return started(config, context.instance, "ratings_file", found, cursor, [observed])

    return ratings_file


def make_feedback_events(config: AutomationConfig) -> dg.SensorDefinition:
    """Counts the ratings and erasures in the API's log that no version of the raw ratings has taken in.

    The cursor keeps the newest of both for which a retraining was started, so that none starts two.
    """

    @dg.sensor(
        name="feedback_events",
        job=everything,
        minimum_interval_seconds=config.feedback.seconds,
        default_status=config.sensor_status,
        description=config.description(
            f"Train the nightly models again after {config.feedback.events} new ratings or an erasure."
        ),
    )
    def feedback_events(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        try:
            settings = shared_settings(config)
            store = ArtifactStore(settings.paths.artifacts)
            raw_ratings = store.latest(pipeline.data_slot(kinds.RAW_RATINGS, settings.data))
            if raw_ratings is None:
                return dg.SkipReason("nothing is trained yet")
            taken = FeedbackFacts.of(raw_ratings)
            asked = json.loads(context.cursor) if context.cursor else [0, 0]
            seq, erasure = max(taken.newest_seq, asked[0]), max(taken.newest_erasure, asked[1])
            wanted = settings.data.feedback and settings.data.layout != "presplit"
            with closing(FeedbackLogs(store.root, settings.feedback.url).of(settings.data.name)) as log:
                newest = [log.newest_seq(), log.newest_erasure()]
                events = log.count_since(seq, "rating") if wanted else 0
        except MovierecError as error:
            return dg.SkipReason(str(error))
        if events < config.feedback.events and newest[1] <= erasure:
            return dg.SkipReason(f"{events} new ratings, and no new erasure")
        moment = f"through {newest[0]} and erasure {newest[1]}"
        return started(config, context.instance, "feedback_events", moment, json.dumps(newest))

    return feedback_events


def make_served_model(config: AutomationConfig) -> dg.SensorDefinition:
    """Watches the freshness of the served model; the cursor keeps the reasons that were told of."""

    @dg.sensor(
        name="served_model",
        job=everything,
        minimum_interval_seconds=config.freshness.seconds,
        default_status=config.sensor_status,
        description=config.description(
            "Tell when the served model is stale: by age, data or clicks; train again for the first two."
        ),
    )
    def served_model(context: dg.SensorEvaluationContext, alerts: Alerts) -> dg.SensorResult | dg.SkipReason:
        try:
            settings = shared_settings(config)
            store = ArtifactStore(settings.paths.artifacts)
            logs = FeedbackLogs(store.root, settings.feedback.url)
            found = stale_reasons(store, settings.data.name, config.freshness, feedback=logs)
        except MovierecError as error:
            return dg.SkipReason(str(error))
        told = json.loads(context.cursor or "[]")
        new = [one for one in found if one.key not in told]
        for one in new:
            what = "the models are trained again" if one.retrain else "a person has to look"
            alerts.send("the served model is stale", f"{one.sentence}; {what}")
        cursor, moment = json.dumps([one.key for one in found]), " ".join(one.key for one in new if one.retrain)
        if not moment:
            return dg.SensorResult(
                skip_reason=f"{len(found)} reasons why the served model is stale, {len(new)} of them new", cursor=cursor
            )
        return started(config, context.instance, "served_model", moment, cursor)

    return served_model


def make_failed_runs(config: AutomationConfig) -> dg.SensorDefinition:
    """Tells of failures, each with the engine's own sentence."""

    @dg.run_failure_sensor(
        name="failed_runs",
        default_status=config.sensor_status,
        description=config.description("Tell of every run that fails, and of whether it is retried."),
    )
    def failed_runs(context: dg.RunFailureSensorContext, alerts: Alerts) -> None:
        run = context.dagster_run
        partition = run.tags.get("dagster/partition", "")
        retried = run.tags.get("dagster/will_retry") == "true"
        subject = " ".join(part for part in (run.job_name, partition, "failed") if part)
        sentences = [sentence_of(event) for event in context.get_step_failure_events()]
        text = "\n".join(sentences or [how_it_ended(context.instance, run) or context.failure_event.message or ""])
        alerts.send(subject, f"{text}\nrun {run.run_id}{', which is retried' if retried else ''}")

    return failed_runs


def how_it_ended(instance: dg.DagsterInstance, run: dg.DagsterRun) -> str:
    """The code server's message about a run whose process was killed, such as by a signal; else ""."""
    records = instance.all_logs(run.run_id, dg.DagsterEventType.ENGINE_EVENT)
    told = [record.get_dagster_event().message or "" for record in records]
    crashes = [text for text in told if text.startswith(f"Run execution process for {run.run_id}")]
    return crashes[-1].partition(" Possible solutions")[0] if crashes else ""


def shared_settings(config: AutomationConfig) -> Settings:
    """The settings that are no model's own."""
    return load_settings([*config.overrides, "model=popularity", "device=cpu"])


def sentence_of(event: dg.DagsterEvent) -> str:
    """The message of a failed step: the engine's sentence, or the error's last line."""
    data = event.step_failure_data
    if data.user_failure_data and data.user_failure_data.description:
        return f"{event.step_key}: {data.user_failure_data.description}"
    return f"{event.step_key}: {data.error.message.strip().splitlines()[-1] if data.error else event.message}"
