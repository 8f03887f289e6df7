"""Canaries of order: a history ends before what is asked for, and its order counts for models of order alone.

Whoever is told of the next item finds it, so a model that sees the future scores as no honest one can: the first check
looks whether any history that is folded in holds its own answer, or anything from after it. The second shuffles
histories. A model that takes a history as a set must not notice; one that claims to know order must.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from movierec_engine.data.heldout import HeldOut
from movierec_engine.data.interactions import OF_ORDER, Interactions
from movierec_engine.data.split import Split
from movierec_engine.evaluation.canaries import DEPTH, Finding
from movierec_engine.models.base import Recommender
from movierec_engine.models.top_k import largest

SHUFFLED_USERS = 200
"""Histories that are shuffled, at most."""
_BLOCK = 20
"""Histories whose scores are in memory together."""


def histories_end_before_the_next_item(split: Split) -> Finding:
    """Check that in validation and test each user has one held-out item, and a history without it or anything later."""
    asked = several = told = late = 0
    for heldout in (split.validation_heldout(), split.test_heldout()):
        asked += len(heldout)
        several += len(heldout) - len(np.unique(heldout.interactions.user))
        told += heldout.interactions.matrix().multiply(heldout.histories("ones")).nnz
        late += _later_than_asked(heldout)
    passed = not (several or told or late)
    return Finding(
        "histories_end_before_the_next_item",
        passed,
        f"{asked} next items are asked for, {several or 'none'} of them beside another of the same user; "
        f"{told or 'none'} of them are in the history that is folded in, and {late or 'no'} interactions of the "
        "histories are later than what is asked for",
        {"asked": asked, "several": several, "told": told, "late": late},
    )


def order_counts_for_models_of_order_alone(model: Recommender, train: Interactions, seed: int) -> Finding:
    """The lists of up to `SHUFFLED_USERS` train histories with two items or more, and of these in a random order.

    A model whose `history_values` are places or times has to answer some of them with another list of `DEPTH`; all
    others answer as before.
    """
    rng = np.random.default_rng(seed)
    users = np.flatnonzero(np.diff(train.matrix().indptr) >= 2)
    users = np.sort(rng.permutation(users)[:SHUFFLED_USERS])
    own = train.select(np.isin(train.user, users))
    shuffled = replace(own, timestamp=rng.permutation(len(own)).astype(np.int64))
    lists = [_lists(model, part.history(model.history_values)[users]) for part in (own, shuffled)]
    changed = int((lists[0] != lists[1]).any(axis=1).sum())
    of_order = model.history_values in OF_ORDER
    return Finding(
        "order_counts_for_models_of_order_alone",
        bool(changed) == of_order or not len(users),
        f"{model.name} takes a history as {'an order' if of_order else 'a set'}, and answers {changed or 'none'} of "
        f"{len(users)} histories in a random order with another list",
        {"users": len(users), "changed": changed},
    )


def _lists(model: Recommender, histories: sparse.csr_matrix) -> NDArray[np.int64]:
    """int64 [n, <=DEPTH], the best items of each history, of equal scores the first."""
    depth = min(DEPTH, histories.shape[1])
    starts = range(0, histories.shape[0], _BLOCK)
    blocks = [largest(model.fold_in(histories[start : start + _BLOCK]), depth) for start in starts]
    return np.concatenate(blocks) if blocks else np.zeros((0, depth), dtype=np.int64)


def _later_than_asked(heldout: HeldOut) -> int:
    """How many interactions of the histories are later than what is asked of their user."""
    assert heldout.fold_in is not None
    asked = np.full(heldout.fold_in.n_users, np.iinfo(np.int64).max)
    np.minimum.at(asked, heldout.interactions.user, heldout.interactions.timestamp)
    return int((heldout.fold_in.timestamp > asked[heldout.fold_in.user]).sum())
