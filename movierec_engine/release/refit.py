"""Refit before serving: a measured model's settings trained on all interactions, and the index that answers from it.

Nothing is chosen here: every setting is the measured version's, the number of epochs is the one whose weights it kept,
an ensemble keeps its weights and takes its members refitted. No validation is looked at. The metrics remain those of
the measured version, which vouches for what answers.
"""

import logging
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from movierec_engine.config import Settings
from movierec_engine.data.dataset import Dataset
from movierec_engine.data.interactions import Interactions
from movierec_engine.data.split import subsample
from movierec_engine.errors import ConfigError, DeviceError, MovierecError, StoreError
from movierec_engine.models.registry import load_model, model_class, model_names, single_models
from movierec_engine.pipeline.canaries import settings_of
from movierec_engine.pipeline.data import Origin, load_split
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
    made = find_refitted_index(store, index)
    if made is not None:
        return made
    refitted = refit_model(store, store.resolve(index.parents[kinds.TRAINED_MODEL]), origin)
    return build_refitted_index(store, index, refitted, origin)


def find_refitted_index(store: ArtifactStore, index: Artifact) -> Artifact | None:
    """The newest undamaged refitted index that stands for a measured one, its model undamaged too, or None."""
    for version in reversed(store.versions(index.slot)):
        if is_refitted(version) and measured_index(version) == index.reference:
            with suppress(StoreError):
                store.resolve(version.parents[kinds.REFITTED_MODEL]).verify()
                return version.verify()
    return None


@step("refitting on all interactions")
def refit_model(store: ArtifactStore, trained_model: Artifact, origin: Origin | None = None) -> Artifact:
    """A measured model's settings trained on all interactions of its split; the store's version is used again.

    The models that it is made of, or started from, are refitted first. The same seed gives the same weights. Raises
    MovierecError for settings or a device that this machine does not have, and when the training diverges.
    """
    slot, key = trained_model.slot.beside(kinds.REFITTED_MODEL), content_key("refit", trained_model.reference)
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
        name: refit_model(store, store.resolve(reference), origin)
        for name, reference in trained_model.parents.items()
        if name in model_names()
    }
    data = settings.data
    everything = subsample(load_split(splits).everything(), data.train_size, data.split_seed)
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
