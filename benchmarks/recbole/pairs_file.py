"""The input of the benchmarks that take any data: a Parquet file with the integer columns `user` and `item`."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from movierec_engine.data.id_map import IdMap
from movierec_engine.data.interactions import Interactions


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
