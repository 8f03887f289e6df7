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

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from movierec_engine.data.catalogue import Catalogue
from movierec_engine.errors import ConfigError
from movierec_engine.models.vectors import unit_rows

Floats = NDArray[np.float64]
Indices = NDArray[np.integer[Any]]

DIALS = ("diversity", "novelty", "decade_balance", "genre_balance")
DIVERSITY_OVER = ("genres", "embeddings")
SMOOTHING = 0.01
"""Share of the history's shares that is mixed into the list's, so that the divergence stays finite; Steck's value."""

CANDIDATES = 100
"""How many of the model's best items a list is chosen from where a dial is turned; four times the list where that is
more."""
DECIMALS = 12
"""Values are compared to so many, so that equal ones stay equal in spite of floating point."""

_TINY = np.finfo(np.float64).tiny
_WORST = -np.log(SMOOTHING)
"""The largest divergence."""


@dataclass(frozen=True)
class Dials:
    """Taste dials: re-ranking of a list away from the model's order; each from 0, not at all, to 1.

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
    """The similarity of items: by `genres` or `embeddings`."""

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
    """Facts on the items that dials need, apart from any model and any person.

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
        """Active dials whose item facts are missing."""
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
        return unit_rows(self.genres.astype(np.float64))

    @cached_property
    def unit_embeddings(self) -> Floats:
        return unit_rows(self.embeddings.astype(np.float64))


def rerank(
    items: Indices, scores: NDArray[np.floating[Any]], history: Indices, facts: ItemFacts, dials: Dials, k: int
) -> tuple[NDArray[np.int64], Floats]:
    """The first k candidates by the dials, taken greedily; the formula is the module's.

    items: [n], the model's best candidates, best first. scores: [n], theirs, finite. history: [h], the items that the
    person has; without any of known genre or decade the balances say nothing.
    Returns item indices int64 [min(k, n)] and the value that each was taken by, float64.

    Raises ConfigError where a dial is turned that nothing is known for.
    """
    return rerank_all([items], [scores], [history], facts, dials, k)[0]


def rerank_all(
    items: Sequence[Indices],
    scores: Sequence[NDArray[np.floating[Any]]],
    histories: Sequence[Indices],
    facts: ItemFacts,
    dials: Dials,
    k: int,
) -> list[tuple[NDArray[np.int64], Floats]]:
    """`rerank` of several people's candidates at once, with the same dials for all."""
    if lacking := facts.lacking(dials):
        raise ConfigError(f"{lacking[0]} needs what is not known of any item here; set it to 0")
    turned = dials.turned
    if not turned or not items:
        each = zip(items, scores, strict=True)
        return [(own.astype(np.int64)[:k], _scaled(of, np.ones(len(of), dtype=np.bool_))[:k]) for own, of in each]
    length = np.array([len(own) for own in items])
    left = np.arange(length.max()) < length[:, None]
    candidates, relevance = np.zeros(left.shape, dtype=np.int64), np.zeros(left.shape)
    candidates[left], relevance[left] = np.concatenate(items), np.concatenate(scores)
    model_share = float(np.prod([1 - setting for setting in turned.values()]))
    parts = [
        ((1 - model_share) * setting / sum(turned.values()), _term(dial, candidates, left, histories, facts, dials))
        for dial, setting in turned.items()
    ]
    of_model = np.where(left, model_share * _scaled(relevance, left), -np.inf)
    steps, first = min(k, left.shape[1]), np.arange(len(items)) * left.shape[1]
    taken, values = np.zeros((len(items), steps), dtype=np.int64), np.zeros((len(items), steps))
    for step in range(steps):
        value = of_model.copy()
        for weight, term in parts:
            value += weight * _neutral_where_unknown(term, left)
        best = first + value.round(DECIMALS).argmax(axis=1)
        taken[:, step], values[:, step] = candidates.ravel()[best], value.ravel()[best]
        of_model.ravel()[best], left.ravel()[best] = -np.inf, False
        for _, term in parts:
            term.take(best)
    ends = np.minimum(length, steps)
    return [(own[:end], of[:end]) for own, of, end in zip(taken, values, ends, strict=True)]


def divergence(own: Floats, shown: Floats) -> Floats:
    """KL(p || (1 - a) q + a p) in nats, 0 where shown shares are the person's own, at most ln(1/a) (Steck 2018).

    own: p, float64 [..., g], shares in a history. shown: q, float64 [..., g], shares in a list; zeros for an empty one.
    Both broadcast. A history without any shares is 0 from every list.
    """
    mixed = (1 - SMOOTHING) * shown + SMOOTHING * own
    return np.asarray(np.vecdot(own, np.log(np.maximum(own, _TINY)) - np.log(np.maximum(mixed, _TINY))))


class _Term(Protocol):
    """One dial's part of b people's requests.

    worth: float64 [b, n], what each candidate is worth to the dial after those that were taken. unknown: bool [b, n],
    the candidates of which it knows nothing, whose worth means nothing; None where there are none.
    """

    worth: Floats
    unknown: NDArray[np.bool_] | None

    def take(self, places: NDArray[np.int64]) -> None:
        """A candidate of each person stands in their list from now on. places: int64 [b], in all b x n of them."""


