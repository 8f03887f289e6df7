"""Freshness of the served model: its age, newer data and their drift, falling click and like rates."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from movierec_engine.data.rating_scale import least_like
from movierec_engine.errors import ConfigError, DataError
from movierec_engine.evaluation.drift import DriftConfig
from movierec_engine.feedback import FeedbackLogs
from movierec_engine.feedback.summary import version_rates
from movierec_engine.pipeline.data_drift import data_drift, served_data
from movierec_engine.release.decisions import releases
from movierec_engine.reporting import numbers
from movierec_engine.store import SERVING, Artifact, ArtifactStore, Slot, kinds, parse_reference

RATES = ("click_rate", "like_rate")
"""Shares of the lists that were shown with a click, and with a rating that is a like in the data set."""


@dataclass(frozen=True)
class FreshnessConfig:
    """Limits beyond which the served model is stale."""

    seconds: int = 600
    """How often the sensor looks."""
    max_age_hours: float = 48.0
    """How old the served model may be, counted from its training; after as long again it is stale once more."""
    data_age_hours: float = 48.0
    """How long ago the raw ratings may have been read; Dagster's own mark of freshness."""
    data_lag_hours: float = 6.0
    """How long the newest split may be of other data than the served model before the model counts as stale."""
    min_click_rate: float = 0.0
    """Least share of the served version's lists that somebody clicks in; 0: any."""
    min_like_rate: float = 0.0
    """Least share of its lists in which somebody rates a movie as a like; 0: any."""
    below_previous: bool = True
    """Whether a rate whose interval lies below the previous release's interval counts as stale."""
    drift: DriftConfig = field(default_factory=DriftConfig)

    def __post_init__(self) -> None:
        for name in ("max_age_hours", "data_age_hours", "data_lag_hours"):
            if getattr(self, name) < 0.1:
                raise ConfigError(f"automation.freshness.{name}={getattr(self, name)} must be at least 0.1")
        for name in ("min_click_rate", "min_like_rate"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"automation.freshness.{name}={getattr(self, name)} must be from 0 to 1")


@dataclass(frozen=True)
class StaleReason:
    """A reason why the served model is stale."""

    key: str
    """Equal for as long as the reason is the same."""
    sentence: str
    retrain: bool
    """Whether training again may mend it; else a person has to look."""


def stale_reasons(
    store: ArtifactStore,
    data_set: str,
    config: FreshnessConfig,
    now: datetime | None = None,
    *,
    feedback: FeedbackLogs | None = None,
) -> list[StaleReason]:
    """Every reason why the served model of a data set is stale; none while nothing is served.

    feedback: the logs; unless given those of the store, or the database that MOVIEREC_FEEDBACK_URL names.

    A rate is stale where its whole 95 % interval (Wilson's, over lists) lies below the least that is asked for, or
    below the whole interval of the release before, which other people saw at another time: few lists show nothing, and
    a person has to judge. Raises FeedbackError when the log cannot be read, StoreError for a pointer to nothing.
    """
    index = store.pointed(SERVING, data_set)
    if index is None:
        return []
    model = store.resolve(index.parents[kinds.TRAINED_MODEL])
    now = now or datetime.now(UTC)
    found = [*_of_age(index, model, config, now), *_of_data(store, index, model, config, now)]
    logs = feedback or FeedbackLogs.of_environment(store.root)
    return [*found, *_of_drift(store, index, config), *_of_rates(store, index, model, config, logs)]


def _of_age(index: Artifact, model: Artifact, config: FreshnessConfig, now: datetime) -> Iterator[StaleReason]:
    age, limit = now - datetime.fromisoformat(model.created_at), timedelta(hours=config.max_age_hours)
    if age > limit:
        sentence = f"{index.reference} is served, whose model is {numbers.duration(age.total_seconds())} old"
        yield StaleReason(
            f"age:{index.reference}:{age // limit}",
            f"{sentence}; up to {numbers.duration(3600 * config.max_age_hours)} is fresh",
            True,
        )


def _of_data(
    store: ArtifactStore, index: Artifact, model: Artifact, config: FreshnessConfig, now: datetime
) -> Iterator[StaleReason]:
    splits = store.latest(Slot(kinds.SPLITS, model.slot.data_set))
    if splits is None or splits.fingerprint == model.fingerprint:
        return
    lag = now - datetime.fromisoformat(splits.created_at)
    if lag > timedelta(hours=config.data_lag_hours):
        reports = (store.latest(slot) for slot in store.slots(kinds.EVALUATION_REPORT, model.slot.data_set))
        models = (report for report in reports if report is not None and kinds.TRAINED_MODEL in report.parents)
        measured = any(report.fingerprint == splits.fingerprint for report in models)
        kept = "models were measured on it, and `movierec models history` says why none is served"
        yield StaleReason(
            f"data:{index.reference}:{splits.fingerprint}",
            f"{index.reference} is served, and for {numbers.duration(lag.total_seconds())} {splits.reference} has "
            f"had other data; {kept if measured else 'no model was measured on it yet'}",
            retrain=not measured,
        )


def _of_drift(store: ArtifactStore, index: Artifact, config: FreshnessConfig) -> Iterator[StaleReason]:
    """Drift of the newest raw ratings; that they are trained on is for `_of_data`, and why they differ for people."""
    then = served_data(store, index.slot.data_set)
    now = store.latest(then.slot) if then else None
    if then is None or now is None or now.key == then.key:
        return
    try:
        told = [one for one in data_drift(store, then, now) if one.told(config.drift)]
    except DataError as error:
        yield StaleReason(f"drift:{index.reference}:{now.key}:damaged", str(error), False)
        return
    if told:
        yield StaleReason(
            f"drift:{index.reference}:{now.key}:{','.join(one.of for one in told)}",
            f"{index.reference} is served, and {now.reference} has drifted from the data it was trained on, by "
            f"Jensen-Shannon distance: {'; '.join(one.sentence for one in told)}",
            False,
        )


def _of_rates(
    store: ArtifactStore, index: Artifact, model: Artifact, config: FreshnessConfig, logs: FeedbackLogs
) -> Iterator[StaleReason]:
    with closing(logs.of(index.slot.data_set)) as log:
        rates = version_rates(log, least_like(index.facts))
    now = rates.get(_answering(index.reference))
    before = next((reference for reference in reversed(releases(store, index.slot.data_set)[:-1])), "")
    then = rates.get(_answering(before)) if before and config.below_previous else None
    for rate, least in zip(RATES, (config.min_click_rate, config.min_like_rate), strict=True):
        if now is None:
            continue
        said = f"{index.reference} has {_rate(now, rate)}"
        if now[f"{rate}_high"] < least:
            yield StaleReason(
                f"{rate}:{index.reference}", f"{said}; at least {numbers.percent(least)} is asked for", False
            )
        elif then is not None and now[f"{rate}_high"] < then[f"{rate}_low"]:
            sentence = f"{said}; {before}, which was served before, had {_rate(then, rate)}"
            yield StaleReason(f"{rate}:{index.reference}:{before}", sentence, False)


def _answering(reference: str) -> tuple[str, str]:
    """Model and version as exposures name them."""
    slot, version = parse_reference(reference)
    return slot.model, version


def _rate(row: dict[str, Any], rate: str) -> str:
    value, low, high = (row[name] for name in (rate, f"{rate}_low", f"{rate}_high"))
    interval = numbers.percent_interval(low, high)
    return f"a {rate.replace('_', ' ')} of {numbers.percent(value)} {interval} over {row['lists']:,} lists"
