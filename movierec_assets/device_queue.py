"""Routing: every run is told to the run launcher as one of a device, by tags that `dagster.yaml` has for the device.

Which machine a run goes to is the launcher's business, and a launcher goes by tags: a node with a GPU by
`dagster-k8s/config` or `dagster-ray/config`. Schedules could set them, but not a click in the UI; the queue sees all.
"""

import json
from typing import Any

import dagster as dg
from dagster._core.run_coordinator import QueuedRunCoordinator, SubmitRunContext
from dagster._core.storage.tags import (
    ASSET_PARTITION_RANGE_END_TAG,
    ASSET_PARTITION_RANGE_START_TAG,
    MULTIDIMENSIONAL_PARTITION_PREFIX,
    PARTITION_NAME_TAG,
)
from dagster._serdes import ConfigurableClassData

from movierec_assets.automation import DEVICE
from movierec_engine.device import DEVICE_KINDS


class DeviceQueue(QueuedRunCoordinator):
    """Dagster's queue, in which each run of one kind of device has the tag `movierec/device` and the device's own tags.

    device_tags: kind of device -> tags of its runs, whose values may be YAML; one that a run has already stays.
    """

    def __init__(self, device_tags: dict[str, dict[str, Any]] | None = None, **settings: Any) -> None:
        super().__init__(**settings)
        self.device_tags = device_tags or {}

    @classmethod
    def config_type(cls) -> Any:
        tags = dg.Field(dict, is_required=False, description="Kind of device -> tags of its runs.")
        settings: Any = super().config_type()
        return {**settings, "device_tags": dg.Field(dict.fromkeys(DEVICE_KINDS, tags), is_required=False)}

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Any) -> "DeviceQueue":
        return cls(inst_data=inst_data, **config_value)

    def submit_run(self, context: SubmitRunContext) -> dg.DagsterRun:
        """Queue a run, once it has its tags."""
        run = context.dagster_run
        if device := device_of(run):
            wanted = {
                DEVICE: device,
                **{name: _text(value) for name, value in self.device_tags.get(device, {}).items()},
            }
            new = {name: value for name, value in wanted.items() if name not in run.tags}
            self._instance.add_run_tags(run.run_id, new)
        return super().submit_run(context)


def device_of(run: dg.DagsterRun) -> str:
    """The kind of device that a run is for, by its partition or range; `` where that is none or several."""
    keys = (PARTITION_NAME_TAG, ASSET_PARTITION_RANGE_START_TAG, ASSET_PARTITION_RANGE_END_TAG)
    named = {run.tags[key].partition("|")[0] for key in keys if key in run.tags}
    named |= {run.tags[key] for key in (f"{MULTIDIMENSIONAL_PARTITION_PREFIX}device",) if key in run.tags}
    (device,) = named if len(named) == 1 else ("",)
    return device if device in DEVICE_KINDS else ""


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)
