"""A person to recommend to: their history, the ratings that are folded in, and the movies that are masked.

No list holds a movie that its person has rated, in the raw data or since, or has dismissed (`Person.masked`). A click
leaves its movie in: it was looked at, not seen. With `serving.repeat` only what was dismissed is left out.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from movierec_engine.data.id_map import PublicId
from movierec_engine.data.interactions import OF_ORDER
from movierec_engine.data.sequences import told_times
from movierec_engine.feedback import UserState
from movierec_engine.recommending.fold_in import Taste
from movierec_engine.recommending.live_taste import LiveTaste
from movierec_engine.serving.loaded_index import LoadedIndex


@dataclass(frozen=True, eq=False)
class Person:
    """A person to recommend to: the facts that a version and the log have about them.

    user: their index where the trained model answers, else None: they are folded in.
    told: movie -> the rating that was given since, or in an anonymous history, the newest last; None for one without.
    told_at: movie -> the second at which it was told, where that is known.
    masked_since: the movies that may not be shown by what was said since, or told.
    erased: whether nothing older may be used.
    """

    served: LoadedIndex
    user_id: PublicId | None
    user: int | None
    told: Mapping[PublicId, float | None]
    masked_since: frozenset[PublicId]
    erased: bool = False
    told_at: Mapping[PublicId, int] = field(default_factory=dict)

    @cached_property
    def ratings(self) -> Mapping[PublicId, float | None]:
        """Movie -> its newest rating, of all that is known: the raw data's and then what was told since, newest last.

        A movie of the raw data that was rated again stands where it was rated last.
        """
        if self.erased or self.user_id is None:
            return self.told
        movies, ratings = self.served.index.rated.by(self.user_id)
        before = zip(movies.tolist(), ratings.tolist(), strict=True)
        return {**{movie: rating for movie, rating in before if movie not in self.told}, **self.told}

    @cached_property
    def masked(self) -> frozenset[PublicId]:
        """The movies that may not be shown: those rated, unless `serving.repeat`, and those dismissed."""
        return self.masked_since if self.served.repeat else self.masked_since.union(self.ratings)

    @cached_property
    def taste(self) -> Taste:
        """The likes and dislikes that are folded in."""
        times = self.told_at
        if not self.erased and self.user_id is not None:
            times = {**self.served.index.rated.times_by(self.user_id), **times}
        return _taste(self.served, self.ratings, times)

    @cached_property
    def live(self) -> LiveTaste:
        """The likes that are not in a trained user's history, and the dislikes, from the feedback given since training.

        Where the model goes by order, likes that are in it count too, and move to the end of it, unless the history
        ends with them already, as once they were trained on.
        """
        if self.user is None or not self.told:
            return LiveTaste()
        index, row = self.served.index, self.served.index.history[[self.user]]
        values, least = index.fold_in_scorer.history_values, index.facts.liked_from
        rated = {self.served.catalogue.item(movie_id): rating for movie_id, rating in self.told.items()}
        given = [(item, rating) for item, rating in rated.items() if item is not None and rating is not None]
        liked = [(item, rating) for item, rating in given if rating >= least]
        disliked = [(item, rating if values == "ratings" else 1.0) for item, rating in sorted(given) if rating < least]
        if values in OF_ORDER:
            since = _beyond([item for item, _ in liked], row.indices[np.argsort(row.data, kind="stable")].tolist())
            last = float(row.data.max())
            new = [(item, last + place) for place, item in enumerate(since, start=1)]
            if values == "times":
                at = {self.served.catalogue.item(movie_id): second for movie_id, second in self.told_at.items()}
                new = [*zip(since, told_times([at.get(item, 0) for item in since], last).tolist(), strict=True)]
        else:
            known = set(row.indices.tolist())
            new = [(item, one if values == "ratings" else 1.0) for item, one in sorted(liked) if item not in known]
        return LiveTaste(tuple(new), tuple(disliked))

    def without(self, movie_ids: Collection[PublicId]) -> "Person":
        """The person to whom these movies may not be shown either."""
        return replace(self, masked_since=self.masked_since.union(movie_ids)) if movie_ids else self

    def scores(self) -> tuple[NDArray[np.float32], str]:
        """The scores of all items by which the person's list is ranked, float32 [n_items], and their source."""
        index = self.served.index
        if self.user is None:
            return index.history_scores(self.taste)
        scores = index.live_scores(self.user, self.live) if self.live.ratings else index.scores(self.user)
        return scores, index.source

    def masked_items(self, more: frozenset[PublicId]) -> NDArray[np.integer[Any]]:
        """The item indices of `masked` and of other movies."""
        if self.user is not None:
            return self.served.masked(self.user, items_of(self.served, self.masked_since | more))
        return self.served.catalogue.items([*(self.masked | more)])


def of_user(served: LoadedIndex, user_id: PublicId, state: UserState) -> Person:
    """A user by id. The trained model answers only if its training data took the newest erasure into account."""
    erased = state.erasure > served.lineage.newest_erasure
    user = None if erased else served.user(user_id)
    if user is not None and not served.index.personal[user]:
        user = None
    masked_since = state.not_interested if served.repeat else state.masked
    return Person(served, user_id, user, state.ratings, masked_since, erased, state.rated_at)


def of_history(served: LoadedIndex, told: Mapping[PublicId, float | None]) -> Person:
    """A person with a given history, oldest first; if a movie is named twice, the last entry counts."""
    return Person(served, None, None, told, frozenset() if served.repeat else frozenset(told))


def _taste(served: LoadedIndex, ratings: Mapping[PublicId, float | None], times: Mapping[PublicId, int]) -> Taste:
    """The likes and dislikes among the catalogue's movies; ratings and seconds by public id, the newest last."""
    rated = {served.catalogue.item(movie_id): rating for movie_id, rating in ratings.items()}
    at = {served.catalogue.item(movie_id): second for movie_id, second in times.items() if movie_id in ratings}
    return served.index.taste_of(
        {item: rating for item, rating in rated.items() if item is not None},
        {item: second for item, second in at.items() if item is not None},
    )


def _beyond(told: Sequence[int], history: Sequence[int]) -> Sequence[int]:
    """The told items, without the longest prefix of them that is already the end of the history."""
    held = range(min(len(told), len(history)), 0, -1)
    return told[next((n for n in held if history[-n:] == told[:n]), 0) :]


def items_of(served: LoadedIndex, movie_ids: frozenset[PublicId]) -> frozenset[int]:
    """The item indices of those that the catalogue has."""
    if not movie_ids:
        return frozenset()
    found_items = (served.catalogue.item(movie_id) for movie_id in movie_ids)
    return frozenset(item for item in found_items if item is not None)
