"""Times in files: how they are written, and SQL that makes numbers of them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from movierec_engine.errors import DataError

UNITS = {"seconds": 1, "milliseconds": 10**3, "microseconds": 10**6, "nanoseconds": 10**9}
FORMATS = (
    "%a %b %d %H:%M:%S %z %Y", "%a, %d %b %Y %H:%M:%S %z", "%a, %d %b %Y %H:%M:%S", "%a %b %d %H:%M:%S %Y",
    "%d %b %Y %H:%M:%S", "%d %b %Y", "%d-%b-%Y", "%b %d, %Y", "%B %d, %Y", "%m %d, %Y", "%d %B %Y",
    "%Y/%m/%d %H:%M:%S", "%Y/%m/%d %H:%M", "%Y/%m/%d", "%d.%m.%Y %H:%M:%S", "%d.%m.%Y %H:%M", "%d.%m.%Y",
    *(f"{date}{time}" for date in ("%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%m-%d-%Y")
      for time in ("", " %H:%M", " %H:%M:%S", " %I:%M:%S %p", " %I:%M %p")),
)  # fmt: skip
"""Written forms beside ISO 8601; a date that fits two of them is refused."""
_DIGITS = {8: "%Y%m%d", 12: "%Y%m%d%H%M", 14: "%Y%m%d%H%M%S"}
"""Dates written without anything between, by their number of digits."""
_ISO = r"\d{4}-\d{1,2}-\d{1,2}([T ]\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?( ?(Z|UTC|[+-]\d{2}(:?\d{2})?))?)?"
_WHOLE = r"\d+(\.0+)?"
_FRACTION = r"\d*\.\d+|\d+(\.\d*)?[eE]\+?\d+"


@dataclass(frozen=True)
class TimeForm:
    """The form of a file's times.

    written: a unit of UNITS, `iso`, `moments` that are stored as such, or a format of strptime. per_second: of the
    numbers that `sql` gives. told: the unit is told by how large the first numbers are, so that all have to be of that
    size.
    """

    written: str = "seconds"
    per_second: int = 1
    fractions: bool = False
    told: bool = False

    def sql(self, text: str) -> str:
        """SQL for a text's time as a whole number, or for a moment's microseconds; null for what is none."""
        if self.written in UNITS and self.fractions:
            scaled = f"TRY_CAST({text} AS DOUBLE) * {self.per_second // UNITS[self.written]}"
            return f"CASE WHEN isfinite({scaled}) AND {scaled} BETWEEN 0 AND 9e18 THEN round({scaled})::BIGINT END"
        if self.written in UNITS:
            return f"CASE WHEN regexp_full_match({text}, '[0-9]+(\\.0+)?') THEN TRY_CAST({text} AS BIGINT) END"
        if self.written == "moments":
            moment = text
        elif self.written == "iso":
            zoned = f"regexp_matches({text}, ':.*([+-][0-9]{{2}}(:?[0-9]{{2}})?)$')"
            with_colon = f"regexp_replace({text}, '([+-][0-9]{{2}})([0-9]{{2}})$', '\\1:\\2')"
            zone, plain = f"epoch_us(TRY_CAST({with_colon} AS TIMESTAMPTZ))", f"epoch_us(TRY_CAST({text} AS TIMESTAMP))"
            moment = f"CASE WHEN {zoned} THEN {zone} ELSE {plain} END"
        else:
            moment = f"epoch_us(try_strptime({text}, '{self.written}'))"
        return f"CASE WHEN {moment} >= 0 THEN {moment} END"

    def __str__(self) -> str:
        if self.written in UNITS:
            return f"in {self.written}"
        if self.written == "iso":
            return "ISO dates"
        return self.written if self.written == "moments" else f"as {self.written}"


def time_form(texts: Sequence[str], given: str, where: str) -> TimeForm:
    """The form of times, from the first ones of a file; where they differ, the form of most.

    given: `data.format.times`. Raises DataError where several forms fit, naming the setting.
    """
    if given in UNITS:
        return _in_unit(given, texts)
    if given:
        return TimeForm(given, 10**6)
    kinds = [_kind(text) for text in texts]
    if not kinds:
        return TimeForm(told=True)
    most = max(dict.fromkeys(kinds), key=kinds.count)
    like_most = [text for text, kind in zip(texts, kinds, strict=True) if kind == most]
    if most == "number":
        return _of_numbers(like_most, where)
    return TimeForm("iso", 10**6) if most == "iso" else _of_dates(like_most, where)


def _kind(text: str) -> str:
    if re.fullmatch(rf"{_WHOLE}|{_FRACTION}", text):
        return "number"
    return "iso" if re.fullmatch(_ISO, text) else "date"


def _in_unit(unit: str, texts: Sequence[str], told: bool = False) -> TimeForm:
    fractions = any(not re.fullmatch(_WHOLE, text) for text in texts)
    return TimeForm(unit, 10**6 if fractions and unit != "nanoseconds" else UNITS[unit], fractions, told)


def _of_dates(texts: Sequence[str], where: str) -> TimeForm:
    fitting = _fitting(FORMATS, texts)
    if len(fitting) > 1:
        raise DataError(
            f"{where}: the time {texts[0]!r} may be written as {' or '.join(fitting)}; "
            f"say which by 'data.format.times=\"{fitting[0]}\"'"
        )
    return TimeForm(fitting[0], 10**6) if fitting else TimeForm(told=True)  # reading names the line that is none


def _of_numbers(texts: Sequence[str], where: str) -> TimeForm:
    numbers = [float(text) for text in texts]
    least, most = min(numbers), max(numbers)
    for digits, written in _DIGITS.items():
        if all(len(text) == digits for text in texts) and _fitting([written], texts) and _years(texts):
            return TimeForm(written, 10**6)
    if least >= 1900 and most <= 2100:
        raise DataError(
            f"{where}: the times, such as {texts[0]}, are years, not seconds since 1970; "
            'set data.columns.timestamp="" or convert them'
        )
    return _in_unit(next(name for name, limit in _LIMITS.items() if least < limit), texts, told=True)


_LIMITS = {"seconds": 10**11, "milliseconds": 10**14, "microseconds": 10**17, "nanoseconds": 10**19}
"""The first number that cannot be of a unit: as seconds 1e11 is of the year 5138, as milliseconds of 1973."""


def unit_limits(unit: str) -> tuple[float, float]:
    """The numbers from and below which a time is in a unit, when units are told from the numbers."""
    names = list(_LIMITS)
    before = names.index(unit) - 1
    return (_LIMITS[names[before]] if before >= 0 else 0, _LIMITS[unit])


def _years(texts: Sequence[str]) -> bool:
    return all("1900" <= text[:4] <= "2100" for text in texts)


def _fitting(formats: Sequence[str], texts: Sequence[str]) -> list[str]:
    """The formats by each of which DuckDB reads every text."""
    import duckdb  # a server has none

    sql = "SELECT bool_and(try_strptime(text, $written) IS NOT NULL) FROM (SELECT unnest($texts) AS text)"
    with duckdb.connect() as database:  # one for all: opening it takes longer than asking it
        fits = [
            database.execute(sql, {"written": one, "texts": list(texts)}).fetchall() == [(True,)] for one in formats
        ]
    return [one for one, fit in zip(formats, fits, strict=True) if fit]
