"""Answers of the API and their parts. `request_id` is by what the server's log has an answer."""

from dataclasses import dataclass, field
from typing import Any

from movierec_client.decoding import Answer
from movierec_client.requests import Id


@dataclass(frozen=True, kw_only=True)
class Answered(Answer):
    """A whole answer."""

    request_id: str


@dataclass(frozen=True, kw_only=True)
class About(Answer):
    """The version that answers.

    measured_version: whose metrics vouch for it; another one where the model was refitted on all interactions.
    fingerprint: of data and protocol; numbers of different ones don't compare.
    """

    model: str
    version: str
    measured_version: str
    device: str
    fingerprint: str


@dataclass(frozen=True, kw_only=True)
class Movie(Answer):
    movie_id: Id
    title: str
    year: int | None
    genres: list[str]


@dataclass(frozen=True, kw_only=True)
class ScoredMovie(Movie):
    score: float | None


@dataclass(frozen=True, kw_only=True)
class Contribution(Answer):
    """What a movie of the history adds to a score."""

    movie_id: Id
    title: str
    rating: float | None
    contribution: float


@dataclass(frozen=True, kw_only=True)
class Reasons(Answer):
    """Why a movie is in the list, the strongest contributions first.

    base, contributions and others add up to the score. exact: whether the contributions are terms of the score.
    """

    sentence: str
    exact: bool
    base: float
    contributions: list[Contribution]
    others: float


@dataclass(frozen=True, kw_only=True)
class RecommendedMovie(ScoredMovie):
    """why: with explain=True. new: with cold_items, whether no model knows the movie. team: of an interleaved list, the
    variant that chose it."""

    why: Reasons | None = None
    new: bool = False
    team: str | None = None


@dataclass(frozen=True, kw_only=True)
class ServedList(Answer):
    """source: `personal`, `fold-in` of a history, or `popularity`.

    fold_in_min_items: movies of a history from which on the model folds in. live_ratings: folded in since the training.
    """

    source: str
    recommendations: list[RecommendedMovie]
    fold_in_min_items: int | None = None
    live_ratings: int = 0


@dataclass(frozen=True, kw_only=True)
class Recommendations(Answered, About, ServedList):
    """history_used: liked movies of the history that the model knows.

    exposure_id: of this list in an experiment, for the feedback that answers it.
    """

    user_id: Id | None = None
    history_used: int | None = None
    exposure_id: str | None = None
    experiment: str | None = None
    variant: str | None = None


@dataclass(frozen=True, kw_only=True)
class UserList(ServedList):
    user_id: Id


@dataclass(frozen=True, kw_only=True)
class BatchRecommendations(Answered, About):
    results: list[UserList]


@dataclass(frozen=True, kw_only=True)
class SimilarMovies(Answered, About):
    """by: `model`, its similarity and shared genres, or `content`, genres and years."""

    movie: Movie
    by: str
    similar: list[ScoredMovie]


@dataclass(frozen=True, kw_only=True)
class TrainingFacts(Answer):
    """in_catalogue: whether models know the movie. interactions: how often it is in the training data."""

    in_catalogue: bool
    interactions: int


@dataclass(frozen=True, kw_only=True)
class MovieDetails(Answered, About, TrainingFacts):
    movie: Movie


@dataclass(frozen=True, kw_only=True)
class FoundMovie(Movie, TrainingFacts):
    """found: `exact`, `prefix`, `words` or `typos`."""

    found: str


@dataclass(frozen=True, kw_only=True)
class FoundMovies(Answered, About):
    q: str
    movies: list[FoundMovie]


@dataclass(frozen=True, kw_only=True)
class LiveRating(Movie):
    rating: float


@dataclass(frozen=True, kw_only=True)
class SeenMovie(Movie):
    rating: float | None
    timestamp: int | None


@dataclass(frozen=True, kw_only=True)
class WatchedMovie(Movie):
    share: float | None


@dataclass(frozen=True, kw_only=True)
class LiveSaid(Answer):
    """A user's feedback since the training."""

    ratings: list[LiveRating]
    clicked: list[Movie]
    not_interested: list[Movie]
    watched: list[WatchedMovie]
    added_to_list: list[Movie]


@dataclass(frozen=True, kw_only=True)
class TasteShare(Answer):
    name: str
    share: float
    everybody: float


@dataclass(frozen=True, kw_only=True)
class TasteShares(Answer):
    """Shares of genres and decades, beside those of all interactions."""

    genres: list[TasteShare]
    decades: list[TasteShare]


@dataclass(frozen=True, kw_only=True)
class User(Answered, About):
    """known: whether the model was trained on the user. interactions: of the user in the training data.

    rated: movies of the history and the live ratings.
    """

    user_id: Id
    known: bool
    erased: bool
    interactions: int
    tier: str
    mean_rating: float | None
    rated: int
    history: list[SeenMovie]
    feedback: LiveSaid
    taste: TasteShares


@dataclass(frozen=True, kw_only=True)
class Erased(Answered):
    user_id: Id
    status: str
    erasure: int


@dataclass(frozen=True, kw_only=True)
class RecordedEvent(Answer):
    """status: `recorded`, or `already recorded` where an earlier sending had arrived."""

    key: str
    status: str


@dataclass(frozen=True, kw_only=True)
class RecordedFeedback(Answered):
    results: list[RecordedEvent]


@dataclass(frozen=True, kw_only=True)
class Undone(Answered):
    """undone: events that were taken back; 0 where they had been before, as by a sending whose answer was lost."""

    user_id: Id
    undone: int


@dataclass(frozen=True, kw_only=True)
class Question(Movie):
    """known_by: share of the users who have seen it."""

    known_by: float


@dataclass(frozen=True, kw_only=True)
class Interview(Answered, About):
    source: str
    chosen_by: str | None
    fold_in_min_items: int | None
    questions: list[Question]


@dataclass(frozen=True, kw_only=True)
class Experiments(Answered):
    running: dict[str, Any] | None
    rates: list[dict[str, Any]]
    duels: list[dict[str, Any]]


@dataclass(frozen=True, kw_only=True)
class VersionMetrics(Answer):
    validation: dict[str, Any] | None
    test: dict[str, Any] | None
    report: str | None


@dataclass(frozen=True, kw_only=True)
class Runs(Answer):
    mlflow_run_id: str | None
    dagster_run_id: str | None


@dataclass(frozen=True, kw_only=True)
class Version(Answer):
    """default: whether it answers by default. loaded: whether the worker that answered has it in memory."""

    version: str
    measured_version: str
    device: str
    created_at: str
    fingerprint: str
    trained_model: str | None
    refitted_model: str | None
    metrics: VersionMetrics
    runs: Runs
    index: dict[str, Any]
    default: bool
    loaded: bool


@dataclass(frozen=True, kw_only=True)
class ModelVersions(Version):
    model: str
    versions: list[Version]


@dataclass(frozen=True, kw_only=True)
class Models(Answered):
    models: list[ModelVersions]
    default: About | None


@dataclass(frozen=True, kw_only=True)
class LogHealth(Answer):
    status: str
    message: str | None


@dataclass(frozen=True, kw_only=True)
class WorkersReady(Answer):
    expected: int
    ready: int


@dataclass(frozen=True, kw_only=True)
class ServerHealth(Answered):
    """status: `ok`, `loading`, `empty`, `damaged` or `draining`. refused: version -> why it is not served."""

    status: str
    message: str | None
    serving: About | None
    refused: dict[str, str] = field(default_factory=dict)
    feedback: LogHealth | None = None
    workers: WorkersReady | None = None
