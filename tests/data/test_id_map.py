import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from movierec_engine.data.id_map import IdMap

IDS = st.lists(st.integers(0, 2**63 - 1), max_size=30)


@given(IDS)
def test_every_id_comes_back_from_its_index(ids: list[int]) -> None:
    id_map = IdMap.of(np.array(ids, dtype=np.int64))
    assert id_map.ids[id_map.index(ids)].tolist() == ids


@given(IDS, IDS)
def test_unknown_ids_have_index_minus_one(known: list[int], asked: list[int]) -> None:
    index = IdMap.of(np.array(known, dtype=np.int64)).index(asked)
    assert [i >= 0 for i in index] == [i in known for i in asked]


def test_unsorted_ids_are_refused() -> None:
    with pytest.raises(ValueError, match="increasing"):
        IdMap(np.array([2, 1]))


def test_the_ids_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="read-only"):
        IdMap.of(np.array([1, 2])).ids[0] = 5


@pytest.mark.parametrize("ids", [np.array([1.7, 1.2]), np.array(["1"]), np.array([True]), np.array([2**63], np.uint64)])
def test_ids_that_are_no_whole_numbers_are_refused_and_never_rounded(ids: np.ndarray) -> None:
    with pytest.raises(ValueError, match="whole numbers"):
        IdMap.of(ids)
    with pytest.raises(ValueError, match="whole numbers"):
        IdMap.of(np.array([1])).index(ids)
