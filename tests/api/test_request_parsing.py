"""A parameter is read the same from a query string and from JSON, or refused with its name."""

import json
from typing import Annotated, Any

import pytest
from flask import Flask, request
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import Field

from movierec_engine.api.config import ServingConfig
from movierec_engine.api.errors import ApiError
from movierec_engine.api.known_ids import MovieIdentifier
from movierec_engine.api.parameters import (
    AtMost,
    Flag,
    History,
    IdempotencyKey,
    OneOf,
    RatedMovie,
    Rating,
    RequestModel,
    Share,
    TopK,
    text,
)
from movierec_engine.api.request_parsing import RequestParser

LIMITS = ServingConfig(max_history=3, max_top_k=9)
APP = Flask("test")


class Everything(RequestModel):
    number: TopK = 1
    id: MovieIdentifier = 0
    share: Share = 0.0
    stars: Rating = 5.0
    flag: Flag = False
    words: Annotated[str, text(5)] = "heat"
    key: IdempotencyKey = "k"
    name: Annotated[str, OneOf(("a", "b"))] = "a"
    ids: Annotated[tuple[MovieIdentifier, ...], Field(min_length=1), AtMost("max_history")] = (1,)
    history: History = ()


EVERYTHING = RequestParser(Everything, LIMITS)
NAMES = [*Everything.model_fields]
NUMBERS = ["number", "id", "share", "stars"]


def of_query(query: Any, parser: RequestParser[Any] = EVERYTHING) -> Any:
    with APP.test_request_context("/", query_string=query):
        return parser.read(request, {})


def of_json(body: object, parser: RequestParser[Any] = EVERYTHING) -> Any:
    with APP.test_request_context(method="POST", data=json.dumps(body), content_type="application/json"):
        return parser.read(request, {})


def refused_query(**query: str) -> ApiError:
    with pytest.raises(ApiError) as caught:
        of_query(query)
    assert str(caught.value.parameter).startswith(tuple(query))
    return caught.value


def refused_json(**body: object) -> ApiError:
    with pytest.raises(ApiError) as caught:
        of_json(body)
    assert str(caught.value.parameter).startswith(tuple(body))
    return caught.value


@pytest.mark.parametrize(
    ("name", "written", "value", "read"),
    [
        ("number", "9", 9, 9),
        ("id", str(2**63 - 1), 2**63 - 1, 2**63 - 1),
        ("share", "0.25", 0.25, 0.25),
        ("share", "1", 1, 1.0),
        ("share", "0.016666666666666666", 0.05 / 3, 0.05 / 3),
        ("share", "0.0033333333333333335", 0.01 / 3, 0.01 / 3),
        ("share", "1e-05", 1e-05, 0.00001),
        ("share", "2.5E-1", 0.25, 0.25),
        ("share", ".5", 0.5, 0.5),
        ("stars", "4.", 4, 4.0),
        ("stars", "4.5", 4.5, 4.5),
        ("flag", "true", True, True),
        ("flag", "0", False, False),
        ("words", "heat", "heat", "heat"),
        ("name", "b", "b", "b"),
        ("ids", "1,2", [1, 2], (1, 2)),
        (
            "history",
            "318:4.5,1",
            [{"movie_id": 318, "rating": 4.5}, 1],
            (RatedMovie(movie_id=318, rating=4.5), RatedMovie(movie_id=1)),
        ),
        ("history", "", [], ()),
        ("history", "7", [{"movie_id": 7, "rating": None}], (RatedMovie(movie_id=7),)),
    ],
)
def test_both_spellings_of_a_value_are_the_same(name: str, written: str, value: object, read: object) -> None:
    assert getattr(of_query({name: written}), name) == read
    assert getattr(of_json({name: value}), name) == read


@pytest.mark.parametrize("written", ["2.0", "2e0", "20E-1"])
def test_a_whole_number_in_json_may_have_a_point_or_an_exponent(written: str) -> None:
    body = f'{{"number": {written}, "id": {written}, "ids": [{written}], "history": [{written}], "share": 1.0}}'
    with APP.test_request_context(method="POST", data=body, content_type="application/json"):
        read = EVERYTHING.read(request, {})
    assert (read.number, read.id, read.ids, read.history) == (2, 2, (2,), (RatedMovie(movie_id=2),))
    assert all(type(one) is int for one in (read.number, read.id, read.ids[0]))


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize(
    "written", ["", " 1", "+1", "NaN", "Infinity", "0x1", "１", "٣", "1_0", "😀", "-0.5", "[1]", ".", "1e", "1e999"]
)
def test_odd_spellings_of_a_number_are_refused(name: str, written: str) -> None:
    assert refused_query(**{name: written}).status == 400


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("number", True),
        ("number", 1.5),
        ("number", 1e300),
        ("number", "1"),
        ("number", 10),
        ("share", "0.5"),
        ("share", True),
        ("share", 10**400),
        ("stars", 0),
        ("stars", 4.2),
        ("stars", 10**400),
        ("flag", 1),
        ("words", "toolong"),
        ("words", "a\x00"),
        ("words", "\ud800"),
        ("key", "é"),
        ("name", ["a"]),
        ("ids", "1,2"),
        ("ids", []),
        ("ids", {"1": 1}),
        ("history", [{"movie_id": 1, "stars": 4}]),
        ("history", [{"rating": 4}]),
        ("history", [[1, 4.5]]),
        *((name, None) for name in NAMES),
    ],
)
def test_json_of_another_type_or_out_of_range_is_refused(name: str, value: object) -> None:
    assert refused_json(**{name: value}).status == 400


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("number", 10, "number must be a whole number from 1 to 9"),
        ("id", -1, "id must be a whole number from 0 to 2^63-1"),
        ("share", 2, "share must be a number from 0 to 1"),
        ("stars", 4.2, "stars must be a rating from 0.5 to 5 in steps of 0.5"),
        ("flag", "yes", "flag must be true or false"),
        ("words", "toolong", "words must have 1 to 5 characters"),
        ("words", "a\x00", "words must be text without control characters"),
        ("key", "a b", "key must be 1 to 128 visible ASCII characters, such as a UUID"),
        ("name", "c", "name must be one of a, b"),
        ("ids", 5, "ids must be an array"),
        ("ids", [], "ids must have at least 1 entry"),
        ("ids", [1, 2, 3, 4], "ids must have at most 3 entries"),
        ("ids", [1, "x"], "ids[1] must be a whole number from 0 to 2^63-1"),
        ("history", [{"movie_id": 1, "rating": 9}], "history[0].rating must be a rating from 0.5 to 5 in steps of 0.5"),
        ("history", [{"rating": 9}], "history[0].movie_id is missing"),
        ("history", [{"movie_id": 1, "stars": 4}], "there is no history[0].stars; known are movie_id, rating"),
    ],
)
def test_what_does_not_fit_is_refused_in_a_sentence(name: str, value: object, said: str) -> None:
    assert refused_json(**{name: value}).message.startswith(said)


