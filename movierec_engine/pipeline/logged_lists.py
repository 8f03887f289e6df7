"""Explored lists of the feedback log with what each of their movies earned, and what had to be left out, counted."""

import math
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from movierec_engine.data.id_map import PublicId
from movierec_engine.evaluation.off_policy.question import Reward
from movierec_engine.feedback import FeedbackLog, ListContext, LoggedEvent, ShownList, UserState
from movierec_engine.feedback.events import AHEAD_SECONDS, now_ms
from movierec_engine.feedback.log import state_of
from movierec_engine.reporting.progress import advance, step

NOT_EXPLORED = "were not explored"
NO_PROBABILITY = "have propensities that are not numbers above 0 and at most 1"
UNREADABLE = "cannot be read"
TOO_NEW = "were shown too lately for their time to be over"
OF_THE_FUTURE = "are dated in the future"
REPEATED = "repeat another one"
OF_LOST_RULES = "were made under rules that cannot be read any more"
TRAINED_ON = "were shown before the newest feedback that the model was trained on"


@dataclass(frozen=True, eq=False)
class LoggedList:
    """An explored list; of a page of rows its first row, which is the person's own list.

    propensities, inclusions, rewards: of each of its movies; a reward is 0 or 1.
    """

    user_id: PublicId
    at_ms: int
    movie_ids: tuple[PublicId, ...]
    propensities: tuple[float, ...]
    inclusions: tuple[float, ...]
    rewards: tuple[float, ...]
    context: ListContext


