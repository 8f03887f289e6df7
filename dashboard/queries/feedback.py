"""Queries over the feedback log: counts by day, and results of experiments."""

import time
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from dashboard.queries.store_files import Signature, stamp, store_at
from movierec_engine.config import config_dir, load_feedback
from movierec_engine.data.rating_scale import least_like
from movierec_engine.errors import MovierecError, StoreError
from movierec_engine.feedback import FeedbackLog, FeedbackLogs, log_file
from movierec_engine.feedback.config import url_of_environment
from movierec_engine.feedback.summary import interleaving_duels, variant_rates
from movierec_engine.store import SERVING, is_refitted, kinds

DAYS = 60
"""Days that are shown, up to the newest event."""
DATABASE_SECONDS = 10
"""How old what is shown of a database may be."""


@dataclass(frozen=True)
class Feedback:
    """One data set's log. by_day: rows day, kind (rating, watched, click, list shown, ...), events
    that were not undone."""

    by_day: tuple[dict[str, Any], ...]
    totals: dict[str, int]
    rates: tuple[dict[str, Any], ...]
    """As `variant_rates` has them."""
    duels: tuple[dict[str, Any], ...]
    """As `interleaving_duels` has them."""
    refitted: dict[str, dict[str, bool]] = field(default_factory=dict)
    """Experiment -> model -> whether what answered last was refitted on all interactions."""
    problem: str = ""


def feedback_logs(root: Path) -> FeedbackLogs:
    """The logs beside a store, or in the database that `feedback.url` names, in configs/ or by the environment."""
    return FeedbackLogs(root, _url(config_dir(), url_of_environment()))


@cache
def _url(configs: Path, of_environment: str) -> str:
    return load_feedback([]).url


def data_sets(root: Path) -> list[str]:
    """Names of the data sets that have a log. Raises FeedbackError where a database is away."""
    return feedback_logs(root).data_sets()


def signature(root: Path) -> Signature:
    """Changes whenever something is logged; of a database every few seconds, so that it is not asked for it."""
    logs = feedback_logs(root)
    if logs.url:
        return (("feedback", int(time.time() // DATABASE_SECONDS), 0),)
    files = [log_file(root, name) for name in logs.data_sets()]
    return tuple(stamp(file.with_name(file.name + end)) for file in files for end in ("", "-wal"))


def liked_from(root: Path, data: str) -> float:
    """The least rating of a like by what is served of a data set; MovieLens' where nothing is."""
    try:
        served = store_at(root).pointed(SERVING, data)
    except (StoreError, OSError):
        served = None
    return least_like(served.facts if served else {})


def feedback(root: Path, data: str) -> Feedback:
    """The summary of a log; where it cannot be read, nothing and the reason."""
    log = feedback_logs(root).of(data)
    try:
        return Feedback(
            tuple({"day": day, "kind": _words(kind), "events": count} for day, kind, count in log.counts_by_day(DAYS)),
            {_words(kind): count for kind, count in log.totals().items()},
            tuple(variant_rates(log, liked_from(root, data)).to_pylist()),
            tuple(interleaving_duels(log).to_pylist()),
            _refitted(root, data, log),
        )
    except (MovierecError, OSError, ValueError) as error:
        return Feedback((), {}, (), (), problem=str(error))
    finally:
        log.close()


def _words(kind: str) -> str:
    return kind.replace("_", " ")


def _refitted(root: Path, data: str, log: FeedbackLog) -> dict[str, dict[str, bool]]:
    """As `Feedback.refitted` has it; versions that the store has lost are left out."""
    store = store_at(root)
    versions = {index.version: index for slot in store.slots(kinds.FAISS_INDEX, data) for index in store.versions(slot)}
    found: dict[str, dict[str, bool]] = {}
    for experiment, models, answered in log.newest_answers():  # an interleaved list has two of each, joined by +
        for model, version in zip(models.split("+"), answered.split("+"), strict=False):
            if version in versions:
                found.setdefault(experiment, {})[model] = is_refitted(versions[version])
    return found
