"""A recommendation's reason in words, for the person who gets it."""

from collections.abc import Mapping, Sequence, Set

from movierec_engine.models.explanation import Explanation

MOST_TITLES = 3
LEAST_SHARE = 0.5
"""A title is named if it adds at least this share of what the strongest reason adds."""


def sentence(
    explanation: Explanation, titles: Mapping[int, str], ratings: Mapping[int, float], liked_from: float
) -> str:
    """The strongest reasons as the end of a sentence: "because you liked Heat and Ronin".

    titles: of the history's items, by index. ratings: the person's own, by index as far as there are any. Only items
    are named that are rated at least `liked_from`, or not at all; where one that is named has no rating, it says
    "watched". Titles are put in as they are.

    Where no such item raises the score it says so, and where there is no history, or the model does not ask for one,
    that the item is popular.
    """
    if not len(explanation.items):
        return "because it is popular"
    disliked = {item for item, rating in ratings.items() if rating < liked_from}
    reasons = strongest_reasons(explanation, disliked)
    if not reasons:
        return "although no single title you watched speaks for it"
    said = "liked" if all(item in ratings for item in reasons) else "watched"
    return f"because you {said} {in_words([titles[item] for item in reasons])}"


def strongest_reasons(explanation: Explanation, disliked: Set[int]) -> list[int]:
    """The items to name, best first: up to three that raise the score, the later ones at least half as much.

    disliked: items that are not named.
    """
    pairs = zip(explanation.items.tolist(), explanation.contributions.tolist(), strict=True)
    raising = [(item, amount) for item, amount in pairs if amount > 0 and item not in disliked][:MOST_TITLES]
    return [item for item, amount in raising if amount >= LEAST_SHARE * raising[0][1]]


def in_words(names: Sequence[str]) -> str:
    """The names as "A", "A and B" or "A, B and C"."""
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last
