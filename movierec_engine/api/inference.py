"""Answers of the API: typed requests in, JSON-able dictionaries out."""

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from movierec_engine.api.errors import ApiError
from movierec_engine.api.releases import LoadedIndex, Releases
from movierec_engine.api.requests import BatchRequest, RecommendRequest, SimilarRequest
from movierec_engine.store import Artifact

EMPTY = "there is no index to serve yet; run `movierec demo` or `movierec train model=lightgcn`"
DAMAGED = "the index to serve is damaged or its pointer is; GET /api/health says which, and why"


class InferenceService:
    """Recommendations from the versions that `releases` follows."""

    def __init__(self, releases: Releases) -> None:
        self._releases = releases

    def recommend(self, request: RecommendRequest) -> dict[str, Any]:
        """The best unseen movies of a user; of an unknown one the most popular, with source `popularity`."""
        served = self._served(request.model)
        return {**_about(served), **_for_user(served, request.user_id, request.top_k, request.strict)}

    def batch(self, request: BatchRequest) -> dict[str, Any]:
        """`recommend` for each user in the order given, all from one version."""
        served = self._served(request.model)
        results = [_for_user(served, user, request.top_k, request.strict) for user in request.user_ids]
        return {**_about(served), "results": results}

    def similar(self, request: SimilarRequest) -> dict[str, Any]:
        """The movies most similar to one."""
        served = self._served(request.model)
        item = _item(served, request.item_id)
        items, scores = served.index.similar_to(item, request.top_k)
        return {**_about(served), "movie": served.movies[item], "similar": _movies(served, items, scores)}

    def movie(self, movie_id: int) -> dict[str, Any]:
        """A movie of the catalogue, with its number of train interactions."""
        served = self._served(None)
        item = _item(served, movie_id)
        return {**_about(served), "movie": served.movies[item], "interactions": int(served.index.popularity[item])}

    def models(self) -> dict[str, Any]:
        """Each model's newest version with all its versions, newest first, and which version answers by default."""
        default = self._releases.current()

        def described(artifact: Artifact) -> dict[str, Any]:
            return {
                "version": artifact.version,
                "device": artifact.slot.path[1],
                "created_at": artifact.created_at,
                "fingerprint": artifact.fingerprint,
                "trained_model": artifact.parents.get("trained_model"),
                "index": _finite(artifact.facts),
                "default": default is not None and default.artifact.reference == artifact.reference,
            }

        rows = [
            {"model": model, **described(newest), "versions": [described(v) for v in self._releases.versions(model)]}
            for model, newest in sorted(self._releases.newest().items())
        ]
        return {"models": rows, "default": None if default is None else _about(default)}

    def health(self) -> dict[str, Any]:
        """Alive; what is served, and which versions in the store are refused and why."""
        default = self._releases.current()
        refused = dict(self._releases.refused)
        return {
            "status": "ok" if default else "damaged" if refused else "empty",
            "message": None if default else DAMAGED if refused else self._empty(),
            "serving": None if default is None else _about(default),
            "refused": refused,
        }

    def _served(self, model: str | None) -> LoadedIndex:
        served = self._releases.current(model)
        if served is not None:
            return served
        known = sorted(self._releases.newest())
        if model is not None and known and model not in known:
            raise ApiError(404, f"there is no index of model {model!r}; there are {', '.join(known)}", "model")
        raise ApiError(503, DAMAGED if self._releases.refused else self._empty())

    def _empty(self) -> str:
        device = self._releases.device
        if device == "auto":
            return EMPTY
        return f"there is no index of a model trained on {device}; start the server without --device to serve any"


def _about(served: LoadedIndex) -> dict[str, Any]:
    """What every answer carries: which version it comes from."""
    artifact = served.artifact
    return {
        "model": served.model,
        "version": artifact.version,
        "device": artifact.slot.path[1],
        "fingerprint": artifact.fingerprint,
    }


def _for_user(served: LoadedIndex, user_id: int, top_k: int, strict: bool) -> dict[str, Any]:
    index = served.index
    user = int(index.users.index([user_id])[0])
    if user >= 0:
        items, scores, source = index.recommend(user, top_k)
    elif strict:
        raise ApiError(
            404, f"user {user_id} is not known to {served.model}; leave strict out for popular movies", "user_id"
        )
    else:
        items, scores = index.most_popular(top_k)
        source = "popularity"
    return {"user_id": user_id, "source": source, "recommendations": _movies(served, items, scores)}


def _item(served: LoadedIndex, movie_id: int) -> int:
    item = int(served.index.items.index([movie_id])[0])
    if item < 0:
        raise ApiError(404, f"movie {movie_id} is not in the catalogue of {served.model}", "movie_id")
    return item


def _movies(served: LoadedIndex, items: Iterable[np.int64], scores: Iterable[np.float32]) -> list[dict[str, Any]]:
    return [
        {**served.movies[int(item)], "score": _finite(round(float(score), 6))}
        for item, score in zip(items, scores, strict=True)
    ]


def _finite(value: Any) -> Any:
    """The value with null for each NaN and infinity, which JSON lacks."""
    if isinstance(value, dict):
        return {name: _finite(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_finite(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
