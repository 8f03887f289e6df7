"""Taste dials: a model's list re-ranked at request time, as far as a person turns it away from the model's own order.

Every dial goes from 0 to 1; with all of them at 0 the list is the model's. Else items are taken one after the other,
each time the one of the highest

    value(i) = (1 - w) relevance(i) + sum_d w_d term_d(i),   1 - w = prod_d (1 - dial_d),   w_d = w dial_d / sum dial_d

so that a dial that is turned alone weighs what it is set to. relevance is the model's score, scaled to 0..1 over the
candidates. With L the list so far, n - 1 items of it known to the dial, the terms are

    diversity        1 - mean_{j in L} cos(i, j) of genres or embeddings, 1 at first: MMR (Carbonell and Goldstein 1998)
    novelty          -log2(share of users who have i), scaled to 0..1 over the candidates (Vargas and Castells 2011)
    decade_balance   n f(L + i) - (n - 1) f(L), what i adds to n times the calibration f (Steck 2018)
    genre_balance    the same of genres

Maximal marginal relevance takes the largest cosine, which says no more once every genre stands in the list. The mean is
what i adds to intra-list diversity (Smyth and McClave 2001); on the bundled data's validation it bought the same of
that for less ndcg.

f(L) = 1 - KL(p || q) / ln(1/a), from 0 to 1: p are the shares of the decades or genres in the person's history, q those
in L with a = 0.01 of p mixed in. An item of several genres counts as equal parts of each. Steck weighs f against the
sum of the scores; here it is their mean, so that a setting means the same at every length of list.

A dial says nothing about an item of which it knows nothing, such as one without genres: its term there is the mean over
the known candidates that are left. Equal values go by the model's order. numpy alone; a request of 100 candidates takes
a fraction of a millisecond a dial.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from movierec_engine.data.catalogue import Catalogue
from movierec_engine.errors import ConfigError

Floats = NDArray[np.float64]
Indices = NDArray[np.integer[Any]]

DIALS = ("diversity", "novelty", "decade_balance", "genre_balance")
DIVERSITY_OVER = ("genres", "embeddings")
SMOOTHING = 0.01
"""Share of the history's shares that is mixed into the list's, so that the divergence stays finite; Steck's value."""

DECIMALS = 12
"""Values are compared to so many, so that equal ones stay equal in spite of floating point."""

_TINY = np.finfo(np.float64).tiny
_WORST = -np.log(SMOOTHING)
"""The largest divergence."""


@dataclass(frozen=True)
class Dials:
    """How far a list may leave the model's order, and for what; each dial from 0, not at all, to 1.

    Raises ConfigError for a setting outside that.
    """

    diversity: float = 0.0
    """Away from items that are like one that stands in the list already."""
    novelty: float = 0.0
    """Towards items that few users have."""
    decade_balance: float = 0.0
    """Towards the shares of decades in the person's history."""
    genre_balance: float = 0.0
    """Towards the shares of genres in the person's history."""
    diversity_over: str = "genres"
    """What items are alike in: `genres` or `embeddings`."""

    def __post_init__(self) -> None:
        for dial in DIALS:
            setting = getattr(self, dial)
            if isinstance(setting, bool) or not isinstance(setting, int | float) or not 0 <= setting <= 1:
                raise ConfigError(f"{dial} is {setting!r}; a dial goes from 0, the model's own order, to 1")
        if self.diversity_over not in DIVERSITY_OVER:
            raise ConfigError(f"diversity_over is {self.diversity_over!r}; choose {' or '.join(DIVERSITY_OVER)}")

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> Self:
        """Dials from settings by name. Raises ConfigError for a name that is none."""
        known = (*DIALS, "diversity_over")
        if unknown := [name for name in settings if name not in known]:
            raise ConfigError(f"there is no dial {unknown[0]!r}; choose from {', '.join(known)}")
        return cls(**settings)

    @property
    def turned(self) -> dict[str, float]:
        """The dials that are not at 0, with their settings."""
        return {dial: float(getattr(self, dial)) for dial in DIALS if getattr(self, dial) > 0}


