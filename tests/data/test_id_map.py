from uuid import UUID

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from movierec_engine.data.id_map import IdMap, as_ids
from movierec_engine.errors import DataError

IDS = st.lists(st.integers(0, 2**63 - 1), max_size=30)
TEXTS = st.lists(st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=8), max_size=30)


@given(IDS | TEXTS)
def test_every_id_comes_back_from_its_index(ids: list[int] | list[str]) -> None:
    id_map = IdMap.of(ids)
    assert id_map.ids[id_map.index(ids)].tolist() == ids


@given(st.tuples(IDS, IDS) | st.tuples(TEXTS, TEXTS))
def test_unknown_ids_have_index_minus_one(both: tuple[list[int], list[int]]) -> None:
    known, asked = both
    index = IdMap.of(known).index(asked)
    assert [i >= 0 for i in index] == [i in known for i in asked]


def test_unsorted_ids_are_refused() -> None:
    for ids in ([2, 1], [1, 1]):
        with pytest.raises(ValueError, match="increasing"):
            IdMap(np.array(ids))


def test_the_ids_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="read-only"):
        IdMap.of(np.array([1, 2])).ids[0] = 5


@given(IDS | TEXTS)
def test_packed_ids_come_back(ids: list[int] | list[str]) -> None:
    assert IdMap.unpacked(IdMap.of(ids).packed()) == IdMap.of(ids)


@pytest.mark.parametrize(
    "values",
    [
        ["b", "a"],
        np.array(["b", "a"]),
        pd.Series(["b", "a"]),
        pd.Series(["b", "a"], dtype="category"),
        pd.Series(["b", "a"], dtype="string"),
        pa.array(["b", "a"]),
        pa.chunked_array([["b"], ["a"]]),
        pa.array(["b", "a"]).dictionary_encode(),
    ],
    ids=lambda values: type(values).__name__,
)
def test_texts_are_read_from_any_container(values: object) -> None:
    assert as_ids(values).tolist() == ["b", "a"]  # type: ignore[arg-type]
    assert IdMap.of(values).ids.tolist() == ["a", "b"]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "values",
    [
        [7, 3],
        np.array([7, 3], np.uint8),
        pd.Series([7, 3], dtype="Int64"),
        pa.array([7, 3]),
        pa.chunked_array([[7, 3]]),
    ],
    ids=lambda values: type(values).__name__,
)
def test_whole_numbers_are_read_from_any_container(values: object) -> None:
    assert as_ids(values).tolist() == [7, 3]  # type: ignore[arg-type]
    assert as_ids(values).dtype == np.int64  # type: ignore[arg-type]


def test_a_uuid_is_the_text_that_it_is_written_as() -> None:
    one = UUID(int=5)
    assert IdMap.of([str(one)]).index([one]).tolist() == [0]


def test_a_number_is_not_the_text_of_its_digits() -> None:
    with pytest.raises(DataError, match="the ids are texts such as 0501, not whole numbers such as 501"):
        IdMap.of(["0501"]).index([501])
    with pytest.raises(DataError, match="the ids are whole numbers such as 501, not texts"):
        IdMap.of([501]).index(["0501"])


@pytest.mark.parametrize(
    ("ids", "named"),
    [
        ([1.7, 1.2], "float"),
        ([True], "bool"),
        ([2**63], "int"),
        ([2**70], "int"),
        (["a", None], "NoneType and str"),
        (["a", 1], "int and str"),
        (np.array([2**63], np.uint64), "uint64"),
        ([b"a"], "bytes"),
    ],
    ids=str,
)
def test_ids_of_other_types_are_refused_and_never_rounded(ids: object, named: str) -> None:
    with pytest.raises(DataError, match=named):
        IdMap.of(ids)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "said"), [("a\0b", "control"), ("a\nb", "control"), ("\x7f", "control"), ("", "empty"), ("x" * 257, "256")]
)
def test_a_text_that_no_path_or_line_can_hold_is_refused_as_an_id(text: str, said: str) -> None:
    with pytest.raises(DataError, match=said):
        IdMap.of(["fine", text])
    assert len(IdMap.of(["x" * 256, "fine one"])) == 2
    with pytest.raises(DataError, match="an id is missing"):
        IdMap.of(["fine"]).index(pa.array(["fine", None]))


@given(IDS | TEXTS)
def test_a_column_of_arrow_is_looked_up_as_a_list_is(ids: list[int] | list[str]) -> None:
    known = IdMap.of(ids[::2])
    column = pa.chunked_array([ids[:3], ids[3:]], type=known.arrow_type if ids else pa.int64())
    index = known.index(column)
    assert index.tolist() == known.index(ids).tolist()
    assert [known.place(one) for one in ids] == [None if i < 0 else i for i in index.tolist()]
    assert pa.array(known.column(index[index >= 0]), known.arrow_type).to_pylist() == [i for i in ids if i in ids[::2]]


def test_a_number_is_at_no_place_among_texts_nor_a_text_among_numbers() -> None:
    assert IdMap.of(["17"]).place(17) is None
    assert IdMap.of([17]).place("17") is None
