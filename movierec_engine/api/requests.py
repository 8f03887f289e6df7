"""What a client may ask, as typed values: a field says what is accepted, and what the description says of it."""

from dataclasses import dataclass
from typing import Any

from movierec_engine.api.config import ServingConfig
from movierec_engine.api.parameters import Flag, Identifier, Integer, ListOf, Text, model_name, parameter, unprocessable

DEFAULT_TOP_K = 10


def _user_id() -> Any:
    return parameter(Identifier(), "The user's public id.", example=1)


def _top_k() -> Any:
    return parameter(
        Integer(1, lambda limits: limits.max_top_k), "Length of the list.", default=DEFAULT_TOP_K, example=10
    )


def _model() -> Any:
    return parameter(
        model_name(), "The model that answers, by its newest version; without it the default one does.", default=None
    )


def _strict() -> Any:
    return parameter(
        Flag(), "Whether an unknown user is a 404 instead of being shown popular movies.", default=False, example=False
    )


def _movie_id() -> Any:
    return parameter(Identifier(), "The movie's public id.", where="path", example=10)


@dataclass(frozen=True, kw_only=True)
class NoParameters:
    """Of an endpoint that takes none."""


@dataclass(frozen=True, kw_only=True)
class RecommendRequest:
    user_id: int = _user_id()
    top_k: int = _top_k()
    model: str | None = _model()
    strict: bool = _strict()


@dataclass(frozen=True, kw_only=True)
class BatchRequest:
    user_ids: tuple[int, ...] = parameter(
        ListOf(Identifier(), lambda limits: limits.max_batch), "The users' public ids.", example=[1, 7]
    )
    top_k: int = _top_k()
    model: str | None = _model()
    strict: bool = _strict()

    def check(self, limits: ServingConfig) -> None:
        movies = len(self.user_ids) * self.top_k
        if movies > limits.max_batch_movies:
            unprocessable(
                f"{len(self.user_ids)} users times top_k {self.top_k} are {movies} movies, at most "
                f"{limits.max_batch_movies} are answered; ask for fewer users or a smaller top_k",
                "user_ids",
            )


@dataclass(frozen=True, kw_only=True)
class SimilarRequest:
    item_id: int = _movie_id()
    top_k: int = _top_k()
    model: str | None = _model()


@dataclass(frozen=True, kw_only=True)
class MovieRequest:
    movie_id: int = _movie_id()


@dataclass(frozen=True, kw_only=True)
class SearchRequest:
    q: str = parameter(
        Text(200),
        "Words of a title, perhaps with a year; case, accents, articles, punctuation and small typos are forgiven.",
        example="heat 1995",
    )
    top_k: int = _top_k()
