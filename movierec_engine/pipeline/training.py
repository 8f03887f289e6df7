"""From the split and the graph to a trained model."""

import logging
import resource
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from movierec_engine.config import Settings, load_settings, nearest
from movierec_engine.data.dataset import Dataset
from movierec_engine.data.graph import InteractionGraph, build_graph
from movierec_engine.data.interactions import Interactions
from movierec_engine.data.split import Split, subsample
from movierec_engine.errors import StoreError
from movierec_engine.models.ensemble.hybrid import HybridEnsemble
from movierec_engine.models.registry import load_model, model_class, model_names, single_models
from movierec_engine.pipeline.data import Origin, load_split
from movierec_engine.pipeline.member_costs import MEMBERS, member_costs
from movierec_engine.pipeline.members import TRIAL_OF, find_members, model_slot, shared_settings
from movierec_engine.pipeline.popularity_floor import FACT, below_popularity, popularity_floor
from movierec_engine.pipeline.preflight import FIT, DataCounts, require_memory
from movierec_engine.reporting.progress import step
from movierec_engine.store import Artifact, ArtifactStore, Slot, content_key, kinds
from movierec_engine.tracking.progress import EpochProgress
from movierec_engine.tracking.tracker import NO_TRACKER, Tracker

if TYPE_CHECKING:
    from movierec_engine.models.base import Recommender

log = logging.getLogger(__name__)

WHERE = ("workers", "worker_threads", "ray_address")
"""Settings of the trainer by which the same model is trained elsewhere, so that any of them resumes any other's run."""
HISTORY_FILE = "history.parquet"
"""The learning curve of a model that is trained by epochs: epoch, loss, seconds and the validation metrics."""


def find_trained_model(
    store: ArtifactStore, data_set: str, model: str, device: str = "", version: str = ""
) -> Artifact:
    """A data set's trained model by name; device: a kind, or "" for any; version: the beginning of one, or the newest.

    Raises StoreError when there is none, or when several versions begin so.
    """
    slots = list(store.slots(kinds.TRAINED_MODEL, data_set, model, device))
    if not slots:
        where = f" on {device}" if device else ""
        hint = f"; `movierec train {model}` does" if model in model_names() else nearest(model, model_names())
        raise StoreError(f"no {model}{where} is trained on {data_set} in {store.location} yet{hint}")
    if not version:
        return max((store.require(slot) for slot in slots), key=lambda one: one.version)
    found = [one for slot in slots for one in store.versions(slot) if one.version.startswith(version)]
    if len(found) != 1:
        raise StoreError(
            f"{len(found) or 'no'} versions of {model} begin with {version!r}; `movierec models list` shows them all"
        )
    return found[0]


def movies_of(store: ArtifactStore, trained_model: Artifact) -> Artifact:
    """The newest titles of the data set that a model was trained on."""
    return store.require(Slot(kinds.RAW_MOVIES, trained_model.slot.data_set))


