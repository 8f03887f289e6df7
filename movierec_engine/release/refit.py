"""Refit before serving: a measured model's settings trained on all interactions, and the index that answers from it.

Nothing is chosen here: every setting is the measured version's, the number of epochs is the one whose weights it kept,
an ensemble keeps its weights and takes its members refitted. No validation is looked at. The metrics remain those of
the measured version, which vouches for what answers.
"""

import logging
import time
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Self

import pyarrow as pa
import pyarrow.parquet as pq

from movierec_engine.config import Settings
from movierec_engine.data.dataset import Dataset
from movierec_engine.data.id_map import IdMap, PublicId, as_ids
from movierec_engine.data.interactions import Interactions, load_id_maps
from movierec_engine.data.split import subsample
from movierec_engine.errors import ConfigError, DeviceError, MovierecError, StoreError
from movierec_engine.feedback import FeedbackLogs
from movierec_engine.models.registry import load_model, model_class, model_names, single_models
from movierec_engine.pipeline.canaries import settings_of
from movierec_engine.pipeline.data import Origin, load_split, raw_ratings_of
from movierec_engine.pipeline.data_fall import distinct_ids
from movierec_engine.pipeline.feedback import FeedbackFacts
from movierec_engine.pipeline.index import build_refitted_index
from movierec_engine.pipeline.preflight import FIT, DataCounts, require_memory
from movierec_engine.pipeline.training import HISTORY_FILE, fit, peak_memory_mb
from movierec_engine.reporting.progress import step
from movierec_engine.store import Artifact, ArtifactStore, content_key, is_refitted, kinds, measured_index
from movierec_engine.training.config import EarlyStoppingConfig

if TYPE_CHECKING:
    from movierec_engine.models.base import Recommender

log = logging.getLogger(__name__)


def refit_index(store: ArtifactStore, index: Artifact, origin: Origin | None = None) -> Artifact:
    """The refitted index that stands for a measured one: the store's, or made now with its model.

    Raises MovierecError in one sentence when the model cannot be refitted here.
    """
    model = store.resolve(index.parents[kinds.TRAINED_MODEL])
    erased = _Erased.since(store, model)
    made = _find_index(store, index, erased)
    if made is not None:
        return made
    refitted = _refit(store, model, erased, origin)
    return build_refitted_index(store, index, refitted, origin, left_out=erased.people)


def find_refitted_index(store: ArtifactStore, index: Artifact) -> Artifact | None:
    """The newest undamaged refitted index that stands for a measured one, its model undamaged too, or None.

    One of somebody who was erased since is none. Raises FeedbackError where it cannot be told who was.
    """
    return _find_index(store, index, _Erased.since(store, store.resolve(index.parents[kinds.TRAINED_MODEL])))


def _find_index(store: ArtifactStore, index: Artifact, erased: "_Erased") -> Artifact | None:
    key = _key(index.parents[kinds.TRAINED_MODEL], erased)
    for version in reversed(store.versions(index.slot)):
        if is_refitted(version) and measured_index(version) == index.reference:
            with suppress(StoreError):
                if store.resolve(version.parents[kinds.REFITTED_MODEL]).verify().key == key:
                    return version.verify()
    return None


@dataclass(frozen=True)
class _Erased:
    """The people of the data who were erased since its ratings were read, those whom the filters left out of the split
    among them, and the number of the newest erasure, 0 without any.

    trained_on: those of them who are in the split.
    """

    people: tuple[PublicId, ...] = ()
    trained_on: tuple[PublicId, ...] = ()
    number: int = 0

    @classmethod
    def since(cls, store: ArtifactStore, trained_model: Artifact) -> Self:
        """Raises FeedbackError for a log that cannot be read."""
        splits = store.resolve(trained_model.parents[kinds.SPLITS])
        raw_ratings = raw_ratings_of(store, splits)
        with closing(FeedbackLogs.of_environment(store.root).of(splits.slot.data_set)) as feedback:
            number = feedback.newest_erasure()
            erased = feedback.erased_since(FeedbackFacts.of(raw_ratings).newest_erasure)
        if not erased:
            return cls()
        everybody, (of_split, _) = IdMap.of(distinct_ids(raw_ratings.folder, "user_id")), load_id_maps(splits.folder)
        people = tuple(one for one in erased if everybody.place(one) is not None)
        trained_on = tuple(one for one in people if of_split.place(one) is not None)
        return cls(people, trained_on, number) if people else cls()


