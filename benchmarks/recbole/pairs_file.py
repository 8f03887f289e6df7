"""The input of the benchmarks that take any data: a Parquet file with the integer columns `user` and `item`."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from movierec_engine.data.catalogue import Catalogue
from movierec_engine.data.dataset import Dataset
from movierec_engine.data.heldout import HeldOut
from movierec_engine.data.id_map import IdMap
from movierec_engine.data.interactions import Interactions

PARTS = (0, 0.8), (0.8, 0.1), (0.9, 0.1)
"""Where train, validation and test begin, and how much they hold."""


def read_pairs(path: Path) -> Interactions:
    """The distinct pairs of the file as interactions over the ids that occur."""
    table = pq.read_table(path, columns=["user", "item"])
    pairs = np.stack([table[name].to_numpy() for name in ("user", "item")], axis=1).astype(np.int64)
    pairs = pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]
    pairs = pairs[np.append(True, (pairs[1:] != pairs[:-1]).any(axis=1))]
    users, items = (IdMap.of(column) for column in pairs.T)
    return Interactions(
        user=users.index(pairs[:, 0]).astype(np.int32),
        item=items.index(pairs[:, 1]).astype(np.int32),
        rating=np.ones(len(pairs), dtype=np.float32),
        timestamp=np.zeros(len(pairs), dtype=np.int64),
        users=users,
        items=items,
    )


def held_out(everything: Interactions) -> tuple[Dataset, HeldOut]:
    """Train and validation, and test: a tenth of the interactions in each part that is held out."""
    drawn = np.random.default_rng(0).random(len(everything))
    train, validation, test = (everything.select((low <= drawn) & (drawn < low + size)) for low, size in PARTS)
    catalogue = Catalogue.of(train)
    parts = (HeldOut(part, catalogue.train, "train", catalogue) for part in (validation, test))
    return Dataset(train, next(parts)), next(parts)
