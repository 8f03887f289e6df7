"""MovieLens 1M in the order of the sequence papers, which is not bundled."""

from pathlib import Path

import pyarrow.parquet as pq

from movierec_engine.data.dataset import Dataset
from movierec_engine.data.interactions import Interactions


def ml1m(folder: Path | None) -> Interactions:
    if folder is None:
        raise SystemExit("MovieLens 1M is not bundled; name the folder that has ml1m_sequences by --folder")
    table = pq.read_table(folder / "ml1m_sequences" / "ratings.parquet")
    return Dataset.from_frame(table, user="user", item="item").train
