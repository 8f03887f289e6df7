"""Documents of rules are read strictly: what is not sound is refused in one sentence that names place and remedy."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rule_worlds import COLUMNS, NOW, compiled

from movierec_engine.recommending.rules.conditions import read_condition
from movierec_engine.recommending.rules.document import MOST_BYTES, RuleDocument
from movierec_engine.recommending.rules.errors import RuleError

YEAR = {"column": "year", "from": 2000}


def nested(depth: int) -> dict[str, Any]:
    return YEAR if depth == 0 else {"not": nested(depth - 1)}


def looped() -> dict[str, Any]:
    loop: dict[str, Any] = {}
    loop["not"] = loop
    return loop


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ({"name": "a"}, "does nothing; give it exactly one of"),
        ({"name": "a", "allow": [1], "deny": [1]}, "has allow and deny; give it exactly one of"),
        ({"name": "a", "filtre": YEAR}, "'filtre', which is not known there; did you mean filter?"),
        ({"allow": [1]}, "rules[0] lacks name"),
        ({"name": "a", "allow": []}, "must be an array with at least one entry"),
        ({"name": "a", "allow": [1, "1"]}, "must be texts alone or numbers alone"),
        ({"name": "a", "allow": [2**63]}, "more than 64 bits"),
        ({"name": "a", "filter": {"column": "year"}}, "must have one of in, from and to"),
        ({"name": "a", "filter": {"column": "year", "from": 2000, "to": 1990}}, "which nothing can be; swap them"),
        ({"name": "a", "filter": {"column": "year", "from": "2000-01-01", "to": 1990}}, "mixes a number and a date"),
        ({"name": "a", "filter": {"column": "year", "from": "someday"}}, "a number or a date"),
        ({"name": "a", "filter": nested(9)}, "nested more than 8 deep"),
        ({"name": "a", "filter": looped()}, "nested more than 8 deep"),
        ({"name": "a", "boost": {"where": YEAR, "factor": 0}}, "a number from 0.01 to 100"),
        ({"name": "a", "boost": {"where": YEAR, "factor": float("nan")}}, "a number from 0.01 to 100"),
        ({"name": "a", "boost": {"where": YEAR, "factor": True}}, "a number from 0.01 to 100"),
        ({"name": "a", "share": {"where": YEAR, "at_least": 0.8, "at_most": 0.2}}, "the first not above the second"),
        ({"name": "a", "cap": {"at_most": 2}}, "must have a column, each of whose values is capped, or where"),
        ({"name": "a", "pin": [{"movie_id": 10, "place": 0}]}, "a whole number from 1 to 1000"),
        ({"name": "a", "pin": [{"movie_id": 1.5, "place": 1}]}, "the id of a movie"),
        ({"name": "a", "deny": [1], "from": "2026-02-01", "until": "2026-01-01"}, "before it begins"),
        ({"name": "a", "deny": [1], "from": "tomorrow"}, "must be a date such as"),
        ({"name": "a", "available": [{"where": YEAR}]}, "sets no bound"),
        ({"name": "a\u0000", "deny": [1]}, "printable characters"),
        ({"name": "a", "deny": [1], "priority": 10**9}, "a whole number from -1000 to 1000"),
    ],
)
def test_a_rule_that_is_not_sound_is_refused_with_its_place(rule: dict[str, Any], said: str) -> None:
    with pytest.raises(RuleError) as error:
        RuleDocument.of({"rules": [rule]})
    assert said in str(error.value) and "\n" not in str(error.value)


def test_pins_that_contradict_are_refused_unless_they_hold_at_other_times() -> None:
    def pin(name: str, movie: int, place: int, **more: Any) -> dict[str, Any]:
        return {"name": name, "pin": [{"movie_id": movie, "place": place}], **more}

    for other in (pin("b", 10, 2), pin("b", 20, 1), pin("a", 20, 2)):
        with pytest.raises(RuleError):
            RuleDocument.of({"rules": [pin("a", 10, 1), other]})
    first, second = {"until": "2026-07-01"}, {"from": "2026-07-01"}
    RuleDocument.of({"rules": [pin("a", 10, 1, **first), pin("b", 20, 1, **second)]})
    RuleDocument.of({"rules": [pin("a", 10, 1), pin("b", 20, 1, priority=1)]})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "not valid JSON"),
        ('{"rules": "x"}', "rules must be an array"),
        ("[]", "must be an object"),
        ('{"rules": [], "rules": []}', "a key is given twice"),
        ('{"rules": [{"name": "a", "boost": {"factor": Infinity}}]}', "Infinity is no number in JSON"),
        ("[" * 100_000, "not valid JSON"),
        (b"\xff{}", "not valid JSON in UTF-8"),
        ('{"rules": ' + " " * MOST_BYTES + "[]}", "more than 256 KB"),
        (json.dumps({"rules": [{"name": str(n), "deny": [1]} for n in range(101)]}), "at most 100 are taken"),
        (
            json.dumps({"rules": [{"name": str(n), "cap": {"column": "year", "at_most": 9}} for n in range(61)]}),
            "join some",
        ),
    ],
)
def test_hostile_json_is_refused(text: str | bytes, said: str) -> None:
    with pytest.raises(RuleError, match=said):
        RuleDocument.parse(text)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(
        ["rules", "name", "filter", "pin", "share", "cap", "boost", "where", "column", "in", "and", "not", "from",
         "at_most", "at_least", "factor", "movie_id", "place", "available", "regions", "x"]
    ), inner, max_size=3),
    max_leaves=12,
)  # fmt: skip


@given(json_values)
def test_whatever_is_given_is_read_or_refused(given: Any) -> None:
    for document in (given, {"rules": given}, {"rules": [given]}):
        try:
            RuleDocument.parse(RuleDocument.of(document).text)
        except RuleError as error:
            assert "\n" not in str(error)


CONDITIONS: list[tuple[dict[str, Any], list[int]]] = [
    ({"column": "year", "from": 2010}, [20, 40, 50, 60]),
    ({"column": "year", "to": 2010}, [10, 50]),
    ({"column": "year", "last_years": 2}, [20, 40]),
    ({"column": "year", "null": True}, [30]),
    ({"column": "genres", "in": ["Drama", "Horror"]}, [20, 40, 60]),
    ({"column": "genres", "null": True}, [30, 50]),
    ({"not": {"column": "genres", "in": ["Crime"]}}, [30, 40, 50, 60]),
    ({"column": "series", "in": ["x"]}, [10, 20, 30]),
    ({"column": "free", "in": [True]}, [10, 40, 50]),
    ({"column": "movie_id", "in": [10, 60]}, [10, 60]),
    ({"column": "licence_from", "from": "2026-02-01"}, [30]),
    ({"column": "licence_until", "to": "2026-06-01"}, [20]),
    ({"and": [{"column": "year", "from": 2010}, {"not": {"column": "free", "in": [True]}}]}, [20, 60]),
    ({"or": [{"column": "year", "null": True}, {"column": "title", "in": ["A"]}]}, [10, 30]),
]


@pytest.mark.parametrize(("condition", "movies"), CONDITIONS)
def test_a_condition_is_met_by_the_movies_that_it_describes(condition: dict[str, Any], movies: list[int]) -> None:
    mask = read_condition(condition, "where").mask(COLUMNS, NOW)
    assert np.asarray(COLUMNS.column("movie_id"))[mask].tolist() == movies


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        ([{"name": "a", "filter": {"column": "yaer", "from": 1}}], "there is no column 'yaer'"),
        ([{"name": "a", "filter": {"column": "genres", "from": 1}}], "have no ranges; use in"),
        ([{"name": "a", "filter": {"column": "year", "in": ["x"]}}], "holds numbers, which 'x' is none of"),
        ([{"name": "a", "filter": {"column": "free", "in": [1]}}], "holds true or false"),
        ([{"name": "a", "filter": {"column": "year", "from": "2000-01-01"}}], "its ranges are of numbers"),
        ([{"name": "a", "filter": {"column": "year", "from": 2090}}], "together leave no movie that a model knows"),
        ([{"name": "a", "allow": [10]}, {"name": "b", "deny": [10]}], "the rules 'a' and 'b' together leave no movie"),
        ([{"name": "a", "pin": [{"movie_id": 10, "place": 1}]}, {"name": "b", "deny": [10]}], "which rule 'b' leaves"),
        ([{"name": "a", "pin": [{"movie_id": 11, "place": 1}]}], "there is no movie 11"),
        ([{"name": "a", "pin": [{"movie_id": 60, "place": 1}]}], "no model knows movie 60 yet"),
        ([{"name": "a", "share": {"where": {"column": "year", "from": 2090}, "at_least": 0.1}}], "there are none"),
        ([{"name": "a", "cap": {"column": "yaer", "at_most": 1}}], "there is no column 'yaer'"),
        ([{"name": "later", "allow": [999], "from": "2027-01-01"}], "leave no movie that a model knows at 2027-01-01"),
    ],
)
def test_rules_that_do_not_fit_the_movies_are_refused_before_they_hold(rules: list[dict[str, Any]], said: str) -> None:
    with pytest.raises(RuleError, match=said):
        compiled(*rules).check(NOW)


def test_an_id_that_no_movie_has_is_a_finding_and_no_error() -> None:
    assert compiled({"name": "a", "deny": [10, 999]}).check(NOW) == ["rule 'a': no movie has the movie_id 999"]


def test_a_rule_of_a_column_that_is_gone_is_left_out_and_said() -> None:
    active = compiled({"name": "a", "filter": {"column": "gone", "in": [1]}}, {"name": "b", "deny": [10]}).at(NOW)
    assert active is not None and active.allowed is not None
    assert [one.rule for one in active.unmet] == ["a"] and active.keeping == ("b",)
    assert active.allowed.tolist() == [False, True, True, True, True, True]


def allowed(*rules: dict[str, Any], region: str | None = None) -> list[int]:
    active = compiled(*rules).at(NOW, region)
    assert active is not None and active.allowed is not None
    return np.asarray(COLUMNS.column("movie_id"))[active.allowed].tolist()


def test_windows_and_regions_of_columns_hold_for_the_movies_that_have_them() -> None:
    windows = {"name": "w", "available": [{"column_from": "licence_from", "column_until": "licence_until"}]}
    assert allowed(windows) == [10, 40, 50, 60]
    regions = {"name": "r", "available": [{"column_regions": "countries"}]}
    assert allowed(regions) == [10, 40, 50]
    assert allowed(regions, region="NO") == [10, 20, 30, 40, 50]
    assert allowed(regions, region="Mars") == [10, 40, 50]


def test_a_movie_of_several_windows_is_shown_within_any_of_them() -> None:
    of = {"column": "movie_id", "in": [10]}
    past, now = {"where": of, "until": "2026-01-01"}, {"where": of, "from": "2026-06-01", "regions": ["NO"]}
    assert 10 not in allowed({"name": "w", "available": [past]})
    assert 10 not in allowed({"name": "w", "available": [past, now]})
    assert 10 in allowed({"name": "w", "available": [past, now]}, region="NO")


def test_rules_begin_and_end_at_their_dates() -> None:
    rules = compiled({"name": "a", "deny": [10], "from": "2026-06-15T12:00:00+02:00", "until": "2026-06-16"})
    moments = [NOW.replace(hour=9), NOW.replace(hour=10), NOW.replace(hour=23), NOW.replace(day=16, hour=0)]
    assert [rules.at(moment) is not None for moment in moments] == [False, True, True, False]


def test_what_holds_is_remembered_until_it_changes() -> None:
    rules = compiled({"name": "a", "deny": [10]}, {"name": "b", "deny": [20], "from": "2026-07-01"})
    assert rules.at(NOW) is rules.at(NOW.replace(day=20))
    assert rules.at(NOW) is not rules.at(NOW.replace(month=8))
