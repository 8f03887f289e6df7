"""The way from raw ratings to a served index, one function a step: what the command line and Dagster both call.

Each step takes the artifacts before it and publishes the next. The steps up to the graph follow from their inputs
alone, so a version that was made from the same inputs is used again instead of being made twice.
"""

import hashlib
import resource
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from movierec_engine.config import Settings
from movierec_engine.data.config import DataConfig
from movierec_engine.data.graph import InteractionGraph, build_graph
from movierec_engine.data.heldout import HeldOut
from movierec_engine.data.interactions import Interactions, positives
from movierec_engine.data.ratings import Movies, Ratings
from movierec_engine.data.readers import complete_movies, read_movies, read_ratings
from movierec_engine.data.split import PARTS, Split, split, subsample
from movierec_engine.device import device_kind
from movierec_engine.errors import StoreError
from movierec_engine.models.registry import MODEL_NAMES, load_model, model_class
from movierec_engine.retrieval.config import RetrievalConfig
from movierec_engine.store import SERVING, Artifact, ArtifactStore, Slot, content_key
from movierec_engine.tracking.progress import EpochProgress
from movierec_engine.tracking.tracker import NO_TRACKER, Tracker

Origin = Mapping[str, str]
"""Ids of the Dagster and MLflow runs that make an artifact, for its manifest."""

FILTER_SETTINGS = ("rating_threshold", "min_user_interactions", "min_item_interactions")
SPLIT_SETTINGS = ("split", "split_seed", "train_ratio", "val_ratio")


# ---------------------------------------------------------------------------------------------------------------- data


def data_slot(kind: str, config: DataConfig) -> Slot:
    """Where a data step's versions stand: `<kind>/<data set>`."""
    return Slot(kind, (config.name,))


def model_slot(kind: str, model: str, device: str) -> Slot:
    """Where a model step's versions stand: `<kind>/<model>/<device>`."""
    return Slot(kind, (model, device_kind(device)))


def ingest_ratings(store: ArtifactStore, config: DataConfig, origin: Origin | None = None) -> Artifact:
    """Read and validate the raw ratings."""
    ratings = read_ratings(config)
    tables = [ratings.table] if ratings.negatives is None else [ratings.table, ratings.negatives]
    facts = {
        "ratings": len(ratings.table),
        "users": len(np.unique(ratings.table["user_id"].to_numpy())),
        "movies": len(np.unique(ratings.table["movie_id"].to_numpy())),
        "validation": ratings.report.to_dict(),
    }
    return _data_step(
        store, "raw_ratings", config, content_key(*map(_digest, tables)), lambda: (ratings.save, facts, ""), {}, origin
    )


def ingest_movies(store: ArtifactStore, config: DataConfig, origin: Origin | None = None) -> Artifact:
    """Read the titles, years and genres."""
    movies = read_movies(config)
    facts = {"movies": len(movies.table), "validation": movies.report.to_dict()}
    return _data_step(
        store, "raw_movies", config, content_key(_digest(movies.table)), lambda: (movies.save, facts, ""), {}, origin
    )


def filter_interactions(
    store: ArtifactStore, raw_ratings: Artifact, config: DataConfig, origin: Origin | None = None
) -> Artifact:
    """Turn ratings into positive interactions: threshold and k-core."""

    def make() -> "_Made":
        ratings = Ratings.load(raw_ratings.verify().folder)
        interactions = positives(ratings, config)
        facts = {
            "interactions": len(interactions),
            "users": interactions.n_users,
            "items": interactions.n_items,
            "density": len(interactions) / (interactions.n_users * interactions.n_items),
            "dropped_share": 1 - len(interactions) / len(ratings.table),
        }
        return interactions.save, facts, ""

    key = content_key(raw_ratings.key, {name: getattr(config, name) for name in FILTER_SETTINGS})
    return _data_step(store, "interactions", config, key, make, {"raw_ratings": raw_ratings}, origin)


