"""Observation of the input files: which content they have, by a hash that is computed only when they look changed."""

import dagster as dg
from dagster._core.definitions.data_version import DATA_VERSION_TAG

from movierec_engine.data import input_files
from movierec_engine.data.config import DataConfig

INPUT_FILES = dg.AssetKey("input_files")
SIGNATURE = "signature"
"""Metadata of an observation: the files' times and sizes, by which the next one tells whether to read them again."""


def observed(instance: dg.DagsterInstance, config: DataConfig) -> dg.ObserveResult:
    """The files as they are now; their data version is the SHA-256 of their content. Raises DataError without them."""
    signature = input_files.signature(config)
    content = _known_content(instance, signature) or input_files.content(config)
    return dg.ObserveResult(
        asset_key=INPUT_FILES,
        data_version=dg.DataVersion(content),
        metadata={"data set": config.name, SIGNATURE: signature},
    )


def observation(instance: dg.DagsterInstance, config: DataConfig) -> dg.AssetObservation:
    """The same as an event, of a step or a sensor that looks at the files itself."""
    found = observed(instance, config)
    assert found.data_version is not None
    tags = {DATA_VERSION_TAG: found.data_version.value}
    return dg.AssetObservation(INPUT_FILES, metadata=found.metadata, tags=tags)


def note_read(context: dg.AssetExecutionContext, config: DataConfig) -> None:
    """Let what this step makes be of the files as they are now, right before it reads them.

    Without it, it would be of those of the last observation, or of none, and stale from the next one on.
    """
    context.log_event(observation(context.instance, config))
    context.op_execution_context.get_step_execution_context().wipe_input_asset_version_info(INPUT_FILES)


def _known_content(instance: dg.DagsterInstance, signature: str) -> str:
    """The content of the files by the last observation, or `` where that saw others."""
    for record in instance.fetch_observations(INPUT_FILES, limit=1).records:
        event = record.asset_observation
        if event and event.tags and (seen := event.metadata.get(SIGNATURE)) and seen.value == signature:
            return event.tags.get(DATA_VERSION_TAG, "")
    return ""
