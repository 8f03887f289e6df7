"""Recommendations: for trained users, for users known by feedback alone, and for histories without a user.

Whom a list comes from:

- A user with train interactions is answered by the trained model (`personal`), what they have rated since being folded
  in on top (`live_taste.py`).
- Somebody else is folded in from all ratings that are known of them, those of the raw data and the live ones
  (`fold-in`); where they are too few, or there are none, popularity answers (`popularity`). One below the index's
  `liked_from` counts against what it is like, and is no reason for another; only likes count towards the number from
  which on somebody is folded in. Movies outside the catalogue add nothing.
- Everybody after an erasure, until a model is trained without what was erased, is known by newer feedback alone.
- An anonymous history is folded in likewise.
"""

import time
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import cast

import numpy as np

from movierec_engine.api.answers import (
    BatchRecommendations,
    Contribution,
    Movie,
    Reasons,
    Recommendations,
    RecommendedMovie,
    ServedList,
    UserList,
)
from movierec_engine.api.cursors import ListName
from movierec_engine.api.error_codes import TOOK_TOO_LONG
from movierec_engine.api.errors import ApiError
from movierec_engine.api.incoming import REQUEST_ID, incoming
from movierec_engine.api.list_services import ListServices
from movierec_engine.api.model_service import about
from movierec_engine.api.movie_filters import allowed_movies
from movierec_engine.api.parameters import ratings_told
from movierec_engine.api.requests import BatchRequest, RecommendRequest
from movierec_engine.api.shown_lists import NotedAnswer, note_shown
from movierec_engine.data.display_titles import display_title
from movierec_engine.data.id_map import PublicId
from movierec_engine.data.nouns import MOVIES, Nouns, called
from movierec_engine.errors import StoreError
from movierec_engine.feedback import ListContext
from movierec_engine.models.explanation import Explanation
from movierec_engine.recommending.explanation import in_words, reasons_to_show, sentence
from movierec_engine.recommending.fold_in import POPULARITY
from movierec_engine.recommending.rules.active import ActiveRules
from movierec_engine.serving.exploration_pool import exploration_of
from movierec_engine.serving.list_making import Found, MadeList, dialled, found_for, list_for, with_new
from movierec_engine.serving.list_options import ListOptions
from movierec_engine.serving.live_exploration import Propensities, explore
from movierec_engine.serving.loaded_index import LoadedIndex
from movierec_engine.serving.person import Person, of_history, of_user

REASONS = 5
"""Contributions that are shown of each explanation."""
BLOCK = 64
"""Users of a batch whose scores of all items are computed at once."""
_NOTHING = np.empty(0, dtype=np.int64)