def split_interactions(
    store: ArtifactStore, interactions: Artifact, config: DataConfig, origin: Origin | None = None
) -> Artifact:
    """Divide the interactions into train, validation and test; from here on artifacts carry the fingerprint."""
    from movierec_engine.evaluation.fingerprint import fingerprint

    def make() -> "_Made":
        ratings = Ratings.load(store.resolve(interactions.parents["raw_ratings"]).folder)
        parts = split(Interactions.load(interactions.verify().folder), config, ratings)
        facts = {
            "strategy": parts.strategy,
            "boundaries": parts.boundaries,
            **{name: len(part) for name, part in zip(PARTS, parts.parts(), strict=True)},
            "users": parts.train.n_users,
            "items": parts.train.n_items,
        }
        return parts.save, facts, fingerprint(parts)

    key = content_key(interactions.key, {name: getattr(config, name) for name in SPLIT_SETTINGS})
    return _data_step(store, "splits", config, key, make, {"interactions": interactions}, origin)


def build_interaction_graph(
    store: ArtifactStore, splits: Artifact, config: DataConfig, origin: Origin | None = None
) -> Artifact:
    """Build the normalised graph of the train interactions."""

    def make() -> "_Made":
        graph = build_graph(load_split(splits.verify()).train)
        return graph.save, {"nodes": graph.n_users + graph.n_items, "edges": graph.n_edges}, splits.fingerprint

    return _data_step(
        store, "interaction_graph", config, content_key(splits.key, "graph"), make, {"splits": splits}, origin
    )


def load_split(splits: Artifact) -> Split:
    """The split that an artifact of kind `splits` holds."""
    return Split.load(splits.folder, splits.facts["strategy"], splits.facts["boundaries"])


# -------------------------------------------------------------------------------------------------------------- models


def train_model(
    store: ArtifactStore,
    settings: Settings,
    splits: Artifact,
    interaction_graph: Artifact,
    tracker: Tracker = NO_TRACKER,
    origin: Origin | None = None,
) -> Artifact:
    """Train a model on the train part, and measure it on validation, by which models are chosen."""
    from movierec_engine.evaluation.evaluator import Evaluator
    from movierec_engine.models.base import ClosedFormRecommender

    if interaction_graph.parents["splits"] != splits.reference:
        raise StoreError(f"{interaction_graph.reference} is the graph of another split; materialize it again")
    parts = load_split(splits.verify())
    train = subsample(parts.train, settings.data.train_size, settings.data.split_seed)
    evaluator = Evaluator(settings.evaluation.k_values, settings.evaluation.metrics)
    validation = parts.validation_heldout()
    model = model_class(settings.model_name)(settings.model)
    members = pretrained_models(store, settings)
    key = trained_model_key(settings, splits, members)
    history: list[dict[str, float]] = []
    started = time.perf_counter()
    if isinstance(model, ClosedFormRecommender):
        model.fit(train)
    else:
        full = settings.data.train_size == 1
        graph = InteractionGraph.load(interaction_graph.verify().folder) if full else build_graph(train)
        run = trained_model_key(_without_length(settings), splits, members)
        history = _fit_by_gradient(model, train, graph, validation, evaluator, settings, tracker, members, run)
    seconds = time.perf_counter() - started
    validation_metrics = evaluator.evaluate(model, validation).metrics if len(validation) else {}
    tracker.log({f"best/validation/{name}": value for name, value in validation_metrics.items()})

    def write(folder: Path) -> None:
        model.save(folder)
        if history:
            pq.write_table(pa.Table.from_pylist(history), folder / "history.parquet")

    return store.publish(
        model_slot("trained_model", settings.model_name, settings.device),
        write,
        key=key,
        fingerprint=splits.fingerprint,
        config=settings.resolved(),
        parents={"splits": splits, "interaction_graph": interaction_graph, **members},
        origin={**(origin or {}), **tracker.ids()},
        facts={
            "seconds": seconds,
            "epochs": len(history),
            "validation_metrics": validation_metrics,
            "peak_memory_mb": peak_memory_mb(),
        },
    )


