"""Roles of columns in files without header, by their places and their first values."""

import re
from collections.abc import Collection, Mapping, Sequence

from movierec_engine.errors import DataError

_SECONDS_OF_A_TIME = 300_000_000
"""A whole number from here on, which is a second of 1979, is a time rather than a rating."""
_ABOVE_RATINGS = 1000
"""Whole numbers that are all above this are likely ids, of categories for instance, rather than ratings."""
_NUMBERS_OF_A_MATRIX = 20
"""A table of more columns of numbers than this has a column for each item."""
_PRODUCT, _REVIEWER = r"B[0-9A-Z]{9}|\d{9}[\dX]", r"A[0-9A-Z]{8,}"
"""How Amazon writes the ids of products, which may be ISBNs, and of people."""
_YEAR, _NO_YEAR = r"[12]\d{3}", ("", "NULL", r"\N", "0")
_NUMERIC = ("number", "fraction")
_SHOWN = 3

Columns = Sequence[Sequence[str]]
"""The first values of each column."""


def ratings_by_place(columns: Columns, where: str, named: Mapping[str, int | None]) -> dict[str, int]:
    """Role -> place among the columns of ratings without header.

    By custom a user is followed by an item, then a rating and a time; empty columns are passed over. A rating is taken
    from nowhere else, the one column of times from anywhere.

    named: place by role of the columns that settings name, None where they say that there is none: user and item, or
    neither. Raises DataError where neither is named and the values speak against the custom or leave the rating in
    doubt; where both are, such a rating is left out.
    """
    what = [_content(values) for values in columns]
    by_custom = "user" not in named
    roles = _ids_by_place(columns, what, where, is_chosen="rating" in named) if by_custom else {}
    roles |= {role: place for role, place in named.items() if place is not None}
    filled = _filled(columns)
    last = max(roles["user"], roles["item"])
    after = [place for place in filled if place > last]
    free = [place for place in after if place not in roles.values()]
    if "rating" not in named and free and free[0] == after[0] and what[free[0]] in _NUMERIC:
        roles["rating"] = free[0]
    if "timestamp" not in named:
        times = [place for place in filled if what[place] == "time" and place not in roles.values()]
        if len(times) == 1:
            roles["timestamp"] = times[0]
        elif not times and len(filled) == 4 and _are_rating_and_time(after, what, roles):
            roles["timestamp"] = after[1]
    if "rating" not in named and (doubt := _doubt_about_rating(columns, what, roles, after)):
        if by_custom:
            raise DataError(f"{where}: {doubt}")
        roles.pop("rating", None)
    return roles


def pairs_by_place(columns: Columns, where: str) -> dict[str, int]:
    """The places of users and items in a file of negatives without header.

    Raises DataError where further columns may be items, too, as in the form `(user,item)<tab>item<tab>item`.
    """
    what = [_content(values) for values in columns]
    is_ncf = all(re.fullmatch(r"\(.+,.+\)", value.strip()) for value in columns[0])
    numeric = [place for place in _filled(columns)[2:] if what[place] in _NUMERIC]
    if is_ncf or len(numeric) > 1:
        shown = " ".join(values[0].strip() for values in columns[:_SHOWN])
        raise DataError(
            f"{where}: lines such as {shown!r} may hold several items; give a row of user,item for each negative, or "
            "say by data.columns.user=column1 data.columns.item=column2 which columns count"
        )
    return _ids_by_place(columns, what, where, is_chosen=True)


def titles_by_place(columns: Columns, named: Mapping[str, int | None]) -> dict[str, int]:
    """Role -> place among the columns of titles without header; roles that settings name are theirs.

    By custom an id is followed by a title, and that by genres; in the Netflix Prize's file by a year and a title. More
    columns than three follow no custom, so that only the id is told.
    """
    roles = {role: place for role, place in named.items() if place is not None}
    if "id" not in named:
        roles["id"] = 0
    if len(columns) > 3:
        return roles
    free = [place for place in range(1, len(columns)) if place not in roles.values()]
    if "year" not in named and (years := [place for place in free if _are_years(columns[place])]):
        roles["year"] = years[0]
        free.remove(years[0])
    if "title" not in named and free:
        roles["title"] = free.pop(0)
    if "genres" not in named and 2 in free:
        roles["genres"] = 2
    return roles


def further_columns(role: str, columns: Columns, used: Collection[int]) -> list[int]:
    """The places of columns that are not used and whose values may be ratings or times."""
    kinds = _NUMERIC if role == "rating" else ("time",)
    free = [place for place in _filled(columns) if place not in used and not _are_row_numbers(columns[place])]
    return [place for place in free if _content(columns[place]) in kinds]


def one_of(places: Sequence[int]) -> str:
    """Columns that may be it, in words: `column3 or column4`."""
    shown = " or ".join(f"column{place + 1}" for place in places[:_SHOWN])
    return shown if len(places) <= _SHOWN else f"{shown} or another of {len(places) - _SHOWN}"