@step("training")
def train_model(
    store: ArtifactStore,
    settings: Settings,
    splits: Artifact,
    interaction_graph: Artifact,
    tracker: Tracker = NO_TRACKER,
    origin: Origin | None = None,
    retried: bool = False,
) -> Artifact:
    """Train a model on the train part, and measure it on validation, by which models are chosen.

    retried: an attempt before this one was cut off; where it left a checkpoint, training goes on from there.

    Raises ConfigError and TooLargeError, before anything else, for a model that is to be trained by several workers and
    cannot, or needs more memory than there is.
    """
    from movierec_engine.evaluation.evaluator import Evaluator
    from movierec_engine.evaluation.report import VALIDATION_USERS_FILE, save_users

    if interaction_graph.parents[kinds.SPLITS] != splits.reference:
        raise StoreError(f"{interaction_graph.reference} is the graph of another split; materialize it again")
    model = model_class(settings.model_name)(settings.model)
    model.require_workers(settings.trainer.workers)
    named = find_members(store, settings, splits)
    require_memory(FIT, settings, DataCounts.of(splits, settings.data.train_size))
    parts = load_split(splits.verify())
    train = train_used(parts, settings)
    evaluator = Evaluator(settings.evaluation.k_values, settings.evaluation.while_training())
    validation = parts.validation_heldout()
    members = members_of(store, settings, named, splits, interaction_graph, origin)
    key = trained_model_key(settings, splits, members)

    started = time.perf_counter()
    history = fit(
        model,
        settings,
        Dataset(train, validation, partial(graph_used, settings, interaction_graph, train)),
        members={name: load_model(member.verify().folder) for name, member in members.items()},
        tracker=tracker,
        checkpoint_key=trained_model_key(_without_length(settings), splits, members),
        retried=retried,
    )
    # of a resumed training the epochs before the interruption count too
    seconds = max(time.perf_counter() - started, sum(epoch["seconds"] for epoch in history))
    members = {name: member for name, member in members.items() if name not in model.left_out}
    evaluation = evaluator.evaluate(model.as_validated(), validation, deep=False) if len(validation) else None
    validation_metrics = evaluation.metrics if evaluation else {}
    tracker.log({f"best/validation/{name}": value for name, value in validation_metrics.items()})
    floor = _floor(store, settings, splits, Dataset(parts.train, validation), validation_metrics)

    def write(folder: Path) -> None:
        model.save(folder)
        if evaluation:
            save_users(evaluation, folder / VALIDATION_USERS_FILE)
        if history:
            pq.write_table(pa.Table.from_pylist(history), folder / HISTORY_FILE)

    made = store.publish(
        model_slot(kinds.TRAINED_MODEL, settings),
        write,
        key=key,
        fingerprint=splits.fingerprint,
        config=settings.resolved(),
        parents={kinds.SPLITS: splits, kinds.INTERACTION_GRAPH: interaction_graph, **members},
        newest=TRIAL_OF not in (origin or {}),
        origin={**(origin or {}), **tracker.ids()},
        facts=_facts(model, members, seconds, len(history), validation_metrics, floor),
    )
    if told := below_popularity(made):
        log.warning("%s", told)
    return made


def _floor(
    store: ArtifactStore, settings: Settings, splits: Artifact, data: Dataset, measured: Mapping[str, float]
) -> dict[str, float]:
    """The validation metric of early stopping that popularity has, by its name; empty where it is not measured.

    data: all of train. measured: the validation metrics of the model at hand.
    """
    metric = settings.trainer.early_stopping.metric
    if metric not in measured:
        return {}
    if settings.model_name == "popularity" and settings.data.train_size == 1:  # the floor itself
        return {metric: measured[metric]}
    return popularity_floor(store, splits, data, metric)


def _facts(
    model: "Recommender",
    members: Mapping[str, Artifact],
    seconds: float,
    epochs: int,
    validation_metrics: Mapping[str, float],
    floor: Mapping[str, float],
) -> dict[str, Any]:
    """The facts of a trained model; seconds: of its own training, to which an ensemble adds those of its members."""
    if model.name not in single_models():
        seconds += sum(member.facts["seconds"] for member in members.values())
    costs = {MEMBERS: member_costs(model, members)} if isinstance(model, HybridEnsemble) else {}
    return {
        "seconds": seconds,
        "epochs": epochs,
        "validation_metrics": validation_metrics,
        FACT: floor,
        **costs,
        "peak_memory_mb": peak_memory_mb(),
    }


def fit(
    model: "Recommender",
    settings: Settings,
    data: Dataset,
    *,
    members: "Mapping[str, Recommender]",
    tracker: Tracker = NO_TRACKER,
    checkpoint_key: str = "",
    retried: bool = False,
    measured: Artifact | None = None,
    epochs: int | None = None,
) -> list[dict[str, float]]:
    """Fit a model with progress; returns its history, a row an epoch, empty where it is not trained in passes.

    members: the trained models that it starts from, or is made of. checkpoint_key: hash of everything that decides the
    weights after an epoch, for the checkpoints in `paths.checkpoints`; without one there are none. retried: whether to
    go on from the last of them if it is of this very training, and to start afresh if it is not. measured: the trained
    model whose refit this is. epochs: how many of `trainer.max_epochs` are trained at most.
    """
    from movierec_engine.evaluation.evaluator import Evaluator
    from movierec_engine.models.fitting import CheckpointPlace, Epoch, Fitting

    trainer = settings.trainer
    with EpochProgress(model.name, epochs or trainer.max_epochs, trainer.early_stopping.metric) as progress:

        def report(epoch: Epoch) -> None:
            progress.show(epoch.number, epoch.loss, epoch.metrics)
            metrics = {f"validation/{name}": value for name, value in epoch.metrics.items()}
            tracker.log({"train/loss": epoch.loss, "train/seconds": epoch.seconds, **metrics}, epoch.number)

        fitting = Fitting(
            trainer,
            settings.device,
            settings.seed,
            epochs,
            Evaluator(settings.evaluation.k_values, settings.evaluation.while_training()),
            report,
            CheckpointPlace(settings.paths.checkpoints, checkpoint_key, retried) if checkpoint_key else None,
        )
        model.start_from(members)
        if measured:
            model.fit_like(measured.verify().folder, data, fitting)
        else:
            model.fit(data, fitting)
    return [{"epoch": e.number, "loss": e.loss, "seconds": e.seconds, **e.metrics} for e in model.epochs]


