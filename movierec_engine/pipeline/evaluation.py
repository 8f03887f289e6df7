"""From a trained model, or from lists that another system made, to a report."""

import hashlib
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from movierec_engine.data.ratings import Movies
from movierec_engine.data.split import Split, future_share, tied_share, user_counts
from movierec_engine.errors import ConfigError
from movierec_engine.evaluation.config import EvaluationConfig
from movierec_engine.evaluation.protocols import Protocol
from movierec_engine.models.registry import load_model, model_names
from movierec_engine.pipeline.data import Origin, load_split, split_settings
from movierec_engine.pipeline.preflight import EVALUATION, DataCounts, require_memory_for
from movierec_engine.pipeline.training import peak_memory_mb
from movierec_engine.reporting.progress import step
from movierec_engine.store import Artifact, ArtifactStore, Slot, content_key, kinds
from movierec_engine.tracking.tracker import NO_TRACKER, Tracker
from movierec_engine.training.config import TrainerConfig

if TYPE_CHECKING:
    from movierec_engine.evaluation.evaluator import Evaluation

LISTS = "lists"
"""The device in the slot of a report of given lists, and the settings in its manifest."""


@step("evaluating")
def evaluate_model(
    store: ArtifactStore,
    trained_model: Artifact,
    raw_movies: Artifact,
    protocol: Protocol | None = None,
    tracker: Tracker = NO_TRACKER,
    origin: Origin | None = None,
    trainer: TrainerConfig | None = None,
) -> Artifact:
    """Measure a trained model on the test part of the split that it was trained on.

    trainer: whose workers rank the users; this process alone unless given.
    protocol: the split's own by default. Only a report of the newest trained model by the split's own protocol becomes
    the slot's newest, which models are ranked by.
    """
    from movierec_engine.evaluation.evaluator import Evaluator
    from movierec_engine.evaluation.fingerprint import protocol as protocol_of
    from movierec_engine.evaluation.report import EvaluationReport, save_tables

    splits = store.resolve(trained_model.parents[kinds.SPLITS])
    require_memory_for(EVALUATION, trained_model, DataCounts.of(splits))
    parts = load_split(splits.verify())
    model = load_model(trained_model.verify().folder)
    evaluator = Evaluator(**trained_model.config["evaluation"])
    heldout = parts.test_heldout(Movies.load(raw_movies.verify().folder))
    if protocol is not None:
        heldout = protocol.of(heldout)

    def current() -> bool:
        return heldout.protocol == protocol_of(parts) and store.latest(trained_model.slot) == trained_model

    started = time.perf_counter()
    evaluation = evaluator.evaluate(model, heldout, trainer=trainer or TrainerConfig())
    report = EvaluationReport(
        model=model.name,
        device=trained_model.slot.device,
        model_version=trained_model.version,
        seed=trained_model.config["seed"],
        validation_metrics=trained_model.facts["validation_metrics"],
        seconds=trained_model.facts["seconds"],
        evaluation_seconds=time.perf_counter() - started,
        peak_memory_mb=max(trained_model.facts["peak_memory_mb"], peak_memory_mb()),
        model_config=trained_model.config["model"],
        **_measured(parts, evaluation, trained_model.config["data"]),
    )
    if current():
        tracker.log({f"test/{name}": value for name, value in evaluation.metrics.items()})

    def write(folder: Path) -> None:
        report.save(folder)
        save_tables(evaluation, evaluator.config.k_values, folder)

    return store.publish(
        trained_model.slot.beside(kinds.EVALUATION_REPORT),
        write,
        key=content_key(trained_model.reference, raw_movies.key, heldout.protocol),
        fingerprint=report.fingerprint,
        config=trained_model.config,
        parents={kinds.TRAINED_MODEL: trained_model, kinds.SPLITS: splits, kinds.RAW_MOVIES: raw_movies},
        origin={**trained_model.origin, **(origin or {})},
        facts={
            "protocol": report.protocol,
            "metrics": evaluation.metrics,
            "validation_metrics": report.validation_metrics,
        },
        newest=current,
    )