class _Unlike:
    """MMR's term, with the mean. units: float64 [b, n, d], unit vectors of the candidates."""

    def __init__(self, units: Floats) -> None:
        self.worth: Floats = np.ones(units.shape[:2])
        self.unknown = _none_or(~np.asarray(units.any(axis=2)))
        self._units, self._length = units, 0

    def take(self, places: NDArray[np.int64]) -> None:
        self._length += 1
        taken = _of_places(self._units, places)
        self.worth += (1 - (self._units @ taken[:, :, None])[:, :, 0] - self.worth) / self._length


class _LittleKnown:
    """Self-information, which no item taken changes. information: float64 [b, n], of the candidates."""

    def __init__(self, information: Floats, candidates: NDArray[np.bool_]) -> None:
        self.worth = _scaled(information, candidates)
        self.unknown: NDArray[np.bool_] | None = None

    def take(self, places: NDArray[np.int64]) -> None:
        pass


class _Balance:
    """Steck's calibration. own: float64 [b, g], shares in the histories; shares: float64 [b, n, g], of the candidates.

    The divergence is written out here: what does not differ between the candidates is not computed for each.
    """

    def __init__(self, own: Floats, shares: Floats) -> None:
        self._known = np.asarray(shares.any(axis=2))
        self.unknown = _none_or(~self._known)
        somebodys = own.any(axis=0)  # what is in no history counts nothing
        own = own[:, somebodys]
        self._own, self._shares = own, (1 - SMOOTHING) * shares[:, :, somebodys]
        self._best = 1 - np.vecdot(own, np.log(np.maximum(own, _TINY))) / _WORST
        self._total, self._length = np.zeros_like(own), np.zeros(len(own))
        self._reached = np.zeros(len(own))  # each list's length times its calibration
        self.worth = self._added()

    def take(self, places: NDArray[np.int64]) -> None:
        known = self._known.ravel()[places]
        self._reached += known * self.worth.ravel()[places]
        self._total += _of_places(self._shares, places)  # zeros where nothing is known
        self._length += known
        self.worth = self._added()

    def _added(self) -> Floats:
        """n f(L + i) - (n - 1) f(L) of every candidate i."""
        n = self._length + 1
        mixed = self._shares + (self._total + n[:, None] * SMOOTHING * self._own)[:, None]
        mixed /= n[:, None, None]
        np.maximum(mixed, _TINY, out=mixed)
        worth = (np.log(mixed, out=mixed) @ self._own[:, :, None])[:, :, 0]
        worth *= (n / _WORST)[:, None]
        worth += (n * self._best - self._reached)[:, None]
        return np.asarray(worth)


def _term(
    dial: str,
    items: NDArray[np.int64],
    candidates: NDArray[np.bool_],
    histories: Sequence[Indices],
    facts: ItemFacts,
    dials: Dials,
) -> _Term:
    """items: int64 [b, n]. candidates: bool [b, n], False beyond each person's."""
    if dial == "diversity":
        units = facts.unit_genres if dials.diversity_over == "genres" else facts.unit_embeddings
        return _Unlike(units[items])
    if dial == "novelty":
        return _LittleKnown(facts.information[items], candidates)
    shares = facts.genre_shares if dial == "genre_balance" else facts.decade_shares
    total = np.stack([shares[history].sum(axis=0) for history in histories])
    return _Balance(total / np.maximum(total.sum(axis=1, keepdims=True), 1.0), shares[items])


def _neutral_where_unknown(term: _Term, left: NDArray[np.bool_]) -> Floats:
    """A term's worth, float64 [b, n], with the mean of the known candidates that are left where it is not known."""
    if term.unknown is None:
        return term.worth
    known = left & ~term.unknown
    mean = np.where(known, term.worth, 0).sum(axis=1) / np.maximum(known.sum(axis=1), 1)
    return np.where(term.unknown, mean[:, None], term.worth)


def _of_places(values: Floats, places: NDArray[np.int64]) -> Floats:
    """The vectors of float64 [b, n, d] at places among all b x n: float64 [b, d]."""
    b, n, d = values.shape
    return np.asarray(values.reshape(b * n, d)[places])


def _none_or(unknown: NDArray[np.bool_]) -> NDArray[np.bool_] | None:
    return unknown if unknown.any() else None


def _scaled(values: NDArray[np.floating[Any]], candidates: NDArray[np.bool_]) -> Floats:
    """Rows scaled to 0..1 over their candidates, float64 [..., n]; zeros where all are equal."""
    wide = values.astype(np.float64)
    low = np.where(candidates, wide, np.inf).min(axis=-1, keepdims=True, initial=np.inf)
    high = np.where(candidates, wide, -np.inf).max(axis=-1, keepdims=True, initial=-np.inf)
    spread = high > low
    return np.asarray(np.where(spread, (wide - np.where(spread, low, 0)) / np.where(spread, high - low, 1), 0.0))
