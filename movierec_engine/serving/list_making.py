"""One person's list: the model's scores, the mask, dials, its share of new movies, then rules.

`/api/recommend`, the batch, the pages and exports all take their lists from `list_for`. Under rules the new movies are
candidates beside the model's, and their share is one more share, below all those of the rules.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from movierec_engine.data.nouns import called
from movierec_engine.models.top_k import best
from movierec_engine.recommending.cold_items import mix, new_among
from movierec_engine.recommending.dials import CANDIDATES, rerank_all
from movierec_engine.recommending.rules.active import ActiveRules, ActiveShare, UnmetRule
from movierec_engine.recommending.rules.arranging import NOTHING, arrange
from movierec_engine.recommending.rules.candidates import boosted
from movierec_engine.serving.list_options import ListOptionError, ListOptions
from movierec_engine.serving.loaded_index import LoadedIndex, ranked_items
from movierec_engine.serving.person import Person, items_of

Found = tuple[NDArray[np.int64], NDArray[np.float32], str]
"""Items and their scores, best first, and where they come from."""
Best = Callable[[int, NDArray[np.bool_] | None], tuple[NDArray[np.int64], NDArray[np.float32]]]
"""n and bool [n_items] -> a person's n best items among those, best first, with their scores."""
Mask = NDArray[np.bool_]
_REQUESTED = ""
"""Name of the share of new movies that a request asks for, which no rule has."""


@dataclass(frozen=True)
class MadeList:
    """A person's list.

    items: places in the catalogue, best first: item indices, and behind all those the new movies. scores: the model's,
    to six digits. source: `personal`, `fold-in` or `popularity`.
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
    made = _without_rules(served, person, options, allowed, item_scores)
    return with_new(served, person, options, allowed, made, item_scores) if options.cold_items else made


def _without_rules(
    served: LoadedIndex,
    person: Person,
    options: ListOptions,
    allowed: Mask | None,
    item_scores: NDArray[np.float32] | None,
) -> MadeList:
    """The list before new movies are mixed in."""
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


def with_new(
    served: LoadedIndex,
    person: Person,
    options: ListOptions,
    allowed: Mask | None,
    made: MadeList,
    item_scores: NDArray[np.float32] | None = None,
) -> MadeList:
    """A list without rules with its share of new movies. The arguments are those of `list_for`."""
    places, scores = _best_new(served, person, options, allowed, item_scores, options.top_k)
    new = zip(*ranked_items(places, scores, made.source)[:2], strict=True)
    mixed = mix([*zip(made.items, made.scores, strict=True)], [*new], options.cold_items, options.top_k)
    return replace(made, items=[place for place, _ in mixed], scores=[score for _, score in mixed])


def _best_new(
    served: LoadedIndex,
    person: Person,
    options: ListOptions,
    allowed: Mask | None,
    item_scores: NDArray[np.float32] | None,
    n: int,
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The places and scores of a person's n best new movies, best first, scored by the items that they are like."""
    new, places = served.catalogue.new, np.array(served.catalogue.places_of_new, dtype=np.int64)
    scores = new.scores(person.scores()[0] if item_scores is None or person.live.ratings else item_scores)
    scores[new.rows(person.masked | options.exclude)] = -np.inf
    if allowed is not None:
        scores[~allowed[places]] = -np.inf
    rows = new.best_of(scores, n)
    return places[rows], scores[rows]


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
    arranging = _with_share_of_new(rules, served, options) if options.cold_items else rules
    wanted = arranging.candidates(options.top_k)
    items, scores = of_person(max(wanted, _for_dials(options)) if options.dials.turned else wanted, of_items)
    if options.dials.turned and len(items):
        first = items[: _for_dials(options)], scores[: _for_dials(options)], source
        ((chosen, of_chosen),) = _reranked(served, [person], options, [first])
        rest = ~np.isin(items, chosen)
        items, scores = np.concatenate([chosen, items[rest]]), np.concatenate([of_chosen, scores[rest]])

    def more(n: int, mask: Mask) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        of_mask = mask[: served.catalogue.n_items]  # all new movies are candidates already
        return of_person(n, of_mask if of_items is None else of_mask & of_items)

    if options.cold_items:
        (items,), (scores,) = boosted(rules, items[None], scores[None])
        new, of_new = _best_new(served, person, options, both, item_scores, len(served.catalogue.new))
        items, scores = np.concatenate([items, new]), np.concatenate([scores, of_new])
    made = arrange(arranging, items, scores, options.top_k, more, before)
    unmet = tuple(one for one in made.unmet if one.rule != _REQUESTED)
    return MadeList(*ranked_items(made.items, made.scores, source), made.pinned, unmet)


def _with_share_of_new(rules: ActiveRules, served: LoadedIndex, options: ListOptions) -> ActiveRules:
    """Rules over all movies, with the share of new ones below all others.

    Without boosts, which order the model's items alone.
    """
    n_movies = len(served.catalogue.movies)
    share = new_among(options.cold_items, options.top_k) / options.top_k
    of_new = ActiveShare(_REQUESTED, np.arange(n_movies) >= rules.n_items, share, share)
    return replace(rules, n_items=n_movies, factors=None, limits=(*rules.limits, of_new))


def _best_of(
    served: LoadedIndex, person: Person, exclude: frozenset[int | str], item_scores: NDArray[np.float32] | None
) -> tuple[Best, str]:
    """A person's best items of those that are not masked, asked for again and again, and where they come from."""
    index, masked = served.index, person.masked_items(exclude)
    source = index.source
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