def evaluate_lists(
    store: ArtifactStore, data_set: str, path: Path, name: str, protocol: Protocol | None = None
) -> Artifact:
    """Measure a file of lists that another system made on the test part of a data set's newest split.

    path: CSV or Parquet as `GivenLists` reads it. name: what the report is called, as a model is; it stands beside
    theirs, and nothing is ever released of it. protocol: the split's own by default.

    Raises ConfigError for the name of a model, DataError for lists that cannot be used, and StoreError for a data set
    without a split.
    """
    from movierec_engine.evaluation.evaluator import Evaluator
    from movierec_engine.evaluation.given_lists import GivenLists
    from movierec_engine.evaluation.report import EvaluationReport, save_tables

    if name in model_names():
        raise ConfigError(f"{name} is the name of a model; give the lists another one")
    slot = Slot(kinds.EVALUATION_REPORT, data_set, name, LISTS)
    splits = store.require(Slot(kinds.SPLITS, data_set)).verify()
    raw_movies = store.require(Slot(kinds.RAW_MOVIES, data_set)).verify()
    parts = load_split(splits)
    heldout = parts.test_heldout(Movies.load(raw_movies.folder))
    own = heldout.protocol
    if protocol is not None:
        heldout = protocol.of(heldout)
    depths = EvaluationConfig().of_split(parts.strategy).k_values
    evaluator, started = Evaluator(depths), time.perf_counter()
    lists = GivenLists.read(path, heldout, name)
    evaluation = evaluator.evaluate_lists(lists, heldout)
    report = EvaluationReport(
        model=name,
        device=LISTS,
        model_version="",
        seed=0,
        validation_metrics={},
        seconds=0.0,
        evaluation_seconds=time.perf_counter() - started,
        peak_memory_mb=peak_memory_mb(),
        model_config={},
        **_measured(parts, evaluation, splits.config),
    )
    report.counts["unknown_rows"] = lists.unknown

    def write(folder: Path) -> None:
        report.save(folder)
        save_tables(evaluation, evaluator.config.k_values, folder)

    return store.publish(
        slot,
        write,
        key=content_key(splits.key, raw_movies.key, hashlib.sha256(path.read_bytes()).hexdigest(), heldout.protocol),
        fingerprint=report.fingerprint,
        config={LISTS: str(path.absolute())},
        parents={kinds.SPLITS: splits, kinds.RAW_MOVIES: raw_movies},
        facts={"protocol": report.protocol, "metrics": evaluation.metrics, "validation_metrics": {}},
        newest=lambda: heldout.protocol == own,
    )


def _measured(parts: Split, evaluation: "Evaluation", data: Mapping[str, Any]) -> dict[str, Any]:
    """A report's facts on the data and the numbers; data: the data group of the settings."""
    from movierec_engine.evaluation.fingerprint import fingerprint
    from movierec_engine.evaluation.report import intervals

    heldout = evaluation.rankings.heldout
    return {
        "data": data["name"],
        "protocol": heldout.protocol,
        "mask": heldout.mask,
        "fingerprint": fingerprint(parts, heldout.protocol),
        "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "metrics": evaluation.metrics,
        "intervals": intervals(evaluation),
        "counts": {
            "users": parts.train.n_users,
            "users_evaluated": len(evaluation.users),
            "users_without_test_items": evaluation.users_without_test_items,
            "users_without_history": evaluation.users_without_history,
            "items": parts.train.n_items,
            **user_counts(parts),
            **{f"{name}_interactions": len(part) for name, part in parts.named().items()},
        },
        "split": {
            "strategy": parts.strategy,
            "boundaries": parts.boundaries,
            "future_share": future_share(parts),
            "tied_share": tied_share(parts),
            **{name: data[name] for name in split_settings(parts.strategy) if name != "split"},
        },
    }
