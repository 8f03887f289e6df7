"""Documents of rules: what they may say, read strictly.

    {"rules": [
        {"name": "licensed", "available": [{"column_from": "licence_from", "column_until": "licence_until"}]},
        {"name": "no horror", "filter": {"not": {"column": "genres", "in": ["Horror"]}}},
        {"name": "lawsuit", "deny": [1721]},
        {"name": "of the house", "boost": {"where": {"column": "studio", "in": ["Ours"]}, "factor": 2}},
        {"name": "premiere", "pin": [{"movie_id": 318, "place": 1}], "from": "2026-12-24", "until": "2026-12-27"},
        {"name": "recent", "share": {"where": {"column": "year", "last_years": 2}, "at_least": 0.2}, "priority": 10},
        {"name": "series", "cap": {"column": "series", "at_most": 2}}
    ]}

A document is bounded in rules, values and depth, so that whatever passes here is cheap to heed.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import combinations
from typing import Any, NoReturn

from movierec_engine.data.id_map import PublicId
from movierec_engine.recommending.rules.conditions import Among, Condition, Not, read_condition
from movierec_engine.recommending.rules.errors import RuleError
from movierec_engine.recommending.rules.item_columns import ID
from movierec_engine.recommending.rules.reading import (
    entries,
    members,
    moment,
    number,
    objects,
    text,
    values,
    whole_number,
)

SCENARIOS = ("home", "similar", "mail")
"""Uses of lists, each with rules of its own: /api/recommend, /api/similar, and exported lists."""
MOST_RULES = 100
MOST_BYTES = 256 * 1024
MOST_IDS = 20_000
MOST_PLACES = 1000
MOST_PINS = 200
MOST_LIMITS = 60
"""Shares and caps: `grades` has a bit for each."""
FACTORS = (0.01, 100.0)
ACTIONS = ("filter", "allow", "deny", "available", "boost", "pin", "share", "cap")
_ABOUT = ("name", "priority", "from", "until", "note")


@dataclass(frozen=True)
class Keep:
    """A rule that keeps only items that meet a condition: filters, allow and deny lists."""

    where: Condition


@dataclass(frozen=True)
class AvailabilityWindow:
    """Items that are shown within a window of time and in some regions only.

    column_from, column_until, column_regions: "" or columns that say so of each item; what is null sets no bound.
    """

    where: Condition | None = None
    since: datetime | None = None
    until: datetime | None = None
    regions: tuple[str, ...] = ()
    column_from: str = ""
    column_until: str = ""
    column_regions: str = ""


@dataclass(frozen=True)
class Available:
    """An item of several windows is shown within any of them, one of none always."""

    windows: tuple[AvailabilityWindow, ...]


@dataclass(frozen=True)
class Boost:
    """Places divided by a factor; below 1 it buries."""

    where: Condition
    factor: float


@dataclass(frozen=True)
class PinnedMovie:
    item: PublicId
    place: int
    """From 1."""


@dataclass(frozen=True)
class Pins:
    pins: tuple[PinnedMovie, ...]


@dataclass(frozen=True)
class ShareOfList:
    where: Condition
    at_least: float = 0.0
    at_most: float = 1.0


@dataclass(frozen=True)
class Cap:
    """A rule that limits the items of each value of a column, or those that meet a condition."""

    at_most: int
    column: str = ""
    where: Condition | None = None


Action = Keep | Available | Boost | Pins | ShareOfList | Cap


@dataclass(frozen=True)
class Rule:
    """One rule. Of rules that cannot all be met, those of higher priority are; of equal ones, those that come first."""

    name: str
    kind: str
    """One of ACTIONS."""
    action: Action
    priority: int = 0
    since: datetime | None = None
    until: datetime | None = None
    """The moment from which on it does not hold any more."""
    note: str = ""

    def holds_at(self, now: datetime) -> bool:
        return (self.since is None or self.since <= now) and (self.until is None or now < self.until)

    def overlaps(self, other: "Rule") -> bool:
        """Whether both hold at some moment."""
        latest = max(filter(None, (self.since, other.since)), default=None)
        earliest = min(filter(None, (self.until, other.until)), default=None)
        return latest is None or earliest is None or latest < earliest


@dataclass(frozen=True)
class RuleDocument:
    """The rules of one scenario, those of higher priority first."""

    rules: tuple[Rule, ...]
    text: str
    """As canonical JSON, which is what is stored."""

    @classmethod
    def parse(cls, source: str | bytes) -> "RuleDocument":
        """The document that JSON in UTF-8 holds. Raises RuleError, which names the place, for one that is not sound."""
        if len(source) > MOST_BYTES:
            raise RuleError(f"the document has more than {MOST_BYTES // 1024} KB; name items by a column instead")
        try:
            written = source.decode("utf-8") if isinstance(source, bytes) else source
            given = json.loads(written, object_pairs_hook=_without_duplicates, parse_constant=_no_number)
        except (ValueError, RecursionError) as error:
            why = str(error) if isinstance(error, ValueError) else "it is nested too deep"
            raise RuleError(f"the document is not valid JSON in UTF-8 ({why}); mend it there") from error
        return cls.of(given)

    @classmethod
    def of(cls, given: Any) -> "RuleDocument":
        """The document that parsed JSON describes. Raises RuleError as `parse` does."""
        if not isinstance(given, dict):
            raise RuleError('the document must be an object such as {"rules": [...]}')
        members(given, "the document", ("rules",), required=("rules",))
        if not isinstance(given["rules"], list):
            raise RuleError("rules must be an array, [] for no rules")
        found = objects(given["rules"], "rules", MOST_RULES) if given["rules"] else ()
        rules = [_rule(one, place) for one, place in found]
        written = json.dumps(given, ensure_ascii=False, sort_keys=True, indent=1)
        if len(written.encode("utf-8", "surrogatepass")) > MOST_BYTES:
            raise RuleError(f"the document has more than {MOST_BYTES // 1024} KB; name items by a column instead")
        _check_together(rules)
        return cls(tuple(sorted(rules, key=lambda rule: -rule.priority)), written)

    def alone(self, name: str) -> "RuleDocument":
        """The document with one of its rules alone, which always holds."""
        given = next(one for one in json.loads(self.text)["rules"] if one["name"] == name)
        return RuleDocument.of({"rules": [{key: given[key] for key in given if key not in ("from", "until")}]})


def _rule(given: dict[Any, Any], place: str) -> Rule:
    named = [name for name in ACTIONS if name in given]
    members(given, place, (*_ABOUT, *ACTIONS), required=("name",))
    name = text(given["name"], f"{place}.name", 64)
    place = f"rule {name!r}"
    if len(named) != 1:
        said = f"has {' and '.join(named)}" if named else "does nothing"
        raise RuleError(f"{place} {said}; give it exactly one of {', '.join(ACTIONS)}")
    since, until = (moment(given[end], f"{place}.{end}") if end in given else None for end in ("from", "until"))
    if since and until and since >= until:
        raise RuleError(f"{place} is valid until {until.isoformat()}, before it begins; swap from and until")
    return Rule(
        name=name,
        kind=named[0],
        action=_action(named[0], given[named[0]], f"{place}.{named[0]}"),
        priority=whole_number(given.get("priority", 0), f"{place}.priority", -1000, 1000),
        since=since,
        until=until,
        note=text(given["note"], f"{place}.note", 500) if "note" in given else "",
    )


def _action(kind: str, given: Any, place: str) -> Action:
    if kind == "filter":
        return Keep(read_condition(given, place))
    if kind in ("allow", "deny"):
        listed = Among(ID, values(given, place, MOST_IDS))
        return Keep(listed if kind == "allow" else Not(listed))
    if kind == "available":
        return Available(tuple(_window(one, at) for one, at in objects(given, place, MOST_RULES)))
    if kind == "pin":
        return Pins(tuple(_pins(given, place)))
    if not isinstance(given, dict):
        raise RuleError(f"{place} must be an object such as {{...}}, and not {str(given)[:40]!r}")
    return _OF_OBJECTS[kind](given, place)


def _boost(given: dict[Any, Any], place: str) -> Boost:
    members(given, place, ("where", "factor"), required=("where", "factor"))
    factor = number(given["factor"], f"{place}.factor", *FACTORS)
    return Boost(read_condition(given["where"], f"{place}.where"), float(factor))


def _share(given: dict[Any, Any], place: str) -> ShareOfList:
    members(given, place, ("where", "at_least", "at_most"), required=("where",))
    least = number(given.get("at_least", 0), f"{place}.at_least", 0, 1)
    most = number(given.get("at_most", 1), f"{place}.at_most", 0, 1)
    if least > most or (least, most) == (0, 1):
        raise RuleError(f"{place} must ask at_least above 0 or at_most below 1, the first not above the second")
    return ShareOfList(read_condition(given["where"], f"{place}.where"), float(least), float(most))


def _cap(given: dict[Any, Any], place: str) -> Cap:
    members(given, place, ("column", "where", "at_most"), required=("at_most",))
    if ("column" in given) == ("where" in given):
        raise RuleError(f"{place} must have a column, each of whose values is capped, or where, and not both")
    return Cap(
        whole_number(given["at_most"], f"{place}.at_most", 0 if "where" in given else 1, MOST_PLACES),
        text(given["column"], f"{place}.column") if "column" in given else "",
        read_condition(given["where"], f"{place}.where") if "where" in given else None,
    )


_OF_OBJECTS: dict[str, Callable[[dict[Any, Any], str], Action]] = {"boost": _boost, "share": _share, "cap": _cap}


def _window(given: dict[Any, Any], place: str) -> AvailabilityWindow:
    columns = ("column_from", "column_until", "column_regions")
    members(given, place, ("where", "from", "until", "regions", *columns))
    if not set(given) - {"where"}:
        raise RuleError(f"{place} sets no bound; give from, until, regions, or columns that do")
    since, until = (moment(given[end], f"{place}.{end}") if end in given else None for end in ("from", "until"))
    if since and until and since >= until:
        raise RuleError(f"{place} ends before it begins; swap from and until")
    return AvailabilityWindow(
        read_condition(given["where"], f"{place}.where") if "where" in given else None,
        since,
        until,
        tuple(text(one, at, 40) for one, at in entries(given["regions"], f"{place}.regions", 300))
        if "regions" in given
        else (),
        *(text(given[name], f"{place}.{name}") if name in given else "" for name in columns),
    )


def _pins(given: Any, place: str) -> Iterator[PinnedMovie]:
    for one, at in objects(given, place, MOST_PLACES):
        members(one, at, (ID, "place"), required=(ID, "place"))
        (item,) = values([one[ID]], f"{at}.{ID}", 1)
        if not isinstance(item, int | str) or isinstance(item, bool):
            raise RuleError(f"{at}.{ID} must be the id of a movie, and not {str(item)[:40]!r}")
        yield PinnedMovie(item, whole_number(one["place"], f"{at}.place", 1, MOST_PLACES))


def _check_together(rules: Sequence[Rule]) -> None:
    """Raises RuleError for rules that contradict one another whatever the catalogue is."""
    names: set[str] = set()
    for rule in rules:
        if rule.name in names:
            raise RuleError(f"two rules are called {rule.name!r}; call one of them something else")
        names.add(rule.name)
    limits = sum(isinstance(rule.action, ShareOfList | Cap) for rule in rules)
    if limits > MOST_LIMITS:
        raise RuleError(
            f"the document has {limits} shares and caps, at most {MOST_LIMITS} are taken; join some of them"
        )
    pins = [(rule, pin) for rule in rules if isinstance(rule.action, Pins) for pin in rule.action.pins]
    if len(pins) > MOST_PINS:
        raise RuleError(f"the document pins {len(pins)} movies, at most {MOST_PINS} are taken; boost them instead")
    for (rule, pin), (other, another) in combinations(pins, 2):
        if rule.overlaps(other) and pin.item == another.item and type(pin.item) is type(another.item):
            raise RuleError(
                f"movie {pin.item} is pinned to place {pin.place} by rule {rule.name!r} and to place {another.place} "
                f"by {other.name!r}; keep one"
            )
        if rule.overlaps(other) and pin.place == another.place and rule.priority == other.priority:
            raise RuleError(
                f"place {pin.place} is given to movie {pin.item} by rule {rule.name!r} and to movie {another.item} by "
                f"{other.name!r}; keep one, or give the rules different priorities"
            )


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key is given twice")
    return found


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number in JSON")