def _key(trained_model: str, erased: _Erased) -> str:
    """Content key of a refitted model. trained_model: a reference."""
    return content_key("refit", trained_model, *([erased.number] if erased.people else []))


def refit_model(store: ArtifactStore, trained_model: Artifact, origin: Origin | None = None) -> Artifact:
    """A measured model's settings trained on all interactions of its split; the store's version is used again.

    Whoever was erased since the split is left out. The models that it is made of, or started from, are refitted first.
    The same seed gives the same weights. Raises MovierecError for settings or a device that this machine does not have,
    and when the training diverges, FeedbackError where it cannot be told who was erased.
    """
    return _refit(store, trained_model, _Erased.since(store, trained_model), origin)


@step("refitting on all interactions")
def _refit(store: ArtifactStore, trained_model: Artifact, erased: _Erased, origin: Origin | None) -> Artifact:
    slot, key = trained_model.slot.beside(kinds.REFITTED_MODEL), _key(trained_model.reference, erased)
    with suppress(StoreError):  # a damaged version is made again
        if made := store.find(slot, key):
            return made.verify()
    try:
        settings = settings_of(trained_model)
    except (ConfigError, DeviceError) as error:
        raise MovierecError(
            f"{trained_model.reference} cannot be refitted here: {error}; set release.refit=false to serve it as "
            "measured"
        ) from error
    splits = store.resolve(trained_model.parents[kinds.SPLITS]).verify()
    counts = DataCounts.of(splits)
    require_memory(FIT, settings, replace(counts, train=round(settings.data.train_size * counts.interactions)))
    members = {
        name: _refit(store, store.resolve(reference), erased, origin)
        for name, reference in trained_model.parents.items()
        if name in model_names()
    }
    data = settings.data
    everything = load_split(splits).everything()
    if erased.trained_on:
        everything = everything.without_users(as_ids(erased.trained_on))
    everything = subsample(everything, data.train_size, data.split_seed)
    log.info("%s: refitting on all %s interactions", settings.model_name, f"{len(everything):,}")
    started = time.perf_counter()
    model, history = refitted(
        trained_model,
        settings,
        everything,
        {name: load_model(member.verify().folder) for name, member in members.items()},
    )
    seconds = time.perf_counter() - started
    if settings.model_name not in single_models():  # an ensemble costs what its members cost
        seconds += sum(member.facts["seconds"] for member in members.values())

    def write(folder: Path) -> None:
        model.save(folder)
        if history:
            pq.write_table(pa.Table.from_pylist(history), folder / HISTORY_FILE)

    return store.publish(
        slot,
        write,
        key=key,
        fingerprint=trained_model.fingerprint,
        config=trained_model.config,
        parents={kinds.TRAINED_MODEL: trained_model, kinds.SPLITS: splits, **members},
        origin=origin,
        facts={
            "seconds": seconds,
            "epochs": len(history),
            "interactions": len(everything),
            "left_out_users": len(erased.people),
            "peak_memory_mb": peak_memory_mb(),
        },
    )


def refitted(
    trained_model: Artifact, settings: Settings, everything: Interactions, members: "dict[str, Recommender]"
) -> "tuple[Recommender, list[dict[str, float]]]":
    """A model trained on interactions as the measured one was, for as many epochs as it kept; and its history."""
    model = model_class(settings.model_name)(settings.model)
    epochs = None  # of a model that is not trained in passes
    if HISTORY_FILE in trained_model.files:
        rows = pq.read_table(trained_model.verify(HISTORY_FILE).folder / HISTORY_FILE).to_pylist()
        epochs = epochs_kept(rows, settings.trainer.early_stopping)
    return model, fit(model, settings, Dataset(everything), members=members, measured=trained_model, epochs=epochs)


def epochs_kept(history: Sequence[Mapping[str, float]], stopping: EarlyStoppingConfig) -> int:
    """The epoch whose weights a measured model kept: the best on validation by `trainer.early_stopping`, else the last.

    history: a row an epoch, with the validation metrics.
    """
    if not stopping.enabled or stopping.metric not in history[0]:
        return len(history)
    kept, best = 0, None
    for number, row in enumerate(history, start=1):
        if stopping.improves(row[stopping.metric], best):
            kept, best = number, row[stopping.metric]
    return kept
