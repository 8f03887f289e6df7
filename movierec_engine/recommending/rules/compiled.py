"""Documents of rules fitted to a catalogue: masks, factors and limits, made once for a moment and a region."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from functools import lru_cache

import numpy as np
import pyarrow as pa

from movierec_engine.recommending.rules.active import ActiveCap, ActiveRules, ActiveShare, PlacedPin, UnmetRule
from movierec_engine.recommending.rules.conditions import Among, Condition, parts_of
from movierec_engine.recommending.rules.document import (
    AvailabilityWindow,
    Available,
    Boost,
    Cap,
    Keep,
    Pins,
    Rule,
    RuleDocument,
    ShareOfList,
)
from movierec_engine.recommending.rules.errors import RuleError
from movierec_engine.recommending.rules.item_columns import ItemColumns, Mask

_MOMENTS_CHECKED = 20
"""Changes to come, of validity dates and windows, at which a document is checked ahead."""
_ANYWHERE = "\0anywhere"
"""A region that every window is open in."""


class CompiledRules:
    """A document fitted to one catalogue.

    columns: of all movies by place, those of the model's items first. n_items: how many those are. version: of the
    document. A rule that does not fit the columns is left out, and said to be unmet in every answer.
    """

    def __init__(self, document: RuleDocument, columns: ItemColumns, n_items: int, version: str = "") -> None:
        self.document, self.version = document, version
        self._columns, self._n_items = columns, n_items
        self._by_day = any(part.changes_by_day for rule in document.rules for part in _conditions(rule))
        self._windows = [one for rule in document.rules for one in _windows(rule)]
        self._regions = self._known_regions()
        self._boundaries = sorted(self._own_boundaries() | self._column_boundaries())
        self._base = lru_cache(maxsize=4)(self._compiled)
        self._of_region = lru_cache(maxsize=256)(self._in_region)

    def at(self, now: datetime, region: str | None = None) -> ActiveRules | None:
        """The rules that hold at a moment in a region, None where none does; remembered until that changes.

        region: None where it is not known: what is shown in some regions only is then left out.
        """
        place = bisect_right(self._boundaries, now.timestamp())
        day = now.astimezone(UTC).date() if self._by_day else None
        return self._of_region(place, day, region if region in self._regions else None, _AnyMoment(now))

    def check(self, now: datetime) -> list[str]:
        """Warnings about the document, such as unknown ids; a sentence each.

        Raises RuleError for what cannot be meant: a column that is not there, rules that leave nothing or that leave
        out what another pins, and a share of what no movie is.
        """
        ahead = [one for one in sorted(self._own_boundaries()) if one > now.timestamp()][:_MOMENTS_CHECKED]
        for moment in (now, *(datetime.fromtimestamp(one, UTC) for one in ahead)):
            self._check_at(moment)
        return list(self._unknown())

    def _check_at(self, now: datetime) -> None:
        active = self._in_region(-1, None, _ANYWHERE, _AnyMoment(now))
        at = f" at {now:%Y-%m-%d}"
        if active is None:
            return
        for unmet in active.unmet:
            if "is taken by" not in unmet.why:
                raise RuleError(f"rule {unmet.rule!r}: {unmet.why}")
        if active.allowed is not None and not active.allowed[: self._n_items].any():
            names = " and ".join(map(repr, active.keeping))
            raise RuleError(f"the rules {names} together leave no movie that a model knows{at}; loosen one of them")
        for pin in active.pins:
            if active.allowed is not None and not active.allowed[pin.item]:
                out = next(name for name, mask in self._keeping(now) if not mask[pin.item])
                movie = self._columns.column("movie_id")[pin.item].as_py()
                raise RuleError(f"rule {pin.rule!r} pins movie {movie}, which rule {out!r} leaves out{at}; change one")
        for limit in active.limits:
            if isinstance(limit, ActiveShare) and limit.at_least:
                left = limit.matches if active.allowed is None else limit.matches & active.allowed
                if not left[: self._n_items].any():
                    raise RuleError(f"rule {limit.rule!r} asks for a share of movies of which there are none{at}")

    def _unknown(self) -> Iterator[str]:
        """Sentences on values that no movie has."""
        for rule in self.document.rules:
            for part in _conditions(rule):
                if isinstance(part, Among) and (unknown := part.unknown_values(self._columns)):
                    more = f" and {len(unknown) - 3} more" if len(unknown) > 3 else ""
                    named = ", ".join(str(one) for one in unknown[:3])
                    yield f"rule {rule.name!r}: no movie has the {part.column} {named}{more}"

    def counts(self, now: datetime) -> dict[str, int]:
        """For each rule by name how many movies it leaves, boosts, pins or counts now; 0 for one that does not hold."""
        found = {}
        for rule in self.document.rules:
            found[rule.name] = self._count(rule, now) if rule.holds_at(now) else 0
        return found

    def _count(self, rule: Rule, now: datetime) -> int:
        match rule.action:
            case Keep(where) | Boost(where) | ShareOfList(where):
                return int(where.mask(self._columns, now).sum())
            case Available(windows):
                return int(self._open(windows, now, _ANYWHERE).sum())
            case Pins(pins):
                return int((self._columns.places([pin.item for pin in pins]) >= 0).sum())
            case Cap(_, column, where):
                mask = ~self._columns.is_null(column) if where is None else where.mask(self._columns, now)
                return int(mask.sum())

    def _in_region(self, place: int, day: date | None, region: str | None, now: "_AnyMoment") -> ActiveRules | None:
        base = self._base(place, day, now) if place >= 0 else self._compiled(place, day, now)
        available = [rule for rule in self._holding(now.moment) if isinstance(rule.action, Available)]
        allowed, unmet = base.allowed, list(base.unmet)
        names = list(base.keeping)
        for rule in available:
            assert isinstance(rule.action, Available)
            try:
                opened = self._open(rule.action.windows, now.moment, region)
            except RuleError as error:
                unmet.append(UnmetRule(rule.name, str(error)))
                continue
            allowed = opened if allowed is None else allowed & opened
            names.append(rule.name)
        active = replace(base, allowed=allowed, keeping=tuple(names), unmet=tuple(unmet))
        nothing = active.allowed is None and active.factors is None and not (active.pins or active.limits or unmet)
        return None if nothing else active

    def _compiled(self, place: int, day: date | None, now: "_AnyMoment") -> ActiveRules:
        """The rules that hold now but for those on availability, which regions differ in."""
        n, moment = self._n_items, now.moment
        allowed: Mask | None = None
        factors = np.ones(n)
        boosted = False
        pins: dict[int, PlacedPin] = {}
        limits: list[ActiveShare | ActiveCap] = []
        unmet: list[UnmetRule] = []
        keeping: list[str] = []
        for rule in self._holding(moment):
            try:
                match rule.action:
                    case Keep(where):
                        mask = where.mask(self._columns, moment)
                        allowed = mask if allowed is None else allowed & mask
                        keeping.append(rule.name)
                    case Boost(where, factor):
                        factors[where.mask(self._columns, moment)[:n]] *= factor
                        boosted = True
                    case Pins():
                        unmet += self._place(rule, rule.action, pins)
                    case ShareOfList(where, at_least, at_most):
                        limits.append(ActiveShare(rule.name, where.mask(self._columns, moment), at_least, at_most))
                    case Cap():
                        limits.append(self._cap(rule.name, rule.action, moment))
            except RuleError as error:
                unmet.append(UnmetRule(rule.name, str(error)))
        return ActiveRules(
            version=self.version,
            n_items=n,
            allowed=allowed,
            keeping=tuple(keeping),
            factors=factors if boosted else None,
            pins=tuple(pins[at] for at in sorted(pins)),
            limits=tuple(limits),
            unmet=tuple(unmet),
        )

    def _holding(self, now: datetime) -> Iterator[Rule]:
        return (rule for rule in self.document.rules if rule.holds_at(now))

    def _keeping(self, now: datetime) -> Iterator[tuple[str, Mask]]:
        for rule in self._holding(now):
            if isinstance(rule.action, Keep):
                yield rule.name, rule.action.where.mask(self._columns, now)
            if isinstance(rule.action, Available):
                yield rule.name, self._open(rule.action.windows, now, _ANYWHERE)

    def _place(self, rule: Rule, action: Pins, pins: dict[int, PlacedPin]) -> Iterator[UnmetRule]:
        """Put pins where no rule of higher priority has one."""
        items = self._columns.places([pin.item for pin in action.pins])
        for pin, item in zip(action.pins, items.tolist(), strict=True):
            taken = pins.get(pin.place - 1)
            if item < 0:
                yield UnmetRule(rule.name, f"there is no movie {pin.item}")
            elif item >= self._n_items:
                yield UnmetRule(rule.name, f"no model knows movie {pin.item} yet")
            elif taken is not None:
                yield UnmetRule(rule.name, f"place {pin.place} is taken by rule {taken.rule!r}")
            else:
                pins[pin.place - 1] = PlacedPin(rule.name, item, pin.place - 1)

    def _cap(self, name: str, cap: Cap, now: datetime) -> ActiveCap:
        if cap.where is None:
            starts, codes = self._columns.codes(cap.column)
            return ActiveCap(name, starts, codes, cap.at_most, f"of one {cap.column}")
        mask = cap.where.mask(self._columns, now)
        starts = np.concatenate([[0], np.cumsum(mask)])
        return ActiveCap(name, starts, np.zeros(int(mask.sum()), dtype=np.int64), cap.at_most, "of such movies")

    def _open(self, windows: Iterable[AvailabilityWindow], now: datetime, region: str | None) -> Mask:
        """bool [n_movies], those with an open window or with none."""
        n = len(self._columns)
        bound, opened = np.zeros(n, dtype=np.bool_), np.zeros(n, dtype=np.bool_)
        for window in windows:
            of = np.ones(n, dtype=np.bool_) if window.where is None else window.where.mask(self._columns, now)
            bound |= of
            fits = (window.since is None or window.since <= now) and (window.until is None or now < window.until)
            if fits and (not window.regions or region == _ANYWHERE or region in window.regions):
                opened |= of & self._within_columns(window, now, region)
        return ~bound | opened

    def _within_columns(self, window: AvailabilityWindow, now: datetime, region: str | None) -> Mask:
        fits = np.ones(len(self._columns), dtype=np.bool_)
        for column, after in ((window.column_from, False), (window.column_until, True)):
            if column:
                times = self._moments(column)
                fits &= np.isnan(times) | ((times > now.timestamp()) if after else (times <= now.timestamp()))
        if window.column_regions and region != _ANYWHERE:
            everywhere = self._columns.is_null(window.column_regions)
            here = Among(window.column_regions, (region or _ANYWHERE,)).mask(self._columns, now)
            fits &= everywhere | here
        return fits

    def _moments(self, column: str) -> np.ndarray:
        """Seconds since 1970 of a column of dates, float64 [n_movies], NaN where it is null."""
        values = self._columns.ordered(column)
        if not pa.types.is_temporal(values.type):
            raise RuleError(f"column {column!r} holds numbers, and no dates that a window could begin or end at")
        seconds = values.cast(pa.timestamp("us"), safe=False).cast(pa.int64())
        return np.asarray(seconds.to_numpy(zero_copy_only=False), dtype=np.float64) / 1e6

    def _own_boundaries(self) -> set[float]:
        ends = [end for rule in self.document.rules for end in (rule.since, rule.until)]
        ends += [end for window in self._windows for end in (window.since, window.until)]
        return {end.timestamp() for end in ends if end is not None}

    def _column_boundaries(self) -> set[float]:
        found: set[float] = set()
        for column in {name for one in self._windows for name in (one.column_from, one.column_until) if name}:
            try:
                times = self._moments(column)
            except RuleError:  # said in each answer
                continue
            found |= set(np.unique(times[~np.isnan(times)]).tolist())
        return found

    def _known_regions(self) -> frozenset[str]:
        known = {region for window in self._windows for region in window.regions}
        for column in {one.column_regions for one in self._windows if one.column_regions}:
            try:
                known |= {str(one) for one in self._columns.entries(column).unique().to_pylist() if one is not None}
            except RuleError:
                continue
        return frozenset(known)


class _AnyMoment:
    """A moment that an lru_cache ignores: all of them are equal and hash alike."""

    def __init__(self, moment: datetime) -> None:
        self.moment = moment

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _AnyMoment)

    def __hash__(self) -> int:
        return 0


def _windows(rule: Rule) -> tuple[AvailabilityWindow, ...]:
    return rule.action.windows if isinstance(rule.action, Available) else ()


def _conditions(rule: Rule) -> list[Condition]:
    """All conditions of a rule, with what they are made of."""
    if isinstance(rule.action, Available):
        whole = [one.where for one in rule.action.windows if one.where]
    elif isinstance(rule.action, Pins):
        whole = []
    else:
        whole = [rule.action.where] if rule.action.where else []
    return [part for one in whole for part in parts_of(one)]
