"""One index version in memory: its users' lists, and which of those are remembered."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from movierec_engine.data.id_map import PublicId
from movierec_engine.recommending.live_taste import LiveTaste
from movierec_engine.recommending.rows.gems import hidden_gems
from movierec_engine.retrieval.index import RetrievalIndex
from movierec_engine.retrieval.masks import Mask
from movierec_engine.serving.catalogue import MovieCatalogue
from movierec_engine.serving.known_ids import KnownIds
from movierec_engine.serving.lineage import Lineage
from movierec_engine.store import Artifact

T = TypeVar("T")
SHORT_LIST = 50
"""Length of the lists that are remembered; what they do not reach to is computed."""

RankedItems = tuple[list[int], list[float], str]
"""Item indices and their scores, best first, and where they come from."""


def ranked_items(items: NDArray[np.int64], scores: NDArray[np.float32], source: str) -> RankedItems:
    """Recommendations as plain numbers, the scores rounded to six digits after the point.

    Of a float32 a million times as much is exact in float64, so that numpy rounds as Python does.
    """
    return items.tolist(), scores.astype(np.float64).round(6).tolist(), source


@dataclass(frozen=True)
class LoadedIndex:
    """One index version in memory."""

    artifact: Artifact
    index: RetrievalIndex
    catalogue: MovieCatalogue
    lineage: Lineage
    mask: Mask
    """The mask of each trained user's list: `serving_mask` in serving, unless `repeat`."""
    remembered: int = 0
    """How many short lists are remembered, of the users who asked last."""
    repeat: bool = False
    """Whether movies that somebody has seen may be recommended to them again."""
    _lists: OrderedDict[Hashable, Any] = field(default_factory=OrderedDict, init=False, repr=False, compare=False)
    _lists_lock: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False, compare=False)

    @property
    def model(self) -> str:
        return self.artifact.slot.model

    @cached_property
    def known_ids(self) -> KnownIds:
        """The first user's id and the most popular item's, where ids are texts, as examples; and the rating scale."""
        users, items = self.index.users, self.index.items
        user = users.ids[0].item() if users.are_texts else KnownIds.user
        popular = int(np.argmax(self.index.popularity))
        movie = items.ids[popular].item() if items.are_texts else KnownIds.movie
        return KnownIds(user, movie, self.index.facts.rating_scale)

    @cached_property
    def gems(self) -> NDArray[np.bool_]:
        """The hidden gems, bool [n_items]; none where the index lacks the ratings."""
        ratings, popularity = self.index.ratings_by_item, self.index.popularity
        return np.zeros(len(popularity), dtype=np.bool_) if ratings is None else hidden_gems(ratings, popularity)

    def user(self, user_id: PublicId) -> int | None:
        """The user's index."""
        return self.index.users.place(user_id)

    def recommend_live(self, user: int, live: LiveTaste, k: int, more: frozenset[int]) -> RankedItems:
        """`recommend` for a user who has rated since; remembered until they say more."""
        if self.remembered and k <= SHORT_LIST:
            items, scores, source = self._remembered_live(user, live, more)
            return items[:k], scores[:k], source
        return ranked_items(*self.index.recommend_live(user, live, k, self.masked(user, more)))

    def recommend(self, user: int, k: int, more: frozenset[int] = frozenset()) -> RankedItems:
        """A trained user's best items outside the mask and `more`; nobody may change the list."""
        if self.remembered and k + len(more) <= SHORT_LIST:
            items, scores, source = self._remembered(user)
            if not more:
                return items[:k], scores[:k], source
            kept = [place for place, item in enumerate(items) if item not in more][:k]
            return [items[place] for place in kept], [scores[place] for place in kept], source
        return ranked_items(*self.index.recommend(user, k, self.masked(user, more)))

    def masked(self, user: int, more: frozenset[int] = frozenset()) -> NDArray[np.integer[Any]]:
        """The item indices of a trained user's mask and of `more`."""
        return np.concatenate([self.mask(user), np.array([*more], dtype=np.int64)]) if more else self.mask(user)

    def remembered_list(self, key: Hashable, make: Callable[[], T]) -> T:
        """A list under rules by all that it depends on, made where it is not remembered."""
        if not self.remembered:
            return make()
        with self._lists_lock:
            if (known := self._lists.pop(key, None)) is not None:
                self._lists[key] = known
                return known  # type: ignore[no-any-return]
        made = make()
        with self._lists_lock:
            self._lists[key] = made
            if len(self._lists) > self.remembered:
                self._lists.popitem(last=False)
        return made

    def remembers(self, k: int) -> bool:
        """True if lists of k are remembered, so that they are mostly there."""
        return self.remembered > 0 and k <= SHORT_LIST

    def warm(self, seconds: float) -> None:
        """Remember the lists of as many users as there is time for, so that their first request finds them."""
        until = time.monotonic() + seconds
        for user in range(min(self.remembered, len(self.index.users))):
            self._remembered(user)
            if time.monotonic() > until:
                return

    @cached_property
    def _remembered(self) -> Callable[[int], RankedItems]:
        index, mask = self.index, self.mask  # and not this object, which would then hold itself

        @lru_cache(maxsize=self.remembered)
        def recommend(user: int) -> RankedItems:
            return ranked_items(*index.recommend(user, SHORT_LIST, mask(user)))

        return recommend

    @cached_property
    def _remembered_live(self) -> Callable[[int, LiveTaste, frozenset[int]], RankedItems]:
        index, mask = self.index, self.mask

        @lru_cache(maxsize=self.remembered)
        def recommend(user: int, live: LiveTaste, more: frozenset[int]) -> RankedItems:
            masked = np.concatenate([mask(user), np.array([*more], dtype=np.int64)])
            return ranked_items(*index.recommend_live(user, live, SHORT_LIST, masked))

        return recommend
