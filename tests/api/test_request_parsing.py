"""A parameter is read the same from a query string and from JSON, or refused with its name."""

from dataclasses import dataclass
from typing import Any

import pytest
from flask import Flask, request
from hypothesis import given
from hypothesis import strategies as st

from movierec_engine.api.config import ServingConfig
from movierec_engine.api.errors import ApiError
from movierec_engine.api.parameters import (
    Choice,
    Flag,
    Identifier,
    Integer,
    Kind,
    ListOf,
    Number,
    RatedMovie,
    Rating,
    Text,
    idempotency_key,
    parameter,
)
from movierec_engine.api.request_parsing import read

LIMITS = ServingConfig()
KINDS: list[Kind[Any]] = [
    Integer(1, 9),
    Identifier(),
    Number(),
    Rating(),
    Flag(),
    Text(5),
    idempotency_key(),
    Choice(("a", "b")),
    ListOf(Identifier(), 3),
    RatedMovie(),
]


@dataclass(frozen=True, kw_only=True)
class Listed:
    history: tuple[tuple[int, float | None], ...] = parameter(ListOf(RatedMovie(), 3), "What was seen.")
    user: int = parameter(Identifier(), "Who.", default=0)


def refused(kind: Kind[Any], value: object, *, text: bool = False) -> ApiError:
    with pytest.raises(ApiError) as caught:
        (kind.of_text if text else kind.of_json)(value, "x", LIMITS)  # type: ignore[operator]
    assert str(caught.value.parameter).startswith("x")
    return caught.value


@pytest.mark.parametrize(
    ("kind", "text", "json"),
    [
        (Integer(1, 9), "9", 9),
        (Identifier(), str(2**63 - 1), 2**63 - 1),
        (Number(), "0.25", 0.25),
        (Rating(), "4.5", 4.5),
        (Flag(), "true", True),
        (Text(5), "heat", "heat"),
        (Choice(("a", "b")), "b", "b"),
        (ListOf(Identifier(), 3), "1,2", [1, 2]),
        (ListOf(RatedMovie(), 3), "318:4.5,1", [{"movie_id": 318, "rating": 4.5}, 1]),
    ],
)
def test_both_spellings_of_a_value_are_the_same(kind: Kind[Any], text: str, json: object) -> None:
    assert kind.of_text(text, "x", LIMITS) == kind.of_json(json, "x", LIMITS)


@pytest.mark.parametrize("kind", [Integer(0, 9), Number(), Rating(), Identifier()])
@pytest.mark.parametrize(
    "text", ["", " 1", "1e0", "+1", "NaN", "Infinity", "0x1", "１", "٣", "1_0", "😀", "-0.5", "[1]"]
)
def test_odd_spellings_of_a_number_are_refused(kind: Kind[Any], text: str) -> None:
    assert refused(kind, text, text=True).status == 400


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (Integer(0, 9), True),
        (Integer(0, 9), 1.0),
        (Integer(0, 9), "1"),
        (Number(), "0.5"),
        (Number(), True),
        (Number(), 10**400),
        (Rating(), 0),
        (Rating(), 4.2),
        (Rating(), 10**400),
        (Flag(), 1),
        (Text(5), "toolong"),
        (Text(5), "a\x00"),
        (Text(5), "\ud800"),
        (Choice(("a", "b")), ["a"]),
        (ListOf(Identifier(), 3), "1,2"),
        (ListOf(Identifier(), 3), []),
        (RatedMovie(), {"movie_id": 1, "stars": 4}),
        (RatedMovie(), {"rating": 4}),
    ],
)
def test_json_of_another_type_or_out_of_range_is_refused(kind: Kind[Any], value: object) -> None:
    assert refused(kind, value).status == 400


def test_a_list_names_the_entry_at_fault_and_has_a_bound() -> None:
    assert refused(ListOf(Identifier(), 3), [1, "x"]).parameter == "x[1]"
    assert refused(ListOf(Identifier(), 3), [1, 2, 3, 4]).status == 422
    assert refused(ListOf(Identifier(), 3), "1,2,3,4", text=True).status == 422
    assert refused(ListOf(RatedMovie(), 3), [{"movie_id": 1, "rating": 9}]).parameter == "x[0].rating"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["movie_id", "rating", "x"]), inner),
    max_leaves=6,
)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: type(kind).__name__)
@given(value=JSON, text=st.text())
def test_whatever_is_given_is_read_or_is_an_api_error(kind: Kind[Any], value: object, text: str) -> None:
    for read_value, given_value in ((kind.of_json, value), (kind.of_text, text)):
        try:
            read_value(given_value, "x", LIMITS)  # type: ignore[arg-type]
        except ApiError as error:
            assert error.status in (400, 422)
            assert str(error.parameter).startswith("x")


@dataclass(frozen=True, kw_only=True)
class Event:
    movie_id: int = parameter(Identifier(), "m", where="path")
    stars: float = parameter(Rating(), "s")
    event_key: str | None = parameter(idempotency_key(), "k", default=None, where="header")


def test_path_header_and_body_meet_in_one_request() -> None:
    app = Flask("test")
    with app.test_request_context(method="POST", json={"stars": 4}, headers={"Event-Key": "k-1"}):
        assert read(Event, request, {"movie_id": "7"}, LIMITS) == Event(movie_id=7, stars=4.0, event_key="k-1")
    with app.test_request_context(method="POST", json={"stars": 4, "movie_id": 8}), pytest.raises(ApiError) as caught:
        read(Event, request, {"movie_id": "7"}, LIMITS)
    assert "known are stars" in caught.value.message


@pytest.mark.parametrize(
    "query", ["history=10&history=20:4.5", "history=10,20:4.5", "history=10&user=7&history=20:4.5"]
)
def test_a_list_may_be_written_as_one_parameter_or_as_several(query: str) -> None:
    with Flask("test").test_request_context(f"/?{query}"):
        assert read(Listed, request, {}, LIMITS).history == ((10, None), (20, 4.5))


@pytest.mark.parametrize(("query", "named"), [("user=1&user=1", "user"), ("history=1&history=", "history[1]")])
def test_what_is_no_list_is_given_once_and_a_list_has_no_blank_entries(query: str, named: str) -> None:
    with Flask("test").test_request_context(f"/?{query}"), pytest.raises(ApiError) as caught:
        read(Listed, request, {}, LIMITS)
    assert caught.value.parameter == named
    assert caught.value.status == 400


def test_a_list_has_as_many_entries_as_it_may_however_it_is_written() -> None:
    for query in ("&".join(f"history={n}" for n in range(4)), "history=0,1&history=2,3"):
        with Flask("test").test_request_context(f"/?{query}"), pytest.raises(ApiError, match="at most 3 entries"):
            read(Listed, request, {}, LIMITS)
