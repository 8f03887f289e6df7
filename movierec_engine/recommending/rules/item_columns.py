"""The columns of the items' metadata, as conditions ask about them."""

import math
from collections.abc import Callable
from datetime import UTC, datetime
from difflib import get_close_matches
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from movierec_engine.recommending.rules.errors import RuleError

Mask = NDArray[np.bool_]
"""bool [n_items]."""
ID = "movie_id"


class ItemColumns:
    """Metadata of the items, one row each: any columns of texts, numbers, flags, dates, and lists of those.

    table: [n_items], movie_id among its columns.
    """

    def __init__(self, table: pa.Table) -> None:
        self._table = table
        self._columns: dict[str, pa.Array] = {}

    def __len__(self) -> int:
        return len(self._table)

    @property
    def names(self) -> list[str]:
        return [str(name) for name in self._table.column_names]

    def column(self, name: str) -> pa.Array:
        """Raises RuleError for a column that is not there."""
        if name not in self._columns:
            if name not in self._table.column_names:
                close = get_close_matches(name, self.names, n=1)
                hint = f"; did you mean {close[0]}?" if close else ""
                raise RuleError(f"there is no column {name!r}; the columns are {', '.join(self.names)}{hint}")
            found = self._table[name].combine_chunks()
            self._columns[name] = found.dictionary_decode() if pa.types.is_dictionary(found.type) else found
        return self._columns[name]

    def entries(self, name: str) -> pa.Array:
        """The values of a column, of one of lists those of all of them."""
        column = self.column(name)
        return pc.list_flatten(column) if _is_list(column) else column

    def any_of(self, name: str, test: Callable[[pa.Array], pa.Array]) -> Mask:
        """The items with a value, or with one in their list, that passes a test of many."""
        column = self.column(name)
        passed = np.asarray(test(self.entries(name)).fill_null(False))
        if not _is_list(column):
            return passed
        found = np.zeros(len(column), dtype=np.bool_)
        found[np.asarray(pc.list_parent_indices(column))[passed]] = True
        return found

    def is_null(self, name: str) -> Mask:
        column = self.column(name)
        if _is_list(column):
            return np.asarray(pc.equal(pc.list_value_length(column).fill_null(0), 0))
        return np.asarray(column.is_null(nan_is_null=True) if pa.types.is_floating(column.type) else column.is_null())

    def ordered(self, name: str) -> pa.Array:
        """A column of numbers or dates. Raises RuleError for one of others, which have no ranges."""
        column = self.column(name)
        if not (pa.types.is_integer(column.type) or pa.types.is_floating(column.type) or _is_date(column.type)):
            raise RuleError(f"column {name!r} holds {_kind(column.type)}, which have no ranges; use in")
        return column

    def bound(self, name: str, given: float | str, end: bool) -> pa.Scalar:
        """The end of a range over a column. A date that ends one is taken with all of its day."""
        kind = self.column(name).type
        if _is_date(kind) != isinstance(given, str):
            wanted = "dates such as 2024-12-31" if _is_date(kind) else "numbers"
            raise RuleError(f"column {name!r} holds {_kind(kind)}; its ranges are of {wanted}, and not {given!r}")
        if not isinstance(given, str):
            if pa.types.is_integer(kind):  # exact, also where ids have more digits than a float
                return pa.scalar(math.floor(given) if end else math.ceil(given), pa.int64())
            return pa.scalar(float(given), pa.float64())
        moment = datetime.fromisoformat(given)
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        if pa.types.is_date(kind):
            return pa.scalar(moment.date(), kind)
        if end and len(given) <= len("2024-12-31"):
            moment = moment.replace(hour=23, minute=59, second=59, microsecond=999_999)
        return pa.scalar(moment, pa.timestamp("us", "UTC")).cast(kind, safe=False)

    def codes(self, name: str) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The values of every item as numbers: starts int64 [n_items + 1] and codes int64; what is null has none."""
        column = self.column(name)
        entries = self.entries(name).dictionary_encode()
        codes = np.asarray(entries.indices.fill_null(-1), dtype=np.int64)
        if _is_list(column):
            lengths = np.asarray(pc.list_value_length(column).fill_null(0), dtype=np.int64)
        else:
            lengths = np.ones(len(column), dtype=np.int64)
        item = np.repeat(np.arange(len(column)), lengths)[codes >= 0]
        starts = np.zeros(len(column) + 1, dtype=np.int64)
        np.cumsum(np.bincount(item, minlength=len(column)), out=starts[1:])
        return starts, codes[codes >= 0]

    def places(self, ids: list[Any]) -> NDArray[np.int64]:
        """The item of each id, -1 for one that is unknown: int64 [n]."""
        column = self.column(ID)
        try:
            wanted = pa.array(ids, column.type)
        except (pa.ArrowException, TypeError) as error:
            raise RuleError(f"the ids here are {_kind(column.type)}; write {ids[0]!r} as they are") from error
        return np.asarray(pc.index_in(wanted, column).fill_null(-1), dtype=np.int64)


def as_values(among: Any, kind: pa.DataType) -> pa.Array:
    """The values of an `Among` in the type of its column. Raises RuleError for values of another kind."""
    try:
        given = [
            datetime.fromisoformat(one) if _is_date(kind) and isinstance(one, str) else one for one in among.values
        ]
        if any(isinstance(value, bool) for value in given) != pa.types.is_boolean(kind):
            raise pa.ArrowInvalid("flags beside others")
        return pa.array(given, kind)
    except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
        raise RuleError(
            f"column {among.column!r} holds {_kind(kind)}, which {among.values[0]!r} is none of; write its values so"
        ) from error


def _is_list(column: pa.Array) -> bool:
    return bool(pa.types.is_list(column.type) or pa.types.is_large_list(column.type))


def _is_date(kind: pa.DataType) -> bool:
    return bool(pa.types.is_date(kind) or pa.types.is_timestamp(kind))


def _kind(kind: pa.DataType) -> str:
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return f"lists of {_kind(kind.value_type)}"
    if pa.types.is_boolean(kind):
        return "true or false"
    if _is_date(kind):
        return "dates"
    return "numbers" if pa.types.is_integer(kind) or pa.types.is_floating(kind) else "texts"