@dataclass(frozen=True, eq=False)
class LoggedLists:
    """Explored lists, the oldest first, and what is left out.

    left_out: why -> how many lists. early: events that name a list and are dated well before it. trained_until_ms: when
    the newest feedback was given that the model was trained on, 0 where there is none.
    """

    lists: list[LoggedList]
    left_out: dict[str, int]
    early: int
    _said: dict[PublicId, list[LoggedEvent]]

    def without(self, unusable: Callable[[LoggedList], bool], why: str) -> "LoggedLists":
        """The same lists without some, which are counted as left out."""
        kept = [one for one in self.lists if not unusable(one)]
        out = len(self.lists) - len(kept)
        return replace(self, lists=kept, left_out={**self.left_out, **({why: out} if out else {})})

    def state_at(self, user_id: PublicId, at_ms: int, erasure: int) -> tuple[int, UserState]:
        """A user's state at a moment, without undone feedback, and the number of events that it is made of."""
        said = self._said.get(user_id, [])
        count = bisect_right(said, at_ms, key=lambda one: one.at_ms)
        rows = [
            (one.event.kind, one.event.movie_id, one.event.rating, one.event.share, one.at_ms // 1000)
            for one in said[:count]
        ]
        return count, state_of(rows, erasure)


@step("reading the lists that were shown")
def read_lists(
    log: FeedbackLog, reward: Reward, minutes: float, liked_from: float, trained_on_seq: int = 0
) -> LoggedLists:
    """Read explored lists with their rewards: whether a movie was liked, or clicked, within so many minutes.

    An event counts for the list that it names, or else for the newest one that had shown its movie to its user. Of
    several ratings of a movie the latest counts, one of at least liked_from as a like; what was undone does not count.
    trained_on_seq: place in the log of the newest feedback that a model was trained on: older lists are left out, as
    the model has seen what came of them.
    """
    left_out: Counter[str] = Counter()
    now, window = now_ms(), int(minutes * 60_000)
    total = log.totals().get("list_shown", 0)
    kept: list[ShownList] = []
    met = set()
    for number, shown in enumerate(log.exposures(), start=1):
        if number % 1000 == 0:
            advance(number, total, "lists")
        if (why := _unusable(shown, now, window)) is None:
            name = shown.user_id, shown.request_id, tuple(shown.movie_ids or ())
            why = REPEATED if shown.request_id and name in met else None
            met.add(name)
        if why is None:
            kept.append(shown)
        else:
            left_out[why] += 1
    kept.sort(key=lambda one: (one.at_ms, one.exposure_id))
    said: dict[PublicId, list[LoggedEvent]] = defaultdict(list)
    users = {one.user_id for one in kept}
    trained_until = 0
    for logged in log.events():
        if logged.seq <= trained_on_seq and logged.event.kind == "rating":
            trained_until = max(trained_until, logged.at_ms)
        if logged.event.user_id in users and not logged.undone:
            said[logged.event.user_id].append(logged)
    for own in said.values():
        own.sort(key=lambda one: (one.at_ms, one.seq))
    newer = [one for one in kept if one.at_ms > trained_until]
    if len(newer) < len(kept):
        left_out[TRAINED_ON] += len(kept) - len(newer)
    rewards, early = _rewards(newer, said, reward, window, liked_from)
    lists = [_logged(one, rewards.get(place, frozenset())) for place, one in enumerate(newer)]
    return LoggedLists(lists, dict(left_out), early, dict(said))


def _unusable(shown: ShownList, now: int, window: int) -> str | None:
    """Why a list cannot be used, or None."""
    if not shown.movie_ids or any(not isinstance(movie, int | str) for movie in shown.movie_ids):
        return UNREADABLE
    if shown.propensities is None or shown.inclusions is None or shown.context is None:
        return UNREADABLE
    if not shown.propensities and not shown.inclusions:
        return NOT_EXPLORED
    for numbers in (shown.propensities, shown.inclusions):
        if len(numbers) != len(shown.movie_ids) or not all(map(_is_probability, numbers)):
            return NO_PROBABILITY
    if shown.at_ms > now + AHEAD_SECONDS * 1000:
        return OF_THE_FUTURE
    return TOO_NEW if shown.at_ms + window > now else None


def _is_probability(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and 0 < value <= 1


def _logged(shown: ShownList, earned: Iterable[PublicId]) -> LoggedList:
    context = shown.context or ListContext()
    of_person = slice(context.first_row or None)
    movies, earners = tuple(shown.movie_ids or ())[of_person], frozenset(earned)
    return LoggedList(
        shown.user_id,
        shown.at_ms,
        movies,
        tuple(shown.propensities or ())[of_person],
        tuple(shown.inclusions or ())[of_person],
        tuple(float(movie in earners) for movie in movies),
        context,
    )


def _rewards(
    lists: Sequence[ShownList],
    said: dict[PublicId, list[LoggedEvent]],
    reward: Reward,
    window: int,
    liked_from: float,
) -> tuple[dict[int, frozenset[PublicId]], int]:
    """Place of a list -> the movies that earned a reward there; and how many events are dated before their list."""
    list_of = _finder(lists)
    kind = "rating" if reward == "like" else "click"
    newest: dict[tuple[int, PublicId], bool] = {}
    early = 0
    for one in (one for events in said.values() for one in events if one.event.kind == kind):
        found = list_of(one)
        if found is None:
            continue
        after = one.at_ms - lists[found].at_ms
        if after < -AHEAD_SECONDS * 1000:
            early += 1
        elif after <= window:  # events of the same movie come in their order, so that the latest counts
            newest[found, one.event.movie_id] = one.event.rating is None or one.event.rating >= liked_from
    earned: dict[int, set[PublicId]] = defaultdict(set)
    for place, movie in (of for of, liked in newest.items() if liked):
        earned[place].add(movie)
    return {place: frozenset(movies) for place, movies in earned.items()}, early


def _finder(lists: Sequence[ShownList]) -> Callable[[LoggedEvent], int | None]:
    """A function from an event to the place of the list that it is of: the one it names, else the newest before it."""
    by_name: dict[tuple[PublicId, str], int] = {}
    of_movie: dict[tuple[PublicId, PublicId], list[tuple[int, int]]] = defaultdict(list)
    for place, shown in enumerate(lists):
        by_name[shown.user_id, shown.request_id] = place  # the newest, should a client have given it to several
        for movie in shown.movie_ids or ():
            of_movie[shown.user_id, movie].append((shown.at_ms, place))
    by_name |= {(shown.user_id, shown.exposure_id): place for place, shown in enumerate(lists)}

    def list_of(logged: LoggedEvent) -> int | None:
        user, event = logged.event.user_id, logged.event
        if event.shown_in:
            named = by_name.get((user, event.shown_in))
            return named if named is not None and event.movie_id in (lists[named].movie_ids or ()) else None
        shown_at = of_movie.get((user, event.movie_id), [])
        before = bisect_right(shown_at, (logged.at_ms, len(lists)))
        return shown_at[before - 1][1] if before else None

    return list_of
