"""The settings of a run as a resource, shared by all assets."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from tempfile import TemporaryFile
from typing import Any

import dagster as dg
from pydantic import Field, PrivateAttr

from movierec_assets.lost_runs import note_process
from movierec_assets.partitions import ENSEMBLE, MODEL_BY_DEVICE
from movierec_assets.step import EngineFailure, Partition, Step
from movierec_assets.termination import while_wanted
from movierec_engine.config import Settings, load_settings
from movierec_engine.device import device_kind
from movierec_engine.errors import ConfigError, MovierecError
from movierec_engine.store import ArtifactStore

RETRIES, RETRY_SECONDS = 2, 5.0
"""How often a step that costs much is tried again, and the pause before the first time, which doubles.

For what is nobody's mistake, such as a full disk or a lost network folder. Not by a RetryPolicy of Dagster's, which in
an in-process executor tries a step again that a person has terminated (its issue 15026).
"""
NAMED = {
    "data_name": "data.name",
    "data_dir": "data.dir",
    "split": "data.split",
    "max_epochs": "trainer.max_epochs",
    "learning_rate": "trainer.learning_rate",
    "seed": "seed",
}
"""Fields of `SettingsResource` that stand for a setting of configs/."""


class SettingsResource(dg.ConfigurableResource[Any]):
    """The settings of a run, in each of its partitions: those of configs/ with the run's own on top."""

    data_name: str | None = Field(
        default=None, description="Name of the data set (data.name); artifacts of each stand in a folder of their own."
    )
    data_dir: str | None = Field(
        default=None, description="A MovieLens folder of any layout (data.dir), such as data/ml-1m; give data_name too."
    )
    split: str | None = Field(
        default=None,
        description="random, global_time, leave_one_out, user_time, users, next_item or next_item_after (data.split); "
        "changes the fingerprint.",
    )
    max_epochs: int | None = Field(
        default=None, description="At most so many epochs (trainer.max_epochs), for models that are trained by epochs."
    )
    learning_rate: float | None = Field(
        default=None,
        description="Size of the optimizer's steps (trainer.learning_rate), such as 0.01; else it is the model's own.",
    )
    seed: int | None = Field(
        default=None, description="Of initialisation, batches and negatives (seed); the split has data.split_seed."
    )
    overrides: list[str] = Field(
        default=[],
        description=(
            "Settings on top of configs/, in Hydra's syntax: `data.split=global_time`, `trainer.max_epochs=5`, "
            "`model.embedding_dim=32`. They hold for every asset of the run. Model and device are the partition's. "
            "`movierec train --cfg job` shows every setting."
        ),
    )
    _composed: dict[tuple[str, ...], Settings] = PrivateAttr(default_factory=dict)

    @contextmanager
    def step(self, context: dg.AssetExecutionContext, retries: int = 0) -> Iterator[Step]:
        """A step of the run, once the settings of all its partitions are known to be right and their devices there.

        An error of the engine's ends it as a failure with that error's sentence; any other is tried again so often.
        """
        step, partition = None, ""
        note_process(context.instance, context.run)
        try:
            settings = self.shared()
            partitions = []
            for partition in _partition_keys(context):
                partitions.append(Partition(partition, self.of(**_dimensions(partition))))
            step = Step(context, _writable_store(settings.paths.artifacts), settings, partitions)
            with while_wanted(context.instance, context.run.run_id, step.store.root):
                yield step
        except BaseException as error:
            if step:
                step.keep_finished()
            if isinstance(error, MovierecError):
                raise EngineFailure(error, step.unfinished() if step else partition) from None
            if retries and isinstance(error, Exception) and not isinstance(error, dg.DagsterError):
                wait = RETRY_SECONDS * 2**context.retry_number
                raise dg.RetryRequested(max_retries=retries, seconds_to_wait=wait) from error
            raise

    def of(self, device: str, model: str) -> Settings:
        """The settings of one partition; checkpoints are kept apart by device, as both may train the same model."""
        settings = self._compose([*self.asked(), f"model={model}", f"device={device}"])
        checkpoints = f"{settings.paths.checkpoints.rstrip('/')}/{device_kind(device)}"
        return replace(settings, paths=replace(settings.paths, checkpoints=checkpoints))

    def asked(self) -> list[str]:
        """All that was asked for, in Hydra's syntax. Raises ConfigError for a setting that is asked for twice."""
        given = {override.partition("=")[0].strip().lstrip("+"): override for override in self.overrides}
        for name in ("model", "device"):
            if name in given:
                raise ConfigError(
                    f"override {given[name]!r}: the {name} is the partition's; materialize that partition"
                )
        named = []
        for field, setting in NAMED.items():
            if (value := getattr(self, field)) is None:
                continue
            if setting in given:
                raise ConfigError(
                    f"{field}={value} and override {given[setting]!r} are the same setting; leave one out"
                )
            named.append(f"{setting}={_quoted(value)}")
        return [*named, *self.overrides]

    def shared(self) -> Settings:
        """The settings that are no model's own. Popularity stands for any model: it has none, and needs no torch."""
        overrides = [override for override in self.asked() if not override.lstrip("+~").startswith("model.")]
        return self._compose([*overrides, "model=popularity", "device=cpu"])

    def _compose(self, overrides: list[str]) -> Settings:
        key = tuple(overrides)
        if key not in self._composed:
            self._composed[key] = load_settings(overrides)
        return self._composed[key]


