"""The only mapping between public ids and matrix indices."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class IdMap:
    """A frozen, sorted vocabulary of public ids; the position of an id is its index.

    ids: int64 [n], strictly increasing.
    """

    ids: NDArray[np.int64]

    def __post_init__(self) -> None:
        ids = np.ascontiguousarray(_whole_numbers(self.ids))
        if len(ids) > 1 and not (ids[1:] > ids[:-1]).all():
            raise ValueError("an IdMap needs strictly increasing ids; build it with IdMap.of")
        ids.setflags(write=False)
        object.__setattr__(self, "ids", ids)

    @classmethod
    def of(cls, ids: NDArray[np.int64]) -> "IdMap":
        """The map of all distinct ids in an array of whole numbers. Raises ValueError for any other."""
        return cls(np.unique(_whole_numbers(ids)))

    def __len__(self) -> int:
        return len(self.ids)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, IdMap) and np.array_equal(self.ids, other.ids)

    def __hash__(self) -> int:
        return hash(self.ids.tobytes())

    def index(self, ids: Sequence[int] | NDArray[np.int64]) -> NDArray[np.int64]:
        """Indices int64 [n] of public ids; -1 stands for an id that is not in the map.

        Raises ValueError for ids that are no whole numbers.
        """
        wanted = _whole_numbers(ids)
        if not len(self.ids):
            return np.full(wanted.shape, -1, dtype=np.int64)
        position = np.minimum(np.searchsorted(self.ids, wanted), len(self.ids) - 1)
        return np.where(self.ids[position] == wanted, position, -1)


def _whole_numbers(ids: Sequence[int] | NDArray[Any]) -> NDArray[np.int64]:
    """Ids as int64, none of them rounded or wrapped round."""
    given = np.asarray(ids)
    if not given.size:
        return given.astype(np.int64)
    if given.dtype.kind not in "iu" or (given.dtype.kind == "u" and given.max() > np.iinfo(np.int64).max):
        raise ValueError(f"ids must be whole numbers of 64 bits, not {given.dtype} such as {given.flat[0]!r}")
    return given.astype(np.int64, copy=False)
