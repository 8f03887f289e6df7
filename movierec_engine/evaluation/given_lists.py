"""Lists that another system made, to be measured as a model's are."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
from numpy.typing import NDArray
from scipy import sparse

from movierec_engine.data.heldout import HeldOut
from movierec_engine.data.id_map import IdMap, as_ids
from movierec_engine.data.table_file import PARQUET_SUFFIXES
from movierec_engine.errors import DataError

USER = ("user_id", "user", "userId")
ITEM = ("movie_id", "item", "item_id", "movieId")
RANK, SCORE = ("rank",), ("score",)
"""Names of the columns; the first that is there counts."""


@dataclass(frozen=True, eq=False)
class GivenLists:
    """Lists over the vocabularies of a held-out part; they are ranked as a model that recommends nothing else is.

    name: what reports call the system.
    places: CSR [n_users, n_items], minus the place of each listed item, from -1; equal scores have equal places.
    history: train interactions, CSR [n_users, n_items].
    unknown: how many rows were of no user or no item of the data, and count for nothing.
    """

    name: str
    users: IdMap
    items: IdMap
    places: sparse.csr_matrix
    history: sparse.csr_matrix
    unknown: int

    @classmethod
    def of(cls, frame: Any, heldout: HeldOut, name: str = "lists") -> Self:
        """The lists of a frame: pandas, polars, Arrow, or a mapping of column names to columns.

        One row a user and item, in columns USER and ITEM, with a `rank` from 1 or else a `score`, higher first. Public
        ids, as in the data. The frame may hold more than is measured; what the mask holds is left out of each list.

        Raises DataError for columns that are not there, values that are missing or no numbers, an item twice in a list,
        and lists without a user and item of the catalogue.
        """
        table = pa.table(dict(frame)) if isinstance(frame, Mapping) else pa.table(frame)
        users, items = heldout.interactions.users, heldout.interactions.items
        user = users.index(as_ids(_column(table, USER)))
        item = items.index(as_ids(_column(table, ITEM)))
        known = (user >= 0) & (item >= 0)
        if not known.any():
            raise DataError(f"no row of {name} is of a user and an item of the data; give the ids that the data has")
        row, column = user[known], item[known]
        pair = row * len(items) + column
        if len(np.unique(pair)) < len(pair):
            twice = np.flatnonzero(np.bincount(np.unique(pair, return_inverse=True)[1]) > 1)[0]
            u, i = divmod(int(np.unique(pair)[twice]), len(items))
            raise DataError(f"{name} lists item {items.ids[i]} twice for user {users.ids[u]}; give each item once")
        places = sparse.csr_matrix(
            (-_places(row, _order(table)[known]), (row, column)), shape=(len(users), len(items)), dtype=np.float32
        )
        return cls(name, users, items, places, heldout.catalogue.train, int((~known).sum()))

    @classmethod
    def read(cls, path: Path | str, heldout: HeldOut, name: str = "") -> Self:
        """The lists of a CSV or Parquet file, columns as in `of`; named after the file by default.

        Raises DataError also for a file that cannot be read.
        """
        path = Path(path)
        try:
            if path.suffix.lower() in PARQUET_SUFFIXES:
                table = pq.read_table(path)
            else:
                ids = ((heldout.interactions.users, USER), (heldout.interactions.items, ITEM))
                types = {name: of.arrow_type for of, names in ids for name in names}
                table = pa_csv.read_csv(path, convert_options=pa_csv.ConvertOptions(column_types=types))
        except (OSError, pa.ArrowException) as error:
            raise DataError(f"{path}: cannot be read as a table ({error}); give a CSV or Parquet file") from error
        try:
            return cls.of(table, heldout, name or path.stem)
        except DataError as error:
            raise DataError(f"{path}: {error}") from error

    def score_users(self, users: NDArray[np.int64]) -> NDArray[np.float32]:
        """float32 [n, n_items]: minus the place of each listed item, -inf for all others."""
        own = self.places[users]
        scores = np.full(own.shape, -np.inf, dtype=np.float32)
        scores[np.repeat(np.arange(len(users)), np.diff(own.indptr)), own.indices] = own.data
        return scores


def _order(table: pa.Table) -> NDArray[np.float64]:
    """float64 [rows], the sort key within a list, the lowest first."""
    ranked = any(name in table.column_names for name in RANK)
    column = _column(table, RANK if ranked else SCORE)
    values = column.to_numpy()
    if values.dtype.kind not in "iuf" or not np.isfinite(values).all():
        raise DataError(f"column {RANK[0] if ranked else SCORE[0]!r} must hold finite numbers, and is {column.type}")
    order: NDArray[np.float64] = values.astype(np.float64)
    return order if ranked else -order


def _places(row: NDArray[np.int64], order: NDArray[np.float64]) -> NDArray[np.int64]:
    """int64 [n], the place of each entry within its row, from 1, lowest first; equal ones share a place."""
    by = np.lexsort((order, row))
    first = np.append(True, row[by][1:] != row[by][:-1])
    higher = np.append(True, order[by][1:] != order[by][:-1]) | first
    step = np.cumsum(higher)
    places = np.empty(len(row), dtype=np.int64)
    places[by] = step - np.maximum.accumulate(np.where(first, step, 0)) + 1
    return places


def _column(table: pa.Table, names: Sequence[str]) -> pa.ChunkedArray:
    found = next((name for name in names if name in table.column_names), None)
    if found is None:
        raise DataError(f"there is no column {' or '.join(names)}; it has {', '.join(table.column_names) or 'none'}")
    if table[found].null_count:
        raise DataError(f"column {found!r} has rows without a value; fill them or leave them out")
    return table[found]