class RecommendationService:
    def __init__(self, services: ListServices) -> None:
        self._service, self._live, self._limits = services.models, services.live, services.limits
        self._experiment, self._exploration = services.experiment, services.exploration
        self._cursors, self._rules = services.cursors, services.rules

    def recommend(self, request: RecommendRequest) -> Recommendations:
        """A list for a user, or for an anonymous history, with what it comes from."""
        if request.model is None and request.user_id is not None:
            if self._experiment.running:
                answer = self._experiment.answer(
                    request.user_id, request.top_k, lambda model, explores: self._of_model(request, model, explores)
                )
                if answer is not None:
                    return answer
            if self._exploration.config.on:
                made = self._of_model(request, None, explores=True)
                if made.propensities.at_place:
                    data_set = self._service.served().lineage.data_set
                    made.answer["exposure_id"] = note_shown(self._live, data_set, request.user_id, *made)
                return made.answer
        return self._of_model(request, request.model).answer

    def batch(self, request: BatchRequest) -> BatchRecommendations:
        """Lists for many users in the order given, all from one version, outside of experiments."""
        served, until = self._service.served(request.model), time.monotonic() + self._limits.batch_seconds
        allowed, options = allowed_movies(served.catalogue, request), request.options
        rules = self._rules.active(served, request.scenario, request.region)
        people = [(user_id, self._user(served, user_id, request.strict)) for user_id in request.user_ids]
        remembered = options.plain and served.remembers(options.top_k)
        at_once = options.cold_items or (served.index.exact and not remembered)
        results: list[UserList] = []
        for start in range(0, len(people), BLOCK):
            block = people[start : start + BLOCK]
            users = [person.user for _, person in block if person.user is not None]
            scored = dict(zip(users, served.index.scores_of(users), strict=True)) if at_once else {}
            of_each = [None if person.user is None else scored.get(person.user) for _, person in block]
            found: list[Found] = []
            made: list[MadeList] = []
            for (_, person), item_scores in zip(block, of_each, strict=True):
                if time.monotonic() > until:
                    raise _too_much(len(results) + len(made), len(people), self._limits.batch_seconds)
                if options.dials.turned and rules is None:
                    found.append(found_for(served, person, options, allowed, item_scores))
                else:
                    made.append(list_for(served, person, options, allowed, rules, item_scores))
            if found:
                made = dialled(served, [person for _, person in block], options, found)
                if options.cold_items:
                    made = [
                        with_new(served, person, options, allowed, one, item_scores)
                        for (_, person), item_scores, one in zip(block, of_each, made, strict=True)
                    ]
            for (user_id, person), one in zip(block, made, strict=True):
                results.append({"user_id": user_id, **_list(served, person, one)})
        return {**about(served), "results": results}

    def _of_model(self, request: RecommendRequest, model: str | None, explores: bool = False) -> NotedAnswer:
        """A model's answer, with the propensities of its places if it was explored."""
        served = self._service.served(model)
        if request.user_id is None:
            assert request.history is not None
            person = of_history(served, ratings_told(request.history))
        else:
            person = self._user(served, request.user_id, request.strict)
        allowed, movies = allowed_movies(served.catalogue, request), served.catalogue.movies
        name = ListName(request.user_id, request.which, served.artifact.reference) if request.continues else None
        before = self._cursors.read(request.next, name, len(movies)) if name else _NOTHING
        person = person.without([movies[place]["movie_id"] for place in before.tolist()])
        rules = self._rules.active(served, request.scenario, request.region)
        options = request.options
        made = list_for(served, person, options, allowed, rules, before=before)
        listed = _list(served, person, made, request.explain)
        whom = {"history_used": person.taste.liked.nnz} if request.user_id is None else {"user_id": request.user_id}
        propensities = Propensities()
        if explores and self._exploration.explores(served) and options.plain and request.next is None:
            propensities = self._explore(served, person, request, options, made, listed, rules)
        answer = cast(Recommendations, {**about(served), **whom, **listed})
        if name:
            shown = served.catalogue.places(movie["movie_id"] for movie in answer["recommendations"])
            answer["next"] = self._cursors.after(name, before, shown, request.top_k)
        context = ListContext(request.scenario, request.region or "", rules.version if rules else "")
        return NotedAnswer(answer, propensities, context)

    def _explore(
        self, served: LoadedIndex, person: Person, request: RecommendRequest, options: ListOptions, made: MadeList,
        listed: ServedList, rules: ActiveRules | None,
    ) -> Propensities:  # fmt: skip
        """Give the places of a list that are explored the movies that were drawn for them."""
        assert request.user_id is not None
        shown, config = listed["recommendations"], self._exploration.config
        try:
            shows = self._exploration.impressions(served.lineage.data_set)
            parts = exploration_of(served, person, options, made, config, shows, rules)
            chance = config.random(request.user_id, incoming()[REQUEST_ID])
            drawn, propensities = explore(config, len(made.items), parts, chance)
        except StoreError as error:  # no list fails because new movies have no places
            self._exploration.complain(error)
            return Propensities()
        for place, (movie, exact_score) in drawn.items():
            score = round(exact_score, 6)
            one = _shown(served, movie, score)
            one["explored"] = True
            if request.explain:
                (one["why"],) = _reasons(served, person, [movie], [score])
            shown[place] = one
        return propensities

    def _user(self, served: LoadedIndex, user_id: PublicId, strict: bool) -> Person:
        state = self._live.state(served.lineage.data_set, user_id)
        person = of_user(served, user_id, state)
        if strict and person.user is None and not person.ratings:
            popular = called("popular movies", served.lineage.nouns)
            raise ApiError(
                404, f"user {user_id} is not known to {served.model}; leave strict out for {popular}", "user_id"
            )
        return person


