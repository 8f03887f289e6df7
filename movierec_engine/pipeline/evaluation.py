"""From a trained model to its report."""

import time
from datetime import UTC, datetime
from pathlib import Path

from movierec_engine.data.ratings import Movies
from movierec_engine.data.split import PARTS, future_share, tied_share
from movierec_engine.evaluation.protocols import Protocol
from movierec_engine.models.registry import load_model
from movierec_engine.pipeline.data import Origin, load_split
from movierec_engine.pipeline.training import peak_memory_mb
from movierec_engine.store import Artifact, ArtifactStore, content_key, kinds
from movierec_engine.tracking.tracker import NO_TRACKER, Tracker


def evaluate_model(
    store: ArtifactStore,
    trained_model: Artifact,
    raw_movies: Artifact,
    protocol: Protocol | None = None,
    tracker: Tracker = NO_TRACKER,
    origin: Origin | None = None,
) -> Artifact:
    """Measure a trained model on the test part of the split that it was trained on.

    protocol: the split's own by default. Only a report of the newest trained model by the split's own protocol becomes
    the slot's newest, which models are ranked by.
    """
    from movierec_engine.evaluation.evaluator import Evaluator
    from movierec_engine.evaluation.fingerprint import fingerprint
    from movierec_engine.evaluation.fingerprint import protocol as protocol_of
    from movierec_engine.evaluation.report import EvaluationReport, intervals, save_tables

    splits = store.resolve(trained_model.parents[kinds.SPLITS]).verify()
    parts = load_split(splits)
    model = load_model(trained_model.verify().folder)
    evaluator = Evaluator(**trained_model.config["evaluation"])
    heldout = parts.test_heldout(Movies.load(raw_movies.verify().folder))
    if protocol is not None:
        heldout = protocol.of(heldout)

    def current() -> bool:
        return heldout.protocol == protocol_of(parts) and store.latest(trained_model.slot) == trained_model

    started = time.perf_counter()
    evaluation = evaluator.evaluate(model, heldout)
    report = EvaluationReport(
        model=model.name,
        device=trained_model.slot.device,
        model_version=trained_model.version,
        data=trained_model.config["data"]["name"],
        protocol=heldout.protocol,
        mask=heldout.mask,
        fingerprint=fingerprint(parts, heldout.protocol),
        seed=trained_model.config["seed"],
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        metrics=evaluation.metrics,
        intervals=intervals(evaluation),
        validation_metrics=trained_model.facts["validation_metrics"],
        counts={
            "users": len(model.users),
            "users_evaluated": len(evaluation.users),
            "users_without_test_items": evaluation.users_without_test_items,
            "users_without_history": evaluation.users_without_history,
            "items": len(model.items),
            **{f"{name}_interactions": len(part) for name, part in zip(PARTS, parts.parts(), strict=True)},
        },
        seconds=trained_model.facts["seconds"],
        evaluation_seconds=time.perf_counter() - started,
        peak_memory_mb=max(trained_model.facts["peak_memory_mb"], peak_memory_mb()),
        split={
            "strategy": parts.strategy,
            "boundaries": parts.boundaries,
            "future_share": future_share(parts),
            "tied_share": tied_share(parts),
            **{name: trained_model.config["data"][name] for name in ("train_ratio", "val_ratio", "split_seed")},
        },
        model_config=trained_model.config["model"],
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
