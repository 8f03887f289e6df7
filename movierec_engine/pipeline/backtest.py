"""Would it have worked? A model trained up to a moment and tested on what came next, again and again (rolling origin).

The windows have a store of their own inside the store, so that none of their models or reports is ever ranked, served
or taken for the newest. What a killed backtest has finished is used again by the next one.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from movierec_engine.config import Settings
from movierec_engine.data.backtest_windows import rolling_origin
from movierec_engine.data.interactions import Interactions
from movierec_engine.data.ratings import Ratings
from movierec_engine.data.split import Split, with_dislikes
from movierec_engine.errors import StoreError
from movierec_engine.evaluation.bootstrap import bootstrap_intervals
from movierec_engine.evaluation.report import USERS_FILE, EvaluationReport
from movierec_engine.feedback import FeedbackLogs
from movierec_engine.pipeline.data import (
    Origin,
    build_interaction_graph,
    filter_interactions,
    ingest_movies,
    ingest_ratings,
    publish_split,
)
from movierec_engine.pipeline.evaluation import evaluate_model
from movierec_engine.pipeline.members import find_members, model_slot
from movierec_engine.pipeline.training import train_model, trained_model_key
from movierec_engine.store import Artifact, ArtifactStore, content_key, kinds

log = logging.getLogger(__name__)

FOLDER = "backtests"
WINDOWS_FILE = "windows.parquet"
METRICS_FILE = "metrics.parquet"
ALL, WITH_HISTORY = "all", "with_history"
"""Groups of users: every one with a test item, and those of them with train interactions."""


@dataclass(frozen=True)
class Window:
    """One window's sizes and moments, and what was made of it; a row of windows.parquet. Times are in seconds."""

    window: int
    validation_from: int
    test_from: int
    test_until: int
    train: int
    validation: int
    test: int
    users: int
    users_without_history: int
    seconds: float
    fingerprint: str
    trained_model: str
    report: str


def backtest(
    store: ArtifactStore, settings: Settings, windows: int, first_train_share: float, origin: Origin | None = None
) -> Artifact:
    """Train and test a model in every window of `rolling_origin`; the metrics by window, with intervals over users.

    windows.parquet has a row a window, metrics.parquet one a window, group of users and metric. Validation's share of
    what precedes a window is that of the settings.

    Raises ConfigError or EmptyDataError when the windows cannot be cut.
    """
    own = ArtifactStore(store.root / FOLDER)
    checkpoints = replace(settings.paths, checkpoints=str(own.root / "checkpoints"))
    settings = replace(settings, paths=checkpoints)
    data = settings.data
    raw_ratings = ingest_ratings(own, data, origin, feedback=FeedbackLogs(store.root, settings.feedback.url))
    raw_movies = ingest_movies(own, data, origin)
    interactions = filter_interactions(own, raw_ratings, data, origin)
    share = data.val_ratio / (data.train_ratio + data.val_ratio)
    cut = rolling_origin(Interactions.load(interactions.verify().folder), windows, first_train_share, share)
    ratings = Ratings.load(raw_ratings.verify().folder)
    rows, measures = [], []
    for number, part in enumerate((with_dislikes(one, ratings, data) for one in cut), start=1):
        log.info("%s: window %d of %d", settings.model_name, number, windows)
        key = content_key(interactions.key, "rolling_origin", part.boundaries)
        splits = publish_split(own, data, key, _always(part), interactions, origin)
        report = _measured(own, settings, splits, raw_movies, origin)
        rows.append(asdict(_window(number, part, report)))
        measures += [{"window": number, **measure} for measure in _measures(report.folder)]

    def write(folder: Path) -> None:
        pq.write_table(pa.Table.from_pylist(rows), folder / WINDOWS_FILE)
        pq.write_table(pa.Table.from_pylist(measures), folder / METRICS_FILE)

    return store.publish(
        model_slot(kinds.BACKTEST, settings),
        write,
        key=content_key([row["report"] for row in rows]),
        fingerprint=content_key([row["fingerprint"] for row in rows]),
        config=settings.resolved(),
        origin=origin,
        facts={"windows": windows, "first_train_share": first_train_share, "data": data.name},
    )


def _always(part: Split) -> Callable[[], Split]:
    return lambda: part


def _measured(
    own: ArtifactStore, settings: Settings, splits: Artifact, raw_movies: Artifact, origin: Origin | None
) -> Artifact:
    """The report of the model on a window's split, made now unless the store has it already."""
    slot = model_slot(kinds.TRAINED_MODEL, settings)
    members = {name: member for name, member in find_members(own, settings, splits).items() if member}
    key = trained_model_key(settings, splits, members)
    with suppress(StoreError):  # a damaged version is made again
        if trained := own.find(slot, key):
            for report in reversed(own.versions(slot.beside(kinds.EVALUATION_REPORT))):
                if report.parents[kinds.TRAINED_MODEL] == trained.verify().reference:
                    EvaluationReport.load(report.verify().folder)
                    return report
    graph = build_interaction_graph(own, splits, settings.data, origin)
    return evaluate_model(own, train_model(own, settings, splits, graph, origin=origin), raw_movies, origin=origin)


def _window(number: int, part: Split, made: Artifact) -> Window:
    report = EvaluationReport.load(made.folder)
    return Window(
        window=number,
        **part.boundaries,
        train=len(part.train),
        validation=len(part.validation),
        test=len(part.test),
        users=report.counts["users_evaluated"],
        users_without_history=report.counts["users_without_history"],
        seconds=report.seconds,
        fingerprint=report.fingerprint,
        trained_model=made.parents[kinds.TRAINED_MODEL],
        report=made.reference,
    )


def _measures(folder: Path) -> Iterator[dict[str, object]]:
    """Every metric's mean with its 95 % interval, over all users and over those with history; none where none has."""
    table = pq.read_table(folder / USERS_FILE)
    names = [name for name in table.column_names if name not in ("user_id", "test_items", "train_items")]
    values = np.column_stack([table[name].to_numpy() for name in names])
    for users, chosen in ((ALL, np.ones(len(table), bool)), (WITH_HISTORY, table["train_items"].to_numpy() > 0)):
        if not chosen.any():
            continue
        own = values[chosen]
        told = ~np.isnan(own).all(axis=0)  # metrics that say something of any of these users
        own = own[:, told]
        counts, means = (~np.isnan(own)).sum(axis=0), np.nanmean(own, axis=0)
        of_metrics = zip(np.array(names)[told].tolist(), counts, means, bootstrap_intervals(own), strict=True)
        for name, count, mean, (low, high) in of_metrics:
            yield {
                "users": users,
                "count": int(count),
                "metric": name,
                "value": float(mean),
                "low": float(low),
                "high": float(high),
            }
