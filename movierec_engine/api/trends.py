"""Trending and rising movies at the moment, from the likes of the data and of the feedback log, recounted regularly."""

import logging
import threading
import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from movierec_engine.data.id_map import PublicId
from movierec_engine.errors import MovierecError
from movierec_engine.recommending.rows import trends
from movierec_engine.recommending.rows.config import RowsConfig
from movierec_engine.recommending.rows.ratings_by_item import DAY, NO_LIKES, LikesByDay
from movierec_engine.serving.live_feedback import LiveFeedback
from movierec_engine.serving.loaded_index import LoadedIndex

log = logging.getLogger(__name__)

LoggedLikes = tuple[tuple[PublicId, int, int], ...]
"""Movie, day since 1970, and how many people liked it then."""
_VERSIONS = 8
"""Index versions whose trends are kept."""


@dataclass(frozen=True, eq=False)
class TrendScores:
    """trending, rising: float64 [n_items], 0 for what is neither. stamp: another one where they are others.

    live: whether the feedback log has a say in them.
    """

    trending: NDArray[np.float64]
    rising: NDArray[np.float64]
    stamp: int
    live: bool


class Trends:
    """Counts the log's likes at most every `settings.trending_seconds`, in the background; answers don't wait."""

    def __init__(self, live: LiveFeedback, settings: RowsConfig) -> None:
        self._live, self._settings = live, settings
        self._counted: dict[str, tuple[float, LoggedLikes]] = {}  # data set -> when, and what
        self._scores: dict[str, tuple[int, LoggedLikes, TrendScores]] = {}  # index -> day, what they are of, and they
        self._counting, self._stamp = threading.Lock(), 0

    def of(self, served: LoadedIndex) -> TrendScores:
        """The scores of an index's items as of now, or of when the log was last counted."""
        likes, day = self._likes(served), int(time.time()) // DAY
        reference = served.artifact.reference
        known = self._scores.get(reference)
        if known is not None and known[0] == day and known[1] is likes:
            return known[2]
        made = self._made(served, likes, day)
        if len(self._scores) >= _VERSIONS:
            self._scores.clear()
        self._scores[reference] = (day, likes, made)
        return made

    def _likes(self, served: LoadedIndex) -> LoggedLikes:
        data_set, now = served.lineage.data_set, time.time()
        counted = self._counted.get(data_set)
        if counted is not None and now - counted[0] < self._settings.trending_seconds:
            return counted[1]
        if counted is None or not self._settings.trending_seconds:
            self._count(served, now)
        elif self._counting.acquire(blocking=False):
            threading.Thread(target=self._count_in_turn, args=(served, now), name="trends", daemon=True).start()
        return self._counted[data_set][1]

    def _count_in_turn(self, served: LoadedIndex, now: float) -> None:
        try:
            self._count(served, now)
        finally:
            self._counting.release()

    def _count(self, served: LoadedIndex, now: float) -> None:
        data_set = served.lineage.data_set
        before = self._counted.get(data_set, (0.0, ()))[1]
        likes = before
        since = int(now) - 2 * self._settings.trending_days * DAY
        newest = served.index.ratings_by_item.newest if served.index.ratings_by_item else 0
        try:
            feedback = self._live.log(data_set)
            if feedback.begun:
                likes = tuple(
                    feedback.likes_by_day(since * 1000, max(since, newest + 1) * 1000, served.index.facts.liked_from)
                )
        except MovierecError as error:
            log.error("trends come without what was liked since: %s", error)
        self._counted[data_set] = (now, before if likes == before else likes)

    def _made(self, served: LoadedIndex, likes: LoggedLikes, day: int) -> TrendScores:
        ratings, n = served.index.ratings_by_item, served.catalogue.n_items
        data = ratings.recent if ratings else NO_LIKES
        found = [(served.catalogue.item(movie), day - then, people) for movie, then, people in likes]
        known = [row for row in found if row[0] is not None and row[1] >= 0]
        logged = LikesByDay(*np.array(known, dtype=np.int32).T) if known else NO_LIKES
        gap = max(0, day - ratings.newest // DAY) if known and ratings and ratings.newest else 0
        days, half_life = self._settings.trending_days, self._settings.trending_half_life
        trending = trends.trending(data, logged, gap, n, days, half_life)
        self._stamp += 1
        return TrendScores(trending, trends.rising(data, logged, gap, n, days), self._stamp, bool(known))
