"""Queries over the feedback log: counts by day, and results of experiments."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dashboard.queries.store_files import Signature, folders, stamp
from movierec_engine.errors import MovierecError
from movierec_engine.feedback import FeedbackLog, log_file
from movierec_engine.feedback.summary import interleaving_duels, variant_rates
from movierec_engine.store import ArtifactStore, is_refitted, kinds

DAYS = 60
"""Days that are shown, up to the newest event."""


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


def data_sets(root: Path) -> list[str]:
    """Names of the data sets that have a log."""
    return [folder.name for folder in folders(root / "feedback") if log_file(root, folder.name).is_file()]


def signature(root: Path) -> Signature:
    """Changes whenever something is logged."""
    files = [log_file(root, name) for name in data_sets(root)]
    return tuple(stamp(file.with_name(file.name + end)) for file in files for end in ("", "-wal"))


def feedback(root: Path, data: str) -> Feedback:
    """The summary of a log; where it cannot be read, nothing and the reason."""
    log = FeedbackLog(log_file(root, data))
    try:
        rows = log.query(
            """WITH every AS (SELECT at_ms / 86400000 AS day, kind FROM events WHERE undone_ms IS NULL
                              UNION ALL SELECT at_ms / 86400000, 'list shown' FROM exposures)
               SELECT date(day * 86400, 'unixepoch'), replace(kind, '_', ' '), count(*) FROM every
               WHERE day > (SELECT max(day) FROM every) - ? GROUP BY 1, 2 ORDER BY 1, 2""",
            DAYS,
        )
        totals = dict(
            log.query("SELECT replace(kind, '_', ' '), count(*) FROM events WHERE undone_ms IS NULL GROUP BY 1")
        )
        totals |= dict(log.query("SELECT 'list shown', count(*) FROM exposures"))
        return Feedback(
            tuple({"day": day, "kind": kind, "events": int(count)} for day, kind, count in rows),
            {str(kind): int(count) for kind, count in totals.items()},
            tuple(variant_rates(log).to_pylist()),
            tuple(interleaving_duels(log).to_pylist()),
            _refitted(root, data, log),
        )
    except (MovierecError, OSError, ValueError) as error:
        return Feedback((), {}, (), (), problem=str(error))
    finally:
        log.close()


def _refitted(root: Path, data: str, log: FeedbackLog) -> dict[str, dict[str, bool]]:
    """As `Feedback.refitted` has it; versions that the store has lost are left out."""
    store = ArtifactStore(root)
    versions = {index.version: index for slot in store.slots(kinds.FAISS_INDEX, data) for index in store.versions(slot)}
    found: dict[str, dict[str, bool]] = {}
    newest = log.query("SELECT experiment, model, version, max(at_ms) FROM exposures GROUP BY 1, 2 ORDER BY 1, 2")
    for experiment, models, answered, _ in newest:  # an interleaved list has two of each, joined by +
        for model, version in zip(models.split("+"), answered.split("+"), strict=False):
            if version in versions:
                found.setdefault(experiment, {})[model] = is_refitted(versions[version])
    return found
