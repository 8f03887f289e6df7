"""Experiments on live traffic: which variant a user belongs to, and two variants' lists drafted into one.

Nothing is drawn by chance at request time. A keyed hash of the user's id decides, so that every process, and every
restart, decides alike; the experiment's name and salt are the key, so that experiments do not go along with each other.

Team draft: F. Radlinski, M. Kurup, T. Joachims, "How Does Clickthrough Data Reflect Retrieval Quality?", CIKM 2008.
"""

import hashlib
import json
import math
import random
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Literal, get_args

from movierec_engine.data.id_map import PublicId
from movierec_engine.errors import ConfigError

ExperimentKind = Literal["ab", "interleaving"]
NOBODY = ""
"""The source of movies that fill an interleaved list after a variant's list ended: they are credited to none."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True)
class Variant:
    """One of the models that are compared."""

    name: str = ""
    """Its name in exposures and summaries."""
    model: str = ""
    """The model whose newest index answers."""
    weight: float = 1.0
    """Its share of the users, relative to the other variants' (kind ab)."""


@dataclass(frozen=True)
class ExperimentConfig:
    """An experiment, or none while the name is empty."""

    name: str = ""
    """Its name in exposures and summaries; another name assigns the users anew."""
    kind: str = "ab"
    """`ab` (a user sees one variant's lists, always the same one's) or `interleaving` (lists drafted from two)."""
    salt: str = ""
    """Another salt assigns the users anew under the same name."""
    variants: tuple[Variant, ...] = ()
    """At least two; exactly two of equal weight for interleaving."""

    def __post_init__(self) -> None:
        if self.kind not in get_args(ExperimentKind):
            raise ConfigError(
                f"experiment.kind={self.kind} is not known; choose one of {', '.join(get_args(ExperimentKind))}"
            )
        if not self.name:
            if self.variants:
                raise ConfigError("experiment.name is empty but experiment.variants is not; name it, or leave both out")
            return
        names = [variant.name for variant in self.variants]
        for name in (self.name, *names):
            if not _NAME.fullmatch(name):
                raise ConfigError(
                    f"experiment: {name[:80]!r} is not a name; use up to 64 letters, digits, '.', '_' and '-'"
                )
        if len(set(names)) < max(2, len(names)):
            raise ConfigError(f"experiment.variants={names} must be two or more with different names")
        for variant in self.variants:
            if not variant.model:
                raise ConfigError(f"experiment: {variant.name} has no model; name the one that answers")
            if not (variant.weight > 0 and math.isfinite(variant.weight)):
                raise ConfigError(f"experiment: the weight {variant.weight} of {variant.name} must be above 0")
        if self.kind == "interleaving" and (len(names) != 2 or len({one.weight for one in self.variants}) != 1):
            raise ConfigError(
                f"experiment.kind=interleaving drafts from two variants of equal weight, not from {names}; "
                "choose two, or kind ab"
            )

    @property
    def running(self) -> bool:
        return bool(self.name)

    def variant_of(self, user_id: PublicId) -> Variant:
        """The variant that a user belongs to, always the same one (kind ab)."""
        place = self._hash(user_id) / 2**64
        total = math.fsum(variant.weight for variant in self.variants)
        ends = accumulate(variant.weight / total for variant in self.variants)
        return next((one for one, end in zip(self.variants, ends, strict=True) if place < end), self.variants[-1])

    def interleave(
        self, lists: Mapping[str, Sequence[PublicId]], user_id: PublicId, occasion: str, length: int
    ) -> "InterleavedList":
        """The two variants' lists as one; the same user on the same occasion, such as a day, gets the same draft.

        lists: name of each variant -> its movies, best first.
        """
        first, second = (variant.name for variant in self.variants)
        movies = lists[first], lists[second]
        return team_draft(movies[0], movies[1], length, self._hash(user_id, occasion), (first, second))

    def _hash(self, *of: object) -> int:
        """A whole number below 2^64."""
        key = hashlib.sha256(json.dumps([self.name, self.salt]).encode()).digest()
        return int.from_bytes(hashlib.blake2b(json.dumps(of).encode(), key=key, digest_size=8).digest())


@dataclass(frozen=True)
class InterleavedList:
    """One list out of two."""

    movie_ids: tuple[PublicId, ...]
    teams: tuple[str, ...]
    """The variant that contributed each movie, NOBODY where it is credited to none."""


def team_draft(
    first: Sequence[PublicId], second: Sequence[PublicId], length: int, seed: int, teams: tuple[str, str]
) -> InterleavedList:
    """Draft a list as two captains choose their teams (algorithm 2 of Radlinski, Kurup and Joachims).

    The captain with the smaller team chooses, a coin decides between equal ones; a choice is the captain's best movie
    that is not chosen yet. The draft ends when a captain has none left; what the other one still has fills the list up
    and is credited to none, as it was not chosen against anything.
    """
    coin = random.Random(seed)
    sizes = [0, 0]
    chosen: dict[PublicId, str] = {}
    left = (_left(first, chosen), _left(second, chosen))
    offers: list[PublicId | None] = [next(left[0], None), next(left[1], None)]
    while len(chosen) < length and None not in offers:
        turn = int(coin.random() < 0.5) if sizes[0] == sizes[1] else int(sizes[1] < sizes[0])
        movie = offers[turn]
        assert movie is not None
        chosen[movie] = teams[turn]
        sizes[turn] += 1
        offers = [next(rest, None) if offer in chosen else offer for offer, rest in zip(offers, left, strict=True)]
    for offer, rest in zip(offers, left, strict=True):
        for movie in () if offer is None else (offer, *rest):
            if len(chosen) < length:
                chosen.setdefault(movie, NOBODY)
    return InterleavedList(tuple(chosen), tuple(chosen.values()))


def _left(movies: Sequence[PublicId], chosen: Mapping[PublicId, str]) -> Iterator[PublicId]:
    """The movies in their order, without those that are chosen by the time they come up."""
    return (movie for movie in movies if movie not in chosen)