def test_a_list_names_the_entry_at_fault_and_has_a_bound() -> None:
    assert refused_json(ids=[1, "x"]).parameter == "ids[1]"
    assert refused_json(ids=[1, 2, 3, 4]).status == 422
    assert refused_query(ids="1,2,3,4").status == 422
    assert refused_json(history=[{"movie_id": 1, "rating": 9}]).parameter == "history[0].rating"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["movie_id", "rating", "x"]), inner),
    max_leaves=6,
)


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=40)  # of each name
@given(value=JSON, written=st.text())
def test_whatever_is_given_is_read_or_is_an_api_error(name: str, value: object, written: str) -> None:
    for read, given_value in ((of_json, value), (of_query, written)):
        try:
            read({name: given_value})
        except ApiError as error:
            assert error.status in (400, 422)
            assert error.parameter is None or error.parameter.startswith(name)


class Event(RequestModel):
    movie_id: MovieIdentifier
    stars: Rating
    event_key: IdempotencyKey | None = Field(None, alias="Event-Key")


def test_path_header_and_body_meet_in_one_request() -> None:
    parser = RequestParser(Event, LIMITS, ("movie_id",))
    with APP.test_request_context(method="POST", json={"stars": 4}, headers={"Event-Key": "k-1"}):
        assert parser.read(request, {"movie_id": "7"}) == Event(movie_id=7, stars=4.0, event_key="k-1")
    for body in ({"stars": 4, "movie_id": 8}, {"stars": 4, "Event-Key": "k"}):
        with APP.test_request_context(method="POST", json=body), pytest.raises(ApiError) as caught:
            parser.read(request, {"movie_id": "7"})
        assert "known are stars" in caught.value.message
    said = pytest.raises(ApiError, match="Event-Key must be 1 to 128 visible ASCII characters")
    with APP.test_request_context(method="POST", json={"stars": 4}, headers={"Event-Key": "a b"}), said:
        parser.read(request, {"movie_id": "7"})


def test_what_is_missing_is_said_after_what_is_wrong() -> None:
    parser = RequestParser(Event, LIMITS)
    for body, said in (
        ({"stars": 4}, "movie_id is missing"),
        ({"stars": 4.2}, "stars must be"),
        ({"star": 4}, "there is no parameter 'star'; did you mean stars?"),
    ):
        with pytest.raises(ApiError, match=said):
            of_json(body, parser)


@pytest.mark.parametrize(
    "query", ["history=10&history=20:4.5", "history=10,20:4.5", "history=10&number=7&history=20:4.5"]
)
def test_a_list_may_be_written_as_one_parameter_or_as_several(query: str) -> None:
    assert of_query(query).history == (RatedMovie(movie_id=10), RatedMovie(movie_id=20, rating=4.5))


@pytest.mark.parametrize(("query", "named"), [("id=1&id=1", "id"), ("history=1&history=", "history[1].movie_id")])
def test_what_is_no_list_is_given_once_and_a_list_has_no_blank_entries(query: str, named: str) -> None:
    with pytest.raises(ApiError) as caught:
        of_query(query)
    assert caught.value.parameter == named
    assert caught.value.status == 400


def test_a_list_has_as_many_entries_as_it_may_however_it_is_written() -> None:
    for query in ("&".join(f"history={n}" for n in range(4)), "history=0,1&history=2,3"):
        with pytest.raises(ApiError, match="at most 3 entries"):
            of_query(query)


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("words=heat", "heat"),
        ("words=a+b", "a b"),
        ("words=a%20b", "a b"),
        ("words=1%2B1", "1+1"),
        ("words=%C3%A9", "é"),
        ("%77ords=x", "x"),
        ("words=a=b", "a=b"),
        ("words=a%26b", "a&b"),
        ("&&words=x&", "x"),
        ("words=a;b", "a;b"),
    ],
)
def test_a_query_string_is_decoded_as_forms_are(query: str, words: str) -> None:
    assert of_query(query).words == words


@pytest.mark.parametrize("query", ["words=%FF", "words=%C3", "%ED%A0%80=1", "&".join(["history=1"] * 2101)])
def test_a_query_string_that_is_no_utf8_or_has_too_many_parameters_is_refused_whole(query: str) -> None:
    with pytest.raises(ApiError, match="percent-encoded UTF-8 of at most 2100 parameters") as caught:
        of_query(query)
    assert (caught.value.status, caught.value.parameter) == (400, None)
