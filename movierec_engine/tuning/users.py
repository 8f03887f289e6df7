"""A share of the users as a data set of its own, on which settings are tried first."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from movierec_engine.data.catalogue import Catalogue
from movierec_engine.data.dataset import Dataset
from movierec_engine.data.heldout import HeldOut
from movierec_engine.data.id_map import IdMap
from movierec_engine.data.interactions import Interactions

STEP = 3
"""Each share has so many times the users of the one below."""
LEAST_USERS = 2000
"""No share has fewer: with less, trials differ by chance more than by their settings."""


def shares(n_users: int) -> tuple[float, ...]:
    """The shares of the users that settings are tried on, all of them last: 1/27, 1/9, 1/3 and 1 of 162,500 users."""
    found = [1.0]
    while n_users * found[0] / STEP >= LEAST_USERS:
        found.insert(0, found[0] / STEP)
    return tuple(found)


def share_of(data: Dataset, share: float, seed: int) -> Dataset:
    """A random share of the users with everything known of them; a smaller share's users are among a larger one's.

    Items keep the shape of their popularity, each expecting its share of interactions; those without any in train are
    left out, in validation too.
    """
    if share == 1:
        return data
    train = data.train
    drawn = np.random.default_rng(seed).permutation(train.n_users)[: round(share * train.n_users)]
    users = np.zeros(train.n_users, dtype=np.bool_)
    users[drawn] = True
    items = np.bincount(train.item[users[train.user]], minlength=train.n_items) > 0
    kept, validation = (_among(part, users, items) for part in (train, data.validation.interactions))
    catalogue, fold_in = Catalogue.of(kept), data.validation.fold_in
    if fold_in is None:
        return Dataset(kept, HeldOut(validation, catalogue.train, "train", catalogue))
    known = _among(fold_in, users, items)
    folded = replace(data.validation, interactions=validation, seen=known.matrix(), catalogue=catalogue, fold_in=known)
    return Dataset(kept, folded)


def words(share: float) -> str:
    """`all users`, `1/9 of the users`."""
    return "all users" if share == 1 else f"1/{round(1 / share)} of the users"


def growth(smaller: Dataset, larger: Dataset) -> float:
    """How much longer a fit takes at most: as the interactions, or as the cube of the items that EASE inverts."""
    rows, items = len(larger.train) / len(smaller.train), larger.train.n_items / smaller.train.n_items
    return max(rows, items**3)


def _among(part: Interactions, users: NDArray[np.bool_], items: NDArray[np.bool_]) -> Interactions:
    """The interactions of some users with some items, over vocabularies of those alone."""
    rows = part.select(users[part.user] & items[part.item])
    return replace(
        rows,
        user=(np.cumsum(users) - 1)[rows.user].astype(np.int32),
        item=(np.cumsum(items) - 1)[rows.item].astype(np.int32),
        users=IdMap(part.users.ids[users]),
        items=IdMap(part.items.ids[items]),
    )