def trained_model_key(settings: Settings, splits: Artifact, members: Mapping[str, Artifact] | None = None) -> str:
    """Short hash of everything that decides a trained model; members: the trained models that it starts from."""
    return content_key(
        splits.key,
        settings.model_name,
        asdict(settings.model),
        asdict(replace(settings.trainer, resume=False, checkpoint_seconds=0.0)),
        asdict(settings.evaluation),
        settings.data.train_size,
        settings.device,
        settings.seed,
        {name: member.reference for name, member in (members or {}).items()},
    )


def pretrained_models(store: ArtifactStore, settings: Settings) -> dict[str, Artifact]:
    """The trained models that `model.pretrained_<name>` asks to start from, by name; `latest` is the device's newest.

    Raises StoreError when one is not in the store.
    """
    found = {}
    for name in MODEL_NAMES:
        if wanted := getattr(settings.model, f"pretrained_{name}", ""):
            slot = model_slot("trained_model", name, settings.device)
            found[name] = store.require(slot) if wanted == "latest" else store.resolve(wanted)
            if found[name].slot.path[:1] != (name,):
                raise StoreError(f"model.pretrained_{name}={wanted} is no trained {name}; choose one of {slot}")
    return found


def _without_length(settings: Settings) -> Settings:
    """The same settings for any number of epochs, unless the learning rate's way depends on it."""
    if settings.trainer.scheduler.name != "none":
        return settings
    return replace(settings, trainer=replace(settings.trainer, max_epochs=1))


def evaluate_model(
    store: ArtifactStore, trained_model: Artifact, tracker: Tracker = NO_TRACKER, origin: Origin | None = None
) -> Artifact:
    """Measure a trained model on the test part of the split that it was trained on."""
    from movierec_engine.evaluation.evaluator import Evaluator
    from movierec_engine.evaluation.fingerprint import protocol
    from movierec_engine.evaluation.report import EvaluationReport, intervals, save_users

    splits = store.resolve(trained_model.parents["splits"]).verify()
    parts = load_split(splits)
    model = load_model(trained_model.verify().folder)
    evaluator = Evaluator(**trained_model.config["evaluation"])
    heldout = parts.test_heldout()
    started = time.perf_counter()
    evaluation = evaluator.evaluate(model, heldout)
    report = EvaluationReport(
        model=model.name,
        device=trained_model.slot.path[1],
        model_version=trained_model.version,
        data=trained_model.config["data"]["name"],
        protocol=protocol(parts),
        mask=heldout.mask,
        fingerprint=trained_model.fingerprint,
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
            **{name: trained_model.config["data"][name] for name in ("train_ratio", "val_ratio", "split_seed")},
        },
        model_config=trained_model.config["model"],
    )
    tracker.log({f"test/{name}": value for name, value in evaluation.metrics.items()})

    def write(folder: Path) -> None:
        report.save(folder)
        save_users(evaluation, model.users, folder)

    return store.publish(
        Slot("evaluation_report", trained_model.slot.path),
        write,
        key=content_key(trained_model.reference, "report"),
        fingerprint=trained_model.fingerprint,
        config=trained_model.config,
        parents={"trained_model": trained_model, "splits": splits},
        origin={**trained_model.origin, **(origin or {})},
        facts={"metrics": evaluation.metrics, "validation_metrics": report.validation_metrics},
    )


def build_faiss_index(
    store: ArtifactStore,
    trained_model: Artifact,
    raw_movies: Artifact,
    config: RetrievalConfig,
    origin: Origin | None = None,
) -> Artifact:
    """Build the index that serves a trained model: seen items are those of train and validation, as in evaluation."""
    from movierec_engine.retrieval.build import build_index

    splits = store.resolve(trained_model.parents["splits"]).verify()
    model = load_model(trained_model.verify().folder)
    movies = complete_movies(Movies.load(raw_movies.verify().folder), model.items.ids).of(model.items)
    index = build_index(model, load_split(splits).known(), movies, config, trained_model.slot.path[1])
    return store.publish(
        Slot("faiss_index", trained_model.slot.path),
        index.save,
        key=content_key(trained_model.reference, raw_movies.key, asdict(config)),
        fingerprint=trained_model.fingerprint,
        config={"retrieval": asdict(config)},
        parents={"trained_model": trained_model, "splits": splits, "raw_movies": raw_movies},
        origin={**trained_model.origin, **(origin or {})},
        facts=asdict(index.facts),
    )


