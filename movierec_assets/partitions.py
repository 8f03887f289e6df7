"""Partitions: every model on each kind of device that there is, such as `cpu|lightgcn`; ensembles by device alone."""

import dagster as dg

from movierec_assets.automation import AutomationConfig, load_automation
from movierec_engine.device import kinds_here
from movierec_engine.models.registry import single_models

ENSEMBLE = "hybrid_ensemble"
"""The model, and the asset, whose partitions are devices alone."""


def devices_of(config: AutomationConfig) -> tuple[str, ...]:
    """The kinds of devices that have partitions."""
    return config.devices or kinds_here()


BY_DEVICE = dg.StaticPartitionsDefinition(devices_of(load_automation()))
MODEL_BY_DEVICE = dg.MultiPartitionsDefinition(
    {"device": BY_DEVICE, "model": dg.StaticPartitionsDefinition(single_models())}
)


def policy_of_ranges(config: AutomationConfig) -> dg.BackfillPolicy:
    """Whether a range of partitions is one run, or a run for each of them."""
    return dg.BackfillPolicy.multi_run(1) if config.run_per_partition else dg.BackfillPolicy.single_run()


RANGES = policy_of_ranges(load_automation())


def partition_key(device: str, model: str) -> dg.MultiPartitionKey:
    """The partition of a model on a kind of device."""
    return dg.MultiPartitionKey({"device": device, "model": model})
