"""Conditions on items over the columns of their metadata: and, or, not, values, ranges, null.

    {"column": "genres", "in": ["Crime", "Drama"]}        one of these values; of a list, any of its entries
    {"column": "year", "from": 1990, "to": 1999}          a range with its ends; either may be left out
    {"column": "year", "last_years": 2}                   this year and the one before
    {"column": "year", "null": true}                      not known
    {"and": [...]}, {"or": [...]}, {"not": ...}

What is not known is in no range and equals no value, so that `not` of either includes it. Logic has two values.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from movierec_engine.recommending.rules.errors import RuleError
from movierec_engine.recommending.rules.item_columns import ItemColumns, Mask, as_values
from movierec_engine.recommending.rules.reading import members, number, objects, one_of, text, values, whole_number

DEEPEST = 8
"""Conditions within conditions."""
MOST_PARTS = 50
"""Parts of one `and` or `or`."""
MOST_VALUES = 20_000
"""Values of one `in`."""

Bound = float | str
"""The end of a range: a number, or a date such as 2024-12-31."""


class Condition(Protocol):
    """A condition that an item meets or not."""

    def mask(self, columns: ItemColumns, now: datetime) -> Mask:
        """bool [n_items], True for the items that are. Raises RuleError where the columns do not fit."""

    @property
    def changes_by_day(self) -> bool:
        """Whether it depends on the date."""


@dataclass(frozen=True)
class AllOf:
    parts: tuple[Condition, ...]

    def mask(self, columns: ItemColumns, now: datetime) -> Mask:
        return np.asarray(np.all([part.mask(columns, now) for part in self.parts], axis=0))

    @property
    def changes_by_day(self) -> bool:
        return any(part.changes_by_day for part in self.parts)


@dataclass(frozen=True)
class AnyOf:
    parts: tuple[Condition, ...]

    def mask(self, columns: ItemColumns, now: datetime) -> Mask:
        return np.asarray(np.any([part.mask(columns, now) for part in self.parts], axis=0))

    @property
    def changes_by_day(self) -> bool:
        return any(part.changes_by_day for part in self.parts)


@dataclass(frozen=True)
class Not:
    part: Condition

    def mask(self, columns: ItemColumns, now: datetime) -> Mask:
        return ~self.part.mask(columns, now)

    @property
    def changes_by_day(self) -> bool:
        return self.part.changes_by_day


@dataclass(frozen=True)
class Among:
    """One of some values; of a column of lists, with one of them."""

    column: str
    values: tuple[Any, ...]
    changes_by_day = False

    def mask(self, columns: ItemColumns, now: datetime) -> Mask:
        return columns.any_of(self.column, lambda entries: pc.is_in(entries, as_values(self, entries.type)))

    def unknown_values(self, columns: ItemColumns) -> list[Any]:
        """The values that no item has."""
        having = columns.entries(self.column)
        found = pc.is_in(as_values(self, having.type), having)
        return [value for value, known in zip(self.values, found.to_pylist(), strict=True) if not known]


@dataclass(frozen=True)
class InRange:
    column: str
    low: Bound | None
    high: Bound | None
    changes_by_day = False

    def mask(self, columns: ItemColumns, now: datetime) -> Mask:
        entries = columns.ordered(self.column)
        found = np.ones(len(entries), dtype=np.bool_)
        for bound, compare in ((self.low, pc.greater_equal), (self.high, pc.less_equal)):
            if bound is not None:
                found &= _is(compare, entries, columns.bound(self.column, bound, end=compare is pc.less_equal))
        return found


@dataclass(frozen=True)
class LastYears:
    """The last n years: calendar years up to this one for a column of years, n years back from today for dates."""

    column: str
    years: int
    changes_by_day = True

    def mask(self, columns: ItemColumns, now: datetime) -> Mask:
        entries = columns.ordered(self.column)
        if pa.types.is_temporal(entries.type):
            day = now.astimezone(UTC).date()
            first = date(day.year - self.years, day.month, min(day.day, 28))
            moment = datetime.combine(first, time(), UTC)
            return _is(pc.greater_equal, entries, columns.bound(self.column, moment.isoformat(), end=False))
        return _is(pc.greater, entries, pa.scalar(now.year - self.years))


@dataclass(frozen=True)
class IsNull:
    """A condition that a value is unknown; a list without entries counts as unknown."""

    column: str
    null: bool
    changes_by_day = False

    def mask(self, columns: ItemColumns, now: datetime) -> Mask:
        mask = columns.is_null(self.column)
        return mask if self.null else ~mask


def _is(compare: Callable[[pa.Array, pa.Scalar], pa.Array], entries: pa.Array, bound: pa.Scalar) -> NDArray[np.bool_]:
    return np.asarray(compare(entries, bound).fill_null(False))


def read_condition(given: Any, place: str, depth: int = 1) -> Condition:
    """The condition that JSON describes. Raises RuleError, which names the place."""
    if depth > DEEPEST:
        raise RuleError(f"{place} is nested more than {DEEPEST} deep; say it with fewer and, or and not")
    if not isinstance(given, dict):
        raise RuleError(f'{place} must be a condition such as {{"column": "year", "from": 1990}}')
    for name, made in (("and", AllOf), ("or", AnyOf)):
        if name in given:
            members(given, place, (name,))
            parts = objects(given[name], f"{place}.{name}", MOST_PARTS)
            return made(tuple(read_condition(part, at, depth + 1) for part, at in parts))
    if "not" in given:
        members(given, place, ("not",))
        return Not(read_condition(given["not"], f"{place}.not", depth + 1))
    tests = ("in", "from", "to", "last_years", "null")
    members(given, place, ("column", *tests), required=("column",))
    column = text(given["column"], f"{place}.column")
    named = [name for name in tests if name in given]
    if not named or (len(named) > 1 and set(named) != {"from", "to"}):
        raise RuleError(f"{place} must have one of in, from and to, last_years and null; split it with and")
    if named == ["in"]:
        return Among(column, values(given["in"], f"{place}.in", MOST_VALUES))
    if named == ["null"]:
        return IsNull(column, one_of(given["null"], f"{place}.null", (True, False)))
    if named == ["last_years"]:
        return LastYears(column, whole_number(given["last_years"], f"{place}.last_years", 1, 1000))
    low, high = (_bound(given[name], f"{place}.{name}") if name in given else None for name in ("from", "to"))
    if low is not None and high is not None:
        if isinstance(low, str) != isinstance(high, str):
            raise RuleError(f"{place} mixes a number and a date; write both ends alike")
        if low > high:  # type: ignore[operator]
            raise RuleError(f"{place} is from {low} to {high}, which nothing can be; swap them")
    return InRange(column, low, high)


def _bound(given: Any, place: str) -> Bound:
    if not isinstance(given, str):
        return number(given, place, -1e15, 1e15)
    try:
        datetime.fromisoformat(given)
    except ValueError as error:
        raise RuleError(f"{place} must be a number or a date such as 2024-12-31, and not {given[:40]!r}") from error
    return given


def parts_of(condition: Condition) -> Sequence[Condition]:
    """A condition and all that it is made of."""
    if isinstance(condition, AllOf | AnyOf):
        return [condition, *(one for part in condition.parts for one in parts_of(part))]
    return [condition, *parts_of(condition.part)] if isinstance(condition, Not) else [condition]
