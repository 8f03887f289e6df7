"""One person's list: the model's scores, the mask, dials, then rules.

`/api/recommend`, the batch, the pages and exports all take their lists from `list_for`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from movierec_engine.data.nouns import called
from movierec_engine.models.top_k import best
from movierec_engine.recommending.dials import CANDIDATES, rerank_all
from movierec_engine.recommending.rules.active import ActiveRules, UnmetRule
from movierec_engine.recommending.rules.arranging import NOTHING, arrange
from movierec_engine.retrieval.index import PERSONAL
from movierec_engine.serving.list_options import ListOptionError, ListOptions
from movierec_engine.serving.loaded_index import LoadedIndex, ranked_items
from movierec_engine.serving.person import Person, items_of

Found = tuple[NDArray[np.int64], NDArray[np.float32], str]
"""Items and their scores, best first, and where they come from."""
Best = Callable[[int, NDArray[np.bool_] | None], tuple[NDArray[np.int64], NDArray[np.float32]]]
"""n and bool [n_items] -> a person's n best items among those, best first, with their scores."""
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class MadeList:
    """A person's list, before new movies are mixed in.

    items: item indices, best first. scores: the model's, to six digits. source: `personal`, `fold-in` or `popularity`.
    pinned: places, from 0, that a rule pinned. unmet: rules that it does not meet.
    """

    items: list[int]
    scores: list[float]
    source: str
    pinned: tuple[int, ...] = ()
    unmet: tuple[UnmetRule, ...] = ()


def list_for(
    served: LoadedIndex,
    person: Person,
    options: ListOptions,
    allowed: Mask | None = None,
    rules: ActiveRules | None = None,
    item_scores: NDArray[np.float32] | None = None,
    before: NDArray[np.int64] = NOTHING,
) -> MadeList:
    """The list of a person by the options, under rules.

    allowed: bool [movies], by place, what filters leave; None where that is all. item_scores: float32
    [n_items], of a trained user, where they are known. before: the places of the movies of the pages before this one.
    """
    if rules is not None:
        if options.plain and item_scores is None and person.user is not None and not len(before):
            key = (person.user, person.live, person.masked_since, options.top_k, rules)
            return served.remembered_list(key, lambda: _under_rules(served, person, options, None, rules))
        return _under_rules(served, person, options, allowed, rules, item_scores, before)
    if options.plain and person.user is not None and (person.live.ratings or item_scores is None):
        more = items_of(served, person.masked_since)
        if person.live.ratings:
            return MadeList(*served.recommend_live(person.user, person.live, options.top_k, more))
        return MadeList(*served.recommend(person.user, options.top_k, more))
    found = found_for(served, person, options, allowed, item_scores)
    return dialled(served, [person], options, [found])[0] if options.dials.turned else MadeList(*ranked_items(*found))


def found_for(
    served: LoadedIndex,
    person: Person,
    options: ListOptions,
    allowed: Mask | None,
    item_scores: NDArray[np.float32] | None,
) -> Found:
    """The items of a narrowed or folded-in list, or those among which dials choose.

    allowed: bool [movies], by place.
    """
    index = served.index
    wanted = _for_dials(options) if options.dials.turned else options.top_k
    masked = person.masked_items(options.exclude)
    of_items = None if allowed is None else allowed[: served.catalogue.n_items]
    if person.user is not None and person.live.ratings:
        return index.recommend_live(person.user, person.live, wanted, masked, of_items)
    if person.user is not None:
        return index.recommend(person.user, wanted, masked, of_items, item_scores)
    return index.recommend_for_history(person.taste, wanted, masked, of_items)


def dialled(
    served: LoadedIndex, people: Sequence[Person], options: ListOptions, found: Sequence[Found]
) -> list[MadeList]:
    """Lists of several people by the dials, with the model's own scores."""
    lists = []
    for (chosen, scores), (_, _, source) in zip(_reranked(served, people, options, found), found, strict=True):
        lists.append(MadeList(*ranked_items(chosen, scores, source)))
    return lists


def _reranked(
    served: LoadedIndex, people: Sequence[Person], options: ListOptions, found: Sequence[Found]
) -> list[tuple[NDArray[np.int64], NDArray[np.float32]]]:
    """The top_k of each person's candidates by the dials."""
    index, dials = served.index, options.dials
    if lacking := index.item_facts.lacking(dials):
        needed = called("needs facts that are known of no movie here", served.lineage.nouns)
        raise ListOptionError(lacking[0], f"{lacking[0]} {needed}; set it to 0")
    liked = [one.taste.liked if one.user is None else index.live_history(one.user, one.live) for one in people]
    items, scores, _ = zip(*found, strict=True)
    together = rerank_all(items, scores, [one.indices for one in liked], index.item_facts, dials, options.top_k)
    lists = []
    for (chosen, _), of_items, of_scores in zip(together, items, scores, strict=True):
        score_of = dict(zip(of_items.tolist(), of_scores, strict=True))
        lists.append((chosen, np.array([score_of[item] for item in chosen.tolist()], dtype=np.float32)))
    return lists


def _under_rules(
    served: LoadedIndex,
    person: Person,
    options: ListOptions,
    allowed: Mask | None,
    rules: ActiveRules,
    item_scores: NDArray[np.float32] | None = None,
    before: NDArray[np.int64] = NOTHING,
) -> MadeList:
    """The dials, if any are turned, order the first candidates; the rules take it from there."""
    both = rules.also(allowed)
    of_items = None if both is None else both[: served.catalogue.n_items]
    of_person, source = _best_of(served, person, options.exclude, item_scores)
    wanted = rules.candidates(options.top_k)
    items, scores = of_person(max(wanted, _for_dials(options)) if options.dials.turned else wanted, of_items)
    if options.dials.turned and len(items):
        first = items[: _for_dials(options)], scores[: _for_dials(options)], source
        ((chosen, of_chosen),) = _reranked(served, [person], options, [first])
        rest = ~np.isin(items, chosen)
        items, scores = np.concatenate([chosen, items[rest]]), np.concatenate([of_chosen, scores[rest]])

    def more(n: int, mask: Mask) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        return of_person(n, mask if of_items is None else mask & of_items)

    made = arrange(rules, items, scores, options.top_k, more, before[before < rules.n_items])
    return MadeList(*ranked_items(made.items, made.scores, source), made.pinned, made.unmet)


def _best_of(
    served: LoadedIndex, person: Person, exclude: frozenset[int | str], item_scores: NDArray[np.float32] | None
) -> tuple[Best, str]:
    """A person's best items of those that are not masked, asked for again and again, and where they come from."""
    index, masked = served.index, person.masked_items(exclude)
    source = PERSONAL
    if person.user is None:
        scores, source = index.history_scores(person.taste)
    elif person.live.ratings:
        scores = index.live_scores(person.user, person.live)
    elif index.exact:
        scores = index.scores(person.user) if item_scores is None else item_scores
    else:
        user = person.user
        return lambda n, allowed: index.recommend(user, n, masked, allowed)[:2], source
    left = scores.copy()
    left[masked] = -np.inf
    everything = np.arange(len(left))

    def of_scores(n: int, allowed: Mask | None) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        return best(everything, left if allowed is None else np.where(allowed, left, np.float32(-np.inf)), n)

    return of_scores, source


def _for_dials(options: ListOptions) -> int:
    return max(CANDIDATES, 4 * options.top_k)
