"""Roles of columns in files of other systems: by the usual names of the field, or without header by position."""

import re
from collections.abc import Iterable, Sequence

from movierec_engine.errors import DataError

ITEM_NOUNS = (
    "item", "movie", "film", "artist", "isbn", "book", "venue", "place", "track", "song", "product", "asin", "sku",
    "article", "business", "recipe", "game", "app", "anime", "news", "poi", "restaurant", "beer", "joke", "course",
    "hotel", "album", "show", "video", "podcast", "paper", "event", "location", "gmap",
)  # fmt: skip
_USER_NOUNS = (
    "user", "visitor", "customer", "reviewer", "reader", "member", "person", "listener", "buyer", "client", "student",
    "viewer", "consumer", "account",
)  # fmt: skip


def _ids_of(nouns: Iterable[str]) -> tuple[tuple[str, ...], ...]:
    return tuple((f"{noun}id", noun, f"{noun}key", f"{noun}s") for noun in nouns)


USUAL_NAMES: dict[str, tuple[tuple[str, ...], ...]] = {
    "user": (("uid", "userid", "user", "users", "userhash"), *_ids_of(_USER_NOUNS[1:])),
    "item": (("iid", "itemid", "item", "items"), ("parentasin",), *_ids_of(ITEM_NOUNS[1:])),
    "rating": (
        (
            "rating", "ratings", "rate", "userrating", "starrating", "reviewrating", "reviewscore", "rated",
            *(f"{noun}rating" for noun in ITEM_NOUNS),
        ),
        ("score",), ("stars", "star"), ("overall",), ("weight",), ("preference",), ("count", "counts"),
        ("plays", "playcount", "listens", "listencount", "plays", "nplays", "timesplayed"),
    ),
    "timestamp": (
        ("timestamp", "unixreviewtime", "unixtime", "ts", "time", "datetime", "date", "createdat", "reviewtime",
         "ratedat", "reviewdate", "ratingdate", "eventtime", "utctime", "utc", "at", "created", "dateadded", "when"),
    ),
    "title": (
        ("title", "name", *(f"{noun}{word}" for word in ("title", "name") for noun in ITEM_NOUNS)),
        *((noun,) for noun in ITEM_NOUNS),
    ),
    "genres": (("genres", "genre", "class", "categories", "category", "tags", "cuisine", "cuisines", "rcuisine"),),
    "year": (("year", "releaseyear", "yearofpublication", "publicationyear", "yearpublished", "yearreleased"),),
}  # fmt: skip
"""Role -> groups of names that mean one thing, without case, hyphens and underscores; of a group the first counts."""


def bare_name(name: str) -> str:
    """A column's name without the type that RecBole writes behind it: `rating:float`."""
    return re.sub(r":(token|token_seq|float|float_seq)$", "", name)


def find_column(role: str, wanted: str, names: Sequence[str], where: str, choose: str) -> str:
    """The column of a role: the one that is wanted, or else the one of a usual name; "" where there is none.

    choose: how people choose it, with {} for the column's name.
    Raises DataError where columns of several meanings could be it, saying so.
    """
    for name in (wanted, *(one for one in names if bare_name(one) == wanted)):
        if name in names:
            return name
    plain = {name: re.sub(r"[^a-z0-9]", "", bare_name(name).lower()) for name in names}
    found = []
    for group in USUAL_NAMES[role]:
        ranked = [name for usual in group for name in names if plain[name] == usual]
        found += ranked[:1]
    if len(found) > 1 and role in ("user", "item") and plain[found[0]] == f"{role}id":
        return found[0]  # which nothing else can be, while an `event` may well be what somebody did
    if len(found) > 1 and role != "title":
        raise DataError(
            f"{where}: the {role} may be any of the columns {', '.join(map(repr, found))}; "
            f"choose one by {choose.format(found[0])}"
        )
    return found[0] if found else ""


def is_known(name: str) -> bool:
    """True if a text is a usual name of a column, as in a header."""
    plain = re.sub(r"[^a-z0-9]", "", bare_name(name).lower())
    return any(plain in group for groups in USUAL_NAMES.values() for group in groups)


def by_place(columns: Sequence[Sequence[str]], where: str, chosen: Sequence[str] = ()) -> dict[str, int]:
    """Role -> place among the columns of a file without header, of which the beginnings are given.

    By custom a user is followed by an item, then a rating and a time. chosen: roles whose columns settings name.
    Raises DataError where the values speak against that.
    """
    what = [_content(values) for values in columns]
    hint = "name the columns, data.columns.user=column1 data.columns.item=column2 and so on"
    for place, role in enumerate(("user", "item")):
        if what[place] in ("time", "fraction"):
            kind = "times" if what[place] == "time" else "fractions"
            raise DataError(f"{where}: column{place + 1} of a file without header holds {kind}, not {role}s; {hint}")
    roles = {"user": 0, "item": 1}
    if len(columns) > 2 and what[2] in ("number", "fraction"):
        roles["rating"] = 2
    times = [place for place in range(2, len(columns)) if what[place] == "time"]
    if len(times) == 1:
        roles["timestamp"] = times[0]
    elif not times and len(columns) == 4 and what[3] == "number" and "rating" in roles:
        roles["timestamp"] = 3
    numeric = [place for place in range(2, len(columns)) if what[place] in ("number", "fraction")]
    unused = [f"column{place + 1}" for place in numeric if place not in roles.values()]
    may_be = [*(["column3"] if "rating" in roles else []), *unused]
    doubtful = may_be not in ([], ["column3"]) and (may_be[0] == "column3" or what[2] == "time")
    if doubtful and "rating" not in chosen:
        raise DataError(
            f"{where}: the rating may be {' or '.join(may_be)} of this file without header; "
            f'choose by data.columns.rating={may_be[0]}, or say that there is none by data.columns.rating=""'
        )
    return roles


def _content(values: Sequence[str]) -> str:
    """The likely content of a column without name: `time`, whole `number`s, `fraction`s or `text`."""
    given = [value.strip() for value in values if value.strip()]
    if given and all(re.fullmatch(r"[+-]?\d+([.,]0+)?", value) for value in given):
        numbers = [abs(float(value.replace(",", "."))) for value in given]
        return "time" if min(numbers) >= _SECONDS_OF_A_TIME else "number"
    if given and all(re.fullmatch(r"[+-]?\d*[.,]\d+(e[+-]?\d+)?", value, re.I) or value.isdigit() for value in given):
        return "fraction"
    dated = re.compile(
        r"\d{4}[-/]\d{1,2}[-/]\d{1,2}(?!\d).*|[A-Z][a-z]{2},? .*\d{1,2}:\d{2}.*\d{4}.*|\d+[./]\d+[./]\d{4}\b.*"
    )
    return "time" if given and all(dated.fullmatch(value) for value in given) else "text"


_SECONDS_OF_A_TIME = 300_000_000
"""A whole number from here on, which is a second of 1979, is a time rather than a rating."""
