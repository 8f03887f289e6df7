"""Which movies may replace those of a list, so that its shares and caps hold whichever of them do.

Each movie is given to one place at most. It may stand there if

- every share is kept by any list in which it replaces the list's own movie: both match or neither does, or the change
  is one that the share does not limit;
- every cap is kept by all replacements together: the places where a movie of its value could stand, the list's own or
  one that may replace it, are no more than the cap allows, or this place is one of them already.

So a list keeps its limits though every place is replaced independently of the others, and what the list itself does not
keep gets no worse.
"""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from movierec_engine.recommending.rules.active import ActiveCap, ActiveShare

Items = NDArray[np.int64]


def replacements(
    limits: Sequence[ActiveShare | ActiveCap], shown: Items, places: Sequence[int], candidates: Items, most: int
) -> dict[int, Items]:
    """Place -> rows of the candidates that may stand there, best first, for the places that have any.

    shown: int64 [k], the list, by place in the catalogue. places: those that may be replaced. candidates: int64 [c],
    others, best first; each goes to the place that has fewest so far, of equal ones the last. most: candidates in all.
    """
    able = np.ones((len(places), len(candidates)), dtype=np.bool_)
    for limit in limits:
        if isinstance(limit, ActiveShare):
            own, other = limit.matches[shown[[*places]]][:, None], limit.matches[candidates]
            able &= ~((own & ~other & (limit.at_least > 0)) | (~own & other & (limit.at_most < 1)))
    caps = [_Standing(limit, shown) for limit in limits if isinstance(limit, ActiveCap)]
    given: dict[int, list[int]] = {place: [] for place in places}
    for row in np.flatnonzero(able.any(axis=0)).tolist():
        item, open_to = int(candidates[row]), [places[at] for at in np.flatnonzero(able[:, row]).tolist()]
        fitting = [place for place in open_to if all(cap.may_stand(item, place) for cap in caps)]
        if not fitting:
            continue
        place = min(fitting, key=lambda place: (len(given[place]), -place))
        given[place].append(row)
        for cap in caps:
            cap.stand(item, place)
        most -= 1
        if not most:
            break
    return {place: np.array(rows, dtype=np.int64) for place, rows in given.items() if rows}


class _Standing:
    """The places at which a movie of each value of a cap could stand."""

    def __init__(self, cap: ActiveCap, shown: Items) -> None:
        self._cap, self._places = cap, defaultdict[int, set[int]](set)
        for place, item in enumerate(shown.tolist()):
            self.stand(item, place)

    def may_stand(self, item: int, place: int) -> bool:
        return all(
            place in self._places[code] or len(self._places[code]) < self._cap.at_most for code in self._codes(item)
        )

    def stand(self, item: int, place: int) -> None:
        for code in self._codes(item):
            self._places[code].add(place)

    def _codes(self, item: int) -> list[int]:
        found: list[int] = self._cap.codes[self._cap.starts[item] : self._cap.starts[item + 1]].tolist()
        return found
