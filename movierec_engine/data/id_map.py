"""The only mapping between public ids and matrix indices."""

from bisect import bisect_left
from collections.abc import Iterator, Sequence, Set, ValuesView
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self, TypeGuard
from uuid import UUID

import numpy as np
import pyarrow as pa
from numpy.typing import ArrayLike, NDArray

from movierec_engine.errors import DataError

Ids = NDArray[Any]
"""int64 [n], or texts, `<U` [n]."""
PublicId = int | str
"""The id of one user or item: a whole number or a text, the same for all of a data set."""

LONGEST_ID = 256
"""Characters of a text id at most; all texts of a map take up the room of its longest."""
_SEPARATOR = "\0"
_ARROW = (pa.Array, pa.ChunkedArray)
_DELETE = 0x7F


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
        _check_texts(ids)
        ids.setflags(write=False)
        object.__setattr__(self, "ids", ids)

    @classmethod
    def of(cls, ids: ArrayLike) -> Self:
        """The map of all distinct ids. Raises DataError for what is neither whole numbers nor texts."""
        return cls(np.unique(as_ids(ids.unique() if _are_arrow_texts(ids) else ids)))

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
        if _are_arrow_texts(ids):
            return self._index_of_texts(ids)
        wanted = as_ids(ids)
        if not len(self.ids) or not wanted.size:
            return np.full(wanted.shape, -1, dtype=np.int64)
        if wanted.dtype.kind != self.ids.dtype.kind:
            theirs, ours = ("texts", "whole numbers") if wanted.dtype.kind == "U" else ("whole numbers", "texts")
            raise DataError(f"the ids are {ours} such as {self.ids[0]}, not {theirs} such as {wanted.flat[0]}")
        position = np.minimum(np.searchsorted(self.ids, wanted), len(self.ids) - 1)
        return np.where(self.ids[position] == wanted, position, -1)

    def _index_of_texts(self, texts: Any) -> NDArray[np.int64]:
        """Indices of the ids in an Arrow column; each distinct text is looked up once."""
        column = texts.combine_chunks() if isinstance(texts, pa.ChunkedArray) else texts
        encoded = column.dictionary_encode()
        if encoded.null_count:
            raise DataError("an id is missing; fill it or leave its row out")
        return np.asarray(self.index(as_ids(encoded.dictionary))[encoded.indices.to_numpy()], dtype=np.int64)

    def place(self, public_id: PublicId) -> int | None:
        """The index of one id, None for an id that is not in the map, of whatever type.

        Plain Python finds it sooner than a numpy call, which lets a server's other threads go first.
        """
        if isinstance(public_id, str) is not self.are_texts:
            return None
        ids = self._sorted
        place = bisect_left(ids, public_id)
        return place if place < len(ids) and ids[place] == public_id else None

    @cached_property
    def _sorted(self) -> Sequence[Any]:
        return self.ids.tolist() if self.are_texts else memoryview(self.ids)  # type: ignore[arg-type]

    def column(self, index: NDArray[np.integer[Any]]) -> Any:
        """The ids at indices [n], as a column of an Arrow table: int64, or an Arrow array of strings."""
        return pa.array(self.ids, pa.string()).take(pa.array(index)) if self.are_texts else self.ids[index]

    @property
    def arrow_type(self) -> pa.DataType:
        """The Arrow type of a column of these ids."""
        return pa.string() if self.are_texts else pa.int64()

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


def _are_arrow_texts(values: Any) -> TypeGuard[pa.Array | pa.ChunkedArray]:
    return isinstance(values, _ARROW) and (pa.types.is_string(values.type) or pa.types.is_large_string(values.type))


def _check_texts(ids: Ids) -> None:
    """Raises DataError for text ids that are empty, too long, or hold control characters."""
    if ids.dtype.kind != "U" or not len(ids):
        return
    longest = ids.dtype.itemsize // 4
    if longest > LONGEST_ID and (long := ids[np.char.str_len(ids) > LONGEST_ID]).size:
        raise DataError(f"the id {long[0][:40]!r}... has more than {LONGEST_ID} characters; shorten it")
    if not longest or not ids[0]:
        raise DataError("an id is an empty text; fill it or leave its row out")
    codes = ids.view(np.uint32).reshape(len(ids), longest)
    padding = np.arange(longest) >= np.char.str_len(ids)[:, None]
    if (wrong := (((codes < ord(" ")) | (codes == _DELETE)) & ~padding).any(axis=1)).any():
        raise DataError(f"the id {str(ids[wrong][0])!r} holds a control character; take it out")


def as_ids(values: ArrayLike | Set[Any] | ValuesView[Any] | Iterator[Any]) -> Ids:
    """Ids in any container (list, set, numpy, pandas, polars, Arrow) as int64 or texts; UUIDs become texts.

    No number is rounded or wrapped round. Raises DataError for anything else, such as fractions, missing values, or
    numbers beside texts.
    """
    if isinstance(values, Set | ValuesView | Iterator):  # which numpy takes for one object
        values = list(values)
    if isinstance(values, _ARROW):
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
