"""A recommendation's reason in words, for the person who gets it."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice

from movierec_engine.data.nouns import MOVIES, Nouns
from movierec_engine.models.explanation import Explanation

MOST_TITLES = 3
LEAST_SHARE = 0.5
"""A title is named if it adds at least this share of what the strongest reason adds."""


def sentence(
    explanation: Explanation,
    titles: Mapping[int, str],
    ratings: Mapping[int, float],
    liked_from: float,
    nouns: Nouns = MOVIES,
) -> str:
    """The strongest reasons as the end of a sentence: "because you liked Heat and Ronin".

    titles: of the history's items, by index. ratings: the person's own, by index as far as there are any. Only items
    are named that are rated at least `liked_from`, or not at all; where one that is named has no rating, it says
    "watched", or of what is no movie, that it is in the history. Titles are put in as they are.

    Where no such item raises the score it says so, and where there is no history, or the model does not ask for one,
    that the item is popular.
    """
    if not len(explanation.items):
        return "because it is popular"
    reasons = strongest_reasons(reasons_to_show(explanation, ratings, liked_from))
    if not reasons:
        had = "title you watched" if nouns == MOVIES else f"{nouns[0]} in your history"
        return f"although no single {had} speaks for it"
    named = in_words([titles[item] for item in reasons])
    if all(item in ratings for item in reasons):
        return f"because you liked {named}"
    return f"because you watched {named}" if nouns == MOVIES else f"because of {named} in your history"


def reasons_to_show(
    explanation: Explanation, ratings: Mapping[int, float], liked_from: float
) -> Iterator[tuple[int, float]]:
    """The items of the history and what they add, the largest first, without dislikes that raise the score.

    A dislike raises the score of what is unlike it: true in the sum, and no reason to anybody. One that lowers a score
    is shown. ratings, liked_from: as of `sentence`.
    """
    for item, amount in zip(map(int, explanation.items), map(float, explanation.contributions), strict=True):
        if amount <= 0 or ratings.get(item, liked_from) >= liked_from:
            yield item, amount


def strongest_reasons(reasons: Iterable[tuple[int, float]]) -> list[int]:
    """The items to name, best first: up to three that raise the score, the later ones at least half as much.

    reasons: items and what they add, the largest first.
    """
    raising = [(item, amount) for item, amount in islice(reasons, MOST_TITLES) if amount > 0]
    return [item for item, amount in raising if amount >= LEAST_SHARE * raising[0][1]]


def in_words(names: Sequence[str]) -> str:
    """The names as "A", "A and B" or "A, B and C"."""
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last
