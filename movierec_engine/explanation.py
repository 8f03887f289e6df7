"""A recommendation's reason in words, for the person who gets it."""

from collections.abc import Mapping, Sequence

from movierec_engine.models.explanation import Explanation

MOST_TITLES = 3
LEAST_SHARE = 0.5
"""A title is named if it adds at least this share of what the strongest reason adds."""
HIGH_RATING = 4.0


def sentence(explanation: Explanation, titles: Mapping[int, str], ratings: Mapping[int, float] | None) -> str:
    """The strongest reasons as the end of a sentence: "because you rated Heat and Ronin highly".

    titles: of the history's items, by index. ratings: the person's own, by index as far as there are any, None on
    implicit feedback; "highly" is said where every title that is named has 4 or more. Titles are put in as they are.

    Where no item of the history raises the score it says so, and where there is no history, or the model does not ask
    for one, that the item is popular.
    """
    if not len(explanation.items):
        return "because it is popular"
    reasons = strongest_reasons(explanation)
    if not reasons:
        return "although no single title you watched speaks for it"
    named = in_words([titles[item] for item in reasons])
    if ratings is not None and all(ratings.get(item, 0) >= HIGH_RATING for item in reasons):
        return f"because you rated {named} highly"
    return f"because you watched {named}"


def strongest_reasons(explanation: Explanation) -> list[int]:
    """The items to name, best first: up to three that raise the score, the later ones at least half as much."""
    least = LEAST_SHARE * explanation.contributions.max(initial=0)
    first = explanation.items[:MOST_TITLES].tolist(), explanation.contributions[:MOST_TITLES].tolist()
    return [item for item, amount in zip(*first, strict=True) if amount > 0 and amount >= least]


def in_words(names: Sequence[str]) -> str:
    """The names as "A", "A and B" or "A, B and C"."""
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last
