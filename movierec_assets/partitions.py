"""Partitions: every model on every kind of device, with keys such as `cpu|lightgcn`; ensembles by device alone."""

import dagster as dg

from movierec_engine.device import DEVICE_KINDS
from movierec_engine.models.registry import single_models

ENSEMBLE = "hybrid_ensemble"
"""The model, and the asset, whose partitions are devices alone."""
BY_DEVICE = dg.StaticPartitionsDefinition(DEVICE_KINDS)
MODEL_BY_DEVICE = dg.MultiPartitionsDefinition(
    {"device": BY_DEVICE, "model": dg.StaticPartitionsDefinition(single_models())}
)


def partition_key(device: str, model: str) -> dg.MultiPartitionKey:
    """The partition of a model on a kind of device."""
    return dg.MultiPartitionKey({"device": device, "model": model})