@dataclass(frozen=True, eq=False)
class ItemFacts:
    """What dials know of the items, apart from any model and any person.

    genres: float32 [n_items, n_genres], 1 where an item is of a genre. year: int32 [n_items], 0 where it is not known.
    share: float64 [n_items], share of the users who have the item in train, above 0.
    embeddings: float32 [n_items, d]. What is not known of any item has no columns.
    """

    genres: NDArray[np.float32]
    year: NDArray[np.int32]
    share: Floats
    embeddings: NDArray[np.float32]

    @classmethod
    def of(cls, catalogue: Catalogue) -> Self:
        """As the metrics beyond accuracy see them: an item that nobody has counts as one that a single user has."""
        share = np.maximum(catalogue.popularity, 1) / catalogue.n_users
        return cls(catalogue.genres, catalogue.year, share, catalogue.embeddings)

    def lacking(self, dials: Dials) -> list[str]:
        """The dials that are turned and need what is not known of any item."""
        genres, embeddings = self.genres.shape[1], self.embeddings.shape[1]
        columns = {
            "diversity": genres if dials.diversity_over == "genres" else embeddings,
            "decade_balance": self.decade_shares.shape[1],
            "genre_balance": genres,
        }
        return [dial for dial in dials.turned if not columns.get(dial, 1)]

    @cached_property
    def information(self) -> Floats:
        """float64 [n_items], -log2 of the share, in bits."""
        return np.asarray(-np.log2(self.share))

    @cached_property
    def genre_shares(self) -> Floats:
        """float64 [n_items, n_genres], each item in equal parts of its genres; zeros where it has none."""
        genres = self.genres.astype(np.float64)
        return np.asarray(genres / np.maximum(genres.sum(axis=1, keepdims=True), 1))

    @cached_property
    def decade_shares(self) -> Floats:
        """float64 [n_items, n_decades], 1 at the item's decade; zeros where its year is not known."""
        decade = self.year // 10
        return np.asarray(decade[:, None] == np.unique(decade[decade > 0]), dtype=np.float64)

    @cached_property
    def unit_genres(self) -> Floats:
        return _unit(self.genres)

    @cached_property
    def unit_embeddings(self) -> Floats:
        return _unit(self.embeddings)


def rerank(
    items: Indices, scores: NDArray[np.floating[Any]], history: Indices, facts: ItemFacts, dials: Dials, k: int
) -> tuple[NDArray[np.int64], Floats]:
    """The first k candidates by the dials, taken greedily; the formula is the module's.

    items: [n], the model's best candidates, best first. scores: [n], theirs, finite. history: [h], the items that the
    person has; without any of known genre or decade the balances say nothing.
    Returns item indices int64 [min(k, n)] and the value that each was taken by, float64.

    Raises ConfigError where a dial is turned that nothing is known for.
    """
    if lacking := facts.lacking(dials):
        raise ConfigError(f"{lacking[0]} needs what is not known of any movie here; set it to 0")
    candidates = items.astype(np.int64)
    relevance = _scaled(scores)
    turned = dials.turned
    if not turned:
        return candidates[:k], relevance[:k]
    model_share = float(np.prod([1 - setting for setting in turned.values()]))
    parts = [
        ((1 - model_share) * setting / sum(turned.values()), _term(dial, candidates, history, facts, dials))
        for dial, setting in turned.items()
    ]
    of_model = model_share * relevance
    left = np.ones(len(candidates), dtype=np.bool_)
    taken, values = [], []
    for _ in range(min(k, len(candidates))):
        value = of_model.copy()
        for weight, term in parts:
            value += weight * _neutral_where_unknown(term, left)
        best = int(value.round(DECIMALS).argmax())
        taken.append(best)
        values.append(value[best])
        of_model[best], left[best] = -np.inf, False
        for _, term in parts:
            term.take(best)
    return candidates[taken], np.array(values, dtype=np.float64)


def divergence(own: Floats, shown: Floats) -> Floats:
    """KL(p || (1 - a) q + a p) in nats, 0 where shown shares are the person's own, at most ln(1/a) (Steck 2018).

    own: p, float64 [..., g], shares in a history. shown: q, float64 [..., g], shares in a list; zeros for an empty one.
    Both broadcast. A history without any shares is 0 from every list.
    """
    mixed = (1 - SMOOTHING) * shown + SMOOTHING * own
    return np.asarray(np.vecdot(own, np.log(np.maximum(own, _TINY)) - np.log(np.maximum(mixed, _TINY))))