# ------------------------------------------------------------------------------------------------------------- release


def rank_models(store: ArtifactStore, metric: str, origin: Origin | None = None) -> Artifact:
    """Rank the newest report of every model and device by a validation metric, among equal fingerprints alone.

    The group of the newest report is ranked; the others are counted. Test metrics stand beside it: choosing by them
    would make them a second validation.

    Raises StoreError when there is no report, or none that measured the metric on validation.
    """
    reports = [store.require(slot) for slot in store.slots("evaluation_report")]
    if not reports:
        raise StoreError(f"no evaluation report in {store.root} yet; train a model first")
    newest = max(reports, key=lambda report: report.version)
    comparable = [report for report in reports if report.fingerprint == newest.fingerprint]
    measured = [report for report in comparable if metric in report.facts["validation_metrics"]]
    if not measured:
        raise StoreError(
            f"no report with fingerprint {newest.fingerprint} has {metric} on validation, by which models are ranked; "
            "choose a metric of evaluation.metrics and evaluation.k_values, and data with a validation part"
        )
    measured.sort(key=lambda report: -report.facts["validation_metrics"][metric])
    rows = [
        {
            "rank": rank,
            "model": report.slot.path[0],
            "device": report.slot.path[1],
            "report": report.reference,
            "trained_model": report.parents["trained_model"],
            f"validation {metric}": report.facts["validation_metrics"][metric],
            f"test {metric}": report.facts["metrics"][metric],
        }
        for rank, report in enumerate(measured, start=1)
    ]
    return store.publish(
        Slot("leaderboard"),
        lambda folder: pq.write_table(pa.Table.from_pylist(rows), folder / "leaderboard.parquet"),
        key=content_key([report.reference for report in measured], metric),
        fingerprint=newest.fingerprint,
        origin=origin,
        facts={"metric": metric, "rows": rows, "other_fingerprints": len(reports) - len(comparable)},
    )


def release(store: ArtifactStore, leaderboard: Artifact) -> Artifact:
    """Promote the index of the leaderboard's best model, from now on served by default; returns that index.

    Raises StoreError when that model version has no index.
    """
    best = leaderboard.facts["rows"][0]
    index = _index_of(store, best["trained_model"])
    store.point(SERVING, index, {"leaderboard": leaderboard.reference, **best})
    return index


def _index_of(store: ArtifactStore, trained_model: str) -> Artifact:
    slot = Slot("faiss_index", tuple(trained_model.split("/")[1:-1]))
    for index in reversed(store.versions(slot)):
        if index.parents["trained_model"] == trained_model:
            return index.verify()
    raise StoreError(f"{trained_model} has no index to serve; materialize {slot} first")


# ----------------------------------------------------------------------------------------------------------- the whole


def prepare(store: ArtifactStore, config: DataConfig, origin: Origin | None = None) -> dict[str, Artifact]:
    """All data steps, from the raw files to the graph; the artifacts by kind."""
    raw_ratings = ingest_ratings(store, config, origin)
    raw_movies = ingest_movies(store, config, origin)
    interactions = filter_interactions(store, raw_ratings, config, origin)
    splits = split_interactions(store, interactions, config, origin)
    graph = build_interaction_graph(store, splits, config, origin)
    artifacts = (raw_ratings, raw_movies, interactions, splits, graph)
    return {artifact.slot.kind: artifact for artifact in artifacts}


