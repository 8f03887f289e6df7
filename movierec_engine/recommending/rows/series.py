"""Series of movies, told from their titles, and the next of those that a person has begun.

    Toy Story, Toy Story 2        a title and a number
    Godfather: Part II, The       part, episode, chapter or volume and a number, after a title that others have as well
    Alien, Alien: Resurrection    a title and what stands before another's colon

Movies of one title alone are no series: a remake has a later year and continues nothing. Numbers alone make one where
there is a second or third part, so that Apollo 13 and District 9 are none.
"""

import re
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_ROMAN = {"ii": 2, "iii": 3, "iv": 4, "v": 5, "vi": 6, "vii": 7, "viii": 8, "ix": 9, "x": 10}
_WORDS = {"one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6}
_NUMBER = rf"(?P<number>[0-9]{{1,2}}|{'|'.join(_ROMAN)}|i|{'|'.join(_WORDS)})"
_PART = re.compile(rf"^(?P<base>.+?)[\s:,\-–]+(?:(?:part|episode|chapter|volume|vol\.?)\s+){_NUMBER}\b")
_AT_END = re.compile(rf"^(?P<base>.+?)\s+(?P<number>[2-9]|10|{'|'.join(_ROMAN)})(?:\s*[:\-–].*)?$")
_COLON = re.compile(r"^(?P<base>.{3,}?)\s*(?::|\s[-–]\s)")
_ARTICLE = re.compile(r",\s+(the|an?|le|la|les|der|die|das|el|il)$")
_PARENTHESES = re.compile(r"\s*\([^()]*\)")
_LEADING = re.compile(r"^(the|an?)\s+")

Member = tuple[int, int, int]
"""Number, year and place of a movie."""


@dataclass(frozen=True, eq=False)
class MovieSeries:
    """of: int64 [n], the number of each movie's series, -1 where it is of none. place: int64 [n], its order in it."""

    of: NDArray[np.int64]
    place: NDArray[np.int64]

    @classmethod
    def told_by(cls, titles: Sequence[str], years: Sequence[int | None]) -> "MovieSeries":
        """Series of movies by titles and years; those of a series stand by number, then year."""
        members: dict[str, list[Member]] = defaultdict(list)
        parts: set[str] = set()  # bases of which a part calls itself one
        for movie, (title, year) in enumerate(zip(titles, years, strict=True)):
            base, number, is_part = _read(title)
            members[base].append((number, year or 0, movie))
            if is_part:
                parts.add(base)
        found = ((_without_remakes(of_base), base in parts) for base, of_base in sorted(members.items()))
        return cls._of_members([one for one, parted in found if _is_series(one, parted)], len(titles))

    @classmethod
    def named(cls, names: Sequence[str | None], years: Sequence[int | None]) -> "MovieSeries":
        """Series as the metadata names them; those of a series stand by year."""
        members: dict[str, list[Member]] = defaultdict(list)
        for movie, (name, year) in enumerate(zip(names, years, strict=True)):
            if name:
                members[name].append((0, year or 0, movie))
        return cls._of_members([found for _, found in sorted(members.items()) if len(found) > 1], len(names))

    @classmethod
    def _of_members(cls, members: Sequence[list[Member]], n: int) -> "MovieSeries":
        of, place = np.full(n, -1, dtype=np.int64), np.zeros(n, dtype=np.int64)
        for series, found in enumerate(members):
            numbered = [number for number, _, _ in found if number > 0]
            by_year = len(numbered) < len(found) - 1  # a first part seldom has its number
            for order, (_, _, movie) in enumerate(sorted(found, key=lambda one: one[1:] if by_year else one)):
                of[movie], place[movie] = series, order
        return cls(of, place)

    def continued(self, seen: Sequence[int], but: Collection[int] = ()) -> list[tuple[int, int]]:
        """The next movie of each series that somebody has begun, with the one that it follows.

        seen: movies, the newest last, whose series come in the order in which they were last seen. The next is the
        first one after the furthest seen. but: movies after which nothing is wanted, such as those disliked.
        """
        furthest: dict[int, int] = {}
        for movie in seen:
            series = int(self.of[movie])
            if series < 0:
                continue
            before = furthest.pop(series, movie)
            furthest[series] = max(before, movie, key=lambda one: self.place[one])
        found = []
        for series, last in reversed(furthest.items()):
            if last in but:
                continue
            members = np.flatnonzero(self.of == series)
            later = members[self.place[members] > self.place[last]]
            if len(later):
                found.append((int(later[np.argmin(self.place[later])]), last))
        return found


def _is_series(members: Sequence[Member], parted: bool) -> bool:
    numbers = {number for number, _, _ in members}
    return len(members) > 1 and (parted or -1 in numbers or bool(numbers & {2, 3}))


def _without_remakes(members: list[Member]) -> list[Member]:
    """Without numbers, a bare title that is later than one with a colon is of something else."""
    first = min((year for number, year, _ in members if number < 0), default=None)
    if first is None or any(number > 0 for number, _, _ in members):
        return members
    return [one for one in members if one[0] < 0 or one[1] <= first]


def _read(title: str) -> tuple[str, int, bool]:
    """The title that a series has in common, the number in it, and whether that is called a part's.

    The number is 0 for a bare title, and -1 for what stands before a colon without a number.
    """
    plain = _PARENTHESES.sub("", title).strip().lower()
    plain = _LEADING.sub("", _ARTICLE.sub("", plain))
    for pattern in (_PART, _AT_END):
        if match := pattern.match(plain):
            return _bare(match["base"]), _number(match["number"]), pattern is _PART
    if match := _COLON.match(plain):
        return _bare(match["base"]), -1, False
    return _bare(plain), 0, False


def _bare(base: str) -> str:
    return _LEADING.sub("", _ARTICLE.sub("", base.strip(" :,-–")))


def _number(text: str) -> int:
    return int(text) if text.isdigit() else {"i": 1, **_ROMAN, **_WORDS}[text]
