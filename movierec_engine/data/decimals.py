"""Numbers in texts: whether a comma or a dot stands before their fraction, and SQL that makes numbers of them."""

import re
from collections.abc import Sequence

from movierec_engine.errors import DataError

_OTHER = {".": ",", ",": "."}
_LARGEST_RATING = 10


def told_decimal(texts: Sequence[str], where: str, *, typed: bool = False) -> str:
    """The decimal separator, `.` or `,`, of a column by its first values; "" if none of them has one.

    A dot or comma before groups of three digits may as well part thousands. Raises DataError where all that have one
    may be read in both ways, naming the setting, except where dots are no doubt of fractions: the values are as small
    as ratings on a scale of ten, or typed, stored as numbers rather than as texts.
    """
    fitting = {sign: [text for text in texts if re.fullmatch(_written(sign), text)] for sign in _OTHER}
    readable = {*fitting["."], *fitting[","]}
    separated = [text for text in texts if text in readable and re.search("[.,]", text)]
    if not separated:
        return ""
    fits = [sign for sign in _OTHER if set(separated) <= set(fitting[sign])]
    if len(fits) < 2:
        return fits[0] if fits else "."
    if all("." in text for text in separated):
        largest = max(abs(float(text)) for text in readable)
        if typed or largest <= _LARGEST_RATING:
            return "."
    sign = "," if "," in separated[0] else "."
    raise DataError(
        f"{where}: whether {separated[0]} is a fraction or a number of thousands cannot be told; set "
        f"data.format.decimal={sign} for a fraction, or data.format.decimal={_OTHER[sign]} for thousands"
    )


def number(text: str, decimal: str) -> str:
    """SQL for a text as a number, whose thousands may be parted; null for what is none.

    decimal: as `told_decimal` says; "" leaves numbers with a comma out, as what it stands for is not known.
    """
    plain = f"TRY_CAST({text} AS DOUBLE)"
    if not decimal:
        return plain
    whole = f"replace({text}, '{_OTHER[decimal]}', '')"
    grouped = (
        f"CASE WHEN regexp_full_match({text}, '{_written(decimal)}') "
        f"THEN TRY_CAST(replace({whole}, ',', '.') AS DOUBLE) END"
    )
    if decimal == ".":
        return f"coalesce({plain}, {grouped})"
    return f"CASE WHEN contains({text}, '.') THEN {grouped} ELSE TRY_CAST(replace({text}, ',', '.') AS DOUBLE) END"


FLAGS = {"true": 1, "false": 0}
"""Ratings in words."""


def is_rating(text: str, decimal: str) -> str:
    """SQL for whether a text is a number, or a word for one."""
    words = ", ".join(f"'{word}'" for word in FLAGS)
    return f"(({number(text, decimal)}) IS NOT NULL OR lower({text}) IN ({words}))"


def reads(text: str, decimal: str) -> bool:
    """True if a text is a number with this before its fraction."""
    return bool(re.fullmatch(_written(decimal), text))


def _written(decimal: str) -> str:
    """The numbers that have this before their fraction, as a pattern; their thousands may be parted by the other."""
    point, between = re.escape(decimal), re.escape(_OTHER[decimal])
    whole = rf"(\d+|[1-9]\d{{0,2}}({between}\d{{3}})+)"
    return rf"[+-]?({whole}({point}\d*)?|{point}\d+)([eE][+-]?\d+)?"