def train_used(parts: Split, settings: Settings) -> Interactions:
    """The interactions that a model of these settings is trained on: train, or `data.train_size` of it."""
    return subsample(parts.train, settings.data.train_size, settings.data.split_seed)


def graph_used(settings: Settings, interaction_graph: Artifact, train: Interactions) -> InteractionGraph:
    """The graph that such a model propagates over: the stored one of all of train, or one of the share that is used."""
    if settings.data.train_size == 1:
        return InteractionGraph.load(interaction_graph.verify().folder)
    return build_graph(train)


def trained_model_key(settings: Settings, splits: Artifact, members: Mapping[str, Artifact] | None = None) -> str:
    """Short hash of everything that decides a trained model; members: the trained models that it starts from."""
    return content_key(
        splits.key,
        settings.model_name,
        asdict(settings.model),
        {
            name: value
            for name, value in asdict(replace(settings.trainer, resume=False, checkpoint_seconds=0.0)).items()
            if name not in WHERE
        },
        asdict(settings.evaluation),
        settings.data.train_size,
        settings.device,
        settings.seed,
        {name: member.reference for name, member in (members or {}).items()},
    )


def members_of(
    store: ArtifactStore,
    settings: Settings,
    named: Mapping[str, Artifact | None],
    splits: Artifact,
    interaction_graph: Artifact,
    origin: Origin | None = None,
) -> dict[str, Artifact]:
    """The trained models that a model starts from or is made of, by name; what the store lacks is trained first.

    named: as of `find_members`. Raises StoreError for a missing one where `model.missing=error`.
    """
    return {
        name: member or _train_member(store, settings, name, splits, interaction_graph, origin)
        for name, member in named.items()
    }


def _train_member(
    store: ArtifactStore,
    settings: Settings,
    name: str,
    splits: Artifact,
    interaction_graph: Artifact,
    origin: Origin | None,
) -> Artifact:
    """Train a missing member on the same split: with its own defaults, and what it must have in common with the model.

    Raises StoreError where `model.missing=error`.
    """
    if getattr(settings.model, "missing", "train") == "error":
        raise StoreError(
            f"no {name} on {settings.device} is trained on this split; train it, or set model.missing=train"
        )
    log.info("%s: training %s, which the store lacks", settings.model_name, name)
    kept = [one for one in settings.overrides if not one.lstrip("+~").startswith(("model=", "model.", "device="))]
    shared = [f"model.{setting}={value}" for setting, value in shared_settings(settings, name).items()]
    own = load_settings([*kept, f"model={name}", *shared, f"device={settings.device}"])
    origin = {key: value for key, value in (origin or {}).items() if key != TRIAL_OF}
    own = replace(own, paths=settings.paths, trainer=own.trainer.for_model(model_class(name).several_workers))
    return train_model(store, own, splits, interaction_graph, origin=origin)


def _without_length(settings: Settings) -> Settings:
    """The same settings for any number of epochs, unless the learning rate's way depends on it."""
    if settings.trainer.scheduler.name != "none":
        return settings
    return replace(settings, trainer=replace(settings.trainer, max_epochs=1))


def peak_memory_mb() -> float:
    """Largest resident memory that this process has had, in MB of 2^20 bytes."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20
