"""People: a user's history, feedback, the questions for new users, and erasure."""

import secrets
from collections import defaultdict
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any, cast

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from movierec_engine.api.answers import (
    Erased,
    Interview,
    LiveSaid,
    Movie,
    Question,
    RecordedFeedback,
    SeenMovie,
    TasteShare,
    TasteShares,
    Undone,
    User,
)
from movierec_engine.api.errors import ApiError
from movierec_engine.api.model_service import ModelService, about
from movierec_engine.api.movie_service import place_of
from movierec_engine.api.requests import FeedbackRequest, InterviewRequest, UndoRequest, UserRequest
from movierec_engine.data.catalogue import ACTIVITY_FROM, activity_tier
from movierec_engine.data.id_map import PublicId
from movierec_engine.data.interactions import OF_ORDER
from movierec_engine.errors import StoreError
from movierec_engine.feedback import FeedbackEvent, IdempotencyConflict, InvalidFeedback, UnknownEvent, UserState
from movierec_engine.feedback.events import Kind, check_not_ahead
from movierec_engine.recommending.dials import Dials, rerank
from movierec_engine.serving.catalogue import add_movie
from movierec_engine.serving.live_feedback import LiveFeedback
from movierec_engine.serving.loaded_index import LoadedIndex
from movierec_engine.store import Artifact, kinds

QUESTIONS_FILE = "questions.parquet"
TIERS = tuple(ACTIVITY_FROM)
CANDIDATES = 100
"""Most popular movies among which questions are chosen where no interview was held."""
_DIVERSE = Dials(diversity=0.5)


class PeopleService:
    def __init__(self, service: ModelService, live: LiveFeedback) -> None:
        self._service, self._live = service, live

    def user(self, request: UserRequest) -> User:
        """A user's history with titles, live feedback, and taste beside everybody's.

        After an erasure that the version has not heeded, and while it is not known whether there was one, nothing but
        newer feedback is shown. Raises ApiError 404 for somebody of whom nothing is known.
        """
        served = self._service.served(request.model)
        state = self._live.state(served.lineage.data_set, request.user_id)
        erased = state.erasure > served.lineage.newest_erasure
        user = None if erased else served.user(request.user_id)
        history = [] if erased else _history(served, request.user_id, user)
        if user is None and not history and not state.said and not erased:
            raise ApiError(404, f"user {request.user_id} is not known to {served.model}", "user_id")
        rated = {one["movie_id"]: one["rating"] for one in history} | dict(state.ratings)
        likes_only = served.known_ids.scale.likes_only
        ratings = [] if likes_only else [rating for rating in rated.values() if rating is not None]
        interactions = 0 if user is None else int(np.diff(served.index.history.indptr[user : user + 2])[0])
        return {
            **about(served),
            "user_id": request.user_id,
            "known": user is not None,
            "erased": erased,
            "interactions": interactions,
            "tier": TIERS[int(activity_tier(np.array([interactions]))[0])],
            "mean_rating": round(sum(ratings) / len(ratings), 4) if ratings else None,
            "rated": len(rated),
            "history": history[: request.top_k],
            "feedback": _feedback(served, state),
            "taste": _taste(served, served.catalogue.items(tuple(rated))),
        }

    def erase(self, user_id: PublicId) -> Erased:
        """Erase a user's feedback, and stop personalising at once; the next training leaves out their ratings."""
        served = self._service.served()
        erasure = self._live.erase(served.lineage.data_set, user_id)
        return {"user_id": user_id, "status": "erased", "erasure": erasure.number}

    def record(self, request: FeedbackRequest) -> RecordedFeedback:
        """Record events, all or none, durable before this returns.

        Raises ApiError 404 for a movie that the data set does not have, 409 for a key that the user has used for
        something else, or for what was undone or erased since.
        """
        served = self._service.served()
        several = request.events is not None
        events = []
        for place, item in enumerate(request.items):
            where = f"events[{place}]." if several else ""
            place_of(served, item.movie_id, f"{where}movie_id")
            key = item.key or (
                f"{request.idempotency_key}#{place}" if request.idempotency_key else secrets.token_hex(16)
            )
            try:
                event = FeedbackEvent(
                    key,
                    item.user_id,
                    item.movie_id,
                    cast(Kind, item.kind),
                    item.rating,
                    item.exposure_id or item.request_id or "",
                    item.share,
                    item.timestamp,
                )
                check_not_ahead(event)
            except InvalidFeedback as error:
                raise ApiError(400, f"{where}{error}", f"{where}{error.field}") from error
            events.append(event)
        try:
            recorded = self._live.record(served.lineage.data_set, events)
        except IdempotencyConflict as error:
            raise ApiError(409, str(error), "key") from error
        return {
            "results": [{"key": event.key, "status": made.status} for event, made in zip(events, recorded, strict=True)]
        }

    def undo(self, request: UndoRequest) -> Undone:
        """Take feedback back, durable before this returns: one event, or all of a kind that a user said of a movie.

        Raises ApiError 404 for what the user never said.
        """
        data_set = self._service.served().lineage.data_set
        try:
            if request.key is not None:
                undone = self._live.undo(data_set, request.user_id, request.key)
            else:
                assert request.movie_id is not None and request.kind is not None
                kind = cast(Kind, request.kind)
                undone = self._live.undo_all(data_set, request.user_id, request.movie_id, kind)
        except UnknownEvent as error:
            raise ApiError(404, str(error), "key" if request.key is not None else "movie_id") from error
        return {"user_id": request.user_id, "undone": undone}

    def interview(self, request: InterviewRequest) -> Interview:
        """The movies to ask a new user about: as measured for this model, else for another one, else popular movies."""
        served = self._service.served(request.model)
        held: Artifact | None = None
        rows: list[dict[str, Any]] = []
        with suppress(StoreError):  # the store is away, and this host has never read it
            held = self._interview(served)
            rows = pq.read_table(held.folder / QUESTIONS_FILE).to_pylist() if held else []
        questions: list[Question] = []
        if held is not None:
            places = [(served.catalogue.item(row["movie_id"]), row["known_by"]) for row in rows]
            questions = [
                {**served.catalogue.movies[item], "known_by": share} for item, share in places if item is not None
            ]
        if held is None or not questions:
            shares = served.index.item_facts.share
            questions = [
                {**served.catalogue.movies[item], "known_by": float(min(shares[item], 1))}
                for item in _popular(served, request.top_k)
            ]
            source = "popular"
        else:
            source = (
                "interview"
                if held.slot == served.artifact.slot.beside(kinds.ELICITATION)
                else "another model's interview"
            )
        return {
            **about(served),
            "source": source,
            "chosen_by": held.reference if held is not None and source != "popular" else None,
            "fold_in_min_items": served.index.fold_in_min_items,
            "questions": questions[: request.top_k],
        }

    def _interview(self, served: LoadedIndex) -> Artifact | None:
        """The newest interview of the served model's slot on the same data, else the newest of any model on it."""
        store = self._service.store
        held = [
            version
            for slot in store.slots(kinds.ELICITATION, served.artifact.slot.data_set)
            for version in store.versions(slot)
            if version.fingerprint == served.artifact.fingerprint
        ]
        own = [version for version in held if version.slot == served.artifact.slot.beside(kinds.ELICITATION)]
        return max(own or held, key=lambda version: version.version, default=None)


