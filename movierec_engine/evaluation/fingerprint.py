"""The short name of everything that must be equal before two numbers may be compared."""

import hashlib

import numpy as np

from movierec_engine.data.split import PARTS, Split
from movierec_engine.evaluation.metrics import METRICS_VERSION


def protocol(split: Split) -> str:
    """`full` ranking of the catalogue, or `sampled_given`: against the negatives that came with the data."""
    return "full" if split.negatives is None else "sampled_given"


def fingerprint(split: Split) -> str:
    """12 hex digits over the content of the three parts, the catalogue, the candidates, the protocol, and the metrics.

    Data, filter and split settings are in it by what they did: the same parts have the same fingerprint.
    """
    digest = hashlib.sha256(f"{protocol(split)}/metrics {METRICS_VERSION}".encode())
    digest.update(split.train.users.ids.tobytes())
    digest.update(split.train.items.ids.tobytes())
    sets = [*zip(PARTS, split.parts(), strict=True)]
    if split.negatives is not None:
        sets.append(("negatives", split.negatives))
    for name, interactions in sets:
        order = np.lexsort((interactions.item, interactions.user))
        digest.update(name.encode())
        for column in (interactions.user, interactions.item, interactions.rating, interactions.timestamp):
            digest.update(np.ascontiguousarray(column[order]).tobytes())
    return digest.hexdigest()[:12]
