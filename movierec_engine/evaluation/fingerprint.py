"""The short name of everything that must be equal before two numbers may be compared."""

import hashlib

import numpy as np

from movierec_engine.data.split import Split
from movierec_engine.evaluation.metrics import METRICS_VERSION
from movierec_engine.evaluation.protocols import FULL, GIVEN


def protocol(split: Split) -> str:
    """The protocol that a split is made for: `full`, or `sampled_given` where candidates came with the data."""
    return FULL if split.negatives is None else GIVEN


def fingerprint(split: Split, ranked: str = "") -> str:
    """12 hex digits over the content of the parts, the catalogue, the candidates, the protocol, and the metrics.

    ranked: the protocol's name, the split's own by default. Data, filter and split settings are in the fingerprint by
    what they did: the same parts have the same fingerprint. The mask is train at validation, train and validation at
    test, what is folded in, and so follows from the parts.

    Where the next item of a history is asked for, the order of each user's interactions is in it too, with what was
    decided of equal times; so no such report has the fingerprint of one that asks another question of the same parts.
    """
    ranked = ranked or protocol(split)
    digest = hashlib.sha256(f"{ranked}/metrics {METRICS_VERSION}".encode())
    digest.update(split.train.users.packed().tobytes())
    digest.update(split.train.items.packed().tobytes())
    sets = [*split.named().items()]
    if split.negatives is not None and ranked == GIVEN:
        sets.append(("negatives", split.negatives))
    if split.asks_for_next:
        digest.update(b"next item")
    for name, interactions in sets:
        by_pair = np.lexsort((interactions.item, interactions.user))
        order = interactions.by_time() if split.asks_for_next else by_pair
        digest.update(name.encode())
        for column in (interactions.user, interactions.item, interactions.rating, interactions.timestamp):
            digest.update(np.ascontiguousarray(column[order]).tobytes())
    return digest.hexdigest()[:12]
