"""The only mapping between public ids and matrix indices."""

from dataclasses import dataclass
from typing import Any, Self
from uuid import UUID

import numpy as np
import pyarrow as pa
from numpy.typing import ArrayLike, NDArray

from movierec_engine.errors import DataError

Ids = NDArray[Any]
"""int64 [n], or texts of any length, `<U` [n]."""

_SEPARATOR = "\0"


@dataclass(frozen=True, eq=False)
class IdMap:
    """A frozen, sorted vocabulary of public ids; the position of an id is its index.

    ids: int64 or `<U` [n], strictly increasing.

        >>> users = IdMap.of(["eve", "ann", "eve"])
        >>> users.ids.tolist(), users.index(["eve", "bob"]).tolist()
        (['ann', 'eve'], [1, -1])
    """

    ids: Ids

    def __post_init__(self) -> None:
        ids = np.ascontiguousarray(as_ids(self.ids))
        if len(ids) > 1 and not (ids[1:] > ids[:-1]).all():
            raise ValueError("an IdMap needs strictly increasing ids; build it with IdMap.of")
        if ids.dtype.kind == "U" and any(_SEPARATOR in text for text in ids):
            raise DataError("an id holds a zero character; take it out")
        ids.setflags(write=False)
        object.__setattr__(self, "ids", ids)

    @classmethod
    def of(cls, ids: ArrayLike) -> Self:
        """The map of all distinct ids. Raises DataError for what is neither whole numbers nor texts."""
        return cls(np.unique(as_ids(ids)))

    def __len__(self) -> int:
        return len(self.ids)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, IdMap) and np.array_equal(self.ids, other.ids)

    def __hash__(self) -> int:
        return hash(self.ids.tobytes())

    @property
    def are_texts(self) -> bool:
        return self.ids.dtype.kind == "U"

    def index(self, ids: ArrayLike) -> NDArray[np.int64]:
        """Indices int64 [n] of public ids; -1 stands for an id that is not in the map.

        Raises DataError for ids of another type than the map's: the number 17 is not the text "17".
        """
        wanted = as_ids(ids)
        if not len(self.ids) or not wanted.size:
            return np.full(wanted.shape, -1, dtype=np.int64)
        if wanted.dtype.kind != self.ids.dtype.kind:
            theirs, ours = ("texts", "whole numbers") if wanted.dtype.kind == "U" else ("whole numbers", "texts")
            raise DataError(f"the ids are {ours} such as {self.ids[0]}, not {theirs} such as {wanted.flat[0]}")
        position = np.minimum(np.searchsorted(self.ids, wanted), len(self.ids) - 1)
        return np.where(self.ids[position] == wanted, position, -1)

    def packed(self) -> NDArray[Any]:
        """The ids as one array of numbers, for files that hold no texts: int64 [n], or uint8 with the texts' UTF-8."""
        if not self.are_texts:
            return self.ids
        return np.frombuffer("".join(f"{text}{_SEPARATOR}" for text in self.ids).encode(), dtype=np.uint8)

    @classmethod
    def unpacked(cls, packed: NDArray[Any]) -> Self:
        """The reverse of `packed`."""
        if packed.dtype != np.uint8:
            return cls(packed)
        return cls(np.array(packed.tobytes().decode().split(_SEPARATOR)[:-1], dtype=np.str_))


def as_ids(values: ArrayLike) -> Ids:
    """Ids in any container (list, numpy, pandas, polars, Arrow) as int64 or texts; UUIDs become texts.

    No number is rounded or wrapped round. Raises DataError for anything else, such as fractions, missing values, or
    numbers beside texts.
    """
    if isinstance(values, pa.Array | pa.ChunkedArray):
        values = values.to_numpy(zero_copy_only=False) if isinstance(values, pa.Array) else values.to_numpy()
    given: NDArray[Any] = np.asarray(values)
    if given.dtype.kind == "U" and isinstance(values, list | tuple):
        given = np.asarray(values, dtype=object)  # numpy would make texts of numbers beside texts
    if given.dtype.kind == "O":
        given = _of_objects(given)
    if not given.size:
        return given if given.dtype.kind == "U" else given.astype(np.int64)
    if given.dtype.kind == "U":
        return given
    if given.dtype.kind not in "iu" or (given.dtype.kind == "u" and given.max() > np.iinfo(np.int64).max):
        of_objects = given.dtype.kind == "O"
        kinds = " and ".join(sorted({type(one).__name__ for one in given.flat})) if of_objects else given.dtype.name
        raise DataError(f"ids must be whole numbers of 64 bits, or all be texts, and not {kinds}; make them texts")
    return given.astype(np.int64, copy=False)


def _of_objects(given: NDArray[Any]) -> NDArray[Any]:
    """Python objects as an array of one type; what is mixed or neither numbers nor texts stays as it is."""
    kinds = {type(one) for one in given.flat}
    if kinds and kinds <= {str, np.str_}:
        return given.astype(np.str_)
    if kinds == {UUID}:
        return np.array([str(one) for one in given.flat], dtype=np.str_).reshape(given.shape)
    if kinds and all(issubclass(kind, int | np.integer) and kind is not bool for kind in kinds):
        return np.array(given.tolist())
    return given
