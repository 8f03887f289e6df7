"""Times in files: how they are written, and SQL that makes numbers of them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from movierec_engine.data.table_file import sql_text
from movierec_engine.errors import ConfigError, DataError

UNITS = {"seconds": 1, "milliseconds": 10**3, "microseconds": 10**6, "nanoseconds": 10**9}
_DAYS = (
    "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%m-%d-%Y", "%d.%m.%Y", "%Y/%m/%d",
    *(day.replace("%b", month) for month in ("%b", "%B")
      for day in ("%d %b %Y", "%d. %b %Y", "%d-%b-%Y", "%b %d %Y", "%b %d, %Y")),
)  # fmt: skip
_HOURS = ("%H:%M", "%H:%M:%S", "%I:%M %p", "%I:%M:%S %p")
FORMATS = (
    "%a %b %d %H:%M:%S %z %Y", "%a, %d %b %Y %H:%M:%S %z", "%a, %d %b %Y %H:%M:%S", "%a %b %d %H:%M:%S %Y", "%m %d, %Y",
    "%Y%m%dT%H%M%S", "%Y%m%dT%H%M%SZ", "%Y%m%dT%H%M%S%z", "%Y-%m-%d %I:%M %p", "%Y-%m-%d %I:%M:%S %p",
    *_DAYS, *(f"{day} {hours}" for day in _DAYS for hours in _HOURS),
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

    written: a unit of UNITS, `iso`, `moments` that are stored as such, a format of strptime, or "" where it is none
    of those that are known, so that nothing is a time. per_second: of the
    numbers that `sql` gives. told: the unit is told by how large the first numbers are, so that all have to be of that
    size.
    """

    written: str = "seconds"
    per_second: int = 1
    fractions: bool = False
    told: bool = False

    def sql(self, text: str) -> str:
        """SQL for a text's time as a whole number, or for a moment's microseconds; null for what is none."""
        if not self.written:
            return "NULL::BIGINT"
        if self.written in UNITS and self.fractions:
            scaled = f"TRY_CAST({text} AS DOUBLE) * {self.per_second // UNITS[self.written]}"
            return f"CASE WHEN isfinite({scaled}) AND {scaled} BETWEEN 0 AND 9e18 THEN round({scaled})::BIGINT END"
        if self.written in UNITS:
            return f"CASE WHEN regexp_full_match({text}, '[0-9]+(\\.0+)?') THEN TRY_CAST({text} AS BIGINT) END"
        if self.written == "moments":
            moment = text
        elif self.written == "iso":
            zoned = f"regexp_matches({text}, ':.*([+-][0-9]{{2}}(:?[0-9]{{2}})?)$')"
            close = f"replace(replace({text}, ' +', '+'), ' -', '-')"
            with_colon = f"regexp_replace({close}, '([+-][0-9]{{2}})([0-9]{{2}})$', '\\1:\\2')"
            zone, plain = f"epoch_us(TRY_CAST({with_colon} AS TIMESTAMPTZ))", f"epoch_us(TRY_CAST({text} AS TIMESTAMP))"
            moment = f"CASE WHEN {zoned} THEN {zone} ELSE {plain} END"
        else:
            moment = f"epoch_us(try_strptime({text}, {sql_text(self.written)}))"
        return f"CASE WHEN {moment} >= 0 THEN {moment} END"

    def __str__(self) -> str:
        if self.written in UNITS:
            return f"in {self.written}"
        if self.written == "iso":
            return "ISO dates"
        return self.written if self.written == "moments" else f"as {self.written}"


def time_form(texts: Sequence[str], given: str, where: str) -> TimeForm:
    """The form of times, from the first ones of a file; where they differ, the form of most.

    given: `data.format.times`. Raises ConfigError where it is no format, and DataError where several forms fit and for
    years of two digits, naming the setting.
    """
    if given in UNITS:
        return _in_unit(given, texts)
    if given:
        _check_format(given)
        return TimeForm(given, 10**6)
    kinds = [_kind(text) for text in texts]
    if not kinds:
        return TimeForm(told=True)
    most = max(dict.fromkeys(kinds), key=kinds.count)
    like_most = [text for text, kind in zip(texts, kinds, strict=True) if kind == most]
    if most == "number":
        return _of_numbers(like_most, where)
    return TimeForm("iso", 10**6) if most == "iso" else _of_dates(like_most, where)


def _check_format(given: str) -> None:
    """Raises ConfigError for what is neither the name of a form nor a format of strptime."""
    import duckdb  # a server has none

    try:
        with duckdb.connect() as database:
            database.execute("SELECT try_strptime('', $given)", {"given": given})
        is_format = "%" in given or given == "iso"
    except duckdb.Error:
        is_format = False
    if not is_format:
        raise ConfigError(
            f"data.format.times={given} is no format of times; choose {', '.join(UNITS)} or a format such as "
            "'%d/%m/%Y %H:%M'"
        )


def _kind(text: str) -> str:
    if re.fullmatch(rf"{_WHOLE}|{_FRACTION}", text):
        return "number"
    return "iso" if re.fullmatch(_ISO, text) else "date"


def _in_unit(unit: str, texts: Sequence[str], told: bool = False) -> TimeForm:
    fractions = any(not re.fullmatch(_WHOLE, text) for text in texts)
    return TimeForm(unit, 10**6 if fractions and unit != "nanoseconds" else UNITS[unit], fractions, told)


def _of_dates(texts: Sequence[str], where: str) -> TimeForm:
    fitting = _fitting(FORMATS, texts)
    if len({one.replace("%B", "%b") for one in fitting}) > 1:  # May is both
        raise DataError(
            f"{where}: the time {texts[0]!r} may be written as {' or '.join(fitting)}; "
            f"say which by 'data.format.times=\"{fitting[0]}\"'"
        )
    if fitting:
        return TimeForm(fitting[0], 10**6)
    if short := _fitting([one.replace("%Y", "%y") for one in FORMATS], texts):
        raise DataError(
            f"{where}: the time {texts[0]!r} has a year of two digits; say how it is written, by "
            + " or ".join(f"'data.format.times=\"{one}\"'" for one in short)
        )
    return TimeForm("")  # reading names the first line


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
    """The formats by which DuckDB reads the most texts, if that is more than half of them."""
    import duckdb  # a server has none

    sql = "SELECT count(*) FROM (SELECT unnest($texts) AS text) WHERE year(try_strptime(text, $written)) >= 1000"
    with duckdb.connect() as database:  # one for all: opening it takes longer than asking it
        counts = [database.execute(sql, {"written": one, "texts": list(texts)}).fetchall()[0][0] for one in formats]
    return [one for one, count in zip(formats, counts, strict=True) if count == max(counts) and count > len(texts) / 2]
