"""A step: the store, the typed settings and the partitions that an asset's body works with."""

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import dagster as dg

from movierec_assets.batch import ratings_of
from movierec_assets.metadata import Metadata, columns_of, described
from movierec_assets.partitions import ENSEMBLE
from movierec_engine import pipeline
from movierec_engine.config import Settings
from movierec_engine.errors import ConfigError, MovierecError
from movierec_engine.reporting import numbers
from movierec_engine.store import Artifact, ArtifactStore, Slot, content_key, kinds

log = logging.getLogger(__name__)


_FOLLOW_FROM_INPUTS = (*kinds.DATA, kinds.LEADERBOARD)
"""Kinds whose content follows from their inputs and settings alone."""


def _decided_by(kind: str, strategy: str) -> tuple[str, ...]:
    """The data settings that decide the content of a data step, by the strategy of its split."""
    if kind == kinds.INTERACTIONS:
        return pipeline.FILTER_SETTINGS
    if kind in (kinds.SPLITS, kinds.INTERACTION_GRAPH):
        return (*pipeline.FILTER_SETTINGS, *pipeline.split_settings(strategy))
    return ()


def data_version(artifact: Artifact) -> str:
    """The data version, by which Dagster tells whether something downstream is stale.

    Where the content follows from the inputs alone it is the content key, a hash of the inputs' keys and of the
    settings: made again from equal data, or after damage, the version's name is another but nothing downstream has to
    be made again. It changes whenever the fingerprint does, and exists before the split, too. A model is another one
    each time it is trained, and its report and its index are of that one, so there it is the version.
    """
    return artifact.key if artifact.slot.kind in _FOLLOW_FROM_INPUTS else artifact.version


class EngineFailure(dg.Failure):
    """An error of the engine's as Dagster shows it: its sentence, without the engine's stack trace, never retried."""

    def __init__(self, error: MovierecError, partition: str) -> None:
        super().__init__(str(error), metadata={"partition": partition} if partition else {}, allow_retries=False)
        self.error = error


@contextmanager
def engine_failures() -> Iterator[None]:
    """An error of the engine's ends what is at work as a failure with its sentence."""
    try:
        yield
    except MovierecError as error:
        raise EngineFailure(error, "") from None


@dataclass(frozen=True)
class Partition:
    """One model on one device, and the settings to train it with."""

    key: str
    settings: Settings


class Step:
    """One asset in one run; `done` is told of each artifact that it has made."""

    def __init__(
        self,
        context: dg.AssetExecutionContext,
        store: ArtifactStore,
        settings: Settings,
        partitions: Sequence[Partition],
    ) -> None:
        self.context = context
        self.store = store
        self.settings = settings
        """Settings that are the same in all partitions: data, trainer, evaluation, retrieval, logger and paths."""
        self.partitions = partitions
        self.origin = {"dagster_run_id": context.run.run_id}
        self._made: dict[str, tuple[Artifact, Metadata]] = {}
        self._since = time.perf_counter()

    @property
    def metric(self) -> str:
        """The metric that models are chosen by, such as `ndcg@10`."""
        return self.settings.trainer.early_stopping.metric

    def parent(self, kind: str) -> Artifact:
        """The version of a data step that follows from the raw ratings of this run, or of its batch; else the newest.

        Raises StoreError when there is none, and ConfigError when the newest was made with others.
        """
        if kind != kinds.RAW_MOVIES and (ratings := ratings_of(self.context.instance, self.context.run, self.store)):
            return pipeline.data_step_of(self.store, ratings, self.settings.data, kind, self.origin)
        artifact = self.store.require(pipeline.data_slot(kind, self.settings.data))
        for name in _decided_by(kind, self.settings.data.split):
            wanted = getattr(self.settings.data, name)
            if artifact.config[name] != wanted:
                raise ConfigError(
                    f"{artifact.slot} was made with data.{name}={artifact.config[name]}, and this run has {wanted}; "
                    f"materialize {kind} in this run too, or give the override that it was made with"
                )
        return artifact

    def trained_model(self, partition: Partition) -> Artifact:
        """The newest trained model of a partition."""
        settings = partition.settings
        return self.store.require(pipeline.model_slot(kinds.TRAINED_MODEL, settings))

    def movies_of(self, trained_model: Artifact) -> Artifact:
        """The newest titles of the data set that a model was trained on."""
        return self.store.require(Slot(kinds.RAW_MOVIES, trained_model.slot.data_set))

    def done(self, artifact: Artifact, metadata: Metadata, partition: Partition | None = None) -> None:
        """An artifact is published: note what Dagster shows of it, and tell whoever waits."""
        seconds, self._since = time.perf_counter() - self._since, time.perf_counter()
        key = partition.key if partition else None
        name = self.context.asset_key.to_user_string()
        own = columns_of(artifact) if name in (artifact.slot.kind, ENSEMBLE) else {}
        metadata = {**metadata, **described(artifact), **own}
        self.context.add_asset_metadata(metadata, partition_key=key)
        self._made[key or ""] = artifact, metadata
        log.info("%s: %s", " ".join([name, key or ""]).strip(), numbers.duration(seconds))
        self.context.log.info(f"{artifact.reference} in {numbers.duration(seconds)}")

    @property
    def parent_run_id(self) -> str:
        """The run that this one repeats, or ``."""
        return self.context.run.parent_run_id or self.context.run.tags.get("dagster/parent_run_id", "")

    @property
    def retried(self) -> bool:
        """True for another attempt at a step, or at a run, that was cut off or failed."""
        if self.context.retry_number:
            return True
        before = self.context.instance.get_run_by_id(self.parent_run_id) if self.parent_run_id else None
        return before is not None and not before.is_success

    def result(self) -> dg.MaterializeResult[None]:
        """The materialization with its data version, or one for all the artifacts of several partitions.

        Dagster takes one data version a step. Whenever a partition's own changes, so does the one for all, so that
        what stands downstream is marked stale either way.
        """
        versions = [data_version(artifact) for artifact, _ in self._made.values()]
        return dg.MaterializeResult(
            data_version=dg.DataVersion(versions[0] if len(versions) == 1 else content_key(versions))
        )

    def unfinished(self) -> str:
        """The partition at work, or `` where the asset has no partitions."""
        if self.context.assets_def.partitions_def is None:
            return ""
        return next((partition.key for partition in self.partitions if partition.key not in self._made), "")

    def keep_finished(self) -> None:
        """Record the partitions that were done before another one failed: their artifacts are in the store."""
        for key, (artifact, metadata) in self._made.items():
            if key:
                by_dimension = key.keys_by_dimension if isinstance(key, dg.MultiPartitionKey) else {}
                dimensions = {f"dagster/partition/{name}": value for name, value in by_dimension.items()}
                self.context.log_event(
                    dg.AssetMaterialization(
                        self.context.asset_key,
                        partition=key,
                        metadata=metadata,
                        tags={"dagster/data_version": data_version(artifact), **dimensions},
                    )
                )