def _list(served: LoadedIndex, person: Person, made: MadeList, explain: bool = False) -> ServedList:
    """The members `source` and `recommendations` of an answer."""
    shown = [_shown(served, place, score) for place, score in zip(made.items, made.scores, strict=True)]
    if explain:
        for movie, why in zip(shown, _reasons(served, person, made.items, made.scores), strict=True):
            movie["why"] = why
    answer: ServedList = {"source": made.source, "recommendations": shown}
    if made.unmet:
        answer["unmet_rules"] = [{"rule": one.rule, "why": one.why} for one in made.unmet]
    if person.live.ratings:
        answer["live_ratings"] = person.live.ratings
    if made.source == POPULARITY and person.user is None and len(person.taste.items):
        answer["fold_in_min_items"] = served.index.fold_in_min_items
    return answer


def _shown(served: LoadedIndex, place: int, score: float) -> RecommendedMovie:
    movie = cast(RecommendedMovie, {**served.catalogue.movies[place], "score": score})
    if place >= served.catalogue.n_items:
        movie["new"] = True
    return movie


def _reasons(served: LoadedIndex, person: Person, places: Sequence[int], scores: Sequence[float]) -> list[Reasons]:
    """Explanations of movies, by place in the catalogue: a sentence each, and what their scores are made of."""
    scored = [*zip(places, scores, strict=True)]
    items = [(place, score) for place, score in scored if place < served.catalogue.n_items]
    of_items = iter(_reasons_of_items(served, person, *zip(*items, strict=True)) if items else ())
    return [
        next(of_items) if place < served.catalogue.n_items else _why_new(served, place, score)
        for place, score in scored
    ]


def _why_new(served: LoadedIndex, place: int, score: float) -> Reasons:
    row = served.catalogue.places_of_new.index(place)
    alike = served.catalogue.new.similar_to(row)[0][:3].tolist()
    titles = [display_title(served.catalogue.movies[item]["title"]) for item in alike]
    return {
        "sentence": f"because it is new and like {in_words(titles)}",
        "exact": False,
        "base": score,
        "contributions": [],
        "others": 0.0,
    }


def _reasons_of_items(
    served: LoadedIndex, person: Person, items: Sequence[int], scores: Sequence[float]
) -> list[Reasons]:
    """Explanations of items: a sentence each, and the contributions of the history's movies to the score."""
    index, movies = served.index, served.catalogue.movies
    of_items, of_scores = np.array(items, dtype=np.int64), np.array(scores)
    if person.user is not None and person.live.ratings:
        explanations = index.explanations_live(person.user, person.live, of_items, of_scores)
    elif person.user is not None:
        explanations = index.explanations(person.user, of_items, of_scores)
    else:
        explanations = index.explanations_for_history(person.taste, of_items, of_scores)
    history = explanations[0].items.tolist() if explanations else []
    given = ((item, person.ratings.get(movies[item]["movie_id"])) for item in history)
    ratings = {item: rating for item, rating in given if rating is not None}
    liked_from, likes_only = index.facts.liked_from, index.facts.rating_scale.likes_only
    nouns = served.lineage.nouns
    return [_reason(one, ratings, liked_from, movies, nouns, likes_only) for one in explanations]


def _reason(
    explanation: Explanation,
    ratings: Mapping[int, float],
    liked_from: float,
    movies: Sequence[Movie],
    nouns: Nouns = MOVIES,
    likes_only: bool = False,
) -> Reasons:
    """base, the contributions that are shown and `others` add up to the score, to six digits after the point."""
    strongest = [*islice(reasons_to_show(explanation, ratings, liked_from), REASONS)]
    shown: list[Contribution] = [
        {
            "movie_id": movies[item]["movie_id"],
            "title": movies[item]["title"],
            "rating": None if likes_only else ratings.get(item),
            "contribution": round(amount, 6),
        }
        for item, amount in strongest
    ]
    others = round(float(explanation.contributions.sum()) - sum(amount for _, amount in strongest), 6)
    titles = {item: display_title(movies[item]["title"]) for item, _ in strongest}
    return {
        "sentence": sentence(explanation, titles, ratings, liked_from, nouns),
        "exact": explanation.exact,
        "base": round(explanation.score - others - sum(one["contribution"] for one in shown), 6),
        "contributions": shown,
        "others": others,
    }


def _too_much(done: int, wanted: int, seconds: float) -> ApiError:
    message = (
        f"{done} of {wanted} lists were made in {seconds:g} s, which is as long as a batch may take; ask for fewer "
        "users, a smaller top_k, or without dials and cold_items"
    )
    return ApiError(503, message, "user_ids", {"Retry-After": "5"}, TOOK_TOO_LONG)
