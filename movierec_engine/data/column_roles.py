"""Roles of named columns in files of other systems, by the usual names of the field."""

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
    "year": (("year", "releaseyear", "yearofpublication", "publicationyear", "yearpublished", "yearreleased",
             "releasedate"),),
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