def _history(served: LoadedIndex, user_id: PublicId, user: int | None) -> list[SeenMovie]:
    """A user's ratings, newest first: the raw ones, or else the train interactions that the index has."""
    given, likes_only = served.lineage.ratings_of(user_id), served.known_ids.scale.likes_only
    if given:
        movies = [(_movie(served, one.movie_id), one) for one in given]
        return [
            {**movie, "rating": None if likes_only else one.rating, "timestamp": one.told_at}
            for movie, one in movies
            if movie is not None
        ]
    if user is None:
        return []
    row, values = served.index.history[[user]], served.index.fold_in_scorer.history_values
    order = np.argsort(-row.data, kind="stable") if values in OF_ORDER else np.arange(row.nnz)
    items: list[int] = row.indices[order].tolist()
    rated = row.data.tolist() if values == "ratings" and not likes_only else [None] * row.nnz
    return [
        {**served.catalogue.movies[item], "rating": rating, "timestamp": None}
        for item, rating in zip(items, rated, strict=True)
    ]


def _feedback(served: LoadedIndex, state: UserState) -> LiveSaid:
    """Live feedback with titles; what was rated or watched last comes first."""
    rated = [(_movie(served, movie_id), rating) for movie_id, rating in reversed(state.ratings.items())]
    watched = [(_movie(served, movie_id), share) for movie_id, share in reversed(state.watched.items())]
    return {
        "ratings": [{**movie, "rating": rating} for movie, rating in rated if movie is not None],
        "clicked": _movies(served, state.clicked),
        "not_interested": _movies(served, state.not_interested),
        "watched": [{**movie, "share": share} for movie, share in watched if movie is not None],
        "added_to_list": _movies(served, state.added_to_list),
    }


def _taste(served: LoadedIndex, items: NDArray[np.int64]) -> TasteShares:
    """Shares of genres and decades in a history beside those in all train interactions, the largest first.

    items: int64 [h]. A movie of several genres counts in equal parts; one without any does not count.
    """
    genres = defaultdict[str, float](float)
    decades = defaultdict[str, float](float)
    for item in items.tolist():
        add_movie(served.catalogue.movies[item], 1, genres, decades)
    of_genres, of_decades = served.catalogue.interactions
    return {"genres": _shares(genres, of_genres), "decades": _shares(decades, of_decades)}


def _shares(own: Mapping[str, float], everybody: Mapping[str, float]) -> list[TasteShare]:
    mine, all_of_us = max(sum(own.values()), 1e-12), max(sum(everybody.values()), 1e-12)
    rows: list[TasteShare] = [
        {
            "name": name,
            "share": round(own.get(name, 0) / mine, 4),
            "everybody": round(everybody.get(name, 0) / all_of_us, 4),
        }
        for name in {**own, **everybody}
    ]
    return sorted(rows, key=lambda row: (-row["share"], -row["everybody"], row["name"]))


def _movies(served: LoadedIndex, movie_ids: Iterable[PublicId]) -> list[Movie]:
    return [movie for movie_id in sorted(movie_ids, key=_by_type) if (movie := _movie(served, movie_id)) is not None]


def _by_type(public_id: PublicId) -> tuple[bool, PublicId]:
    """Sort key: numbers before texts. A log may hold both, from when its data set was another one."""
    return isinstance(public_id, str), public_id


def _movie(served: LoadedIndex, movie_id: PublicId) -> Movie | None:
    place = served.catalogue.place(movie_id)
    return None if place is None else served.catalogue.movies[place]


def _popular(served: LoadedIndex, k: int) -> list[int]:
    """The k most popular movies that are not much alike, as item indices."""
    facts = served.index.item_facts
    items, scores = served.index.most_popular(max(CANDIDATES, 4 * k))
    if not facts.genres.shape[1]:
        return [int(item) for item in items[:k]]
    return [int(item) for item in rerank(items, scores, items[:0], facts, _DIVERSE, k)[0]]
