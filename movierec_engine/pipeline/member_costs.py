"""The weight of each member of an ensemble, and its cost of training and of serving."""

import logging
import time
from collections.abc import Mapping

import numpy as np

from movierec_engine.models.ensemble.hybrid import HybridEnsemble
from movierec_engine.store import Artifact

log = logging.getLogger(__name__)

MEMBERS = "members"
"""An ensemble's fact: weight, seconds of training, milliseconds a list and numbers an item, by member."""
_TIMED = 32
"""Users whose scores are timed, those with the longest histories."""


def member_costs(model: HybridEnsemble, members: Mapping[str, Artifact]) -> dict[str, dict[str, float]]:
    """Member -> weight: its mean share over users with a history; seconds: of its training; milliseconds: to score the
    catalogue for one user, each alone; item_numbers: float32 numbers an item that an index keeps for it.
    """
    activity = np.diff(model.history.indptr)
    users = np.flatnonzero(activity)
    shares = model.weights_of(model.history[users]).reshape(len(users), -1, len(model.members)).sum(axis=1)
    timed = np.argsort(-activity, kind="stable")[:_TIMED]
    costs = {}
    for place, member in enumerate(model.members):
        started = time.perf_counter()
        for user in timed:
            member.score_users(np.array([user]))
        milliseconds = 1000 * (time.perf_counter() - started) / len(timed)
        costs[member.name] = {
            "weight": float(shares[:, place].mean()),
            "seconds": members[member.name].facts["seconds"],
            "milliseconds": milliseconds,
            "item_numbers": model.widths()[place],
        }
        log.info(
            "%s: mean weight %.2f, %.2g ms to score a user, %d numbers an item",
            member.name,
            costs[member.name]["weight"],
            milliseconds,
            costs[member.name]["item_numbers"],
        )
    return costs