def run(
    store: ArtifactStore, settings: Settings, tracker: Tracker = NO_TRACKER, origin: Origin | None = None
) -> dict[str, Artifact]:
    """Prepare the data, train, evaluate and index one model; the artifacts by kind."""
    made = prepare(store, settings.data, origin)
    made["trained_model"] = train_model(store, settings, made["splits"], made["interaction_graph"], tracker, origin)
    made["evaluation_report"] = evaluate_model(store, made["trained_model"], tracker, origin)
    made["faiss_index"] = build_faiss_index(
        store, made["trained_model"], made["raw_movies"], settings.retrieval, origin
    )
    return made


def is_current(store: ArtifactStore, settings: Settings, splits: Artifact) -> bool:
    """Whether the store holds a trained model of just these settings on this split, with its report and its index."""
    try:
        model, report, index = (
            store.require(model_slot(kind, settings.model_name, settings.device))
            for kind in ("trained_model", "evaluation_report", "faiss_index")
        )
    except StoreError:
        return False
    parents = {artifact.parents.get("trained_model") for artifact in (report, index)}
    key = trained_model_key(settings, splits, pretrained_models(store, settings))
    return model.key == key and parents == {model.reference}


def peak_memory_mb() -> float:
    """Largest resident memory that this process has had, in MB of 2^20 bytes."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20


_Made = tuple[Callable[[Path], None], dict[str, Any], str]
"""What writes an artifact's files, its facts, and its fingerprint ("" before the split)."""


def _data_step(
    store: ArtifactStore,
    kind: str,
    config: DataConfig,
    key: str,
    make: Callable[[], _Made],
    parents: Mapping[str, Artifact],
    origin: Origin | None,
) -> Artifact:
    """The version with this key if the store has an undamaged one, else a new one; the slot's newest from now on."""
    slot = data_slot(kind, config)
    with suppress(StoreError):  # a damaged version is made again
        if existing := store.find(slot, key):
            return store.set_latest(existing.verify())
    write, facts, fingerprint = make()
    return store.publish(
        slot,
        write,
        key=key,
        fingerprint=fingerprint,
        config=asdict(config),
        parents=parents,
        origin=origin,
        facts=facts,
    )


def _digest(table: pa.Table) -> str:
    """SHA-256 of a table's content, independent of how it is chunked."""
    digest = hashlib.sha256(str(table.schema).encode())
    for batch in table.combine_chunks().to_batches(max_chunksize=2**20):
        digest.update(batch.serialize())
    return digest.hexdigest()


def _fit_by_gradient(
    model: Any,
    train: Interactions,
    graph: InteractionGraph,
    validation: HeldOut,
    evaluator: Any,
    settings: Settings,
    tracker: Tracker,
    members: Mapping[str, Artifact],
    run: str,
) -> list[dict[str, float]]:
    """Run the training loop with progress and tracking; the history as rows of numbers."""
    from movierec_engine.training.checkpoint import Checkpoints
    from movierec_engine.training.state import Epoch
    from movierec_engine.training.trainer import train as fit

    config = settings.trainer
    if members:
        model.start_from({name: load_model(member.verify().folder) for name, member in members.items()})
    checkpoints = Checkpoints(
        Path(settings.paths.checkpoints), settings.model_name, run, config.resume, config.checkpoint_seconds
    )

    def track(epoch: Epoch) -> None:
        metrics = {f"validation/{name}": value for name, value in epoch.metrics.items()}
        tracker.log({"train/loss": epoch.loss, "train/seconds": epoch.seconds, **metrics}, epoch.number)

    with EpochProgress(model.name, config.max_epochs, config.early_stopping.metric) as progress:
        epochs = fit(
            model,
            train,
            graph,
            validation,
            config,
            evaluator,
            device=settings.device,
            seed=settings.seed,
            callbacks=(lambda epoch: progress.show(epoch.number, epoch.loss, epoch.metrics), track),
            checkpoints=checkpoints,
        )
    return [{"epoch": e.number, "loss": e.loss, "seconds": e.seconds, **e.metrics} for e in epochs]