class _Term(Protocol):
    """One dial's part of a request.

    worth: float64 [n], what each candidate is worth to the dial after those that were taken. unknown: int64 [m], the
    candidates of which it knows nothing, whose worth means nothing.
    """

    worth: Floats
    unknown: NDArray[np.int64]

    def take(self, place: int) -> None:
        """The candidate at this place stands in the list from now on."""


class _Unlike:
    """MMR's term, with the mean. units: float64 [n, d], unit vectors of the candidates."""

    def __init__(self, units: Floats) -> None:
        self.worth: Floats = np.ones(len(units))
        self.unknown: NDArray[np.int64] = np.flatnonzero(~units.any(axis=1))
        self._unlike = 1 - units @ units.T
        self._length = 0

    def take(self, place: int) -> None:
        self._length += 1
        self.worth += (self._unlike[place] - self.worth) / self._length


class _LittleKnown:
    """Self-information, which no item taken changes. information: float64 [n]."""

    def __init__(self, information: Floats) -> None:
        self.worth = _scaled(information)
        self.unknown: NDArray[np.int64] = np.empty(0, dtype=np.int64)

    def take(self, place: int) -> None:
        pass


class _Balance:
    """Steck's calibration. own: float64 [g], shares in the history; shares: float64 [n, g], of the candidates.

    The divergence is written out here: what does not differ between the candidates is not computed for each.
    """

    def __init__(self, own: Floats, shares: Floats) -> None:
        self.unknown: NDArray[np.int64] = np.flatnonzero(~shares.any(axis=1))
        self._own, self._shares = own[own > 0], (1 - SMOOTHING) * shares[:, own > 0]
        self._best = 1 - float(self._own @ np.log(self._own)) / _WORST
        self._total = np.zeros(len(self._own))
        self._length = 0
        self._reached = 0.0  # the list's length times its calibration
        self.worth = self._added()

    def take(self, place: int) -> None:
        if place not in self.unknown:
            self._reached += float(self.worth[place])
            self._total += self._shares[place]
            self._length += 1
            self.worth = self._added()

    def _added(self) -> Floats:
        """n f(L + i) - (n - 1) f(L) of every candidate i."""
        n = self._length + 1
        mixed = self._shares + (self._total + n * SMOOTHING * self._own)
        mixed /= n
        worth = np.log(mixed, out=mixed) @ self._own
        worth *= n / _WORST
        worth += n * self._best - self._reached
        return np.asarray(worth)


def _term(dial: str, items: NDArray[np.int64], history: Indices, facts: ItemFacts, dials: Dials) -> _Term:
    if dial == "diversity":
        units = facts.unit_genres if dials.diversity_over == "genres" else facts.unit_embeddings
        return _Unlike(units[items])
    if dial == "novelty":
        return _LittleKnown(facts.information[items])
    shares = facts.genre_shares if dial == "genre_balance" else facts.decade_shares
    total = shares[history].sum(axis=0)
    return _Balance(total / max(float(total.sum()), 1.0), shares[items])


def _neutral_where_unknown(term: _Term, left: NDArray[np.bool_]) -> Floats:
    """A term's worth, float64 [n], with the mean of the known candidates that are left where it is not known."""
    if not len(term.unknown):
        return term.worth
    known = left.copy()
    known[term.unknown] = False
    worth = term.worth.copy()
    worth[term.unknown] = worth[known].sum() / max(int(known.sum()), 1)
    return worth


def _scaled(values: NDArray[np.floating[Any]]) -> Floats:
    """Values scaled to 0..1, float64 [n]; zeros where all are equal."""
    scaled = values.astype(np.float64)
    if not len(scaled):
        return scaled
    low, high = scaled.min(), scaled.max()
    return np.asarray((scaled - low) / (high - low) if high > low else np.zeros(len(scaled)))


def _unit(vectors: NDArray[np.float32]) -> Floats:
    """Rows of length 1, float64 [n, d]; zeros stay zeros."""
    rows = vectors.astype(np.float64)
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12))