def _writable_store(artifacts: str) -> ArtifactStore:
    """The artifact store, once its folder is known to take files. Raises ConfigError naming one that does not."""
    store = ArtifactStore(artifacts)
    try:
        store.root.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=store.root):
            pass
    except OSError as error:
        from movierec_engine.store.object_storage import LOCAL_VARIABLE

        of_store = store.location == str(store.root)
        where = f"paths.artifacts={artifacts}" if of_store else f"{LOCAL_VARIABLE}={store.root}"
        also = ", or MOVIEREC_ARTIFACTS," if of_store else ""
        raise ConfigError(
            f"{where}: nothing can be written there ({error.strerror}); set it{also} to a folder of yours"
        ) from error
    return store


def _quoted(value: str | float) -> str:
    """A value in Hydra's syntax, whatever characters it has.

    OmegaConf halves backslashes before `${`, and Hydra those before a quotation mark.
    """
    if not isinstance(value, str):
        return str(value)
    escaped = re.sub(r"(\\*)\$\{", lambda found: 2 * found[1] + r"\${", value)
    escaped = re.sub(r"(\\*)('|\Z)", lambda found: 2 * found[1] + (r"\'" if found[2] else ""), escaped)
    return f"'{escaped}'"


def _dimensions(partition: str) -> Mapping[str, str]:
    """Device and model of a partition, whose key is plain text where a run was launched with its name alone."""
    if "|" in partition:
        return MODEL_BY_DEVICE.get_partition_key_from_str(partition).keys_by_dimension
    return {"device": partition, "model": ENSEMBLE}


def _partition_keys(context: dg.AssetExecutionContext) -> Sequence[str]:
    """The partitions that the run is for, also where the asset itself has none."""
    if not (context.has_partition_key or context.has_partition_key_range):
        if context.assets_def.partitions_def is None:
            return []
        raise ConfigError(f"{context.asset_key.to_user_string()} needs a partition such as cpu|lightgcn; choose one")
    keys = context.partition_keys
    if not keys:
        ends = context.partition_key_range
        raise ConfigError(f"no partition from {ends.start} to {ends.end}; give the ends of the range in their order")
    return list(keys)


def partition_slots(
    context: dg.AssetCheckExecutionContext, asset: dg.AssetsDefinition, known: Sequence[tuple[str, ...]]
) -> dict[str, tuple[str, str]]:
    """Key -> model and device of every partition of an asset that a check's run is for.

    known: the models and devices of all that there is; a run of the checks alone, without a partition, looks at those.
    """
    partitions = asset.partitions_def
    assert partitions is not None
    if context.has_partition_key:
        keys: Sequence[str] = [context.partition_key]
    elif context.has_partition_key_range:
        keys = partitions.get_partition_keys_in_range(context.partition_key_range)
    else:
        keys = [key for key in partitions.get_partition_keys() if _slot_path(key) in known]
    return {key: _slot_path(key) for key in keys}


def _slot_path(partition: str) -> tuple[str, str]:
    dimensions = _dimensions(partition)
    return dimensions["model"], dimensions["device"]
