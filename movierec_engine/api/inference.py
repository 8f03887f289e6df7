"""Answers of the API: typed requests in, JSON-able dictionaries out."""

from typing import Any

from movierec_engine.api.errors import ApiError, error_body
from movierec_engine.api.releases import LoadedIndex, Releases, Snapshot, found
from movierec_engine.api.requests import BatchRequest, RecommendRequest, SearchRequest, SimilarRequest
from movierec_engine.store import Artifact

EMPTY = "there is no index to serve yet; run `movierec demo` or `movierec train model=lightgcn`"
DAMAGED = "the index to serve is damaged or its pointer is; GET /api/ready says which, and why"
LOADING = "the index is being loaded; ask again in a moment"
FOUND = ("exact", "prefix", "words", "typos")
"""How a movie was found by title, by title_search's number."""


class InferenceService:
    """Recommendations from the versions that `releases` follows."""

    def __init__(self, releases: Releases) -> None:
        self._releases = releases

    def recommend(self, request: RecommendRequest) -> dict[str, Any]:
        """The best unseen movies of a user; of an unknown one the most popular, with source `popularity`."""
        served = self._served(request.model)
        return {**about(served), **_for_user(served, request.user_id, request.top_k, request.strict)}

    def batch(self, request: BatchRequest) -> dict[str, Any]:
        """`recommend` for each user in the order given, all from one version."""
        served = self._served(request.model)
        results = [_for_user(served, user, request.top_k, request.strict) for user in request.user_ids]
        return {**about(served), "results": results}

    def similar(self, request: SimilarRequest) -> dict[str, Any]:
        """The movies most similar to one."""
        served = self._served(request.model)
        item = _item(served, request.item_id, "item_id")
        items, scores, _ = found(*served.index.similar_to(item, request.top_k), "")
        return {**about(served), "movie": served.movies[item], "similar": _movies(served, items, scores)}

    def movie(self, movie_id: int) -> dict[str, Any]:
        """A movie of the catalogue, with its number of train interactions."""
        served = self._served(None)
        item = _item(served, movie_id, "movie_id")
        return {**about(served), "movie": served.movies[item], "interactions": int(served.index.popularity[item])}

    def search(self, request: SearchRequest) -> dict[str, Any]:
        """Movies of the catalogue by title, with how each was found and its number of train interactions."""
        served = self._served(None)
        movies = [
            {**served.movies[item], "found": FOUND[how], "interactions": int(served.index.popularity[item])}
            for item, how in served.titles.find(request.q, request.top_k)
        ]
        return {**about(served), "q": request.q, "movies": movies}

    def models(self) -> dict[str, Any]:
        """Each model's newest version with all its versions, newest first, and which version answers by default."""
        now = self._releases.snapshot()
        default = now.served.get(None)

        def described(artifact: Artifact) -> dict[str, Any]:
            return {
                "version": artifact.version,
                "device": artifact.slot.path[1],
                "created_at": artifact.created_at,
                "fingerprint": artifact.fingerprint,
                "trained_model": artifact.parents.get("trained_model"),
                "index": artifact.facts,
                "default": default is not None and default.artifact.reference == artifact.reference,
                "loaded": any(one.artifact.reference == artifact.reference for one in now.served.values()),
            }

        rows = [
            {"model": model, **described(newest), "versions": [described(v) for v in self._releases.versions(model)]}
            for model, newest in sorted(now.newest.items())
        ]
        return {"models": rows, "default": None if default is None else about(default)}

    def health(self) -> dict[str, Any]:
        """Alive; what is served, and which versions in the store are refused and why."""
        now = self._releases.snapshot()
        default = now.served.get(None)
        status = self._status(now)
        messages = {"ok": None, "damaged": DAMAGED, "loading": LOADING, "empty": self._empty()}
        return {
            "status": status,
            "message": messages[status],
            "serving": None if default is None else about(default),
            "refused": now.refused,
        }

    def readiness(self) -> tuple[dict[str, Any], int]:
        """`health`, and 200 if there is an index to answer from, else 503."""
        body = self.health()
        if body["status"] == "ok":
            return body, 200
        return {**body, "error": error_body(503, str(body["message"]))}, 503

    def _status(self, now: Snapshot) -> str:
        if None in now.served:
            return "ok"
        if not self._releases.looked:
            return "loading"
        return "damaged" if now.refused else "empty"

    def _served(self, model: str | None) -> LoadedIndex:
        served = self._releases.current(model)
        if served is not None:
            return served
        now = self._releases.snapshot()
        if model is not None and now.newest and model not in now.newest:
            known = ", ".join(sorted(now.newest))
            raise ApiError(404, f"there is no index of model {model!r}; there are {known}", "model")
        status = self._status(now)
        retry = {"Retry-After": "1"} if status == "loading" else {}
        raise ApiError(
            503, LOADING if status == "loading" else DAMAGED if now.refused else self._empty(), headers=retry
        )

    def _empty(self) -> str:
        device = self._releases.device
        if device == "auto":
            return EMPTY
        return f"there is no index of a model trained on {device}; start the server without --device to serve any"


def about(served: LoadedIndex) -> dict[str, Any]:
    """What every answer carries: which version it comes from."""
    artifact = served.artifact
    return {
        "model": served.model,
        "version": artifact.version,
        "device": artifact.slot.path[1],
        "fingerprint": artifact.fingerprint,
    }


def _for_user(served: LoadedIndex, user_id: int, top_k: int, strict: bool) -> dict[str, Any]:
    user = served.user(user_id)
    if user is not None:
        items, scores, source = served.recommend(user, top_k)
    elif strict:
        raise ApiError(
            404, f"user {user_id} is not known to {served.model}; leave strict out for popular movies", "user_id"
        )
    else:
        items, scores, source = found(*served.index.most_popular(top_k), "popularity")
    return {"user_id": user_id, "source": source, "recommendations": _movies(served, items, scores)}


def _item(served: LoadedIndex, movie_id: int, parameter: str) -> int:
    item = int(served.index.items.index([movie_id])[0])
    if item < 0:
        raise ApiError(404, f"movie {movie_id} is not in the catalogue of {served.model}", parameter)
    return item


def _movies(served: LoadedIndex, items: list[int], scores: list[float]) -> list[dict[str, Any]]:
    movies = served.movies
    return [{**movies[item], "score": score} for item, score in zip(items, scores, strict=True)]