def _ids_by_place(columns: Columns, what: Sequence[str], where: str, *, is_chosen: bool) -> dict[str, int]:
    """The first two columns that are not empty, as users and items. is_chosen: nothing is asked about the rating."""
    filled = _filled(columns)
    numeric = sum(what[place] in _NUMERIC for place in filled)
    if not is_chosen and numeric > _NUMBERS_OF_A_MATRIX and numeric >= len(filled) - 1:
        raise DataError(
            f"{where}: the file has {numeric} columns of numbers, as a matrix of users and items does; write a row of "
            "user, item and rating for each rating, as pandas' melt does, and none for values such as 99 that stand "
            "for no rating"
        )
    user, item = filled[:2]
    for place, role in ((user, "user"), (item, "item")):
        if what[place] in ("time", "fraction"):
            kind = "times" if what[place] == "time" else "fractions"
            raise DataError(
                f"{where}: column{place + 1} of a file without header holds {kind}, not {role}s; "
                "name the columns, data.columns.user=column1 data.columns.item=column2 and so on"
            )
    if _all_match(_PRODUCT, columns[user]) and _all_match(_REVIEWER, columns[item]):
        first, second = f"column{user + 1}", f"column{item + 1}"
        raise DataError(
            f"{where}: {first} of this file without header looks like Amazon's products and {second} like its "
            f"reviewers; say so by data.columns.user={second} data.columns.item={first}, or the other way round"
        )
    return {"user": user, "item": item}


def _are_rating_and_time(after: Sequence[int], what: Sequence[str], roles: Mapping[str, int]) -> bool:
    """True if just two columns follow users and items, numbers both, of which the second is of small times."""
    return (
        len(after) == 2
        and what[after[0]] in _NUMERIC
        and what[after[1]] == "number"
        and roles.get("rating") != after[1]
    )


def _doubt_about_rating(columns: Columns, what: Sequence[str], roles: Mapping[str, int], after: Sequence[int]) -> str:
    """Why the rating is not certain, with the setting that says it; "" where it is, or where there is none."""
    rating = roles.get("rating")
    others = [place for place in after if what[place] in _NUMERIC and place not in roles.values()]
    may_be = others if rating is None else [rating, *others]
    none = 'that there is none by data.columns.rating=""'
    if others and (rating is not None or what[after[0]] == "time"):
        return (
            f"the rating may be {one_of(may_be)} of this file without header; "
            f"choose by data.columns.rating=column{may_be[0] + 1}, or say {none}"
        )
    if rating is not None and what[rating] == "number" and (least := min(_numbers(columns[rating]))) > _ABOVE_RATINGS:
        name = f"column{rating + 1}"
        return (
            f"{name} of this file without header holds numbers such as {least:.0f}, which are large for ratings; say "
            f"that they are by data.columns.rating={name}, or {none}"
        )
    return ""


def _filled(columns: Columns) -> list[int]:
    """The places of columns that are not empty; all of them where fewer than two are not."""
    filled = [place for place, values in enumerate(columns) if any(value.strip() for value in values)]
    return filled if len(filled) > 1 else list(range(len(columns)))


def _content(values: Sequence[str]) -> str:
    """The likely content of a column without name: `time`, whole `number`s, `fraction`s or `text`."""
    given = [value.strip() for value in values if value.strip()]
    if given and all(re.fullmatch(r"[+-]?\d+([.,]0+)?", value) for value in given):
        return "time" if min(map(abs, _numbers(given))) >= _SECONDS_OF_A_TIME else "number"
    if given and all(re.fullmatch(r"[+-]?(\d*[.,])?\d+(e[+-]?\d+)?", value, re.I) for value in given):
        return "fraction"
    dated = re.compile(
        r"\d{4}[-/]\d{1,2}[-/]\d{1,2}(?!\d).*|[A-Z][a-z]{2},? .*\d{1,2}:\d{2}.*\d{4}.*|\d+[./]\d+[./]\d{4}\b.*"
    )
    return "time" if given and all(dated.fullmatch(value) for value in given) else "text"


def _are_row_numbers(values: Sequence[str]) -> bool:
    texts = [value.strip() for value in values]
    return len(texts) > 1 and texts[0].isdecimal() and texts == [str(int(texts[0]) + n) for n in range(len(texts))]


def _numbers(values: Sequence[str]) -> list[float]:
    return [float(value.strip().replace(",", ".")) for value in values if value.strip()]


def _are_years(values: Sequence[str]) -> bool:
    given = [value.strip() for value in values if value.strip() not in _NO_YEAR]
    return _all_match(_YEAR, given)


def _all_match(pattern: str, values: Sequence[str]) -> bool:
    return bool(values) and all(re.fullmatch(pattern, value.strip()) for value in values)
