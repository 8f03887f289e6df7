"""A home page composed of rows: no movie twice, the rows to the person's taste, kinds of rows in turn."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SHORTEST = 4
"""Movies of a row that stands, at least."""
AGAIN = 0.8
"""Weight of a further row of a kind, to the power of how many there are already."""


@dataclass(frozen=True, eq=False)
class MovieRow:
    """A row that could stand on a page.

    name: for programs, such as `genre:Crime`; its kind stands before the colon. title, reason: for people.
    items: int64, the movies that may be shown, best first: more than a row holds, so that it stays full whatever the
    others take. least: a row with fewer is left out, unless fewer were asked for.
    """

    name: str
    title: str
    reason: str
    items: NDArray[np.int64]
    least: int = SHORTEST

    @property
    def kind(self) -> str:
        return self.name.partition(":")[0]


@dataclass(frozen=True, eq=False)
class PlacedRow:
    """A row with the items that it shows, int64 [<=k]."""

    row: MovieRow
    items: NDArray[np.int64]


def compose(
    rows: Sequence[MovieRow], relevance: NDArray[np.floating], k: int, most: int, first: str = ""
) -> list[PlacedRow]:
    """At most `most` rows of k items, of which none stands in two.

    Row by row the one is taken whose k best items that are left are of the highest mean relevance, times AGAIN for each
    row of its kind that stands already. relevance: [n_items], to the person, 0 to 1. first: the row that begins.
    """
    used = np.zeros(len(relevance), dtype=np.bool_)
    left, placed = list(rows), list[PlacedRow]()
    kinds = Counter[str]()
    while left and len(placed) < most:
        shown = [row.items[~used[row.items]][:k] for row in left]
        full = [place for place, items in enumerate(shown) if len(items) >= min(left[place].least, k)]
        if not full:
            break
        begins = [place for place in full if left[place].name == first]
        worth = [float(relevance[shown[place]].mean()) * AGAIN ** kinds[left[place].kind] for place in full]
        best = begins[0] if begins and not placed else full[int(np.argmax(worth))]
        row = left.pop(best)
        used[shown[best]] = True
        kinds[row.kind] += 1
        placed.append(PlacedRow(row, shown[best]))
    return placed
