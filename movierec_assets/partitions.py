"""Partitions: every model on every kind of device, with keys such as `cpu|lightgcn`."""

import dagster as dg

from movierec_engine.device import DEVICE_KINDS
from movierec_engine.models.registry import MODEL_NAMES

MODEL_BY_DEVICE = dg.MultiPartitionsDefinition(
    {"device": dg.StaticPartitionsDefinition(DEVICE_KINDS), "model": dg.StaticPartitionsDefinition(MODEL_NAMES)}
)


def partition_key(device: str, model: str) -> dg.MultiPartitionKey:
    """The partition of a model on a kind of device."""
    return dg.MultiPartitionKey({"device": device, "model": model})
